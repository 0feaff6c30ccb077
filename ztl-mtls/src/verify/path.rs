//! The path from a leaf to an authority of one bundle: webpki builds and checks it, and what webpki leaves out is checked here.

use core::cell::{Cell, RefCell};

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor};
use webpki::{EndEntityCert, Error as PathError, KeyUsage, VerifiedPath};
use ztl_core::Timestamp;

use super::error::{Position, ProveError, timestamp, unix_time};
use super::prover::{DevAuthority, Purpose};
use crate::authority::Facts;
use crate::bundle::TrustBundle;
use crate::cert::Cert;

/// Most intermediates of a chain that bear the same name. Each of them is a fork for whoever searches a path, and a search may
/// take thousands of steps over forks of forks. Four allow for an authority's rollover, cross-signing, and nested authorities
/// that all call themselves the same.
const MAX_SAME_NAME: usize = 4;

/// One search for a path.
pub(crate) struct Search<'a> {
    pub(crate) bundle: &'a TrustBundle,
    pub(crate) algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
    pub(crate) dev_authority: DevAuthority,
    pub(crate) now: Timestamp,
    pub(crate) purpose: Purpose,
}

impl Search<'_> {
    /// Finds a path that holds, and answers when its first certificate ends.
    pub(crate) fn run(
        &self,
        leaf_der: &CertificateDer<'_>,
        leaf: &Cert<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<Timestamp, ProveError> {
        if self.bundle.is_empty() {
            return Err(ProveError::EmptyBundle(self.bundle.trust_domain().clone()));
        }
        check_forks(intermediates)?;
        let end_entity = EndEntityCert::try_from(leaf_der)
            .map_err(|error| self.explain(error, leaf, intermediates))?;
        let usage = match self.purpose {
            Purpose::Client => KeyUsage::client_auth(),
            Purpose::Server => KeyUsage::server_auth(),
        };
        // webpki asks about each path that it would accept; a refusal makes it go on with the next.
        let refusal = RefCell::new(None);
        let ends = Cell::new(leaf.not_after);
        let judge = |path: &VerifiedPath<'_>| match self.judge(path) {
            Ok(first_end) => {
                ends.set(leaf.not_after.min(first_end));
                Ok(())
            }
            Err(error) => {
                refusal.borrow_mut().get_or_insert(error);
                Err(PathError::UnknownIssuer)
            }
        };
        let found = end_entity.verify_for_usage(
            self.algorithms,
            self.bundle.anchors(),
            intermediates,
            unix_time(self.now),
            usage,
            None,
            Some(&judge),
        );
        match (found, refusal.take()) {
            (Ok(_), _) => Ok(ends.get()),
            (Err(_), Some(refusal)) => Err(refusal),
            (Err(error), None) => Err(self.explain(error, leaf, intermediates)),
        }
    }

    /// What webpki does not ask of a path: keyCertSign of each issuer (rule 19), the validity of the authority itself, and that
    /// it is no development authority (T28). Answers when the first certificate above the leaf ends.
    fn judge(&self, path: &VerifiedPath<'_>) -> Result<Timestamp, ProveError> {
        let authority = self.facts_of(path.anchor())?;
        self.judge_authority(authority)?;
        let mut ends = authority.not_after;
        for issuer in path.intermediate_certificates() {
            let der = issuer.der();
            let issuer = Cert::read(&der).map_err(malformed)?;
            match issuer.extensions.key_usage().map_err(malformed)? {
                Some(usage) if usage.cert_sign => ends = ends.min(issuer.not_after),
                _ => return Err(ProveError::IssuerNoCertSign),
            }
        }
        Ok(ends)
    }

    fn judge_authority(&self, authority: &Facts) -> Result<(), ProveError> {
        if authority.dev_authority && self.dev_authority == DevAuthority::Refuse {
            return Err(ProveError::DevAuthority(self.bundle.trust_domain().clone()));
        }
        let (certificate, now) = (Position::Authority, self.now);
        if now < authority.not_before {
            return Err(ProveError::NotYetValid {
                certificate,
                not_before: authority.not_before,
                now,
            });
        }
        if is_over(authority.not_after, now) {
            return Err(ProveError::Expired {
                certificate,
                not_after: authority.not_after,
                now,
            });
        }
        Ok(())
    }

    fn facts_of(&self, anchor: &TrustAnchor<'_>) -> Result<&Facts, ProveError> {
        self.bundle
            .anchors()
            .iter()
            .zip(self.bundle.facts())
            .find_map(|(held, facts)| core::ptr::eq(held, anchor).then_some(facts))
            .ok_or_else(|| ProveError::UnknownIssuer(self.bundle.trust_domain().clone()))
    }

    fn explain(
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
            PathError::InvalidSignatureForPublicKey => ProveError::BadSignature,
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
}

fn check_forks(intermediates: &[CertificateDer<'_>]) -> Result<(), ProveError> {
    if intermediates.len() <= MAX_SAME_NAME {
        return Ok(());
    }
    // What cannot be read is no candidate for webpki either.
    let names: Vec<&[u8]> = intermediates
        .iter()
        .filter_map(|der| Some(Cert::read(der).ok()?.subject))
        .collect();
    let bearers = |name| names.iter().filter(|other| **other == name).count();
    if names.iter().any(|name| bearers(*name) > MAX_SAME_NAME) {
        return Err(ProveError::TooIntricate);
    }
    Ok(())
}

/// notAfter is the last second that counts (RFC 5280 §4.1.2.5), here as in webpki.
const fn is_over(not_after: Timestamp, now: Timestamp) -> bool {
    now.as_unix_secs() > not_after.as_unix_secs()
}

fn malformed(error: crate::cert::CertError) -> ProveError {
    ProveError::Malformed(error.to_string().into())
}
