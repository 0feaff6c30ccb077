//! The body of a request on its way out, which can be had back while nothing has read it.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

type Error = Box<dyn core::error::Error + Send + Sync>;

/// Whatever body a caller gave.
pub(super) type Boxed = UnsyncBoxBody<Bytes, Error>;

/// A body that waits to be read.
#[derive(Clone)]
pub(super) struct Held(Arc<Mutex<Option<Boxed>>>);

impl Held {
    pub(super) fn new(body: Boxed) -> Self {
        Self(Arc::new(Mutex::new(Some(body))))
    }

    /// For the connection, which reads it once its request is under way.
    pub(super) fn body(&self) -> EgressBody {
        EgressBody {
            held: self.clone(),
            read: None,
        }
    }

    /// Has it back; `None` where a connection has begun to read it.
    pub(super) fn take(&self) -> Option<Boxed> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Boxed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body as a connection reads it.
pub(super) struct EgressBody {
    held: Held,
    read: Option<Boxed>,
}

impl Body for EgressBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.read.is_none() {
            self.read = self.held.take();
        }
        match &mut self.read {
            Some(body) => Pin::new(body).poll_frame(cx),
            // It was taken back: whoever reads it now must not send it as if it were whole.
            None => Poll::Ready(Some(Err("the body was taken back".into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.read {
            Some(body) => body.is_end_stream(),
            None => self.held.lock().as_ref().is_some_and(Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.read {
            Some(body) => body.size_hint(),
            None => self
                .held
                .lock()
                .as_ref()
                .map_or_else(SizeHint::default, Body::size_hint),
        }
    }
}

/// Boxes whatever body a request has.
pub(super) fn boxed<B>(body: B) -> Boxed
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Error>,
{
    body.map_err(Into::into).boxed_unsync()
}
