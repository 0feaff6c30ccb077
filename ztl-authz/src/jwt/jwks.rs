//! A JSON Web Key Set (RFC 7517 §5): the keys of one issuer.

use core::fmt;
use std::sync::Arc;

use serde_json::Value;
use ztl_core::json::{self, Fault, FaultKind};

use super::error::TokenError;
use super::key::{Key, KeyError};

/// The longest key set that is read.
pub const MAX_JWKS_BYTES: usize = 256 * 1024;
/// The most keys that a set may have.
pub const MAX_KEYS: usize = 64;

/// The public keys of one issuer. Cheap to clone. Has no `Debug` of the keys.
///
/// Each key is for one algorithm, which the key itself decides: RSA by its `alg` (RS256, RS384, RS512, PS256, PS384, PS512;
/// RS256 where it does not say), P-256 ES256, P-384 ES384, Ed25519 EdDSA. A key of any other kind, for another `use`, without
/// `verify` in its `key_ops`, or with an `alg` that it cannot have is left out, and so is every symmetric one: no token is
/// ever verified with it. `x5c`, `x5u` and the like are not read.
///
/// ```
/// use ztl_authz::jwt::Jwks;
///
/// let keys = Jwks::from_json(br#"{"keys": [{
///     "kty": "EC", "crv": "P-256", "kid": "2026-11",
///     "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
///     "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
/// }]}"#)?;
/// assert_eq!(keys.key_count(), 1);
/// assert!(Jwks::from_json(br#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#).is_err());
/// # Ok::<(), ztl_authz::jwt::JwksError>(())
/// ```
#[derive(Clone)]
pub struct Jwks {
    keys: Arc<[Key]>,
}

impl Jwks {
    /// Reads a key set.
    ///
    /// # Errors
    ///
    /// Where it is too long, is not strict JSON (a member name twice is refused), has more than [`MAX_KEYS`] keys, a key that
    /// is malformed, private or weak, two usable keys of one `kid`, or no usable key.
    pub fn from_json(json: &[u8]) -> Result<Self, JwksError> {
        if json.len() > MAX_JWKS_BYTES {
            return Err(JwksError::TooLong { bytes: json.len() });
        }
        let set = json::object(json).map_err(JwksError::from)?;
        let list = match set.get("keys") {
            Some(Value::Array(list)) => list,
            _ => return Err(JwksError::NoList),
        };
        if list.len() > MAX_KEYS {
            return Err(JwksError::TooManyKeys { keys: list.len() });
        }
        let mut keys: Vec<Key> = Vec::new();
        for (index, jwk) in list.iter().enumerate() {
            let read = Key::from_jwk(jwk).map_err(|error| JwksError::Key { index, error })?;
            let Some(key) = read else { continue };
            if let Some(kid) = key.kid()
                && keys.iter().any(|other| other.kid() == Some(kid))
            {
                return Err(JwksError::DuplicateKeyId { index });
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(JwksError::NoUsableKey { keys: list.len() });
        }
        Ok(Self { keys: keys.into() })
    }

    /// How many keys can verify a token.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// The key that a token names. A token that names none means the only key, where there is only one.
    pub(super) fn key(&self, kid: Option<&str>) -> Result<&Key, TokenError> {
        match (kid, &*self.keys) {
            (None, [only]) => Ok(only),
            (None, _) => Err(TokenError::NoKeyId),
            (Some(_), keys) => keys
                .iter()
                .find(|key| key.kid() == kid)
                .ok_or(TokenError::UnknownKey),
        }
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks")
            .field("key_count", &self.keys.len())
            .finish_non_exhaustive()
    }
}

/// Why a key set was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwksError {
    /// Longer than [`MAX_JWKS_BYTES`].
    #[error("the key set has {bytes} bytes; at most {MAX_JWKS_BYTES} are read")]
    TooLong {
        /// The length found.
        bytes: usize,
    },
    /// Not one JSON object.
    #[error("the key set is not a JSON object, at line {line} column {column}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// A member name stands twice in one object.
    #[error("the key set has a member name twice, at line {line} column {column}")]
    DuplicateMember {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Objects and lists are nested too deep.
    #[error("the key set is nested too deep, at line {line} column {column}")]
    TooDeep {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// There is no `keys`, or it is not a list.
    #[error("the key set has no list `keys` (RFC 7517 §5)")]
    NoList,
    /// More than [`MAX_KEYS`].
    #[error("the key set has {keys} keys; at most {MAX_KEYS} are read")]
    TooManyKeys {
        /// How many.
        keys: usize,
    },
    /// A key that no set may have.
    #[error("key {index} of the set is refused: {error}")]
    Key {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        error: KeyError,
    },
    /// Two usable keys have one `kid`.
    #[error("key {index} of the set has the `kid` of one before it; give each key its own")]
    DuplicateKeyId {
        /// The place of the second in the list, from 0.
        index: usize,
    },
    /// Nothing to verify with.
    #[error(
        "none of the {keys} keys of the set can verify a token; RSA, P-256, P-384 and Ed25519 keys for signatures can"
    )]
    NoUsableKey {
        /// How many there are.
        keys: usize,
    },
}

impl From<Fault> for JwksError {
    fn from(fault: Fault) -> Self {
        let (line, column) = (fault.line, fault.column);
        match fault.kind {
            FaultKind::Duplicate => Self::DuplicateMember { line, column },
            FaultKind::TooDeep => Self::TooDeep { line, column },
            _ => Self::Json { line, column },
        }
    }
}

#[cfg(test)]
mod tests;
