//! Revocation lists and the deny list in files.

use ztl_mtls::source::{CrlFiles, DenyListFile};
use ztl_mtls::{CrlError, CrlSet, DenyList, DenyListError};

use super::kept::Kept;
use super::{Looked, unlooked};
use crate::guard::Guard;
use crate::watch::reloaded;

/// The files of what is no longer trusted.
#[derive(Default)]
pub(crate) struct RevocationFiles {
    crls: Vec<CrlFiles>,
    deny_list: Option<DenyListFile>,
}

/// What the files held when they were read first.
type Loaded = (Vec<CrlSet>, Option<DenyList>);

/// What changed.
type Polled = (
    Vec<Result<Option<CrlSet>, CrlError>>,
    Result<Option<DenyList>, DenyListError>,
);

impl RevocationFiles {
    pub(crate) const fn new(crls: Vec<CrlFiles>, deny_list: Option<DenyListFile>) -> Self {
        Self { crls, deny_list }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.crls.is_empty() && self.deny_list.is_none()
    }

    pub(crate) fn load(&mut self) -> Result<Loaded, Box<dyn core::error::Error + Send + Sync>> {
        let crls = self.crls.iter_mut().map(CrlFiles::load);
        let crls = crls.collect::<Result<_, _>>()?;
        let deny_list = self.deny_list.as_mut().map(DenyListFile::load);
        Ok((crls, deny_list.transpose()?))
    }

    fn poll(&mut self) -> Polled {
        let crls = self.crls.iter_mut().map(CrlFiles::poll).collect();
        let deny_list = self.deny_list.as_mut().map(DenyListFile::poll);
        (crls, deny_list.unwrap_or(Ok(None)))
    }
}

impl Looked for Kept<RevocationFiles> {
    const WHAT: &'static str = "revocation lists and deny list";

    /// What is broken takes nothing back.
    async fn look(&self, guard: &Guard) {
        let (crls, deny_list) = match self.work(RevocationFiles::poll).await {
            Ok(polled) => polled,
            Err(error) => return unlooked(guard, Self::WHAT, error),
        };
        match deny_list {
            Ok(None) => {}
            Ok(Some(deny_list)) => {
                reloaded(guard, "deny_list", "taken");
                let entries = deny_list.len();
                guard.swap_deny_list(deny_list);
                tracing::info!(target: "ztl", workload = guard.name(), entries, "deny list reloaded");
            }
            Err(error) => {
                reloaded(guard, "deny_list", "refused");
                tracing::error!(target: "ztl", workload = guard.name(), %error, "deny list not reloaded; the last good one stays in force, and nobody new is denied");
            }
        }
        for polled in crls {
            match polled {
                Ok(None) => {}
                Ok(Some(set)) => {
                    reloaded(guard, "crls", "taken");
                    let (trust_domain, lists) = (set.trust_domain().clone(), set.len());
                    guard.swap_crls(set);
                    tracing::info!(target: "ztl", workload = guard.name(), %trust_domain, lists, "revocation lists reloaded");
                }
                Err(error) => {
                    reloaded(guard, "crls", "refused");
                    tracing::error!(target: "ztl", workload = guard.name(), %error, "revocation lists not reloaded; the last good ones stay in force until they are overdue");
                }
            }
        }
    }
}
