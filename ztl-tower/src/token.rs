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
    /// What was wrong with it.
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
        headers: &http::HeaderMap,
    ) -> Self {
        use http::header::AUTHORIZATION;
        use ztl_authz::jwt::{TokenError, bearer_token};
        use ztl_core::Proof;

        let bad = |detail: String| Self::none(Credential::Bad, Some(detail));
        let fields = headers.get_all(AUTHORIZATION);
        let token = match bearer_token(fields.iter().map(http::HeaderValue::as_bytes)) {
            Ok(Some(token)) => token,
            Ok(None) => return Self::absent(),
            Err(error) => return bad(error.to_string()),
        };
        // RFC 8705: a token bound to a certificate is good only with it.
        let leaf = flow.peer().and_then(|peer| match peer.proof() {
            Proof::X509 { leaf_sha256, .. } => Some(leaf_sha256),
            _ => None,
        });
        let now = guard.now();
        let account = guard.account(flow, now);
        let verified = match account.check() {
            Ok(()) => verifier.verify_traced(token, now, leaf),
            // T34: what was proved before costs nothing, whoever else spent the budget.
            Err(wait) => match verifier.verify_remembered(token, now, leaf) {
                Some(remembered) => remembered,
                None => {
                    let detail = "too many bad tokens came from this peer or network: this one was not checked";
                    return Self::none(Credential::Unchecked(wait), Some(detail.to_owned()));
                }
            },
        };
        match verified {
            Ok(verified) => Self {
                claims: Some(verified.claims),
                #[cfg(feature = "serve")]
                key: Some(verified.key),
                credential: Credential::Good,
                detail: None,
            },
            Err(unverified) => {
                // That there are no keys is not the caller's fault.
                if unverified.error != TokenError::NoKeys {
                    account.failed();
                }
                #[cfg(feature = "oidc")]
                if let (Some(issuer), Some(key_id)) = (unverified.issuer, &unverified.key_id) {
                    guard.keys().unknown(issuer, key_id);
                }
                bad(unverified.error.to_string())
            }
        }
    }
}
