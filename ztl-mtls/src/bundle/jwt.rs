//! The keys that a trust domain signs JWT-SVIDs with. This crate keeps and passes them on; it verifies no token.

use core::fmt;
use std::collections::HashSet;

use serde_json::{Map, Value};
use ztl_core::TrustDomain;

use super::document::{self, Use};
use super::error::SpiffeBundleError;
use super::jwk::{JwkError, PublicKey};

/// A public key for JWT-SVIDs, as the bundle says it.
#[derive(Clone, PartialEq, Eq)]
pub struct JwtAuthority {
    key_id: Box<str>,
    jwk: Map<String, Value>,
}

impl JwtAuthority {
    /// Its `kid`, by which a token names it.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The whole JWK (RFC 7517) as JSON, with all its members.
    #[must_use]
    pub fn jwk(&self) -> String {
        Value::Object(self.jwk.clone()).to_string()
    }

    pub(super) const fn members(&self) -> &Map<String, Value> {
        &self.jwk
    }

    /// `None` where the key is of a kind that is not known, and so is ignored.
    pub(super) fn read(jwk: &Map<String, Value>) -> Result<Option<Self>, JwkError> {
        if PublicKey::read(jwk)?.is_none() {
            return Ok(None);
        }
        // JWT-SVID §6.1: `kid` must be set.
        let key_id = match jwk.get("kid") {
            None => return Err(JwkError::NoKeyId),
            Some(Value::String(kid)) if kid.is_empty() => return Err(JwkError::NoKeyId),
            Some(Value::String(kid)) => kid.as_str().into(),
            Some(_) => return Err(JwkError::Member("kid")),
        };
        let jwk = jwk.clone();
        Ok(Some(Self { key_id, jwk }))
    }
}

impl fmt::Debug for JwtAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuthority")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// The keys for JWT-SVIDs of one trust domain, in the form in which the Workload API hands them out: a JWK Set for no other
/// use, in which `use` may be left out (Workload API §6.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtBundle {
    trust_domain: TrustDomain,
    authorities: Vec<JwtAuthority>,
}

impl JwtBundle {
    /// Reads a JWK Set. Keys for another `use` are ignored.
    ///
    /// # Errors
    /// [`SpiffeBundleError`], as for a [`SpiffeBundle`](crate::SpiffeBundle).
    pub fn from_json(trust_domain: TrustDomain, json: &[u8]) -> Result<Self, SpiffeBundleError> {
        let set = document::object(json, super::MAX_BUNDLE_BYTES)?;
        let mut authorities = Authorities::default();
        for (index, jwk) in document::keys(&set)?.iter().enumerate() {
            let at = |error| SpiffeBundleError::Key { index, error };
            let jwk = jwk.as_object().ok_or_else(|| at(JwkError::NotAnObject))?;
            if matches!(Use::of(jwk), Use::JwtSvid | Use::Missing) {
                authorities.take(jwk).map_err(at)?;
            }
        }
        Ok(Self {
            trust_domain,
            authorities: authorities.list,
        })
    }

    /// Whose keys these are.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The keys.
    #[must_use]
    pub fn authorities(&self) -> &[JwtAuthority] {
        &self.authorities
    }
}

/// Keys under collection: no `kid` twice.
#[derive(Default)]
pub(super) struct Authorities {
    pub(super) list: Vec<JwtAuthority>,
    ids: HashSet<Box<str>>,
}

impl Authorities {
    pub(super) fn take(&mut self, jwk: &Map<String, Value>) -> Result<(), JwkError> {
        if let Some(authority) = JwtAuthority::read(jwk)? {
            if !self.ids.insert(authority.key_id.clone()) {
                return Err(JwkError::DuplicateKeyId);
            }
            self.list.push(authority);
        }
        Ok(())
    }
}
