//! The body of a request, which ends when its request is cut.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use crate::live::{Request, Waits};

pin_project! {
    /// The body of a request that a listener took. It fails when the request is no longer authorized, wherever it was moved to
    /// (law 8).
    pub struct RequestBody {
        #[pin]
        inner: Incoming,
        request: Arc<Request>,
    }
}

impl RequestBody {
    pub(super) const fn new(inner: Incoming, request: Arc<Request>) -> Self {
        Self { inner, request }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn core::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.project();
        let cut = || {
            Poll::Ready(Some(Err(
                "the request was cut: it is no longer authorized".into()
            )))
        };
        if this.request.is_cut() {
            return cut();
        }
        match this.inner.poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Pending if this.request.parks(Waits::Body, cx.waker()) => cut(),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl core::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RequestBody")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
