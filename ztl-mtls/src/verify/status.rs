//! Whether anybody took a certificate back: by a deny list, or by a revocation list of its issuer.

use core::time::Duration;

use ztl_core::{CLOCK_SKEW, SpiffeId, Timestamp};

use super::error::{Position, ProveError, Unknown};
use crate::cert::Cert;
use crate::crl::{Algorithms, CrlSet, RevocationDepth, Signature, UnknownStatus};
use crate::revocation::{DenyList, Hex, Named, State};

/// nextUpdate is the first second in which a list is overdue.
const SECOND: Duration = Duration::from_secs(1);

/// Refuses a leaf whose id is denied.
pub(crate) fn check_id(revocation: &State, id: &SpiffeId) -> Result<(), ProveError> {
    match revocation.denies(id) {
        None => Ok(()),
        Some(denied) => Err(ProveError::Denied {
            certificate: Position::Leaf,
            denied,
        }),
    }
}

/// Whether any entry names certificates, so that they are to be looked at.
pub(crate) fn names_certificates(lists: [&DenyList; 2]) -> bool {
    lists.iter().any(|list| list.names_certificates())
}

/// Refuses a certificate whose key or number is denied.
pub(crate) fn check_named(
    lists: [&DenyList; 2],
    certificate: Position,
    named: &Named,
) -> Result<(), ProveError> {
    match lists.iter().find_map(|list| list.entry_of(named)) {
        None => Ok(()),
        Some(denied) => Err(ProveError::Denied {
            certificate,
            denied,
        }),
    }
}

/// Who issued a certificate, as far as its revocation lists are concerned.
#[derive(Clone, Copy)]
pub(crate) struct Issuer<'a> {
    pub(crate) spki: &'a [u8],
    pub(crate) crl_sign: bool,
}

/// Asks the revocation lists of a trust domain.
pub(crate) struct Status<'a> {
    pub(crate) crls: &'a CrlSet,
    pub(crate) algorithms: Algorithms,
    pub(crate) now: Timestamp,
}

impl Status<'_> {
    /// Whether a certificate's status is asked for at all.
    pub(crate) fn is_asked(&self, certificate: Position) -> bool {
        certificate == Position::Leaf || self.crls.depth() == RevocationDepth::Chain
    }

    /// RFC 5280 §6.3: refuses a certificate that is revoked, or of which that cannot be told where that is refused too. Answers
    /// the first and the last second in which that holds if no list changes.
    pub(crate) fn check(
        &self,
        certificate: Position,
        cert: &Cert<'_>,
        issuer: Issuer<'_>,
    ) -> Result<(Timestamp, Timestamp), ProveError> {
        let mut unknown = Unknown::NoCrl;
        let mut unsigned = None;
        let mut signed = false;
        let mut covered: Option<(Timestamp, Timestamp)> = None;
        for crl in self.crls.of_issuer(cert.issuer) {
            match crl.signature_by(issuer.spki, self.algorithms) {
                Signature::Good => signed = true,
                Signature::Bad => {
                    crl.disprove(cert.extensions.authority_key_id());
                    unsigned = Some(ProveError::CrlSignature { certificate });
                    continue;
                }
                Signature::Unsupported => {
                    crl.disprove(cert.extensions.authority_key_id());
                    unsigned.get_or_insert(ProveError::CrlAlgorithm { certificate });
                    continue;
                }
            }
            if !issuer.crl_sign {
                return Err(ProveError::CrlSigner { certificate });
            }
            if crl.lists(cert.serial) {
                return Err(ProveError::Revoked {
                    certificate,
                    serial: Hex(cert.serial).to_string().into(),
                });
            }
            let points = cert.extensions.crl_distribution_points();
            if !crl.covers(certificate == Position::Leaf, points) {
                if unknown == Unknown::NoCrl {
                    unknown = Unknown::Scope;
                }
            } else if self.now.saturating_add(CLOCK_SKEW) < crl.this_update {
                // An authority's clock is not ours, and a list is fetched the moment it is made.
                unknown = Unknown::NotYetValid {
                    this_update: crl.this_update,
                    now: self.now,
                };
            } else if self.now >= crl.next_update {
                unknown = Unknown::Expired {
                    next_update: crl.next_update,
                    now: self.now,
                };
            } else {
                let until = crl.next_update.saturating_sub(SECOND);
                // The one list that speaks longest: that another did before it began is not remembered.
                if covered.is_none_or(|(_, longest)| until > longest) {
                    covered = Some((crl.this_update.saturating_sub(CLOCK_SKEW), until));
                }
            }
        }
        match (covered, unsigned) {
            (Some(covered), _) => Ok(covered),
            (None, Some(error)) if !signed => Err(error),
            (None, _) => match self.crls.unknown_status() {
                UnknownStatus::Deny => Err(ProveError::RevocationUnknown {
                    certificate,
                    why: unknown,
                }),
                UnknownStatus::Allow => Ok((Timestamp::EPOCH, Timestamp::MAX)),
            },
        }
    }
}
