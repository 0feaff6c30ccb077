//! A request's bearer token, verified.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use ztl_authz::jwt::{TokenVerifier, bearer_token};
use ztl_core::{Claims, FlowPermit, Proof, Timestamp};

use crate::authorize::Credential;

/// The claims of the request's token, or what was wrong with it.
pub(crate) fn claims(
    verifier: &TokenVerifier,
    flow: &FlowPermit,
    headers: &HeaderMap,
    now: Timestamp,
) -> (Option<Claims>, Credential, Option<String>) {
    let bad = |detail: String| (None, Credential::Bad, Some(detail));
    let token = match bearer_token(
        headers
            .get_all(AUTHORIZATION)
            .iter()
            .map(http::HeaderValue::as_bytes),
    ) {
        Ok(Some(token)) => token,
        Ok(None) => return (None, Credential::Absent, None),
        Err(error) => return bad(error.to_string()),
    };
    // RFC 8705: a token bound to a certificate is good only with it.
    let leaf = flow.peer().and_then(|peer| match peer.proof() {
        Proof::X509 { leaf_sha256, .. } => Some(*leaf_sha256.as_bytes()),
        _ => None,
    });
    match verifier.verify_bound(token, now, leaf) {
        Ok(claims) => (Some(claims), Credential::Good, None),
        Err(error) => bad(error.to_string()),
    }
}
