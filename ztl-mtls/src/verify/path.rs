//! The path from a leaf to an authority of one bundle: webpki builds and checks it, and asks here about each one it would accept.

use core::cell::{Cell, RefCell};

use rustls_pki_types::CertificateDer;
use webpki::{EndEntityCert, Error as PathError, VerifiedPath};
use ztl_core::{SpiffeId, Timestamp};

use super::ends::Ends;
use super::error::{Position, ProveError, unix_time};
use super::explain::gave_up;
use super::prover::{DevAuthority, Purpose};
use crate::bundle::TrustBundle;
use crate::cert::Cert;
use crate::crl::Algorithms;
use crate::pair::MAX_CHAIN;
use crate::revocation::State;

/// Most intermediates of a chain that bear the same name. Each of them is a fork for whoever searches a path, and a search may
/// take thousands of steps over forks of forks. Four allow for an authority's rollover, cross-signing, and nested authorities
/// that all call themselves the same.
const MAX_SAME_NAME: usize = 4;

/// One search for a path.
pub(crate) struct Search<'a> {
    pub(crate) bundle: &'a TrustBundle,
    pub(crate) revocation: &'a State,
    pub(crate) algorithms: Algorithms,
    pub(crate) dev_authority: DevAuthority,
    pub(crate) now: Timestamp,
    pub(crate) purpose: Purpose,
}

/// A path that holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// The first second of the certificate that begins last.
    pub(crate) from: Timestamp,
    /// The last second of the certificate that ends first.
    pub(crate) not_after: Timestamp,
    /// The first second in which it holds, revocation lists considered.
    pub(crate) holds_from: Timestamp,
    /// The last one.
    pub(crate) holds_until: Timestamp,
    /// Which intermediates it leads over.
    pub(crate) via: Via,
    /// In which authority of the bundle it ends.
    pub(crate) authority: usize,
}

/// The intermediates of a path by their places in the chain, from the leaf's issuer up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Via {
    // Chains have at most so many certificates.
    places: [u8; MAX_CHAIN],
    count: usize,
}

impl Via {
    /// The path leads on over the intermediate at this place.
    pub(super) fn push(&mut self, place: usize) {
        if let (Some(next), Ok(place)) = (self.places.get_mut(self.count), u8::try_from(place)) {
            *next = place;
            self.count = self.count.saturating_add(1);
        }
    }

    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.places
            .iter()
            .take(self.count)
            .copied()
            .map(usize::from)
    }
}

impl Found {
    /// Whether the path leads over the intermediate at this place.
    pub(super) fn leads_over(&self, place: usize) -> bool {
        self.via.places().any(|over| over == place)
    }

    /// Whether all certificates of the path are valid, and the revocation lists that were asked speak.
    pub(super) const fn holds_at(&self, now: Timestamp) -> bool {
        now.as_unix_secs() >= self.holds_from.as_unix_secs() && !is_over(self.holds_until, now)
    }

    pub(super) fn narrow(&mut self, cert: &Cert<'_>) {
        self.from = self.from.max(cert.not_before);
        self.not_after = self.not_after.min(cert.not_after);
        self.holds_from = self.holds_from.max(cert.not_before);
        self.holds_until = self.holds_until.min(cert.not_after);
    }
}

impl Search<'_> {
    /// Finds a path that holds.
    pub(crate) fn run(
        &self,
        leaf_der: &CertificateDer<'_>,
        leaf: &Cert<'_>,
        id: &SpiffeId,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<Found, ProveError> {
        if self.bundle.is_empty() {
            return Err(ProveError::EmptyBundle(self.bundle.trust_domain().clone()));
        }
        self.check_key(Position::Leaf, leaf.spki)?;
        check_forks(intermediates)?;
        let end_entity = EndEntityCert::try_from(leaf_der)
            .map_err(|error| self.explain(error, leaf, intermediates))?;
        // webpki asks about each path that it would accept; a refusal makes it go on with the next.
        let refusal = RefCell::new(None);
        let found = Cell::new(None);
        let judge = |path: &VerifiedPath<'_>| match self.judge(path, leaf, id, intermediates) {
            Ok(path) => {
                found.set(Some(path));
                Ok(())
            }
            Err(error) => {
                refusal.borrow_mut().get_or_insert(error);
                Err(PathError::UnknownIssuer)
            }
        };
        // The first that says more than that nobody of these issued it.
        let mut failed = None;
        for anchors in self.bundle.searches() {
            let verified = end_entity.verify_for_usage(
                self.algorithms,
                anchors,
                intermediates,
                unix_time(self.now),
                Ends(self.purpose),
                None,
                Some(&judge),
            );
            // What counts of the path was found by the judge; webpki's own of it, two kilobytes, need not be moved about.
            let verified = verified.map(|_| ());
            match (verified, found.get()) {
                (Ok(()), Some(found)) => return Ok(found),
                // webpki asks before it accepts.
                (Ok(()), None) => return Err(ProveError::Path("a path was not judged".into())),
                (Err(error), _) => {
                    let gave_up = gave_up(&error);
                    if failed.is_none() || failed == Some(PathError::UnknownIssuer) {
                        failed = Some(error);
                    }
                    if gave_up {
                        break;
                    }
                }
            }
        }
        match refusal.take() {
            Some(refusal) => Err(refusal),
            None => {
                let error = failed.unwrap_or(PathError::UnknownIssuer);
                Err(self.explain(error, leaf, intermediates))
            }
        }
    }
}

fn check_forks(intermediates: &[CertificateDer<'_>]) -> Result<(), ProveError> {
    if intermediates.len() <= MAX_SAME_NAME {
        return Ok(());
    }
    // webpki reads some that are refused here, and a path may not lead over them: each may bear any name.
    let names: Vec<Option<&[u8]>> = intermediates
        .iter()
        .map(|der| Some(Cert::read(der).ok()?.subject))
        .collect();
    let bearers = |name: Option<&[u8]>| {
        let may_bear = |other: &&Option<&[u8]>| other.is_none() || **other == name;
        names.iter().filter(may_bear).count()
    };
    if names.iter().any(|name| bearers(*name) > MAX_SAME_NAME) {
        return Err(ProveError::TooIntricate);
    }
    Ok(())
}

/// notAfter is the last second that counts (RFC 5280 §4.1.2.5), here as in webpki.
pub(super) const fn is_over(not_after: Timestamp, now: Timestamp) -> bool {
    now.as_unix_secs() > not_after.as_unix_secs()
}
