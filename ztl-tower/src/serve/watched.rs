//! What is known of a request beside its decision: its span, and its trace.

use http::Response;
use http::request::Parts;
use tracing::Span;

use crate::authorize::Refused;
use crate::trace::{Asked, Sits, TraceContext};
use crate::watch::{self, RequestSpan};

/// The span and the trace of a request, for as long as anything of it is polled.
pub(super) struct Watched {
    span: Span,
    asked: Asked,
}

impl Watched {
    /// Of a request that comes in. The trace context that it carries is put in its extensions, for tasks that its handler begins.
    pub(super) fn begin(connection: &Span, parts: &mut Parts) -> Self {
        let context = TraceContext::from_headers(&parts.headers);
        let span = watch::request(connection, parts, context.as_ref());
        if !span.is_disabled() {
            parts.extensions.insert(RequestSpan(span.clone()));
        }
        match &context {
            Some(context) => drop(parts.extensions.insert(context.clone())),
            None => drop(parts.extensions.remove::<TraceContext>()),
        }
        let asked = Asked::with(context, &parts.headers);
        Self { span, asked }
    }

    /// From one part of a request to the next, which is polled from here on.
    pub(super) fn hand_on(&mut self) -> Self {
        Self {
            span: core::mem::replace(&mut self.span, Span::none()),
            asked: core::mem::take(&mut self.asked),
        }
    }

    /// Does something within the span, of which requests that are made meanwhile carry the trace on, and no credential.
    pub(super) fn within<T>(&mut self, does: impl FnOnce() -> T) -> T {
        let _span = self.span.enter();
        let _sits = Sits::down(&mut self.asked);
        does()
    }

    /// It is answered, by the service or by a refusal.
    pub(super) fn answered<B>(&self, response: &Response<B>) {
        let status = response.status().as_u16();
        self.span.record("http.response.status_code", status);
        if let Some(refused) = response.extensions().get::<Refused>() {
            watch::is_denied(&self.span, refused);
        }
    }
}

#[cfg(all(test, feature = "client"))]
mod tests {
    use super::*;
    use crate::guard::default_provider;
    use crate::trace::{came_with, pass_on};
    use http::header::AUTHORIZATION;
    use http::{HeaderValue, Request};

    #[test]
    fn t27_what_is_known_of_a_request_goes_on_with_the_body_of_its_answer() {
        let provider = default_provider().expect("a provider");
        let parts = || Request::new(()).into_parts().0;
        let asks = || pass_on(&parts(), provider.secure_random).expect("a context");
        let shown = HeaderValue::from_static("Bearer a");
        let came = || came_with([&shown].into_iter());
        let mut with_token = parts();
        with_token.headers.insert(AUTHORIZATION, shown.clone());
        let mut watched = Watched::begin(&Span::none(), &mut with_token);
        let first = watched.within(asks);
        assert!(watched.within(came) && !came());
        // However it is written anew.
        for (written, same) in [
            ("bearer a", true),
            ("Bearer \t a ", true),
            ("a", true),
            ("Bearer aa", false),
            ("Bearer", false),
        ] {
            let written = HeaderValue::from_static(written);
            let came = watched.within(|| came_with([&written].into_iter()));
            assert_eq!(came, same, "{written:?}");
        }
        let again = watched.within(asks);
        let mut body = watched.hand_on();
        // Another request is answered within.
        let mut other = Watched::begin(&Span::none(), &mut parts());
        let (last, others) = body.within(|| (asks(), other.within(asks)));
        assert!(body.within(|| !other.within(came) && came()) && !watched.within(came));
        for later in [&again, &last] {
            assert_eq!(later.trace_id(), first.trace_id());
            assert_ne!(later.parent_id(), first.parent_id());
        }
        assert_ne!(others.trace_id(), first.trace_id());
        assert_eq!(body.within(asks).trace_id(), first.trace_id());
        assert_ne!(asks().trace_id(), first.trace_id(), "nobody is answered");
    }
}
