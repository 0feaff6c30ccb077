//! What the claims of a token must say, once its signature has been checked.

use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use ztl_core::{LeafDigest, SpiffeId, Timestamp, TrustDomain};

use super::error::TokenError;
use super::issuer::{Issuer, TokenKind, is_access_type};

/// 9999-12-31T23:59:59 UTC: a date beyond it is a mistake.
const MAX_SECS: u64 = 253_402_300_799;

/// The facts that claims are held against.
pub(super) struct Facts<'a> {
    pub(super) issuer: &'a Issuer,
    pub(super) typ: Option<&'a str>,
    pub(super) now: Timestamp,
    pub(super) leaf: Option<&'a LeafDigest>,
}

/// Checks everything but the signature and `iss`; gives back when the token expires.
pub(super) fn check(
    claims: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Timestamp, TokenError> {
    let audiences = audiences(claims)?;
    if !audiences.iter().any(|one| facts.issuer.is_audience(one)) {
        return Err(TokenError::WrongAudience);
    }
    if text(claims, "sub")?.is_empty() {
        return Err(TokenError::MalformedClaim("sub"));
    }
    let expires_at = times(claims, facts)?;
    match &facts.issuer.kind {
        TokenKind::Access => access_token(claims, facts.typ)?,
        TokenKind::Id => id_token(claims, facts.issuer, &audiences)?,
        TokenKind::Svid(domain) => svid(claims, domain)?,
    }
    confirmation(claims, facts.leaf)?;
    Ok(expires_at)
}

/// A claim that must be a text.
pub(super) fn text<'a>(
    claims: &'a Map<String, Value>,
    name: &'static str,
) -> Result<&'a str, TokenError> {
    match claims.get(name) {
        None => Err(TokenError::MissingClaim(name)),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(TokenError::MalformedClaim(name)),
    }
}

/// `aud`: a text, or a list of texts (RFC 7519 §4.1.3).
fn audiences(claims: &Map<String, Value>) -> Result<Vec<&str>, TokenError> {
    match claims.get("aud") {
        None => Err(TokenError::MissingClaim("aud")),
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(list)) => list
            .iter()
            .map(|one| one.as_str().ok_or(TokenError::MalformedClaim("aud")))
            .collect(),
        Some(_) => Err(TokenError::MalformedClaim("aud")),
    }
}

/// `exp` must be there and ahead of `now` (RFC 7519 §4.1.4), without leeway: a decision would find the claims stale anyway.
/// `nbf` (§4.1.5) and `iat` (§4.1.6) may be missing, and ahead of `now` by the leeway.
fn times(claims: &Map<String, Value>, facts: &Facts<'_>) -> Result<Timestamp, TokenError> {
    let over = date(claims, "exp")?.ok_or(TokenError::MissingClaim("exp"))?;
    // Rounded down, so that claims never outlive their token.
    let expires_at = u64::try_from(over.as_millis())
        .map(Timestamp::from_unix_millis)
        .map_err(|_| TokenError::MalformedClaim("exp"))?;
    if facts.now >= expires_at {
        return Err(TokenError::Expired);
    }
    let latest = facts.now.saturating_add(facts.issuer.leeway);
    let latest = Duration::from_millis(latest.as_unix_millis());
    for name in ["nbf", "iat"] {
        if date(claims, name)?.is_some_and(|begins| begins > latest) {
            return Err(TokenError::NotYetValid);
        }
    }
    Ok(expires_at)
}

/// A NumericDate (RFC 7519 §2): time since the epoch in seconds, with a fraction or without, until the year 9999.
fn date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Duration>, TokenError> {
    let number = match claims.get(name) {
        None => return Ok(None),
        Some(Value::Number(number)) => number,
        Some(_) => return Err(TokenError::MalformedClaim(name)),
    };
    let whole = number.as_u64().map(Duration::from_secs);
    let fraction = || Duration::try_from_secs_f64(number.as_f64()?).ok();
    whole
        .or_else(fraction)
        .filter(|since| since.as_secs() <= MAX_SECS)
        .map(Some)
        .ok_or(TokenError::MalformedClaim(name))
}

/// Claims that say by themselves that a token is no access token: those of OpenID Connect Core 1.0 §2 and §3.3.2.11, of its
/// FAPI profile, and of event and logout tokens (RFC 8417 §2.2).
const NOT_OF_ACCESS_TOKENS: [&str; 5] = ["nonce", "at_hash", "c_hash", "s_hash", "events"];

fn access_token(claims: &Map<String, Value>, typ: Option<&str>) -> Result<(), TokenError> {
    let said = typ.is_some_and(is_access_type);
    if !said
        && NOT_OF_ACCESS_TOKENS
            .iter()
            .any(|name| claims.contains_key(*name))
    {
        return Err(TokenError::WrongKind);
    }
    Ok(())
}

fn id_token(
    claims: &Map<String, Value>,
    issuer: &Issuer,
    audiences: &[&str],
) -> Result<(), TokenError> {
    if !claims.contains_key("iat") {
        return Err(TokenError::MissingClaim("iat"));
    }
    if claims.contains_key("events") {
        return Err(TokenError::WrongKind);
    }
    if claims.contains_key("azp") || audiences.len() > 1 {
        let party = text(claims, "azp")?;
        if !issuer.is_audience(party) {
            return Err(TokenError::WrongAudience);
        }
    }
    Ok(())
}

/// JWT-SVID §3.1: `sub` is the SPIFFE ID of a workload; §4: of the trust domain whose keys it was verified with.
fn svid(claims: &Map<String, Value>, domain: &TrustDomain) -> Result<(), TokenError> {
    let id = SpiffeId::parse_workload(text(claims, "sub")?)
        .map_err(|_| TokenError::MalformedClaim("sub"))?;
    if id.trust_domain_name() == domain.as_str() {
        Ok(())
    } else {
        Err(TokenError::WrongIssuer)
    }
}

/// `cnf` (RFC 7800 §3.1): the only method known is the digest of the peer's certificate (RFC 8705 §3.1), and a `cnf` that
/// holds anything else, or that there is no certificate to hold against, refuses the token (T16).
fn confirmation(claims: &Map<String, Value>, leaf: Option<&LeafDigest>) -> Result<(), TokenError> {
    let Some(cnf) = claims.get("cnf") else {
        return Ok(());
    };
    let bound = cnf
        .as_object()
        .filter(|methods| methods.len() == 1)
        .and_then(|methods| methods.get("x5t#S256"))
        .and_then(Value::as_str)
        .and_then(|digest| URL_SAFE_NO_PAD.decode(digest).ok());
    match (bound, leaf) {
        (Some(bound), Some(leaf)) if *bound == *leaf.as_bytes() => Ok(()),
        _ => Err(TokenError::Unbound),
    }
}
