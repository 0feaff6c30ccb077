//! Spans of connections and requests, and the events within them. Names are those of OpenTelemetry's semantic conventions where
//! it has one. No path, query, header value or token is in any of them (law 7): the rule's name says what was asked for.

#[cfg(feature = "serve")]
use core::net::SocketAddr;

use crate::extract::ActionPermit;
use http::Extensions;
#[cfg(feature = "serve")]
use http::{Version, request::Parts};
use tracing::Span;
#[cfg(feature = "serve")]
use tracing::field::{Empty, display};
use tracing::level_filters::LevelFilter;

use crate::authorize::Refused;
use crate::live::Connection;
#[cfg(feature = "serve")]
use crate::{guard::Guard, trace::TraceContext};

/// The span of a connection to us, which is that of its handshake and the parent of its requests.
#[cfg(feature = "serve")]
pub(crate) fn connection(guard: &Guard, remote: Option<SocketAddr>) -> Span {
    tracing::info_span!(
        target: "ztl",
        "connection",
        ztl.workload = guard.name(),
        network.peer.address = remote.map(|remote| display(remote.ip())),
        network.peer.port = remote.map(|remote| remote.port()),
        ztl.peer.id = Empty,
    )
}

/// Whom a connection turned out to be with.
#[cfg(feature = "serve")]
pub(crate) fn is_peer(span: &Span, live: &crate::live::Live) {
    if span.is_disabled() {
        return;
    }
    if let Some(peer) = live.permit().as_ref().and_then(ztl_core::FlowPermit::peer) {
        span.record("ztl.peer.id", display(peer.id()));
    }
}

/// The span of a request, which tells how it was decided and answered.
#[cfg(feature = "serve")]
pub(crate) fn request(connection: &Span, request: &Parts, trace: Option<&TraceContext>) -> Span {
    let span = tracing::info_span!(
        target: "ztl",
        parent: connection,
        "request",
        otel.kind = "server",
        http.request.method = method(request),
        network.protocol.version = version(request),
        http.response.status_code = Empty,
        ztl.decision.id = Empty,
        ztl.verdict = Empty,
        ztl.reason = Empty,
        ztl.rule = Empty,
        trace_id = Empty,
        parent_span_id = Empty,
    );
    if let Some(trace) = trace.filter(|_| !span.is_disabled()) {
        span.record("trace_id", display(trace.trace_id()));
        span.record("parent_span_id", display(trace.parent_id()));
    }
    span
}

/// A method that is in no rule is anybody's text.
#[cfg(feature = "serve")]
fn method(request: &Parts) -> &'static str {
    match ztl_core::Method::parse(request.method.as_str()) {
        ztl_core::Method::Other => "_OTHER",
        named => named.as_str(),
    }
}

#[cfg(feature = "serve")]
fn version(request: &Parts) -> &'static str {
    match request.version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// The span of a request, in its extensions where somebody listens.
#[derive(Clone)]
pub(crate) struct RequestSpan(pub(crate) Span);

/// The request with these extensions is permitted. On a server of the host's own it is the span that is entered just now.
pub(crate) fn permitted(extensions: &Extensions) {
    if LevelFilter::current() == LevelFilter::OFF {
        // Nobody listens.
        return;
    }
    let own = extensions.get::<RequestSpan>();
    let span = own.map_or_else(Span::current, |RequestSpan(span)| span.clone());
    if span.is_disabled() {
        return;
    }
    if let Some(permit) = extensions.get::<ActionPermit>() {
        span.record("ztl.decision.id", tracing::field::display(permit.id()));
        span.record("ztl.verdict", "permit");
        span.record("ztl.reason", "permitted");
        span.record("ztl.rule", permit.rule());
    }
}

/// The request of this span is denied.
pub(crate) fn is_denied(span: &Span, refused: &Refused) {
    if span.is_disabled() {
        return;
    }
    let denial = refused.denial();
    span.record("ztl.decision.id", tracing::field::display(denial.id()));
    span.record("ztl.verdict", "deny");
    span.record("ztl.reason", denial.reason().code());
    denial.rule().map(|rule| span.record("ztl.rule", rule));
}

/// A request is denied, and answered so. What was wrong with it is said in words that nobody but us wrote.
pub(crate) fn denied(refused: &Refused, status: http::StatusCode) {
    let denial = refused.denial();
    let reason = denial.reason().code();
    tracing::info!(
        target: "ztl",
        { ztl.decision.id = %denial.id(), ztl.reason = reason, ztl.rule = denial.rule(), ztl.detail = refused.detail(), http.response.status_code = status.as_u16() },
        "request denied"
    );
}

/// A connection is over.
pub(crate) fn connection_ended(
    workload: &str,
    cause: &'static str,
    shown: impl FnOnce() -> Connection,
) {
    if !tracing::enabled!(target: "ztl", tracing::Level::DEBUG) {
        return;
    }
    let shown = shown();
    let peer = shown.peer.map(|id| id.to_string());
    tracing::debug!(
        target: "ztl",
        workload,
        direction = shown.direction.as_str(),
        ztl.peer.id = peer,
        port = shown.port,
        cause,
        "connection ended"
    );
}
