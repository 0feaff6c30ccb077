//! The request that is being answered on this thread just now: what its trace is, and which credential it came with.

use core::cell::RefCell;

#[cfg(feature = "serve")]
use http::HeaderMap;
use http::HeaderValue;
#[cfg(feature = "serve")]
use http::header::AUTHORIZATION;
#[cfg(feature = "client")]
use rustls::crypto::SecureRandom;

use super::context::TraceContext;
#[cfg(feature = "client")]
use super::context::{SpanId, TraceId};

/// What requests that are made for one request have of it, where that is anything yet. Holds a credential: it has no `Debug`.
#[derive(Default)]
pub(crate) struct Asked(Option<Box<Came>>);

#[derive(Default)]
struct Came {
    /// The trace that it came with, or one that begins with the first request that is made for it.
    trace: Option<TraceContext>,
    /// What was shown to us, and is not to be shown to others (T27).
    authorization: Box<[HeaderValue]>,
}

thread_local! {
    static CURRENT: RefCell<Option<Asked>> = const { RefCell::new(None) };
}

#[cfg(feature = "serve")]
impl Asked {
    /// Of a request that came with this context and these fields.
    pub(crate) fn with(context: Option<TraceContext>, fields: &HeaderMap) -> Self {
        let authorization: Box<[_]> = fields.get_all(AUTHORIZATION).iter().cloned().collect();
        let came = context.is_some() || !authorization.is_empty();
        Self(came.then(|| {
            Box::new(Came {
                trace: context,
                authorization,
            })
        }))
    }
}

/// A request is being answered for as long as this lives, and what is known of it is here meanwhile. What was before comes back, also where a
/// handler panics.
#[cfg(feature = "serve")]
pub(crate) struct Sits<'a> {
    asked: &'a mut Asked,
    before: Option<Asked>,
}

#[cfg(feature = "serve")]
impl<'a> Sits<'a> {
    pub(crate) fn down(asked: &'a mut Asked) -> Self {
        let before = CURRENT.replace(Some(core::mem::take(asked)));
        Self { asked, before }
    }
}

#[cfg(feature = "serve")]
impl Drop for Sits<'_> {
    fn drop(&mut self) {
        *self.asked = CURRENT.replace(self.before.take()).unwrap_or_default();
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
    let known = CURRENT.with_borrow(|current| {
        let Asked(came) = current.as_ref()?;
        Some(came.as_ref()?.trace.as_ref()?.under(own))
    });
    if known.is_some() {
        return known;
    }
    let begun = TraceContext::new(TraceId::new(bytes(random)?)?, own);
    CURRENT.with_borrow_mut(|current| {
        if let Some(Asked(came)) = current {
            came.get_or_insert_default().trace = Some(begun.clone());
        }
    });
    Some(begun)
}

/// Whether the request that is being answered just now came with one of these values of `Authorization`.
#[cfg(feature = "client")]
pub(crate) fn came_with<'a>(mut values: impl Iterator<Item = &'a HeaderValue>) -> bool {
    CURRENT.with_borrow(|current| {
        let came = current.as_ref().and_then(|Asked(came)| came.as_deref());
        let shown = came.map_or(&[][..], |came| came.authorization.as_ref());
        !shown.is_empty() && values.any(|value| shown.iter().any(|shown| is_same(shown, value)))
    })
}

/// What a value of `Authorization` shows, without its scheme, which is written in any letter case, and without the blanks around it
/// (RFC 9110 §11.4).
#[cfg(feature = "client")]
fn credential(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    let scheme = value.iter().position(|byte| matches!(byte, b' ' | b'\t'));
    let rest = scheme.and_then(|end| value.get(end..));
    rest.map_or(value, <[u8]>::trim_ascii_start)
}

/// Whether both show the same credential. In the same time wherever they differ: what a caller shows must not be a guess at a credential of ours.
#[cfg(feature = "client")]
fn is_same(one: &HeaderValue, other: &HeaderValue) -> bool {
    let (one, other) = (credential(one.as_bytes()), credential(other.as_bytes()));
    let differing = one
        .iter()
        .zip(other)
        .fold(0, |bits, (one, other)| bits | (one ^ other));
    one.len() == other.len() && core::hint::black_box(differing) == 0
}

#[cfg(feature = "client")]
fn bytes<const N: usize>(random: &dyn SecureRandom) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    random.fill(&mut bytes).ok().map(|()| bytes)
}
