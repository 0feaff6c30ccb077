//! The body of a request, which ends when its request is cut.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
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
        failed: bool,
    }
}

type BoxError = Box<dyn core::error::Error + Send + Sync>;

pin_project! {
    #[project = Projected]
    enum Inner {
        /// As it comes, for as long as its request is authorized.
        Incoming { #[pin] body: Incoming, request: Arc<Request> },
        /// One that stands in for it and holds it.
        StandIn { #[pin] body: UnsyncBoxBody<Bytes, BoxError> },
    }
}

impl RequestBody {
    pub(super) const fn new(body: Incoming, request: Arc<Request>) -> Self {
        Self {
            inner: Inner::Incoming { body, request },
            failed: false,
        }
    }
}

impl AnyBody for RequestBody {
    fn from_body<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self {
            inner: Inner::StandIn {
                body: UnsyncBoxBody::from_body(body),
            },
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
        let cut = || Some(Err("the request was cut: it is no longer authorized".into()));
        let frame = match this.inner.project() {
            Projected::Incoming { request, .. } if request.is_cut() => cut(),
            Projected::Incoming { body, request } => match body.poll_frame(cx) {
                Poll::Ready(frame) => frame.map(|frame| frame.map_err(Into::into)),
                Poll::Pending if request.parks(Waits::Body, cx.waker()) => cut(),
                Poll::Pending => return Poll::Pending,
            },
            Projected::StandIn { body } => ready!(body.poll_frame(cx)),
        };
        *this.failed = matches!(frame, Some(Err(_)));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.failed
            || match &self.inner {
                Inner::Incoming { body, .. } => body.is_end_stream(),
                Inner::StandIn { body } => body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Incoming { body, .. } => body.size_hint(),
            Inner::StandIn { body } => body.size_hint(),
        }
    }
}

impl core::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RequestBody").finish_non_exhaustive()
    }
}
