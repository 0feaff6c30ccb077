//! Why no path was found, in the words of the clause that failed.

use rustls_pki_types::CertificateDer;
use webpki::Error as PathError;

use super::error::{Position, ProveError, timestamp};
use super::path::{Search, is_over};
use super::prover::Purpose;
use crate::cert::Cert;

impl Search<'_> {
    pub(super) fn explain(
        &self,
        error: PathError,
        leaf: &Cert<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> ProveError {
        let now = self.now;
        let at = |of_leaf: bool| {
            if of_leaf {
                Position::Leaf
            } else {
                Position::Intermediate
            }
        };
        match error {
            PathError::UnknownIssuer => {
                ProveError::UnknownIssuer(self.bundle.trust_domain().clone())
            }
            PathError::CertExpired { not_after, .. } => {
                let not_after = timestamp(not_after);
                ProveError::Expired {
                    certificate: at(is_over(leaf.not_after, now)),
                    not_after,
                    now,
                }
            }
            PathError::CertNotValidYet { not_before, .. } => {
                let not_before = timestamp(not_before);
                ProveError::NotYetValid {
                    certificate: at(now < leaf.not_before),
                    not_before,
                    now,
                }
            }
            PathError::InvalidSignatureForPublicKey => self.explain_signature(leaf, intermediates),
            PathError::UnsupportedSignatureAlgorithmContext(_)
            | PathError::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                ProveError::UnsupportedAlgorithm
            }
            PathError::EndEntityUsedAsCa => ProveError::IssuerNotAuthority,
            PathError::PathLenConstraintViolated => ProveError::PathLength,
            PathError::NameConstraintViolation => self.explain_names(leaf, intermediates),
            PathError::RequiredEkuNotFoundContext(_) => self.purpose(),
            PathError::UnsupportedCriticalExtension => ProveError::UnknownCritical,
            error if gave_up(&error) => ProveError::TooIntricate,
            PathError::BadDer
            | PathError::BadDerTime
            | PathError::TrailingData(_)
            | PathError::ExtensionValueInvalid
            | PathError::MalformedExtensions
            | PathError::InvalidCertValidity
            | PathError::SignatureAlgorithmMismatch
            | PathError::UnsupportedCertVersion => ProveError::Malformed(error.to_string().into()),
            other => ProveError::Path(other.to_string().into()),
        }
    }

    /// An issuer's extKeyUsage leaves the end out that the peer is.
    pub(super) const fn purpose(&self) -> ProveError {
        ProveError::Purpose(match self.purpose {
            Purpose::Client => "client",
            Purpose::Server => "server",
        })
    }

    /// webpki lets no URI pass an issuer that constrains URIs: say so, where that may be the reason.
    fn explain_names(&self, leaf: &Cert<'_>, intermediates: &[CertificateDer<'_>]) -> ProveError {
        let sent = readable(intermediates);
        let above = issuers(leaf, &sent);
        let by_intermediate = sent
            .iter()
            .any(|cert| above.contains(&cert.subject) && cert.extensions.constrains_uris());
        let authorities = self.bundle.certificates().iter();
        let by_authority = authorities.zip(self.bundle.facts()).any(|(der, facts)| {
            facts.constrains_uris && Cert::read(der).is_ok_and(|cert| above.contains(&cert.subject))
        });
        if by_authority || by_intermediate {
            ProveError::UriNameConstraint
        } else {
            ProveError::NameConstraint
        }
    }

    /// A provider checks no signature of a key that is too weak or too long, and does not say that this is why.
    fn explain_signature(
        &self,
        leaf: &Cert<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> ProveError {
        let sent = readable(intermediates);
        let above = issuers(leaf, &sent);
        let weak = |position, cert: &Cert<'_>| {
            let is_above = above.contains(&cert.subject);
            let key = is_above.then(|| self.check_key(position, cert.spki));
            key.and_then(Result::err)
        };
        let authorities = self.bundle.certificates();
        sent.iter()
            .find_map(|cert| weak(Position::Intermediate, cert))
            .or_else(|| {
                readable(authorities)
                    .iter()
                    .find_map(|cert| weak(Position::Authority, cert))
            })
            .unwrap_or(ProveError::BadSignature)
    }
}

/// Whether webpki ended the search, and not because of what it found.
pub(super) const fn gave_up(error: &PathError) -> bool {
    matches!(
        error,
        PathError::MaximumPathDepthExceeded
            | PathError::MaximumPathBuildCallsExceeded
            | PathError::MaximumSignatureChecksExceeded
            | PathError::MaximumNameConstraintComparisonsExceeded
    )
}

/// What cannot be read is an issuer of no path that is taken.
fn readable<'a>(certificates: &'a [CertificateDer<'_>]) -> Vec<Cert<'a>> {
    let read = |der: &'a CertificateDer<'_>| Cert::read(der).ok();
    certificates.iter().filter_map(read).collect()
}

/// The names of those whom a path from the leaf can lead over. Whoever bears another name is not why it fails.
fn issuers<'a>(leaf: &Cert<'a>, sent: &[Cert<'a>]) -> Vec<&'a [u8]> {
    let mut names = vec![leaf.issuer];
    let mut place = 0;
    while let Some(name) = names.get(place).copied() {
        for cert in sent.iter().filter(|cert| cert.subject == name) {
            if !names.contains(&cert.issuer) {
                names.push(cert.issuer);
            }
        }
        place += 1;
    }
    names
}
