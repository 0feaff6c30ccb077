//! What is known of a request beside its decision: its span, and its trace.

use http::{Request, Response};
use tracing::Span;

use crate::authorize::Refused;
use crate::trace::{Asked, Sits, TraceContext};
use crate::watch::{self, RequestSpan};

/// The span and the trace of a request, for as long as anything of it is polled.
#[derive(Clone)]
pub(super) struct Watched {
    span: Span,
    asked: Asked,
}

impl Watched {
    /// Of a request that comes in. The trace context that it carries is put in its extensions, for tasks that its handler begins.
    pub(super) fn begin<B>(connection: &Span, request: &mut Request<B>) -> Self {
        let context = TraceContext::from_headers(request.headers());
        let span = watch::request(connection, request, context.as_ref());
        if !span.is_disabled() {
            request.extensions_mut().insert(RequestSpan(span.clone()));
        }
        match &context {
            Some(context) => drop(request.extensions_mut().insert(context.clone())),
            None => drop(request.extensions_mut().remove::<TraceContext>()),
        }
        let asked = Asked::with(context, request.headers());
        Self { span, asked }
    }

    /// Does something within the span, of which requests that are made meanwhile carry the trace on, and no credential.
    pub(super) fn within<T>(&self, does: impl FnOnce() -> T) -> T {
        let _span = self.span.enter();
        let _sits = Sits::down(&self.asked);
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
