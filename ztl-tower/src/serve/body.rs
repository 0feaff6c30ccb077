//! The body of a request, which ends when its request is cut.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Either;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use crate::duty::AnyBody;
use crate::live::{Request, Waits};

pin_project! {
    /// The body of a request that a listener took. It fails when the request is no longer authorized, wherever it was moved to
    /// (law 8). It fails once, and then it has ended: who reads on after an error does not read the same error for ever.
    pub struct RequestBody {
        #[pin]
        inner: Inner,
        // None where it stands in for one that has it.
        request: Option<Arc<Request>>,
        failed: bool,
    }
}

type BoxError = Box<dyn core::error::Error + Send + Sync>;

/// As it comes, or another kind.
type Inner = Either<Incoming, UnsyncBoxBody<Bytes, BoxError>>;

impl RequestBody {
    pub(super) const fn new(body: Incoming, request: Arc<Request>) -> Self {
        Self {
            inner: Either::Left(body),
            request: Some(request),
            failed: false,
        }
    }

    /// A body that a server of a host's own took.
    pub(super) fn of<B>(body: B, request: Arc<Request>) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self {
            request: Some(request),
            ..Self::from_body(body)
        }
    }
}

impl AnyBody for RequestBody {
    fn from_body<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self {
            inner: Either::Right(UnsyncBoxBody::from_body(body)),
            request: None,
            failed: false,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.project();
        if *this.failed {
            return Poll::Ready(None);
        }
        let request = this.request.as_ref();
        let frame = if request.is_some_and(|request| request.is_cut()) {
            cut()
        } else {
            match this.inner.poll_frame(cx) {
                Poll::Pending if request.is_some_and(|it| it.parks(Waits::Body, cx.waker())) => {
                    cut()
                }
                polled => ready!(polled),
            }
        };
        *this.failed = matches!(frame, Some(Err(_)));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn cut() -> Option<Result<Frame<Bytes>, BoxError>> {
    Some(Err("the request was cut: it is no longer authorized".into()))
}

impl core::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RequestBody").finish_non_exhaustive()
    }
}
