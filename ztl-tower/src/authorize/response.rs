//! Refusals on the wire: what a caller may know, and no more (law 7).

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;
use ztl_core::{Denial, Lack, Reason};

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
    /// Nobody was free to judge it: it may be asked again.
    pub(crate) overloaded: bool,
}

impl Refused {
    pub(crate) const fn new(denial: Denial, detail: Option<String>) -> Self {
        Self {
            denial,
            detail,
            overloaded: false,
        }
    }

    /// The denial.
    #[must_use]
    pub const fn denial(&self) -> &Denial {
        &self.denial
    }

    /// What exactly was ambiguous or wrong with the credential, where that was the reason.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
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

/// The response to a denial.
pub(crate) fn refusal<B>(
    refused: Refused,
    credential: Credential,
    dress: Dress,
) -> Response<ResponseBody<B>> {
    let (status, grpc_status, challenge) = if refused.overloaded {
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
    let id = refused.denial.id();
    let mut response = if dress == Dress::Grpc {
        // A gRPC refusal is a response of trailers only (gRPC over HTTP/2, Responses).
        let mut response = Response::new(ResponseBody::Refusal {
            body: Full::default(),
        });
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static(grpc_status));
        if let Ok(message) = HeaderValue::try_from(format!("denied, decision {id}")) {
            headers.insert("grpc-message", message);
        }
        response
    } else {
        let title = status.canonical_reason().unwrap_or("Refused");
        let code = status.as_u16();
        // RFC 9457
        let body = format!(
            "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{code},\"decision\":\"{id}\"}}"
        );
        let body = if dress == Dress::Head {
            Full::default()
        } else {
            Full::new(body.into())
        };
        let mut response = Response::new(ResponseBody::Refusal { body });
        *response.status_mut() = status;
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(challenge) = challenge {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Some(seconds) = retry_after {
        headers.insert(
            RETRY_AFTER,
            HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)),
        );
    }
    response.extensions_mut().insert(refused);
    response
}

/// Status, gRPC status and challenge of a denial.
fn answer(
    denial: &Denial,
    credential: Credential,
) -> (StatusCode, &'static str, Option<&'static str>) {
    const UNAUTHENTICATED: &str = "16";
    const PERMISSION_DENIED: &str = "7";
    const INVALID_ARGUMENT: &str = "3";
    const RESOURCE_EXHAUSTED: &str = "8";
    match (denial.reason(), denial.lack()) {
        (Reason::PathAmbiguous, _) => (StatusCode::BAD_REQUEST, INVALID_ARGUMENT, None),
        // RFC 6585 §4: nothing was found out about the token.
        (_, Some(Lack::Token)) if matches!(credential, Credential::Unchecked(_)) => {
            (StatusCode::TOO_MANY_REQUESTS, RESOURCE_EXHAUSTED, None)
        }
        // RFC 6750 §3: without any credential no error code; with a bad one `invalid_token`.
        (_, Some(Lack::Token)) if credential == Credential::Absent => {
            (StatusCode::UNAUTHORIZED, UNAUTHENTICATED, Some("Bearer"))
        }
        (_, Some(Lack::Token)) => (
            StatusCode::UNAUTHORIZED,
            UNAUTHENTICATED,
            Some("Bearer error=\"invalid_token\""),
        ),
        (_, Some(Lack::Scope)) => (
            StatusCode::FORBIDDEN,
            PERMISSION_DENIED,
            Some("Bearer error=\"insufficient_scope\""),
        ),
        // RFC 9470 §3
        (_, Some(Lack::Mfa)) => (
            StatusCode::UNAUTHORIZED,
            UNAUTHENTICATED,
            Some("Bearer error=\"insufficient_user_authentication\", acr_values=\"phrh phr\""),
        ),
        _ => (StatusCode::FORBIDDEN, PERMISSION_DENIED, None),
    }
}
