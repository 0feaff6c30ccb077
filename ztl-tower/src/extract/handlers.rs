//! What handlers take, and what is answered where it is not there.

use core::convert::Infallible;
use core::fmt;

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use http_body_util::Empty;

use super::{ActionPermit, Claims, Decision};
use crate::Peer;
use crate::authorize::{ResponseBody, dress, lacking};

/// Why an extractor gave nothing. Its response is that of any other refusal: a problem document (RFC 9457) with the decision's id, or a
/// gRPC status, and for a missing token the challenge (RFC 9110 §11.6.1). What the guard was built to leave out it leaves out.
///
/// A handler that no guard is in front of is the service's own fault: 500.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rejection {
    wants: &'static str,
    response: Option<Response>,
}

impl Rejection {
    fn of(parts: &Parts, wants: &'static str, wants_token: bool) -> Self {
        let permit: Option<&ActionPermit> = parts.extensions.get();
        let response = permit.map(|permit| {
            let answers = &permit.given_for.answers;
            let response: http::Response<ResponseBody<Empty<Bytes>>> =
                lacking(answers, permit.id(), dress(parts), wants_token);
            response.map(Body::new)
        });
        Self { wants, response }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wants = self.wants;
        match &self.response {
            Some(_) => write!(f, "the request has no {wants}"),
            None => write!(
                f,
                "the request has no {wants}, for it was never judged: serve the handler with `Guard::serve`, or put `Guard::authorize` before it"
            ),
        }
    }
}

impl core::error::Error for Rejection {}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let wants = self.wants;
        self.response.unwrap_or_else(|| {
            tracing::error!(target: "ztl", wants, "a handler takes what only a judged request has, and no guard is in front of it: serve it with `Guard::serve`, or put `Guard::authorize` before it");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        })
    }
}

/// Takes an extension out of a request.
macro_rules! from_extensions {
    ($name:ty, $wants:literal, $wants_token:literal) => {
        impl<S: Sync> FromRequestParts<S> for $name {
            type Rejection = Rejection;

            async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
                let found = parts.extensions.get::<Self>().cloned();
                found.ok_or_else(|| Rejection::of(parts, $wants, $wants_token))
            }
        }
    };
}

from_extensions!(Claims, "verified token", true);
from_extensions!(Peer, "proved peer", false);
from_extensions!(ActionPermit, "permit", false);

impl<S: Sync> FromRequestParts<S> for Decision {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
        let found = Self::of(&parts.extensions);
        found.ok_or_else(|| Rejection::of(parts, "decision", false))
    }
}

/// For routes that callers with and without may use: `Option<Claims>`, `Option<Peer>`.
macro_rules! maybe_from_extensions {
    ($name:ty) => {
        impl<S: Sync> OptionalFromRequestParts<S> for $name {
            type Rejection = Infallible;

            async fn from_request_parts(
                parts: &mut Parts,
                _state: &S,
            ) -> Result<Option<Self>, Infallible> {
                Ok(parts.extensions.get::<Self>().cloned())
            }
        }
    };
}

maybe_from_extensions!(Claims);
maybe_from_extensions!(Peer);
