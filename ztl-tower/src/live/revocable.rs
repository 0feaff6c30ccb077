//! A stream that can be revoked from elsewhere, whoever holds it by then.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::{Live, Side};
use super::registry::Registered;
use crate::transport::Transport;

/// A stream whose reads and writes fail from the moment its connection is revoked; whoever waits for one is woken. It lies over
/// TLS, so that what was received before is not read either. HTTP's upgrades hand it out with the rest of the connection.
pub(crate) struct Revocable<T: Transport> {
    stream: T,
    registered: Registered,
    /// Told of what waits to be written.
    #[cfg(feature = "serve")]
    activity: Option<crate::serve::Activity>,
}

impl<T: Transport> Revocable<T> {
    pub(crate) const fn new(stream: T, registered: Registered) -> Self {
        Self {
            stream,
            registered,
            #[cfg(feature = "serve")]
            activity: None,
        }
    }

    /// The same, which tells of what waits to be written.
    #[cfg(feature = "serve")]
    pub(crate) fn telling(mut self, activity: &crate::serve::Activity) -> Self {
        self.activity = Some(activity.clone());
        self
    }

    pub(crate) const fn get_ref(&self) -> &T {
        &self.stream
    }

    pub(crate) fn live(&self) -> &Arc<Live> {
        self.registered.live()
    }

    /// Does what the stream does, unless it is revoked now or while that waits.
    fn unless_revoked<R>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        side: Side,
        poll: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<Result<R>>,
    ) -> Poll<Result<R>> {
        let this = self.get_mut();
        if this.live().is_revoked() {
            return Poll::Ready(Err(revoked()));
        }
        let polled = poll(Pin::new(&mut this.stream), cx);
        #[cfg(feature = "serve")]
        if let (Side::Write, Some(activity)) = (side, &this.activity) {
            activity.wrote(polled.is_pending());
        }
        if polled.is_pending() && this.live().parks(side, cx.waker()) {
            return Poll::Ready(Err(revoked()));
        }
        polled
    }
}

fn revoked() -> Error {
    Error::new(
        ErrorKind::ConnectionAborted,
        "the connection was revoked: what it rested on is gone",
    )
}

impl<T: Transport> AsyncRead for Revocable<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        self.unless_revoked(cx, Side::Read, |stream, cx| stream.poll_read(cx, into))
    }
}

impl<T: Transport> AsyncWrite for Revocable<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.unless_revoked(cx, Side::Write, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.unless_revoked(cx, Side::Write, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.unless_revoked(cx, Side::Write, |stream, cx| stream.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.unless_revoked(cx, Side::Write, |stream, cx| {
            stream.poll_write_vectored(cx, parts)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl<T: Transport> Drop for Revocable<T> {
    fn drop(&mut self) {
        if self.live().is_revoked() {
            return self.stream.sever();
        }
        #[cfg(feature = "serve")]
        if self.live().parts_with_nothing_said() {
            // HTTP has not begun, and hyper lets go of the stream as it is. What fits is written; nothing is waited for.
            let mut cx = Context::from_waker(core::task::Waker::noop());
            let _ = Pin::new(&mut self.stream).poll_shutdown(&mut cx);
        }
    }
}
