//! A JSON Web Key Set (RFC 7517 §5): the keys of one issuer.

use core::fmt;
use std::sync::Arc;

use serde_json::Value;
use ztl_core::Timestamp;
use ztl_core::json::{self, Fault, FaultKind};

use super::error::TokenError;
use super::key::{Key, KeyError, KeyFingerprint, Usage};

/// The longest key set that is read.
pub const MAX_JWKS_BYTES: usize = 256 * 1024;
/// The most keys that a set may have.
pub const MAX_KEYS: usize = 64;

/// The public keys of one issuer. Cheap to clone. Has no `Debug` of the keys.
///
/// Each key is for one algorithm, which the key itself decides: RSA by its `alg` (RS256, RS384, RS512, PS256, PS384, PS512;
/// RS256 where it does not say), P-256 ES256, P-384 ES384, P-521 ES512, Ed25519 EdDSA. A key of any other kind, for another `use`, without
/// `verify` in its `key_ops`, or with an `alg` that it cannot have is left out, and so is a symmetric one without its secret. A set that
/// holds a secret is refused whole, whatever else is in it: a private part, or a symmetric key with its `k`. Whoever published that may
/// have published more, and no token is ever verified with a symmetric key. `x5c`, `x5u` and the like are not read.
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
///
/// let refused = Jwks::from_json(br#"{"keys": [{"kty": "oct", "kid": "mac", "k": "c2VjcmV0"}]}"#).unwrap_err();
/// assert!(refused.to_string().starts_with("key 0 (`kid` `mac`) of the set is refused: it holds"));
/// # Ok::<(), ztl_authz::jwt::JwksError>(())
/// ```
#[derive(Clone)]
pub struct Jwks {
    keys: Arc<[Key]>,
    until: Option<Timestamp>,
}

impl Jwks {
    /// Reads a key set.
    ///
    /// # Errors
    ///
    /// Where it is too long, is not strict JSON (a member name twice is refused), has more than [`MAX_KEYS`] keys, a key that
    /// is malformed, private, symmetric with its secret, or weak, two usable keys of one `kid`, or no usable key.
    pub fn from_json(json: &[u8]) -> Result<Self, JwksError> {
        if json.len() > MAX_JWKS_BYTES {
            return Err(JwksError::TooLong { bytes: json.len() });
        }
        let set = json::object(json).map_err(JwksError::from)?;
        match set.get("keys") {
            Some(Value::Array(list)) => Self::read(list, Usage::Tokens),
            _ => Err(JwksError::NoList),
        }
    }

    /// Reads the keys that a trust domain signs JWT-SVIDs with, one JWK each: `use` is `jwt-svid` or absent, and `kid` must be
    /// there (JWT-SVID §6.1). Keys on an Edwards curve are left out, since no JWT-SVID is signed with one (§2.1).
    ///
    /// ```
    /// use ztl_authz::jwt::Jwks;
    ///
    /// let keys = Jwks::from_jwt_authorities([r#"{
    ///     "use": "jwt-svid", "kid": "2026-11", "kty": "EC", "crv": "P-256",
    ///     "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    ///     "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
    /// }"#])?;
    /// assert_eq!(keys.key_count(), 1);
    /// # Ok::<(), ztl_authz::jwt::JwksError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`from_json`](Self::from_json).
    pub fn from_jwt_authorities<'a>(
        jwks: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, JwksError> {
        let (mut list, mut bytes) = (Vec::new(), 0_usize);
        for jwk in jwks {
            bytes = bytes.saturating_add(jwk.len());
            if bytes > MAX_JWKS_BYTES {
                return Err(JwksError::TooLong { bytes });
            }
            list.push(Value::Object(json::object(jwk.as_bytes())?));
        }
        Self::read(&list, Usage::Svids)
    }

    /// No key at all: every token of the issuer is refused until there is another set, as for one whose keys are still to be
    /// fetched.
    #[must_use]
    pub fn none() -> Self {
        Self {
            keys: Arc::new([]),
            until: None,
        }
    }

    /// The same keys, good until `end` only: from then on they verify nothing. For keys that have to be fetched again.
    #[must_use]
    pub const fn until(mut self, end: Timestamp) -> Self {
        self.until = Some(end);
        self
    }

    fn read(list: &[Value], usage: Usage) -> Result<Self, JwksError> {
        if list.len() > MAX_KEYS {
            return Err(JwksError::TooManyKeys { keys: list.len() });
        }
        let mut keys: Vec<Key> = Vec::new();
        for (index, jwk) in list.iter().enumerate() {
            let read = Key::from_jwk(jwk, usage).map_err(|error| JwksError::Key {
                index,
                kid: jwk.get("kid").and_then(Value::as_str).map(shortened),
                error,
            })?;
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
        Ok(Self {
            keys: keys.into(),
            until: None,
        })
    }

    /// How many keys can verify a token.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// From when on they verify nothing, where that was said.
    #[must_use]
    pub const fn ends_at(&self) -> Option<Timestamp> {
        self.until
    }

    /// Whether this key is still among them at `now`.
    #[must_use]
    pub fn holds(&self, key: &KeyFingerprint, now: Timestamp) -> bool {
        self.is_in_force(now) && self.keys.iter().any(|one| one.fingerprint() == *key)
    }

    /// Whether the keys are the same, in whatever order.
    #[must_use]
    pub fn has_keys_of(&self, other: &Self) -> bool {
        let all_of = |one: &Self, other: &Self| {
            let mut keys = one.keys.iter();
            keys.all(|key| {
                let mut others = other.keys.iter();
                others.any(|it| it.fingerprint() == key.fingerprint())
            })
        };
        all_of(self, other) && all_of(other, self)
    }

    /// Whether there is a key by this name.
    #[cfg(feature = "oidc")]
    pub(super) fn has_key_id(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// Whether tokens can be verified with them at `now`: there are some, and they have not [ended](Self::until).
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        !self.keys.is_empty() && self.until.is_none_or(|end| now < end)
    }

    /// The key that a token names. A token that names none means the only key, where there is only one.
    pub(super) fn key(&self, kid: Option<&str>, now: Timestamp) -> Result<&Key, TokenError> {
        if !self.is_in_force(now) {
            return Err(TokenError::NoKeys);
        }
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
    #[error("key {index}{} of the set is refused: {error}", named(kid.as_deref()))]
    Key {
        /// Its place in the list, from 0.
        index: usize,
        /// Its `kid` where it has one; of a longer one the first 64 characters.
        kid: Option<Box<str>>,
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
        "none of the {keys} keys of the set can verify a token; RSA, P-256, P-384, P-521 and Ed25519 keys for signatures can"
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

/// As much of a `kid` as an error shows.
fn shortened(kid: &str) -> Box<str> {
    kid.chars().take(64).collect::<String>().into()
}

fn named(kid: Option<&str>) -> String {
    kid.map_or_else(String::new, |kid| {
        format!(" (`kid` `{}`)", kid.escape_debug())
    })
}

#[cfg(test)]
mod tests;
