//! What answers a request, and then the body of the answer.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::watched::Watched;
use crate::live::{Request, State, claim};

pin_project! {
    /// What answers a request, and then the body of the answer: the request runs, and is judged again, until it is dropped.
    pub struct Running<T> {
        #[pin]
        inner: T,
        // None once it went on with the answer.
        request: Option<Arc<Request>>,
        watched: Watched,
        // An extended CONNECT: the stream lives on when the answer has no body (RFC 8441 §5).
        opens_stream: bool,
    }

    impl<T> PinnedDrop for Running<T> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(request) = this.project().request {
                request.is_answered();
            }
        }
    }
}

impl<T> Running<T> {
    pub(super) const fn new(
        inner: T,
        request: Arc<Request>,
        watched: Watched,
        opens_stream: bool,
    ) -> Self {
        Self {
            inner,
            request: Some(request),
            watched,
            opens_stream,
        }
    }
}

impl<T> core::fmt::Debug for Running<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

impl<F, B, E> Future for Running<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<Running<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(request) = this.request {
            claim(request);
        }
        let mut response = ready!(this.watched.within(|| this.inner.poll(cx)))?;
        this.watched.answered(&response);
        // A future is not polled again once it is ready.
        let Some(request) = this.request.take() else {
            return Poll::Pending;
        };
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switches || (*this.opens_stream && response.status().is_success()) {
            request.becomes_stream();
        } else if request.is_alone() && request.live().state() == State::Draining {
            // RFC 9112 §9.6: the client hears that this was the last response, and does not send into a closing connection.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        let watched = this.watched.hand_on();
        Poll::Ready(Ok(
            response.map(|inner| Running::new(inner, request, watched, false))
        ))
    }
}

impl<B: Body<Data = Bytes>> Body for Running<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        this.watched.within(|| this.inner.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
