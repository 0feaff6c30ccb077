//! `.signatures.json`: who vouches for the files of a bundle (rule 57).

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::{Map, Value};
use thiserror::Error;
use ztl_core::json;

use super::digest;
use super::key::VerificationKey;
use super::limits::MAX_SIGNATURES_BYTES;
use super::path;
use super::unpack::File;
use crate::jwt::TokenError;
use crate::jwt::compact::Compact;
use ztl_core::url::shown;

/// Where the signature stands.
pub(super) const SIGNATURES: &str = ".signatures.json";

/// The most keys that one [`Verification`] has.
pub const MAX_VERIFICATION_KEYS: usize = 8;

/// Who must have signed a bundle.
///
/// 1. Without a signature by one of the keys the bundle is refused. Which key a signature names (`kid`, `keyid`) is not read: it
///    could only lead to a weaker one.
/// 2. Each key is for the one algorithm that it is configured with; `alg` must say the same (rule 62).
/// 3. Every file of the bundle is in the signature with its digest, and every file of the signature is in the bundle.
/// 4. `scope` is the configured one, and missing where none is configured.
/// 5. `iat`, `iss` and whatever else a signature says are not read; it does not expire.
#[derive(Clone)]
pub struct Verification {
    keys: Vec<VerificationKey>,
    scope: Option<Box<str>>,
}

impl Verification {
    /// Signed with this key.
    #[must_use]
    pub fn new(key: VerificationKey) -> Self {
        Self {
            keys: vec![key],
            scope: None,
        }
    }

    /// Or with this one: while signing keys are exchanged. Beyond [`MAX_VERIFICATION_KEYS`] keys are not taken.
    #[must_use]
    pub fn or(mut self, key: VerificationKey) -> Self {
        if self.keys.len() < MAX_VERIFICATION_KEYS {
            self.keys.push(key);
        }
        self
    }

    /// For this purpose: `scope` of the signature must be this.
    #[must_use]
    pub fn scope(mut self, scope: &str) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Checks the signature, then each file.
    pub(super) fn check(&self, files: &[File]) -> Result<(), SignatureError> {
        let signatures = files.iter().find(|file| &*file.path == SIGNATURES);
        let token = token(&signatures.ok_or(SignatureError::Missing)?.bytes)?;
        let jws = Compact::parse_any_length(&token)?;
        let mut any = false;
        let signed = self.keys.iter().any(|key| {
            // The key decides, not the signature (RFC 8725 §3.1).
            let right = key.algorithm().name() == jws.header.alg;
            any |= right;
            right && key.verifies(jws.signed, &jws.signature)
        });
        if !signed {
            return Err(if any {
                SignatureError::Wrong
            } else {
                SignatureError::Algorithm
            });
        }
        let mut claims = jws.claims()?;
        let scope = match claims.remove("scope") {
            None | Some(Value::Null) => None,
            Some(Value::String(scope)) => Some(scope).filter(|scope| !scope.is_empty()),
            Some(_) => return Err(SignatureError::Claims("scope")),
        };
        if scope.as_deref() != self.scope.as_deref() {
            return Err(SignatureError::Scope);
        }
        covers(&listed(claims)?, files)
    }
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verification")
            .field("keys", &self.keys)
            .field("scope", &self.scope)
            .finish()
    }
}

/// The one token of the file.
fn token(json: &[u8]) -> Result<String, SignatureError> {
    if json.len() > MAX_SIGNATURES_BYTES {
        return Err(SignatureError::TooLong { bytes: json.len() });
    }
    let mut members = json::object(json).map_err(SignatureError::File)?;
    match members.remove("plugin") {
        None => {}
        // OPA's own way to verify, which is this one.
        Some(Value::String(plugin)) if matches!(&*plugin, "" | "_default") => {}
        Some(_) => return Err(SignatureError::Plugin),
    }
    match members.remove("signatures") {
        Some(Value::Array(list)) => match <[Value; 1]>::try_from(list) {
            Ok([Value::String(token)]) => Ok(token),
            _ => Err(SignatureError::NotOne),
        },
        _ => Err(SignatureError::NotOne),
    }
}

struct Listed {
    algorithm: &'static aws_lc_rs::digest::Algorithm,
    hash: Vec<u8>,
}

/// What the signature says of which file.
fn listed(mut claims: Map<String, Value>) -> Result<BTreeMap<Box<str>, Listed>, SignatureError> {
    let malformed = || SignatureError::Claims("files");
    let Some(Value::Array(list)) = claims.remove("files") else {
        return Err(malformed());
    };
    let mut files = BTreeMap::new();
    for file in list {
        let text = |name| file.get(name).and_then(Value::as_str);
        let written = text("name").ok_or_else(malformed)?;
        let path = path::normal(written.as_bytes()).map_err(|_| malformed())?;
        let weak = || SignatureError::Digest(shown(&path));
        let algorithm =
            digest::algorithm(text("algorithm").unwrap_or_default()).ok_or_else(weak)?;
        let hash = text("hash").and_then(octets).ok_or_else(malformed)?;
        let before = files.insert(path.clone(), Listed { algorithm, hash });
        if before.is_some() {
            return Err(SignatureError::ListedTwice(shown(&path)));
        }
    }
    Ok(files)
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let digit = |it: &u8| {
        char::from(*it)
            .to_digit(16)
            .and_then(|it| u8::try_from(it).ok())
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some((digit(high)? << 4) | digit(low)?))
        .collect()
}

fn covers(listed: &BTreeMap<Box<str>, Listed>, files: &[File]) -> Result<(), SignatureError> {
    let mut absent: BTreeSet<&str> = listed.keys().map(AsRef::as_ref).collect();
    for File { path, bytes } in files {
        if &**path == SIGNATURES {
            continue;
        }
        let said = listed
            .get(path)
            .ok_or_else(|| SignatureError::NotListed(shown(path)))?;
        let found = digest::of_file(said.algorithm, path, bytes);
        if found.is_none_or(|found| verify_slices_are_equal(&found, &said.hash).is_err()) {
            return Err(SignatureError::Altered(shown(path)));
        }
        absent.remove(&**path);
    }
    match absent.into_iter().next() {
        Some(path) => Err(SignatureError::Absent(shown(path))),
        None => Ok(()),
    }
}

/// Why the signature of a bundle was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// A key is configured and there is no signature.
    #[error(
        "the bundle is not signed, and a verification key is configured; sign it with `opa build --signing-key`"
    )]
    Missing,
    /// There is a signature and no key is configured.
    #[error("the bundle is signed, and no verification key is configured; configure it")]
    NoKey,
    /// Longer than [`MAX_SIGNATURES_BYTES`].
    #[error(
        "the bundle's `.signatures.json` has {bytes} bytes; at most {MAX_SIGNATURES_BYTES} are read"
    )]
    TooLong {
        /// The length found.
        bytes: usize,
    },
    /// Not strict JSON.
    #[error("the bundle's `.signatures.json` {0}")]
    File(json::Fault),
    /// A plugin of OPA's decides, and not its own way to verify: none is known.
    #[error("the bundle's `.signatures.json` asks for a plugin, and none is known")]
    Plugin,
    /// Not exactly one token.
    #[error("the bundle's `.signatures.json` has not exactly one signature")]
    NotOne,
    /// The token is not a JWS as the RFCs write one.
    #[error("the bundle's signature is refused: {0}")]
    Token(TokenError),
    /// `alg` is that of no configured key.
    #[error("the `alg` of the bundle's signature is that of no configured key")]
    Algorithm,
    /// No configured key made it.
    #[error("the bundle's signature is by none of the configured keys")]
    Wrong,
    /// Another `scope` than the one configured.
    #[error("the `scope` of the bundle's signature is not the one configured")]
    Scope,
    /// A claim is missing or malformed.
    #[error("`{0}` of the bundle's signature is missing or malformed")]
    Claims(&'static str),
    /// A digest that is weak or not known.
    #[error(
        "the bundle's signature has no digest of `{0}` that is taken: SHA-256, SHA-384, SHA-512 and SHA-512-256 are"
    )]
    Digest(Box<str>),
    /// A file is there twice.
    #[error("the bundle's signature lists `{0}` twice")]
    ListedTwice(Box<str>),
    /// A file that the signature does not cover.
    #[error("`{0}` in the bundle is not covered by its signature")]
    NotListed(Box<str>),
    /// A file is not what was signed.
    #[error("`{0}` in the bundle is not what was signed")]
    Altered(Box<str>),
    /// A file that was signed is missing.
    #[error("`{0}` is in the bundle's signature and not in the bundle")]
    Absent(Box<str>),
}

impl From<TokenError> for SignatureError {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}
