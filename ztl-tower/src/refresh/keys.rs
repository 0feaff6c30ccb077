//! The keys of issuers, in files.

use std::path::PathBuf;

use ztl_authz::jwt::{Issuer, Jwks, MAX_JWKS_BYTES};

use super::Looked;
use super::kept::Kept;
use super::parsed::{Error, ParsedFile, ParsedFiles, Read};
use crate::guard::Guard;
use crate::watch::reloaded;

/// The keys of one issuer in a file, under its name.
pub(crate) type KeyFile = ParsedFile<Box<str>, Jwks>;

/// All of a guard.
pub(crate) type KeyFiles = ParsedFiles<Box<str>, Jwks>;

impl KeyFile {
    /// # Errors
    /// Where what its keys stand in cannot be read by this build.
    pub(crate) fn of(issuer: &Issuer, path: PathBuf) -> Result<Self, Error> {
        let (limit, read): (usize, Box<Read<Jwks>>) = match issuer.trust_domain() {
            None => (MAX_JWKS_BYTES, Box::new(key_set)),
            Some(domain) => svid_keys(domain)?,
        };
        Ok(Self::new(issuer.name().into(), path, limit, read))
    }
}

fn key_set(bytes: &[u8]) -> Result<Jwks, Error> {
    Ok(Jwks::from_json(bytes)?)
}

/// What reads the keys for JWT-SVIDs in a trust domain's bundle, and how long that may be.
#[cfg(feature = "federation")]
fn svid_keys(domain: &ztl_core::TrustDomain) -> Result<(usize, Box<Read<Jwks>>), Error> {
    let domain = domain.clone();
    let read = move |bytes: &[u8]| {
        let bundle = ztl_mtls::SpiffeBundle::from_json(domain.clone(), bytes)?;
        Ok(crate::federation::jwt_svid_keys(&bundle)?)
    };
    Ok((ztl_mtls::MAX_BUNDLE_BYTES, Box::new(read)))
}

#[cfg(not(feature = "federation"))]
fn svid_keys(domain: &ztl_core::TrustDomain) -> Result<(usize, Box<Read<Jwks>>), Error> {
    let why = format!(
        "the keys for JWT-SVIDs of `{domain}` stand in its bundle, which is read with the feature `federation` of `ztl-tower`"
    );
    Err(why.into())
}

impl Looked for Kept<KeyFiles> {
    const WHAT: &'static str = "the keys of issuers";

    /// Running requests that a key vouched for which is gone are judged again without their token (law 8).
    async fn look(&self, guard: &Guard) {
        let swap = |(issuer, polled): (Box<str>, Result<Jwks, Error>)| {
            let swapped = polled.map(|keys| {
                let count = keys.key_count();
                // The issuer is one that the guard was built with.
                let _ = guard.swap_token_keys(&issuer, keys);
                count
            });
            (issuer, swapped)
        };
        let changed = self.changed(guard, Self::WHAT).await;
        // All of them before any is told: whoever hears of it may panic.
        let swapped: Vec<_> = changed.into_iter().map(swap).collect();
        for (issuer, swapped) in swapped {
            let workload = guard.name();
            match swapped {
                Ok(count) => {
                    reloaded(guard, "jwks", "taken");
                    tracing::info!(target: "ztl", workload, issuer = &*issuer, keys = count, "the issuer's keys were reloaded");
                }
                Err(error) => {
                    reloaded(guard, "jwks", "refused");
                    tracing::error!(target: "ztl", workload, issuer = &*issuer, %error, "the issuer's keys were not reloaded; the last good ones stay in force");
                }
            }
        }
    }
}
