//! What stands for an engine: it reads one word of a bundle's data.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use http_body::Frame;
use ztl_core::authorizer::{Authorizer, AuthorizerError, Facts, Reads};
use ztl_tower::authz::bundle::{Bundle, BundleConsumer, BundleFault};

/// Objects unless `data.authz.open` is true.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    open: Mutex<Option<bool>>,
    taken: AtomicUsize,
}

impl Engine {
    /// How many bundles were put in force.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

impl BundleConsumer for Engine {
    fn put_in_force(&self, bundle: Bundle) -> Result<(), BundleFault> {
        assert!(bundle.data.get("bug").is_none(), "a bug of the engine");
        let open = bundle.data["authz"]["open"].as_bool();
        let open = open.ok_or("`data.authz.open` is neither true nor false")?;
        *self.open.lock().expect("lock") = Some(open);
        self.taken.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn withdraw(&self) {
        *self.open.lock().expect("lock") = None;
    }
}

impl Authorizer for Engine {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn objects(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        let open = *self.open.lock().expect("lock");
        let open = open.ok_or_else(|| AuthorizerError("no bundle is in force".to_owned()))?;
        Ok(!open)
    }
}

/// A response that never ends.
struct Feed(bool);

impl http_body::Body for Feed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"tick")))))
    }
}

pub(crate) fn app() -> Router {
    Router::new()
        .route("/v1/models", get(|| async { "models" }))
        .route("/v1/feed", get(|| async { Body::new(Feed(false)) }))
}
