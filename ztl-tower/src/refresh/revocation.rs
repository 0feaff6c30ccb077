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
    crls: Vec<Told<CrlFiles>>,
    deny_list: Option<Told<DenyListFile>>,
}

/// Files, and why they were refused at the last look.
struct Told<F> {
    files: F,
    refused: Option<String>,
}

/// What the files held when they were read first.
type Loaded = (Vec<CrlSet>, Option<DenyList>);

/// What changed.
type Polled = (
    Vec<Result<Option<CrlSet>, Error>>,
    Result<Option<DenyList>, Error>,
);

impl RevocationFiles {
    pub(crate) fn new(crls: Vec<CrlFiles>, deny_list: Option<DenyListFile>) -> Self {
        Self {
            crls: crls.into_iter().map(Told::new).collect(),
            deny_list: deny_list.map(Told::new),
        }
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
        let crls = self.crls.iter_mut().map(|crls| crls.files.load());
        let crls = crls.collect::<Result<_, _>>()?;
        let deny_list = self.deny_list.as_mut().map(|list| list.files.load());
        Ok((crls, deny_list.transpose()?))
    }

    /// Each by itself: one that panics takes no other's change with it, which is not read twice.
    fn poll(&mut self) -> Polled {
        let crls = self.crls.iter_mut();
        let crls = crls.map(|crls| crls.poll(CrlFiles::poll)).collect();
        let deny_list = self.deny_list.as_mut();
        let deny_list = deny_list.map(|deny_list| deny_list.poll(DenyListFile::poll));
        (crls, deny_list.unwrap_or(Ok(None)))
    }
}

impl<F> Told<F> {
    const fn new(files: F) -> Self {
        let refused = None;
        Self { files, refused }
    }

    /// What changed, or why it is refused: once, and not at each look for as long as it is. A look at other bytes finds no error first,
    /// for they are not steady yet, so that each content is told of.
    fn poll<T, E: Into<Error>>(
        &mut self,
        poll: impl FnOnce(&mut F) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, Error> {
        let polled = caught(|| poll(&mut self.files)).map_err(Error::from);
        let polled = polled.and_then(|polled| polled.map_err(Into::into));
        let refused = polled.as_ref().err().map(ToString::to_string);
        let again = refused.is_some() && refused == self.refused;
        self.refused = refused;
        if again { Ok(None) } else { polled }
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rcgen::{CertificateParams, CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair};
    use ztl_core::TrustDomain;

    use super::*;

    /// How often each of so many looks says that something is refused.
    fn refused(files: &mut RevocationFiles, looks: usize) -> [usize; 2] {
        let mut told = [0; 2];
        for _ in 0..looks {
            let (crls, deny_list) = files.poll();
            told[0] += crls.iter().filter(|polled| polled.is_err()).count();
            told[1] += usize::from(deny_list.is_err());
        }
        told
    }

    #[test]
    fn t25_what_is_refused_is_told_once_for_each_content() {
        let folder = std::env::temp_dir().join(format!("ztl-refused-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let (crl, deny) = (folder.join("a.crl"), folder.join("denied"));
        let key = KeyPair::generate().expect("key");
        let issuer = Issuer::new(CertificateParams::default(), key);
        let list = |number: u64| {
            let params = CertificateRevocationListParams {
                this_update: rcgen::date_time_ymd(2026, 1, 1),
                next_update: rcgen::date_time_ymd(2036, 1, 1),
                crl_number: number.into(),
                issuing_distribution_point: None,
                revoked_certs: Vec::new(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            params.signed_by(&issuer).expect("list").der().to_vec()
        };
        let write = |path: &Path, bytes: &[u8]| std::fs::write(path, bytes).expect("written");
        write(&crl, &list(8));
        write(&deny, b"end 0\n");
        let domain = TrustDomain::parse("prod.example").expect("domain");
        let crls = vec![CrlFiles::new(domain, [&crl])];
        let mut files = RevocationFiles::new(crls, Some(DenyListFile::new(&deny)));
        assert!(files.load().is_ok());
        // Each is signed, and older than what is in force.
        for number in [7, 7, 6] {
            write(&crl, &list(number));
            write(&deny, b"end 7\n");
            assert_eq!(refused(&mut files, 5), [1, 1], "{number}");
            write(&deny, b"end 0\n");
            assert_eq!(refused(&mut files, 2), [0, 0], "{number}");
            write(&crl, &list(8));
            assert_eq!(refused(&mut files, 2), [0, 0], "{number}");
        }
        write(&crl, &list(7));
        assert_eq!(refused(&mut files, 3), [1, 0]);
        // One after the other, without a good one in between.
        write(&crl, &list(6));
        assert_eq!(refused(&mut files, 3), [1, 0]);
        std::fs::remove_file(&crl).expect("removed");
        assert_eq!(refused(&mut files, 3), [1, 0]);
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
