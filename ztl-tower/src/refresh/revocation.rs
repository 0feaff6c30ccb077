//! Revocation lists and the deny list in files.

use ztl_mtls::source::{CrlFiles, DenyListFile};
use ztl_mtls::{CrlSet, DenyList};

use super::kept::{Error, Kept, caught};
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
    Vec<Result<Option<CrlSet>, Error>>,
    Result<Option<DenyList>, Error>,
);

impl RevocationFiles {
    pub(crate) const fn new(crls: Vec<CrlFiles>, deny_list: Option<DenyListFile>) -> Self {
        Self { crls, deny_list }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.crls.is_empty() && self.deny_list.is_none()
    }

    /// Which of them there are.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &'static str> {
        let crls = self.crls.first().map(|_| "crls");
        let deny_list = self.deny_list.as_ref().map(|_| "deny_list");
        crls.into_iter().chain(deny_list)
    }

    pub(crate) fn load(&mut self) -> Result<Loaded, Error> {
        let crls = self.crls.iter_mut().map(CrlFiles::load);
        let crls = crls.collect::<Result<_, _>>()?;
        let deny_list = self.deny_list.as_mut().map(DenyListFile::load);
        Ok((crls, deny_list.transpose()?))
    }

    /// Each by itself: one that panics takes no other's change with it, which is not read twice.
    fn poll(&mut self) -> Polled {
        let crls = self.crls.iter_mut().map(|crls| polled(|| crls.poll()));
        let deny_list = self.deny_list.as_mut();
        let deny_list = deny_list.map(|deny_list| polled(|| deny_list.poll()));
        (crls.collect(), deny_list.unwrap_or(Ok(None)))
    }
}

fn polled<T, E: Into<Error>>(poll: impl FnOnce() -> Result<T, E>) -> Result<T, Error> {
    caught(poll)?.map_err(Into::into)
}

impl Looked for Kept<RevocationFiles> {
    const WHAT: &'static str = "revocation lists and deny list";

    /// What is broken takes nothing back.
    async fn look(&self, guard: &Guard) {
        let (crls, deny_list) = match self.work(RevocationFiles::poll).await {
            Ok(polled) => polled,
            Err(error) => return unlooked(guard, Self::WHAT, error),
        };
        // All of it before any of it is told: whoever hears of it may panic.
        let deny_list = deny_list.map(|list| {
            list.map(|list| {
                let entries = list.len();
                guard.swap_deny_list(list);
                entries
            })
        });
        let swap = |set: CrlSet| {
            let told = (set.trust_domain().clone(), set.len());
            guard.swap_crls(set);
            told
        };
        let crls = crls
            .into_iter()
            .map(|polled| polled.map(|set| set.map(swap)));
        let crls: Vec<_> = crls.collect();
        match deny_list {
            Ok(None) => {}
            Ok(Some(entries)) => {
                reloaded(guard, "deny_list", "taken");
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
                Ok(Some((trust_domain, lists))) => {
                    reloaded(guard, "crls", "taken");
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
