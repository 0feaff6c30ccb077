//! `traceparent` (W3C Trace Context §3.2).

use core::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::state;

/// The field that names the trace and the caller's span.
pub(super) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The field in which vendors of tracing keep what is theirs.
pub(super) static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Longest `traceparent` of a version to come that is read.
const MAX_BYTES: usize = 256;

/// The number of a trace, not zero. Shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The number of a span, not zero. Shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

/// Which trace a request belongs to, and whose child it is.
///
/// ```
/// use ztl_tower::TraceContext;
///
/// let text = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context = TraceContext::parse(text).expect("a context");
/// assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// assert!(context.is_sampled());
/// assert!(TraceContext::parse(b"00-0-0-01").is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: TraceId,
    parent_id: SpanId,
    sampled: bool,
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// Reads a `traceparent`. `None` for anything that §3.2 does not allow: capitals, zeros, another length, version `ff`. A
    /// version to come is read as far as version `00` reaches (§3.2.4).
    #[must_use]
    pub fn parse(traceparent: &[u8]) -> Option<Self> {
        if traceparent.len() > MAX_BYTES {
            return None;
        }
        let mut parts = traceparent.splitn(5, |byte| *byte == b'-');
        let [version] = hex::<1>(parts.next()?)?;
        let trace_id = TraceId::new(hex(parts.next()?)?)?;
        let parent_id = SpanId::new(hex(parts.next()?)?)?;
        let [flags] = hex::<1>(parts.next()?)?;
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        Some(Self {
            trace_id,
            parent_id,
            sampled: flags & 1 == 1,
            state: None,
        })
    }

    /// Reads it from a header section, with `tracestate` where that is good too (§3.3). A repeated `traceparent` is none.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(&TRACEPARENT).iter();
        let only = all.next().filter(|_| all.next().is_none())?;
        let mut context = Self::parse(only.as_bytes())?;
        let states = headers.get_all(&TRACESTATE);
        context.state = state::join(states.iter().map(HeaderValue::as_bytes));
        Some(context)
    }

    /// A trace that begins here.
    #[cfg(feature = "client")]
    pub(super) const fn new(trace_id: TraceId, parent_id: SpanId) -> Self {
        Self {
            trace_id,
            parent_id,
            sampled: false,
            state: None,
        }
    }

    /// The same trace under another span.
    #[cfg(feature = "client")]
    pub(super) fn under(&self, parent_id: SpanId) -> Self {
        Self {
            parent_id,
            ..self.clone()
        }
    }

    /// The trace.
    #[must_use]
    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The span of whoever sends it.
    #[must_use]
    pub const fn parent_id(&self) -> SpanId {
        self.parent_id
    }

    /// Whether the caller may have recorded the trace (§3.2.2.5).
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// What vendors of tracing keep (§3.3), where it was good.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Takes both fields away.
    #[cfg(feature = "client")]
    pub(crate) fn strip(headers: &mut HeaderMap) {
        headers.remove(&TRACEPARENT);
        headers.remove(&TRACESTATE);
    }

    /// Writes both fields in place of any that are there.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.remove(&TRACESTATE);
        let Ok(parent) = HeaderValue::try_from(self.to_string()) else {
            return;
        };
        headers.insert(&TRACEPARENT, parent);
        if let Some(state) = self.state().and_then(|it| HeaderValue::from_str(it).ok()) {
            headers.insert(&TRACESTATE, state);
        }
    }
}

/// As a `traceparent`, of version `00`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{}-{}-{flags:02x}", self.trace_id, self.parent_id)
    }
}

macro_rules! id {
    ($id:ident, $bytes:literal) => {
        impl $id {
            /// One of these bytes, unless all are zero.
            pub(super) fn new(bytes: [u8; $bytes]) -> Option<Self> {
                (bytes != [0; $bytes]).then_some(Self(bytes))
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id!(TraceId, 16);
id!(SpanId, 8);

/// So many bytes in hexadecimal digits, in lower case (§3.2.2).
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn trace_context_3_2_what_is_good_is_read_and_written_again() {
        let context = TraceContext::parse(GOOD.as_bytes()).expect("a context");
        assert_eq!(context.to_string(), GOOD);
        let quiet = GOOD.replace("-01", "-00");
        assert!(
            !TraceContext::parse(quiet.as_bytes())
                .expect("a context")
                .is_sampled()
        );
        // §3.2.4: a later version may say more, and other flags are dropped.
        for later in [
            GOOD.replacen("00", "cc", 1),
            GOOD.replacen("00", "01", 1) + "-more",
        ] {
            let context = TraceContext::parse(later.as_bytes()).expect("a context");
            assert_eq!(context.to_string(), GOOD);
        }
        assert_eq!(
            TraceContext::parse(GOOD.replace("-01", "-ff").as_bytes()),
            Some(context)
        );
    }

    #[test]
    fn trace_context_3_2_what_is_bad_is_none() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47366-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
        }
        let long = GOOD.replacen("00", "01", 1) + "-" + &"a".repeat(MAX_BYTES);
        assert_eq!(TraceContext::parse(long.as_bytes()), None);
    }

    #[test]
    fn a_repeated_field_is_none_and_a_bad_state_is_left_out() {
        let mut headers = HeaderMap::new();
        headers.append(&TRACEPARENT, HeaderValue::from_static(GOOD));
        headers.append(&TRACESTATE, HeaderValue::from_static("a=1"));
        headers.append(&TRACESTATE, HeaderValue::from_static("b=2"));
        let context = TraceContext::from_headers(&headers).expect("a context");
        assert_eq!(context.state(), Some("a=1,b=2"));
        let mut written = HeaderMap::new();
        context.write(&mut written);
        assert_eq!(TraceContext::from_headers(&written), Some(context));
        headers.append(&TRACESTATE, HeaderValue::from_static("A=3"));
        let context = TraceContext::from_headers(&headers).expect("a context");
        assert_eq!(context.state(), None);
        headers.append(&TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(TraceContext::from_headers(&headers), None);
    }
}
