//! Trace context: no fields make the reader panic, what is read is within its bounds, and what is written is read again as the same.

#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use ztl_tower::TraceContext;

// The first line is the one field, each other line one of the other.
fuzz_target!(|text: &[u8]| {
    let mut headers = HeaderMap::new();
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let name = if at == 0 { "traceparent" } else { "tracestate" };
        let Ok(value) = HeaderValue::from_bytes(line) else {
            return;
        };
        headers.append(name, value);
    }
    let Some(context) = TraceContext::from_headers(&headers) else {
        return;
    };
    assert!(
        context
            .state()
            .is_none_or(|state| !state.is_empty() && state.len() <= 512)
    );
    let shown = context.to_string();
    assert_eq!(shown.len(), 55);
    assert_eq!(
        TraceContext::parse(shown.as_bytes()).map(|it| it.to_string()),
        Some(shown)
    );
    let mut written = HeaderMap::new();
    context.write(&mut written);
    assert_eq!(TraceContext::from_headers(&written), Some(context));
});
