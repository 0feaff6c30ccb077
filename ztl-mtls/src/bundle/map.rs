//! Bundles of several trust domains in one document.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use ztl_core::TrustDomain;

use super::document;
use super::error::SpiffeBundleError;
use super::spiffe::SpiffeBundle;
use super::{MAX_MAP_BYTES, MAX_MAP_DOMAINS};

/// A SPIFFE bundle map (SPIFFE Trust Domain and Bundle §5): one bundle a trust domain, by the name of the domain.
///
/// A domain that stands twice refuses the whole map (§5.1.1, §6.3, rule 22), and so does a bundle that is refused by itself.
/// What the bundles say about refreshing says nothing about the map (§5.1.1).
///
/// ```
/// use ztl_mtls::{BundleSet, SpiffeBundleMap};
///
/// let map = SpiffeBundleMap::from_json(br#"{"trust_domains": {
///     "prod.example": {"keys": []},
///     "partner.example": {"keys": [], "spiffe_sequence": 3}
/// }}"#)?;
/// assert_eq!(map.get("partner.example").and_then(|bundle| bundle.sequence()), Some(3));
///
/// let set = BundleSet::new(map.iter().map(|bundle| bundle.x509().clone()))?;
/// assert_eq!(set.iter().count(), 2);
///
/// let twice = br#"{"trust_domains": {"a.example": {"keys": []}, "a.example": {"keys": []}}}"#;
/// assert!(SpiffeBundleMap::from_json(twice).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SpiffeBundleMap {
    by_domain: BTreeMap<Box<str>, SpiffeBundle>,
}

impl SpiffeBundleMap {
    /// Reads a bundle map.
    ///
    /// # Errors
    /// [`SpiffeBundleError`], with the trust domain whose bundle is refused.
    pub fn from_json(json: &[u8]) -> Result<Self, SpiffeBundleError> {
        let document = document::object(json, MAX_MAP_BYTES)?;
        // §5.1.1: it must be set, and may be empty.
        let Some(Value::Object(domains)) = document.get("trust_domains") else {
            return Err(SpiffeBundleError::NoTrustDomains);
        };
        if domains.len() > MAX_MAP_DOMAINS {
            return Err(SpiffeBundleError::TooManyTrustDomains(domains.len()));
        }
        let mut map = Self::default();
        for (name, bundle) in domains {
            let trust_domain =
                TrustDomain::parse(name).map_err(|error| SpiffeBundleError::TrustDomain {
                    name: name
                        .chars()
                        .take(64)
                        .collect::<String>()
                        .escape_debug()
                        .collect(),
                    error,
                })?;
            let set = bundle.as_object().ok_or(SpiffeBundleError::NoKeys);
            let bundle = set
                .and_then(|set| document::bundle(trust_domain.clone(), set))
                .map_err(|error| SpiffeBundleError::InMap {
                    trust_domain,
                    error: Box::new(error),
                })?;
            map.by_domain.insert(name.as_str().into(), bundle);
        }
        Ok(map)
    }

    /// Puts bundles together.
    ///
    /// # Errors
    /// [`BundleError::Duplicate`](crate::BundleError::Duplicate) where two are of one trust domain.
    pub fn new(bundles: impl IntoIterator<Item = SpiffeBundle>) -> Result<Self, SpiffeBundleError> {
        let mut map = Self::default();
        for bundle in bundles {
            let domain = bundle.trust_domain().clone();
            if map
                .by_domain
                .insert(domain.as_str().into(), bundle)
                .is_some()
            {
                return Err(crate::BundleError::Duplicate(domain).into());
            }
        }
        Ok(map)
    }

    /// The bundle of a trust domain, by its name.
    #[must_use]
    pub fn get(&self, trust_domain: &str) -> Option<&SpiffeBundle> {
        self.by_domain.get(trust_domain)
    }

    /// All bundles, by the name of their domain.
    pub fn iter(&self) -> impl Iterator<Item = &SpiffeBundle> {
        self.by_domain.values()
    }

    /// The document. Refresh hints are left out, as §5.1.1 asks.
    ///
    /// # Errors
    /// As [`SpiffeBundle::to_json`].
    pub fn to_json(&self) -> Result<String, SpiffeBundleError> {
        let mut domains = Map::new();
        for (name, bundle) in &self.by_domain {
            let mut members = bundle.to_members()?;
            members.remove("spiffe_refresh_hint");
            domains.insert(name.to_string(), members.into());
        }
        let mut map = Map::new();
        map.insert("trust_domains".to_owned(), domains.into());
        Ok(Value::Object(map).to_string())
    }
}
