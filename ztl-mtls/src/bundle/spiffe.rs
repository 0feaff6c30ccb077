//! A bundle in the SPIFFE bundle format: what trust domains publish for one another.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use ztl_core::TrustDomain;

use super::document;
use super::error::SpiffeBundleError;
use super::jwk::PublicKey;
use super::jwt::JwtAuthority;
use super::{MAX_BUNDLE_BYTES, TrustBundle, is_document};
use crate::cert::Cert;
use crate::file;

/// A trust domain's keys, as its bundle endpoint publishes them: a JWK Set (SPIFFE Trust Domain and Bundle §4).
///
/// 1. At most 1 MiB, one JSON object, no name twice anywhere in it (rule 22). Members that are not known are read past.
/// 2. `keys` is a list. Empty, or without a key that is understood, it proves nobody (rule 21).
/// 3. An element whose `use` or kind of key is missing from those known is ignored, and so is an `x509-svid` without `x5c`.
/// 4. Of `x5c` only the first value is read; it must be the certificate of an authority, and of the key that the other members
///    say (RFC 7517 §4.7).
/// 5. A `jwt-svid` has a `kid` that no other one has. The keys are kept and passed on, not used here.
/// 6. `spiffe_sequence` and `spiffe_refresh_hint` are integers from 0 to 2^64 - 1.
///
/// Anything else refuses the whole document, so that no key goes missing in silence.
///
/// The document does not say whose it is: the trust domain comes from whoever asked for it (Federation §5.1).
///
/// ```
/// use ztl_core::TrustDomain;
/// use ztl_mtls::SpiffeBundle;
///
/// let partner = TrustDomain::parse("partner.example")?;
/// let bundle = SpiffeBundle::from_json(partner.clone(), br#"{
///     "spiffe_sequence": 7,
///     "spiffe_refresh_hint": 60,
///     "keys": [{
///         "use": "jwt-svid", "kid": "2026-11", "kty": "EC", "crv": "P-256",
///         "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
///         "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
///     }]
/// }"#)?;
/// assert_eq!(bundle.sequence(), Some(7));
/// assert_eq!(bundle.jwt_authorities().len(), 1);
/// assert!(bundle.x509().is_empty()); // no X.509-SVID of this domain proves anybody
///
/// let twice = br#"{"keys": [], "keys": []}"#;
/// assert!(SpiffeBundle::from_json(partner, twice).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SpiffeBundle {
    pub(super) x509: TrustBundle,
    pub(super) jwt: Vec<JwtAuthority>,
    pub(super) sequence: Option<u64>,
    pub(super) refresh_hint: Option<Duration>,
}

impl SpiffeBundle {
    /// These authorities, without keys for JWT-SVIDs, sequence or hint.
    #[must_use]
    pub const fn new(x509: TrustBundle) -> Self {
        Self {
            x509,
            jwt: Vec::new(),
            sequence: None,
            refresh_hint: None,
        }
    }

    /// Reads a bundle document.
    ///
    /// # Errors
    /// [`SpiffeBundleError`], with the clause that is not kept.
    pub fn from_json(trust_domain: TrustDomain, json: &[u8]) -> Result<Self, SpiffeBundleError> {
        let set = document::object(json, MAX_BUNDLE_BYTES)?;
        document::bundle(trust_domain, &set)
    }

    #[cfg(feature = "federation")]
    pub(crate) fn from_members(
        trust_domain: TrustDomain,
        set: &Map<String, Value>,
    ) -> Result<Self, SpiffeBundleError> {
        document::bundle(trust_domain, set)
    }

    /// Reads a file: a bundle document where it begins with `{`, else certificates in PEM.
    ///
    /// # Errors
    /// [`SpiffeBundleError`], with the name of the file.
    pub fn from_file(
        trust_domain: TrustDomain,
        path: impl AsRef<Path>,
    ) -> Result<Self, SpiffeBundleError> {
        let path = path.as_ref();
        let text = file::read(path)?;
        if is_document(&text) {
            return Self::from_json(trust_domain, &text).map_err(|error| error.in_file(path));
        }
        match TrustBundle::from_pem(trust_domain, &text) {
            Ok(x509) => Ok(Self::new(x509)),
            Err(error) => Err(SpiffeBundleError::from(error).in_file(path)),
        }
    }

    /// The same with another sequence number. It must rise with each change of the keys (Bundle §4.1.1).
    #[must_use]
    pub const fn with_sequence(mut self, sequence: u64) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// The same with another hint, in whole seconds, of how often it should be fetched (Bundle §4.1.2).
    #[must_use]
    pub const fn with_refresh_hint(mut self, hint: Duration) -> Self {
        self.refresh_hint = Some(Duration::from_secs(hint.as_secs()));
        self
    }

    /// Whose keys these are.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        self.x509.trust_domain()
    }

    /// The authorities of X.509-SVIDs: what a [`Prover`](crate::Prover) needs.
    #[must_use]
    pub const fn x509(&self) -> &TrustBundle {
        &self.x509
    }

    /// The keys of JWT-SVIDs.
    #[must_use]
    pub fn jwt_authorities(&self) -> &[JwtAuthority] {
        &self.jwt
    }

    /// Its place among the bundles of its domain, where it says so.
    #[must_use]
    pub const fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// How often it should be fetched, where it says so. Nobody has to follow it, and a huge one is not an error.
    #[must_use]
    pub const fn refresh_hint(&self) -> Option<Duration> {
        self.refresh_hint
    }

    /// Whether the other has the same keys, in whatever order: what proofs rest on. Sequence and hint are not compared.
    #[must_use]
    pub fn has_keys_of(&self, other: &Self) -> bool {
        let certificates = |bundle: &Self| {
            let all = bundle.x509.certificates().iter();
            all.map(|der| der.to_vec()).collect::<BTreeSet<_>>()
        };
        self.jwt.len() == other.jwt.len()
            && self.jwt.iter().all(|key| {
                let same = |it: &&JwtAuthority| it.key_id() == key.key_id();
                other.jwt.iter().find(same) == Some(key)
            })
            && certificates(self) == certificates(other)
    }

    /// The bundle document, for an endpoint to publish.
    ///
    /// # Errors
    /// [`SpiffeBundleError::Unwritable`] where the key of a certificate is none that a JWK can say.
    pub fn to_json(&self) -> Result<String, SpiffeBundleError> {
        Ok(Value::Object(self.to_members()?).to_string())
    }

    pub(crate) fn to_members(&self) -> Result<Map<String, Value>, SpiffeBundleError> {
        let mut keys = Vec::new();
        for (index, der) in self.x509.certificates().iter().enumerate() {
            let key = Cert::read(der)
                .ok()
                .and_then(|cert| PublicKey::of_spki(cert.spki))
                .ok_or(SpiffeBundleError::Unwritable(index))?;
            // X509-SVID §6.1: exactly one certificate, and no `kid`.
            let mut jwk: Map<String, Value> = key
                .members()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            jwk.insert("use".to_owned(), "x509-svid".into());
            jwk.insert("x5c".to_owned(), vec![STANDARD.encode(der)].into());
            keys.push(Value::Object(jwk));
        }
        for authority in &self.jwt {
            let mut jwk = authority.members().clone();
            jwk.insert("use".to_owned(), "jwt-svid".into());
            keys.push(Value::Object(jwk));
        }
        let mut set = Map::new();
        set.insert("keys".to_owned(), keys.into());
        if let Some(sequence) = self.sequence {
            set.insert("spiffe_sequence".to_owned(), sequence.into());
        }
        if let Some(hint) = self.refresh_hint {
            set.insert("spiffe_refresh_hint".to_owned(), hint.as_secs().into());
        }
        Ok(set)
    }
}

impl fmt::Debug for SpiffeBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpiffeBundle")
            .field("x509", &self.x509)
            .field("jwt_authorities", &self.jwt.len())
            .field("sequence", &self.sequence)
            .field("refresh_hint", &self.refresh_hint)
            .finish()
    }
}
