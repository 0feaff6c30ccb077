//! A request's bearer token, verified.

use ztl_core::Claims;

use crate::authorize::Credential;

/// What a request's token came to.
pub(crate) struct Token {
    pub(crate) claims: Option<Claims>,
    /// With which key they were verified.
    #[cfg(all(feature = "jwt", feature = "serve"))]
    pub(crate) key: Option<ztl_authz::jwt::KeyFingerprint>,
    pub(crate) credential: Credential,
    /// What was wrong with it, and by what code; nothing of it itself.
    pub(crate) detail: Option<String>,
}

impl Token {
    const fn none(credential: Credential, detail: Option<String>) -> Self {
        Self {
            claims: None,
            #[cfg(all(feature = "jwt", feature = "serve"))]
            key: None,
            credential,
            detail,
        }
    }

    /// No token is looked for.
    pub(crate) const fn absent() -> Self {
        Self::none(Credential::Absent, None)
    }
}

#[cfg(feature = "jwt")]
impl Token {
    /// Verifies the request's token.
    pub(crate) fn of(
        guard: &crate::guard::Guard,
        verifier: &ztl_authz::jwt::TokenVerifier,
        flow: &ztl_core::FlowPermit,
        parts: &http::request::Parts,
    ) -> Self {
        use http::header::AUTHORIZATION;
        use ztl_authz::jwt::{Refused, bearer_token};

        let bad = |detail: String| Self::none(Credential::Bad, Some(detail));
        let fields = parts.headers.get_all(AUTHORIZATION);
        let fields = fields.iter().map(http::HeaderValue::as_bytes);
        let token = match bearer_token(fields, parts.uri.query()) {
            Ok(Some(token)) => token,
            Ok(None) => return Self::absent(),
            Err(error) => return bad(format!("{error} ({})", error.code())),
        };
        let (policy, now) = (guard.engine().policy(), guard.now());
        let verified = verifier.verify_on(token, flow, &policy, guard.bad_tokens(), now);
        match verified {
            Ok(verified) => Self {
                claims: Some(verified.claims),
                #[cfg(feature = "serve")]
                key: Some(verified.key),
                credential: Credential::Good,
                detail: None,
            },
            Err(refused @ Refused::Unchecked(wait)) => {
                Self::none(Credential::Unchecked(wait), Some(refused.to_string()))
            }
            Err(refused) => {
                #[cfg(feature = "oidc")]
                if let Refused::Unverified(unverified) = &refused
                    && let (Some(issuer), Some(key_id)) = (unverified.issuer, &unverified.key_id)
                {
                    guard.keys().unknown(issuer, key_id);
                }
                let detail = match &refused {
                    Refused::Unverified(it) => format!("{refused} ({})", it.error.code()),
                    _ => refused.to_string(),
                };
                bad(detail)
            }
        }
    }
}
