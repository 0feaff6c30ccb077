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
            PathError::NameConstraintViolation => self.explain_names(intermediates),
            PathError::RequiredEkuNotFoundContext(_) => ProveError::Purpose(match self.purpose {
                Purpose::Client => "client",
                Purpose::Server => "server",
            }),
            PathError::UnsupportedCriticalExtension => ProveError::UnknownCritical,
            PathError::MaximumPathDepthExceeded
            | PathError::MaximumPathBuildCallsExceeded
            | PathError::MaximumSignatureChecksExceeded
            | PathError::MaximumNameConstraintComparisonsExceeded => ProveError::TooIntricate,
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

    /// webpki lets no URI pass an issuer that constrains URIs: say so, where that may be the reason.
    fn explain_names(&self, intermediates: &[CertificateDer<'_>]) -> ProveError {
        let by_authority = self
            .bundle
            .facts()
            .iter()
            .any(|facts| facts.constrains_uris);
        let by_intermediate = intermediates
            .iter()
            .any(|der| Cert::read(der).is_ok_and(|cert| cert.extensions.constrains_uris()));
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
        let read = |der| Cert::read(der).ok();
        let sent: Vec<Cert<'_>> = intermediates.iter().filter_map(|der| read(der)).collect();
        let issued = |name: &[u8]| sent.iter().chain([leaf]).any(|cert| cert.issuer == name);
        let weak = |position, cert: &Cert<'_>| {
            let key = issued(cert.subject).then(|| self.check_key(position, cert.spki));
            key.and_then(Result::err)
        };
        let authorities = self.bundle.certificates().iter();
        sent.iter()
            .find_map(|cert| weak(Position::Intermediate, cert))
            .or_else(|| {
                authorities
                    .filter_map(|der| read(der))
                    .find_map(|cert| weak(Position::Authority, &cert))
            })
            .unwrap_or(ProveError::BadSignature)
    }
}
