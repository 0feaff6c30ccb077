//! What stands for an engine: it reads one word of a bundle's data.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

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

    /// Whether what is in force lets a request through.
    pub(crate) fn is_open(&self) -> bool {
        *self.open.lock().expect("lock") == Some(true)
    }

    /// What the bundle in force says.
    pub(crate) fn says(&self) -> Option<bool> {
        *self.open.lock().expect("lock")
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

/// What an engine does with the next bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Takes,
    Fails,
    Panics,
    /// Over a bundle, and over having none.
    Breaks,
    Waits,
}

/// An engine that does not always do what it should.
pub(crate) struct Moody {
    pub(crate) engine: Arc<Engine>,
    mood: Mutex<Mood>,
    waits: AtomicBool,
}

impl Moody {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            engine: Arc::default(),
            mood: Mutex::new(Mood::Takes),
            waits: AtomicBool::default(),
        })
    }

    pub(crate) fn is(&self, mood: Mood) {
        *self.mood.lock().expect("lock") = mood;
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().expect("lock")
    }

    /// Whether it waits over a bundle just now.
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Ordering::SeqCst)
    }
}

impl BundleConsumer for Moody {
    fn put_in_force(&self, bundle: Bundle) -> Result<(), BundleFault> {
        match self.mood() {
            Mood::Takes => {}
            Mood::Fails => return Err("no memory is left".into()),
            Mood::Panics | Mood::Breaks => panic!("a bug of the engine"),
            Mood::Waits => {
                self.waits.store(true, Ordering::SeqCst);
                while self.mood() == Mood::Waits {
                    std::thread::sleep(Duration::from_millis(1));
                }
                self.waits.store(false, Ordering::SeqCst);
            }
        }
        self.engine.put_in_force(bundle)
    }

    fn withdraw(&self) {
        assert_ne!(self.mood(), Mood::Breaks, "a bug of its way out");
        self.engine.withdraw();
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
