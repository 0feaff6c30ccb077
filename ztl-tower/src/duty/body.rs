//! Bodies that another body stands in for.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use pin_project_lite::pin_project;

use super::Asked;

type BoxError = Box<dyn core::error::Error + Send + Sync>;

/// A body that can hold any other: what [`Authorize`](crate::Authorize) asks of the bodies of its requests, so that one that is
/// bounded or was looked at can stand where the one that came stood, and the service sees no other type.
///
/// axum's body is one, and the [`RequestBody`](crate::RequestBody) of listeners; for a server of one's own,
/// [`UnsyncBoxBody`] is.
pub trait AnyBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + Sized + 'static {
    /// One that holds this.
    fn from_body<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl AnyBody for UnsyncBoxBody<Bytes, BoxError> {
    fn from_body<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        body.map_err(Into::into).boxed_unsync()
    }
}

#[cfg(feature = "axum-core")]
impl AnyBody for axum_core::body::Body {
    fn from_body<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self::new(body)
    }
}

pin_project! {
    /// A body with at most so many bytes of content. Past that it fails, once, and its request is refused.
    pub(super) struct Bounded<B> {
        #[pin]
        inner: B,
        left: u64,
        asked: Arc<Asked>,
    }
}

impl<B> Bounded<B> {
    pub(super) const fn new(inner: B, most: u64, asked: Arc<Asked>) -> Self {
        Self {
            inner,
            left: most,
            asked,
        }
    }
}

impl<B> Body for Bounded<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        if this.asked.passed.get().is_some() {
            return Poll::Ready(None);
        }
        let frame = match ready!(this.inner.poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let bytes = frame.data_ref().map_or(0, |data| data.remaining());
        match this
            .left
            .checked_sub(u64::try_from(bytes).unwrap_or(u64::MAX))
        {
            Some(left) => *this.left = left,
            None => {
                this.asked.passes();
                return Poll::Ready(Some(Err(TooLarge.into())));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.asked.passed.get().is_some() || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().min(self.left));
        hint.set_upper(
            inner
                .upper()
                .map_or(self.left, |upper| upper.min(self.left)),
        );
        hint
    }
}

/// A body has more bytes than its permit lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request was cut: its body is larger than is permitted")]
struct TooLarge;
