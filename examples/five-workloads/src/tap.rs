//! A stream that notes what a client hears: how many bytes of the protocol above, and the TLS alert that ended it.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What was heard.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    bytes: AtomicUsize,
    alert: OnceLock<AlertDescription>,
}

impl Seen {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn alert(&self) -> Option<AlertDescription> {
        self.alert.get().copied()
    }

    /// Takes the alert out of an error, where it is one.
    pub(crate) fn note(&self, error: &io::Error) {
        let held = error.get_ref().and_then(|held| held.downcast_ref());
        if let Some(rustls::Error::AlertReceived(alert)) = held {
            // The first alert ends the connection; there is no second.
            let _ = self.alert.set(*alert);
        }
    }
}

/// The stream.
pub(crate) struct Tap<S> {
    inner: S,
    seen: Arc<Seen>,
}

impl<S> Tap<S> {
    pub(crate) fn new(inner: S, seen: &Arc<Seen>) -> Self {
        Self {
            inner,
            seen: Arc::clone(seen),
        }
    }
}

impl<S: AsyncRead + Unpin> Tap<S> {
    /// A refusal closes the connection while we are still writing. What the other end said last counts for more than that we
    /// could not write: a write that failed waits for it.
    fn or_heard<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Poll::Ready(Err(failed)) = written else {
            return written;
        };
        let mut space = [0; 512];
        let mut heard = ReadBuf::new(&mut space);
        match Pin::new(self).poll_read(cx, &mut heard) {
            Poll::Ready(Ok(())) => Poll::Ready(Err(failed)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        let heard = buffer.filled().len().saturating_sub(before);
        self.seen.bytes.fetch_add(heard, Ordering::Relaxed);
        if let Poll::Ready(Err(error)) = &polled {
            self.seen.note(error);
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.or_heard(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.or_heard(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.or_heard(cx, shut)
    }
}
