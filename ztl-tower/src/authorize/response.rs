//! Refusals on the wire: what a caller may know, and no more (law 7).

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;
use ztl_core::{DecisionId, Denial, Lack, Reason};

use super::alike;
use super::service::dress;
use crate::duty::After;
use crate::extract::ActionPermit;
use crate::guard::{Answers, Guard};

pin_project! {
    /// The body of a response: the service's own, or that of a refusal.
    #[project = Projected]
    #[derive(Debug)]
    #[expect(missing_docs, reason = "the two cases say what they are")]
    #[non_exhaustive]
    pub enum ResponseBody<B> {
        Service { #[pin] body: B },
        Refusal { #[pin] body: Full<Bytes> },
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project() {
            Projected::Service { body } => body.poll_frame(cx),
            Projected::Refusal { body } => body.poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Service { body } => body.is_end_stream(),
            Self::Refusal { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Service { body } => body.size_hint(),
            Self::Refusal { body } => body.size_hint(),
        }
    }
}

/// Why a request was refused: in the extensions of its response, for outer layers. Never on the wire.
#[derive(Clone, Debug)]
pub struct Refused {
    pub(crate) denial: Denial,
    pub(crate) detail: Option<String>,
    place: Option<String>,
    /// Nobody was free to judge it: it may be asked again.
    pub(crate) overloaded: bool,
    /// What is answered where the reason alone does not say it.
    answer: Option<Box<Answer>>,
}

/// What a refusal says beside its decision's id: of a limit, or of the caller's own body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) grpc_status: &'static str,
    pub(crate) fields: Vec<(HeaderName, HeaderValue)>,
    /// More members of the problem document, each with the comma before it.
    pub(crate) members: String,
}

impl Answer {
    pub(crate) const fn new(status: StatusCode, grpc_status: &'static str) -> Self {
        Self {
            status,
            grpc_status,
            fields: Vec::new(),
            members: String::new(),
        }
    }
}

impl Refused {
    pub(crate) const fn new(denial: Denial, detail: Option<String>) -> Self {
        Self {
            denial,
            detail,
            place: None,
            overloaded: false,
            answer: None,
        }
    }

    /// The same, of this place in the caller's request.
    pub(crate) fn at(self, place: Option<String>) -> Self {
        Self { place, ..self }
    }

    /// The same, answered so.
    pub(crate) fn answered(self, answer: Option<Box<Answer>>) -> Self {
        Self { answer, ..self }
    }

    /// The denial.
    #[must_use]
    pub const fn denial(&self) -> &Denial {
        &self.denial
    }

    /// What exactly was ambiguous, or wrong with the credential, and with what code it was refused (`token_expired`), or which
    /// obligation did not come about and why. Nothing of it is the caller's own, so that it can be logged: the event `request denied`
    /// has it.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// Where a request did not fit its schema: a JSON pointer (RFC 6901) into its body, or the name of a parameter, as the caller wrote
    /// it and escaped.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }
}

/// What was wrong with the caller's credential.
#[cfg_attr(
    not(feature = "jwt"),
    expect(dead_code, reason = "without tokens no credential is good or bad")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// None was shown.
    Absent,
    /// One was shown and refused.
    Bad,
    /// One was shown and verified.
    Good,
    /// One was shown and not looked at: too many bad ones came before it. After so long another is.
    Unchecked(Duration),
}

/// How the caller wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dress {
    /// As a problem document (RFC 9457).
    Problem,
    /// With the header section alone: the answer to HEAD has no content (RFC 9110 §9.3.2).
    Head,
    /// As a gRPC status.
    Grpc,
}

/// What a permitted request needs so that no answer tells it from one that is not: nothing, unless refusals are uniform.
#[derive(Clone, Debug)]
pub(super) struct Hidden(Option<(Guard, DecisionId, Dress)>);

impl Hidden {
    pub(super) fn of(guard: &Guard, parts: &Parts) -> Self {
        let permit = guard
            .answers()
            .uniform
            .then(|| parts.extensions.get::<ActionPermit>());
        let told = permit.flatten();
        Self(told.map(|permit| (guard.clone(), permit.id(), dress(parts))))
    }

    /// The service's answer, or that of a refusal where it says that there is no such route; and whether it is the latter.
    /// Nothing else is said then that no refusal says.
    pub(super) fn answer<R>(
        &mut self,
        response: Response<R>,
        after: Option<Box<After>>,
    ) -> (Response<ResponseBody<R>>, bool) {
        if let Some((guard, id, dress)) = self.0.take()
            // A layer further in has said and recorded why.
            && response.extensions().get::<Refused>().is_none()
            && !alike::is_marked(&response)
            && is_no_route(&response, dress)
        {
            return (missing(guard.answers(), id, dress), true);
        }
        let response = response.map(|body| ResponseBody::Service { body });
        let response = match after {
            Some(after) => after.finish(response),
            None => response,
        };
        (response, false)
    }
}

/// Whether a router found nothing: what it says then has no content. gRPC: `UNIMPLEMENTED`.
fn is_no_route<R>(response: &Response<R>, dress: Dress) -> bool {
    let headers = response.headers();
    if dress == Dress::Grpc
        && headers
            .get("grpc-status")
            .is_some_and(|it| it == UNIMPLEMENTED)
    {
        return true;
    }
    let status = response.status();
    (status == StatusCode::NOT_FOUND || status == StatusCode::METHOD_NOT_ALLOWED)
        && !headers.contains_key(CONTENT_TYPE)
}

/// The answer to who asks for what is not there, or may not.
fn missing<B>(answers: &Answers, id: DecisionId, dress: Dress) -> Response<ResponseBody<B>> {
    let status = (StatusCode::NOT_FOUND, UNIMPLEMENTED);
    alike::mark(bare(answers, status, id, dress, ""))
}

/// The response to a denial.
pub(crate) fn refusal<B>(
    guard: &Guard,
    refused: Refused,
    credential: Credential,
    dress: Dress,
) -> Response<ResponseBody<B>> {
    let answers = guard.answers();
    let said = refused.answer.as_deref();
    let (status, grpc_status, challenge) = if let Some(said) = said {
        (said.status, said.grpc_status, None)
    } else if refused.overloaded {
        (StatusCode::SERVICE_UNAVAILABLE, "14", None)
    } else {
        answer(&refused.denial, credential)
    };
    let retry_after = match credential {
        // RFC 9110 §10.2.3: whole seconds.
        Credential::Unchecked(wait) if status == StatusCode::TOO_MANY_REQUESTS => {
            Some(wait.as_millis().div_ceil(1000).max(1))
        }
        _ => refused.overloaded.then_some(1),
    };
    crate::watch::denied(&refused, status);
    let id = refused.denial.id();
    let hides = answers.uniform && status == StatusCode::FORBIDDEN && challenge.is_none();
    let mut response = if hides {
        missing(answers, id, dress)
    } else {
        let more = said.map_or("", |said| &said.members);
        bare(answers, (status, grpc_status), id, dress, more)
    };
    let headers = response.headers_mut();
    let challenge = challenge.map(|error| challenge_of(guard, &refused.denial, error));
    if let Some(Ok(challenge)) = challenge.map(HeaderValue::try_from) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = retry_after {
        headers.insert(
            RETRY_AFTER,
            HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)),
        );
    }
    headers.extend(said.map(|said| said.fields.clone()).unwrap_or_default());
    response.extensions_mut().insert(refused);
    response
}

/// A response that says its status and the decision's id, and whatever more members a problem has.
fn bare<B>(
    answers: &Answers,
    (status, grpc_status): (StatusCode, &'static str),
    id: DecisionId,
    dress: Dress,
    more: &str,
) -> Response<ResponseBody<B>> {
    let empty = || ResponseBody::Refusal {
        body: Full::default(),
    };
    let mut response = Response::new(empty());
    if dress == Dress::Grpc {
        // A gRPC refusal is a response of trailers only (gRPC over HTTP/2, Responses).
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static(grpc_status));
        let message = HeaderValue::try_from(format!("denied, decision {id}"));
        if let (Ok(message), false) = (message, answers.without_bodies) {
            headers.insert("grpc-message", message);
        }
    } else {
        *response.status_mut() = status;
        if !answers.without_bodies {
            let kind = HeaderValue::from_static("application/problem+json");
            response.headers_mut().insert(CONTENT_TYPE, kind);
        }
        if !(answers.without_bodies || dress == Dress::Head) {
            let title = status.canonical_reason().unwrap_or("Refused");
            let code = status.as_u16();
            // RFC 9457
            let problem = format!(
                "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{code},\"decision\":\"{id}\"{more}}}"
            );
            *response.body_mut() = ResponseBody::Refusal {
                body: Full::new(problem.into()),
            };
        }
    }
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const UNIMPLEMENTED: &str = "12";

/// What is wrong with a credential (RFC 6750 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Challenge {
    /// There is none.
    Absent,
    InvalidToken,
    InsufficientScope,
    /// RFC 9470 §3
    WeakLogin,
}

/// The challenge (RFC 9110 §11.6.1): what is wrong, what would be asked for, and where to learn more.
fn challenge_of(guard: &Guard, denial: &Denial, challenge: Challenge) -> String {
    let mut params: Vec<String> = Vec::new();
    match challenge {
        // RFC 6750 §3: without any credential no error code.
        Challenge::Absent => {}
        Challenge::InvalidToken => params.push("error=\"invalid_token\"".to_owned()),
        Challenge::InsufficientScope => {
            params.push("error=\"insufficient_scope\"".to_owned());
            let policy = guard.engine().policy();
            let rule = denial.rule().unwrap_or_default();
            let scopes = policy.scopes_of(guard.name(), rule);
            // RFC 6749 §3.3: a scope holds neither quotation marks nor blanks.
            let is_scope = |scope: &&str| {
                !scope.is_empty()
                    && (scope.bytes())
                        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
            };
            // All at once, or whoever asks comes back for each.
            if !scopes.is_empty() && scopes.iter().all(is_scope) {
                params.push(format!("scope=\"{}\"", scopes.join(" ")));
            }
        }
        Challenge::WeakLogin => {
            params.push("error=\"insufficient_user_authentication\"".to_owned());
            params.push("acr_values=\"phrh phr\"".to_owned());
        }
    }
    bearer(guard.answers(), params)
}

/// The challenge with these parameters, and where clients learn whose tokens are taken.
fn bearer(answers: &Answers, mut params: Vec<String>) -> String {
    if let Some(url) = &answers.resource_metadata {
        params.push(format!("resource_metadata=\"{url}\""));
    }
    let blank = if params.is_empty() { "" } else { " " };
    format!("Bearer{blank}{}", params.join(", "))
}

/// The answer to a permitted request whose handler takes what it has not: a token (401), or a proved peer (403).
#[cfg(feature = "axum-core")]
pub(crate) fn lacking<B>(
    answers: &Answers,
    id: DecisionId,
    dress: Dress,
    wants_token: bool,
) -> Response<ResponseBody<B>> {
    if wants_token {
        let unauthenticated = (StatusCode::UNAUTHORIZED, "16");
        let mut response = bare(answers, unauthenticated, id, dress, "");
        // RFC 9110 §11.6.1
        if let Ok(challenge) = HeaderValue::try_from(bearer(answers, Vec::new())) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        return response;
    }
    if !answers.uniform {
        return bare(answers, (StatusCode::FORBIDDEN, "7"), id, dress, "");
    }
    // As a router says that there is no such route: the layer outside makes the one answer of it, at the end of its step.
    let mut response = missing(answers, id, dress);
    alike::unmark(&mut response);
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

/// Status, gRPC status and challenge of a denial.
fn answer(
    denial: &Denial,
    credential: Credential,
) -> (StatusCode, &'static str, Option<Challenge>) {
    const UNAUTHENTICATED: &str = "16";
    const PERMISSION_DENIED: &str = "7";
    const INVALID_ARGUMENT: &str = "3";
    const RESOURCE_EXHAUSTED: &str = "8";
    let unauthenticated = |challenge| (StatusCode::UNAUTHORIZED, UNAUTHENTICATED, Some(challenge));
    match (denial.reason(), denial.lack()) {
        (Reason::PathAmbiguous, _) => (StatusCode::BAD_REQUEST, INVALID_ARGUMENT, None),
        (Reason::Misdirected, _) => (StatusCode::MISDIRECTED_REQUEST, INVALID_ARGUMENT, None),
        // RFC 6585 §4: its peer has too many running.
        (Reason::LimitExceeded, _) => (StatusCode::TOO_MANY_REQUESTS, RESOURCE_EXHAUSTED, None),
        // The same: nothing was found out about the token.
        (_, Some(Lack::Token)) if matches!(credential, Credential::Unchecked(_)) => {
            (StatusCode::TOO_MANY_REQUESTS, RESOURCE_EXHAUSTED, None)
        }
        (_, Some(Lack::Token)) if credential == Credential::Absent => {
            unauthenticated(Challenge::Absent)
        }
        (_, Some(Lack::Token)) => unauthenticated(Challenge::InvalidToken),
        (_, Some(Lack::Scope)) => (
            StatusCode::FORBIDDEN,
            PERMISSION_DENIED,
            Some(Challenge::InsufficientScope),
        ),
        (_, Some(Lack::Mfa)) => unauthenticated(Challenge::WeakLogin),
        _ => (StatusCode::FORBIDDEN, PERMISSION_DENIED, None),
    }
}
