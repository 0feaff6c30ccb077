//! A client that takes its time within the handshake.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::*;

/// Keeps back the last bytes of what is written after the first answer, until told.
struct Hold {
    stream: TcpStream,
    answered: bool,
    held: Vec<u8>,
    go: Arc<AtomicBool>,
}

/// More than the client's Finished, less than its CertificateVerify and Finished.
const TAIL: usize = 200;

impl AsyncRead for Hold {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        self.answered |= !into.filled().is_empty();
        read
    }
}

impl AsyncWrite for Hold {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if !self.answered {
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        }
        self.held.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let keep = if self.go.load(Ordering::SeqCst) {
            0
        } else {
            TAIL
        };
        while self.held.len() > keep {
            let part = self.held[..self.held.len() - keep].to_vec();
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &part))?;
            self.held.drain(..written);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn t5_an_authority_that_is_taken_away_within_the_handshake_proves_nobody() {
    for change in [true, false] {
        let run = running().await;
        let svid = run.mesh.svid("/retriever");
        let mut config = support::raw_config(Some(&svid), b"http/1.1");
        config.max_fragment_size = Some(32);
        let go = Arc::new(AtomicBool::new(false));
        let hold = Hold {
            stream: TcpStream::connect(run.address).await.expect("connect"),
            answered: false,
            held: Vec::new(),
            go: Arc::clone(&go),
        };
        let name = rustls_pki_types::ServerName::try_from("x.example").expect("name");
        let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, hold)
            .await
            .expect("handshake");
        // The server has the certificates and proves them; nothing outside shows when it did.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert_eq!(run.audit.taken(), 0, "the flow is not judged yet");
        if change {
            let other = Mesh::new("");
            run.guard
                .swap_bundles(ztl_mtls::BundleSet::new([other.authority.bundle()]).expect("set"));
        }
        go.store(true, Ordering::SeqCst);
        let request = b"GET /v1/models/llama HTTP/1.1\r\nhost: x.example\r\n\r\n";
        stream.write_all(request).await.expect("write");
        stream.flush().await.expect("flush");
        let mut answer = [0; 512];
        let read = tokio::time::timeout(support::PATIENCE, stream.read(&mut answer))
            .await
            .expect("in time");
        if change {
            assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
            assert_eq!(
                reasons(&run.audit).last().map(String::as_str),
                Some("flow_withdrawn")
            );
            assert_eq!(run.marker.calls(), 0);
        } else {
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{read:?}");
        }
    }
}
