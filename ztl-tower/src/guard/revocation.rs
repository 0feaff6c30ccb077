//! What a guard no longer trusts, though its signatures and times hold: a deny list, and revocation lists by trust domain.

use std::path::PathBuf;

use ztl_core::TrustDomain;
use ztl_core::policy::Policy;
use ztl_mtls::source::{CrlFiles, DenyListFile};
use ztl_mtls::{CrlSet, Denied, DenyList, Revocation};

use super::{BuildError, Guard, GuardBuilder};
use crate::refresh::{RevocationFiles, off_thread};

/// The files that a builder was told of.
#[derive(Default)]
pub(super) struct RevocationFrom {
    crl_files: Vec<(Box<str>, PathBuf)>,
    crls: Vec<CrlFiles>,
    deny_lists: Vec<PathBuf>,
}

impl GuardBuilder {
    /// Revocation lists of one trust domain: PEM, or one list in DER, read again when they change. Call it once a file; all files
    /// of a domain are one set.
    ///
    /// From then on an SVID of that domain is refused whose status these lists do not tell. For another choice take
    /// [`crl_files`](Self::crl_files).
    pub fn crl_file(mut self, trust_domain: &str, path: impl Into<PathBuf>) -> Self {
        let file = (trust_domain.into(), path.into());
        self.revocation.crl_files.push(file);
        self
    }

    /// Revocation lists of one trust domain, with a choice of one's own where a status is unknown, or of the depth. They take the
    /// place of what was said of that domain before; a [`crl_file`](Self::crl_file) of it after this refuses the guard when it is
    /// built.
    pub fn crl_files(mut self, files: CrlFiles) -> Self {
        let domain = files.trust_domain().as_str();
        let others = |named: &(Box<str>, PathBuf)| *named.0 != *domain;
        self.revocation.crl_files.retain(others);
        self.revocation
            .crls
            .retain(|other| other.trust_domain() != files.trust_domain());
        self.revocation.crls.push(files);
        self
    }

    /// Ids, keys and certificates that prove nothing any more, read again when the file changes; see [`DenyList`] for its form.
    /// A changed list works at once. One that is broken takes nothing back: the last good one stays, and an error event says so.
    pub fn deny_list_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.revocation.deny_lists.push(path.into());
        self
    }
}

impl RevocationFrom {
    /// Reads everything for the first time. Whatever cannot be read or taken refuses the guard.
    pub(super) async fn open(
        self,
        policy: &Policy,
    ) -> Result<(Revocation, RevocationFiles), BuildError> {
        let refused =
            |error: Box<dyn core::error::Error + Send + Sync>| BuildError::Revocation(error);
        if self.deny_lists.len() > 1 {
            return Err(refused("there are two deny lists: give one file".into()));
        }
        let mut crls = self.crls;
        let chosen: Vec<TrustDomain> = crls
            .iter()
            .map(|files| files.trust_domain().clone())
            .collect();
        for domain in self.crl_files.iter().map(|(domain, _)| domain) {
            let parsed = TrustDomain::parse(domain)
                .map_err(|error| refused(format!("the trust domain `{domain}` {error}").into()))?;
            if chosen.contains(&parsed) {
                return Err(refused(
                    format!(
                        "the revocation lists of `{parsed}` are given by `crl_files` and then by `crl_file`: name all files in `crl_files`"
                    )
                    .into(),
                ));
            }
            if crls.iter().any(|files| *files.trust_domain() == parsed) {
                continue; // with an earlier file of the same domain
            }
            let of_domain = self.crl_files.iter().filter(|(other, _)| other == domain);
            crls.push(CrlFiles::new(
                parsed,
                of_domain.map(|(_, path)| path.clone()),
            ));
        }
        let files = RevocationFiles::new(
            crls,
            self.deny_lists.into_iter().next().map(DenyListFile::new),
        );
        let (files, loaded) = off_thread(files, RevocationFiles::load)
            .await
            .map_err(|error| refused(error.into()))?;
        let (sets, deny_list) = loaded.map_err(refused)?;
        let revocation = Revocation::new();
        sets.into_iter()
            .for_each(|set| revocation.replace_crls(set));
        if let Some(deny_list) = deny_list {
            revocation.swap_deny_list(deny_list);
        }
        revocation.swap_aliases(names_of(policy));
        Ok((revocation, files))
    }
}

/// The primary trust domain and its aliases, which are one for the deny list (T13).
pub(super) fn names_of(policy: &Policy) -> impl Iterator<Item = TrustDomain> {
    core::iter::once(policy.trust_domain())
        .chain(policy.trust_domain_aliases())
        .cloned()
}

/// The same of two policies; those of the first alone where the other has no other.
pub(super) fn names_of_both(one: &Policy, other: &Policy) -> Vec<TrustDomain> {
    let mut names: Vec<_> = names_of(one).collect();
    for name in names_of(other) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

impl Guard {
    /// Denies a workload, a key or a certificate, at once and beside the deny list, until [`undeny`](Self::undeny) or the end of the
    /// process. Open connections are judged again.
    ///
    /// To keep a workload out, deny its id: it is issued new keys and certificates.
    pub fn deny(&self, denied: Denied) {
        tracing::warn!(target: "ztl", workload = self.name(), %denied, "denied");
        self.revocation().deny(denied);
        self.trust_changed();
    }

    /// Takes back one [`deny`](Self::deny). What the deny list names stays denied.
    pub fn undeny(&self, denied: &Denied) {
        tracing::warn!(target: "ztl", workload = self.name(), %denied, "no longer denied");
        self.revocation().undeny(denied);
        self.trust_changed();
    }

    /// Puts another deny list in force, at once. Open connections are judged again.
    pub fn swap_deny_list(&self, deny_list: DenyList) {
        self.revocation().swap_deny_list(deny_list);
        self.trust_changed();
    }

    /// Puts other revocation lists of one trust domain in force, at once. Open connections are judged again.
    pub fn swap_crls(&self, crls: CrlSet) {
        self.revocation().replace_crls(crls);
        self.trust_changed();
    }

    fn revocation(&self) -> &Revocation {
        self.0.prover.revocation()
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use core::sync::atomic::{AtomicBool, Ordering};

    use ztl_core::SpiffeId;

    use super::*;

    const POLICY: &str = "schema = 1\ntrust_domain = 'prod.example'\n[workloads.db]\nid = 'spiffe://prod.example/db'\n";

    /// Whoever asks sees the one policy or the other, and never an alias in force that the denial does not cover.
    #[tokio::test]
    async fn t13_an_alias_that_is_taken_away_is_denied_until_the_policy_has_lost_it() {
        let domain = "trust_domain = 'prod.example'\n";
        let with = POLICY.replace(
            domain,
            &format!("{domain}trust_domain_aliases = ['old.example']\n"),
        );
        let guard = crate::test::builder("db", &with).build().await;
        let guard = guard.expect("a guard");
        let id = |text: &str| SpiffeId::parse(text).expect("id");
        guard.deny(Denied::Id(id("spiffe://prod.example/x")));
        let (asked, stop) = (guard.clone(), std::sync::Arc::new(AtomicBool::new(false)));
        let stopped = std::sync::Arc::clone(&stop);
        let alias = id("spiffe://old.example/x");
        assert!(guard.prover().revocation().denies_id(&alias));
        let watching = std::thread::spawn(move || {
            let (mut open, mut looks) = (0, 0);
            while !stopped.load(Ordering::SeqCst) {
                let before = asked.engine().epoch();
                let denied = asked.prover().revocation().denies_id(&alias);
                // Each second policy has the alias, the first of them among those.
                let same = asked.engine().epoch() == before;
                open += usize::from(same && before % 2 == 0 && !denied);
                looks += 1;
            }
            (open, looks)
        });
        for _ in 0..2000 {
            for text in [POLICY, &with] {
                let policy = Policy::from_toml(text).expect("policy");
                guard.swap_policy(policy).expect("swapped");
            }
        }
        stop.store(true, Ordering::SeqCst);
        let (open, looks) = watching.join().expect("watched");
        assert!(looks > 0);
        assert_eq!(open, 0, "of {looks} looks");
    }
}
