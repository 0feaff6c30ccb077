//! What connections run over.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A stream that a connection runs over: TCP, a Unix socket, or one of a host's own, given to
/// [`Acceptor::accept`](crate::Acceptor::accept).
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Has what carries the stream discard what it has not sent yet, when the stream is dropped. Called where a connection is
    /// revoked: a peer that reads slowly must not be served for longer by what waits in a buffer (T14).
    ///
    /// Does nothing where a stream cannot. What was handed to the other end already, as a Unix socket does with every write,
    /// cannot be taken back.
    fn sever(&self) {}
}

impl Transport for TcpStream {
    fn sever(&self) {
        // Where it fails the connection is gone already.
        let _ = self.set_zero_linger();
    }
}

#[cfg(unix)]
impl Transport for tokio::net::UnixStream {}

impl Transport for tokio::io::DuplexStream {}

impl<T: Transport> Transport for tokio_rustls::server::TlsStream<T> {
    fn sever(&self) {
        self.get_ref().0.sever();
    }
}

impl<T: Transport> Transport for tokio_rustls::client::TlsStream<T> {
    fn sever(&self) {
        self.get_ref().0.sever();
    }
}

impl<T: Transport> Transport for tokio_rustls::TlsStream<T> {
    fn sever(&self) {
        self.get_ref().0.sever();
    }
}

/// Reads and writes by what the method `stream` gives, where it gives any.
macro_rules! delegates {
    ($name:ident) => {
        impl<T: Transport> tokio::io::AsyncRead for $name<T> {
            fn poll_read(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
                into: &mut tokio::io::ReadBuf<'_>,
            ) -> core::task::Poll<std::io::Result<()>> {
                core::pin::Pin::new(self.get_mut().stream()?).poll_read(cx, into)
            }
        }

        impl<T: Transport> tokio::io::AsyncWrite for $name<T> {
            fn poll_write(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
                bytes: &[u8],
            ) -> core::task::Poll<std::io::Result<usize>> {
                core::pin::Pin::new(self.get_mut().stream()?).poll_write(cx, bytes)
            }

            fn poll_flush(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<std::io::Result<()>> {
                core::pin::Pin::new(self.get_mut().stream()?).poll_flush(cx)
            }

            fn poll_shutdown(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<std::io::Result<()>> {
                core::pin::Pin::new(self.get_mut().stream()?).poll_shutdown(cx)
            }

            fn poll_write_vectored(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
                parts: &[std::io::IoSlice<'_>],
            ) -> core::task::Poll<std::io::Result<usize>> {
                core::pin::Pin::new(self.get_mut().stream()?).poll_write_vectored(cx, parts)
            }

            fn is_write_vectored(&self) -> bool {
                self.stream.is_write_vectored()
            }
        }
    };
}

pub(crate) use delegates;
