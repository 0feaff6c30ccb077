//! The keys for JWT-SVIDs in a bundle, handed to whoever verifies tokens (SPIFFE JWT-SVID §4).

use ztl_authz::jwt::{Jwks, JwksError};
use ztl_mtls::SpiffeBundle;
use ztl_mtls::source::BundleEndpoint;

use super::Federated;
use crate::guard::Guard;

/// The keys that a trust domain signs JWT-SVIDs with, by its bundle; none where it has none.
///
/// ```
/// use ztl_tower::core::TrustDomain;
/// use ztl_tower::jwt_svid_keys;
/// use ztl_tower::mtls::SpiffeBundle;
///
/// let domain = TrustDomain::parse("prod.example")?;
/// let bundle = SpiffeBundle::from_json(domain, br#"{"keys": [{
///     "use": "jwt-svid", "kid": "2026-11", "kty": "EC", "crv": "P-256",
///     "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
///     "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
/// }]}"#)?;
/// assert_eq!(jwt_svid_keys(&bundle)?.key_count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Where one of them is weak, or there are too many: then none is to be used.
pub fn jwt_svid_keys(bundle: &SpiffeBundle) -> Result<Jwks, JwksError> {
    let texts: Vec<String> = bundle
        .jwt_authorities()
        .iter()
        .map(|key| key.jwk())
        .collect();
    match Jwks::from_jwt_authorities(texts.iter().map(String::as_str)) {
        Err(JwksError::NoUsableKey { .. }) => Ok(Jwks::none()),
        read => read,
    }
}

impl Federated {
    /// Puts the keys of the bundle in force, until the bundle ends, or none where it is not.
    pub(super) fn put_svid_keys_in_force(&self, guard: &Guard) {
        let Some(issuer) = &self.kept.issuer else {
            return;
        };
        let endpoint = &self.endpoint;
        let bundle = endpoint
            .bundle()
            .filter(|_| BundleEndpoint::is_in_force(endpoint));
        let keys = bundle.map_or_else(|| Ok(Jwks::none()), jwt_svid_keys);
        let keys = keys.unwrap_or_else(|error| {
            let domain = endpoint.trust_domain().to_string();
            tracing::error!(target: "ztl", workload = guard.name(), trust_domain = domain, %error, "the bundle's keys for JWT-SVIDs are not used");
            Jwks::none()
        });
        // Law 1: whoever withdraws them may come late, as where the machine slept.
        let keys = match endpoint.ends_at() {
            Some(end) => keys.until(end),
            None => keys,
        };
        // The issuer is one that the guard was built with.
        let _ = guard.swap_token_keys(issuer, keys);
    }
}
