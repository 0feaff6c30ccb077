//! The keys of issuers, in files.

use std::path::PathBuf;

use ztl_authz::jwt::{Issuer, Jwks, MAX_JWKS_BYTES};

use super::file::SteadyFile;
use super::{off_thread, unwatched};
use crate::guard::Guard;
use crate::watch::reloaded;

type Error = Box<dyn core::error::Error + Send + Sync>;
type Read = dyn Fn(&[u8]) -> Result<Jwks, Error> + Send;

/// The keys of one issuer in a file.
pub(crate) struct KeyFile {
    issuer: Box<str>,
    file: SteadyFile,
    read: Box<Read>,
}

impl KeyFile {
    /// # Errors
    /// Where what its keys stand in cannot be read by this build.
    pub(crate) fn new(issuer: &Issuer, path: PathBuf) -> Result<Self, Error> {
        let (limit, read): (usize, Box<Read>) = match issuer.trust_domain() {
            None => (MAX_JWKS_BYTES, Box::new(key_set)),
            Some(domain) => svid_keys(domain)?,
        };
        Ok(Self {
            issuer: issuer.name().into(),
            file: SteadyFile::new(path, limit),
            read,
        })
    }

    fn load(&mut self) -> Result<(Box<str>, Jwks), Error> {
        let path = self.file.path().display().to_string();
        let bytes = self.file.load()?;
        let keys = (self.read)(bytes).map_err(|error| format!("`{path}`: {error}"))?;
        Ok((self.issuer.clone(), keys))
    }

    fn poll(&mut self) -> Result<Option<Jwks>, Error> {
        let path = self.file.path().display().to_string();
        let changed = self.file.poll()?.map(&self.read).transpose();
        changed.map_err(|error| format!("`{path}`: {error}").into())
    }
}

fn key_set(bytes: &[u8]) -> Result<Jwks, Error> {
    Ok(Jwks::from_json(bytes)?)
}

/// What reads the keys for JWT-SVIDs in a trust domain's bundle, and how long that may be.
#[cfg(feature = "federation")]
fn svid_keys(domain: &ztl_core::TrustDomain) -> Result<(usize, Box<Read>), Error> {
    let domain = domain.clone();
    let read = move |bytes: &[u8]| {
        let bundle = ztl_mtls::SpiffeBundle::from_json(domain.clone(), bytes)?;
        Ok(crate::federation::jwt_svid_keys(&bundle)?)
    };
    Ok((ztl_mtls::MAX_BUNDLE_BYTES, Box::new(read)))
}

#[cfg(not(feature = "federation"))]
fn svid_keys(domain: &ztl_core::TrustDomain) -> Result<(usize, Box<Read>), Error> {
    let why = format!(
        "the keys for JWT-SVIDs of `{domain}` stand in its bundle, which is read with the feature `federation` of `ztl-tower`"
    );
    Err(why.into())
}

/// All of a guard.
#[derive(Default)]
pub(crate) struct KeyFiles(Vec<KeyFile>);

impl KeyFiles {
    pub(crate) const fn new(files: Vec<KeyFile>) -> Self {
        Self(files)
    }

    /// The keys by the names of their issuers.
    pub(crate) fn load(&mut self) -> Result<Vec<(Box<str>, Jwks)>, Error> {
        self.0.iter_mut().map(KeyFile::load).collect()
    }

    /// What became of those that changed.
    fn poll(&mut self) -> Vec<(Box<str>, Result<Jwks, Error>)> {
        let polled = self.0.iter_mut().map(|file| {
            let polled = file.poll().transpose()?;
            Some((file.issuer.clone(), polled))
        });
        polled.flatten().collect()
    }

    /// Takes what changed: running requests that a key vouched for which is gone are judged again without their token (law 8).
    pub(super) async fn look(&mut self, guard: &Guard) {
        if self.0.is_empty() {
            return;
        }
        let (files, polled) = match off_thread(core::mem::take(self), Self::poll).await {
            Ok(polled) => polled,
            Err(error) => return unwatched(guard, "the keys of issuers", &error),
        };
        *self = files;
        for (issuer, polled) in polled {
            let workload = guard.name();
            match polled {
                Ok(keys) => {
                    let count = keys.key_count();
                    // The issuer is one that the guard was built with.
                    let _ = guard.swap_token_keys(&issuer, keys);
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
