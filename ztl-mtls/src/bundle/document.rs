//! A bundle document, from text to checked parts (Bundle §4, X509-SVID §6.2, JWT-SVID §6.2).

use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use serde_json::{Map, Value};
use ztl_core::{TrustDomain, json};

use super::error::SpiffeBundleError;
use super::jwk::{JwkError, PublicKey};
use super::jwt::Authorities;
use super::spiffe::SpiffeBundle;
use super::{MAX_BUNDLE_KEYS, TrustBundle};
use crate::cert::{Cert, MAX_CERTIFICATE_BYTES};

/// `use` of a JWK, which says what its key is for (Bundle §4.2.2). Case counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    X509Svid,
    JwtSvid,
    Missing,
    Other,
}

impl Use {
    pub(super) fn of(jwk: &Map<String, Value>) -> Self {
        match jwk.get("use").map(Value::as_str) {
            None => Self::Missing,
            Some(Some("x509-svid")) => Self::X509Svid,
            Some(Some("jwt-svid")) => Self::JwtSvid,
            Some(_) => Self::Other,
        }
    }
}

/// One JSON object of at most `most` bytes, no name twice.
pub(super) fn object(json: &[u8], most: usize) -> Result<Map<String, Value>, SpiffeBundleError> {
    if json.len() > most {
        let bytes = json.len();
        return Err(SpiffeBundleError::TooLong { bytes, most });
    }
    Ok(json::object(json)?)
}

/// Bundle §4.1.3: `keys` must be present, and may be empty.
pub(super) fn keys(set: &Map<String, Value>) -> Result<&[Value], SpiffeBundleError> {
    match set.get("keys") {
        Some(Value::Array(keys)) if keys.len() > MAX_BUNDLE_KEYS => {
            Err(SpiffeBundleError::TooManyKeys(keys.len()))
        }
        Some(Value::Array(keys)) => Ok(keys),
        _ => Err(SpiffeBundleError::NoKeys),
    }
}

/// A whole bundle. Members that are not known are read past (Bundle §4.1).
pub(super) fn bundle(
    trust_domain: TrustDomain,
    set: &Map<String, Value>,
) -> Result<SpiffeBundle, SpiffeBundleError> {
    let sequence = whole(set, "spiffe_sequence").map_err(|()| SpiffeBundleError::Sequence)?;
    let hint = whole(set, "spiffe_refresh_hint").map_err(|()| SpiffeBundleError::RefreshHint)?;
    let mut certificates = Vec::new();
    let mut jwt = Authorities::default();
    for (index, jwk) in keys(set)?.iter().enumerate() {
        let at = |error| SpiffeBundleError::Key { index, error };
        let jwk = jwk.as_object().ok_or_else(|| at(JwkError::NotAnObject))?;
        match Use::of(jwk) {
            Use::X509Svid => certificates.extend(certificate(jwk).map_err(at)?),
            Use::JwtSvid => jwt.take(jwk).map_err(at)?,
            // Bundle §4.2.2: a missing or unknown use: the entire element is ignored.
            Use::Missing | Use::Other => {}
        }
    }
    Ok(SpiffeBundle {
        x509: TrustBundle::from_der(trust_domain, certificates)?,
        jwt: jwt.list,
        sequence,
        refresh_hint: hint.map(Duration::from_secs),
    })
}

/// An integer from 0 that fits into 64 bits; `None` where it is not there.
fn whole(set: &Map<String, Value>, name: &str) -> Result<Option<u64>, ()> {
    set.get(name)
        .map(|value| value.as_u64().ok_or(()))
        .transpose()
}

/// The certificate of a key for X.509-SVIDs. `None` where the element is to be ignored: its key is of an unknown kind
/// (Bundle §4.2.1), or `x5c` is missing or empty (X509-SVID §6.2).
fn certificate(jwk: &Map<String, Value>) -> Result<Option<CertificateDer<'static>>, JwkError> {
    let Some(key) = PublicKey::read(jwk)? else {
        return Ok(None);
    };
    let first = match jwk.get("x5c") {
        None => return Ok(None),
        // X509-SVID §6.2: all values but the first are ignored.
        Some(Value::Array(list)) => match list.first() {
            None => return Ok(None),
            Some(first) => first.as_str().ok_or(JwkError::Certificate)?,
        },
        Some(_) => return Err(JwkError::Certificate),
    };
    // Base64 has four characters for three bytes.
    if first.len() / 4 > MAX_CERTIFICATE_BYTES / 3 {
        return Err(JwkError::Certificate);
    }
    // RFC 7517 §4.7: base64, not base64url.
    let der = STANDARD.decode(first).map_err(|_| JwkError::Certificate)?;
    let cert = Cert::read(&der).map_err(|_| JwkError::Certificate)?;
    if PublicKey::of_spki(cert.spki) != Some(key) {
        return Err(JwkError::OtherKey);
    }
    Ok(Some(CertificateDer::from(der)))
}
