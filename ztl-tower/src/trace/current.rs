//! The request that is being answered on this thread just now, and what its trace is.

use core::cell::RefCell;
use std::sync::{Arc, OnceLock};

#[cfg(feature = "client")]
use rustls::crypto::SecureRandom;

use super::context::TraceContext;
#[cfg(feature = "client")]
use super::context::{SpanId, TraceId};

/// The trace of one request: that which it came with, or one that begins with the first request that is made for it.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<OnceLock<TraceContext>>);

thread_local! {
    static CURRENT: RefCell<Option<Asked>> = const { RefCell::new(None) };
}

#[cfg(feature = "serve")]
impl Asked {
    pub(crate) fn with(context: Option<TraceContext>) -> Self {
        let asked = OnceLock::new();
        if let Some(context) = context {
            let _ = asked.set(context);
        }
        Self(Arc::new(asked))
    }
}

/// A request is being answered for as long as this lives. What was before comes back, also where a handler panics.
#[cfg(feature = "serve")]
pub(crate) struct Sits(Option<Asked>);

#[cfg(feature = "serve")]
impl Sits {
    pub(crate) fn down(asked: &Asked) -> Self {
        Self(CURRENT.replace(Some(asked.clone())))
    }
}

#[cfg(feature = "serve")]
impl Drop for Sits {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// What a request of ours carries on, with a span id of its own. Nothing where there is no randomness.
#[cfg(feature = "client")]
pub(crate) fn pass_on(
    parts: &http::request::Parts,
    random: &dyn SecureRandom,
) -> Option<TraceContext> {
    let own = SpanId::new(bytes(random)?)?;
    let given = parts.extensions.get::<TraceContext>().cloned();
    if let Some(given) = given.or_else(|| TraceContext::from_headers(&parts.headers)) {
        return Some(given.under(own));
    }
    let begin = || Some(TraceContext::new(TraceId::new(bytes(random)?)?, own));
    let current = CURRENT.with_borrow(Clone::clone);
    let Some(Asked(current)) = current else {
        return begin();
    };
    if current.get().is_none() {
        let _ = current.set(begin()?);
    }
    current.get().map(|context| context.under(own))
}

#[cfg(feature = "client")]
fn bytes<const N: usize>(random: &dyn SecureRandom) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    random.fill(&mut bytes).ok().map(|()| bytes)
}
