//! Which clause of which specification each error speaks of, for programs and for whoever has to mend a certificate.
//!
//! Where no specification of others says it, the clause is a rule or a threat of ours, as `docs/rules.md` and
//! `docs/threat-model.md` number them.

use ztl_core::IdError;

use crate::cert::CertError;
use crate::leaf::LeafError;
use crate::verify::ProveError;

/// A bound on what is read.
const BOUNDS: &str = "rule 31";
/// What is critical is understood, or refuses.
const UNKNOWN_CRITICAL: &str = "RFC 5280 §4.2";

impl CertError {
    /// The clause that is broken, such as `RFC 5280 §4.2`.
    #[must_use]
    pub const fn clause(&self) -> &'static str {
        match self {
            Self::TooLong | Self::TooManyExtensions => BOUNDS,
            Self::Malformed(_) => "RFC 5280 §4.1",
            Self::DuplicateExtension(_) => "RFC 5280 §4.2",
        }
    }
}

impl LeafError {
    /// The clause that is broken, such as `X509-SVID §5.2`.
    #[must_use]
    pub const fn clause(&self) -> &'static str {
        match self {
            Self::Certificate(error) => error.clause(),
            Self::Version => "RFC 5280 §4.1.2.1",
            Self::TooManyNames(_) => BOUNDS,
            Self::NoUri | Self::ManyUris(_) => "X509-SVID §2",
            Self::UriNotAscii => "SPIFFE-ID §2",
            Self::Id(error) => of_id(*error),
            Self::IsAuthority | Self::CertSign | Self::CrlSign => "X509-SVID §5.2",
            Self::NoKeyUsage | Self::NoDigitalSignature => "X509-SVID §4.3",
            Self::NoServerAuth | Self::NoClientAuth => "X509-SVID §4.4",
            Self::UnknownCritical(_) => UNKNOWN_CRITICAL,
        }
    }
}

impl ProveError {
    /// The clause that is broken, such as `RFC 5280 §4.2.1.9`.
    ///
    /// ```
    /// use ztl_mtls::ProveError;
    ///
    /// assert_eq!(ProveError::UriNameConstraint.clause(), "X509-SVID §4.2");
    /// ```
    #[must_use]
    pub const fn clause(&self) -> &'static str {
        match self {
            Self::NoCertificate => "RFC 8446 §4.4.2",
            Self::ChainTooLong(_) | Self::CertificateTooLong { .. } | Self::TooIntricate => BOUNDS,
            Self::Leaf(error) => error.clause(),
            Self::UnknownTrustDomain(_) => "SPIFFE Federation §7.3",
            Self::EmptyBundle(_) => "SPIFFE Bundle §4.1.3",
            Self::UnknownIssuer(_) => "X509-SVID §5.1",
            Self::Expired { .. } | Self::NotYetValid { .. } => "RFC 5280 §4.1.2.5",
            Self::BadSignature => "RFC 5280 §6.1.3",
            Self::UnsupportedAlgorithm => "RFC 5280 §4.1.1.2",
            Self::IssuerNotAuthority => "X509-SVID §4.1",
            Self::IssuerNoCertSign => "X509-SVID §4.3",
            Self::PathLength => "RFC 5280 §4.2.1.9",
            Self::NameConstraint => "RFC 5280 §4.2.1.10",
            Self::UriNameConstraint => "X509-SVID §4.2",
            Self::Purpose(_) => "RFC 5280 §4.2.1.12",
            Self::UnknownCritical => UNKNOWN_CRITICAL,
            Self::Malformed(_) => "RFC 5280 §4.1",
            Self::DevAuthority(_) => "T28",
            Self::Key { .. } => "RFC 5280 §4.1.2.7",
            Self::Denied { .. } => "T25",
            Self::Revoked { .. } | Self::RevocationUnknown { .. } => "RFC 5280 §6.3.3",
            Self::CrlSignature { .. } | Self::CrlAlgorithm { .. } => "RFC 5280 §5.1.1.3",
            Self::CrlSigner { .. } => "RFC 5280 §4.2.1.3",
            Self::NoPossession => "RFC 8446 §4.4.3",
            Self::VerifierUsedTwice => "rule 26",
            Self::Path(_) => "RFC 5280 §6.1",
        }
    }
}

const fn of_id(error: IdError) -> &'static str {
    match error {
        IdError::NoTrustDomain | IdError::TrustDomainTooLong | IdError::TrustDomainChar => {
            "SPIFFE-ID §2.1"
        }
        IdError::TrailingSlash
        | IdError::EmptySegment
        | IdError::DotSegment
        | IdError::PathChar => "SPIFFE-ID §2.2",
        IdError::TooLong => "SPIFFE-ID §2.3",
        IdError::NoPath => "X509-SVID §5.2",
        _ => "SPIFFE-ID §2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clause_is_that_of_the_innermost_error() {
        let id = |error| ProveError::Leaf(LeafError::Id(error)).clause();
        assert_eq!(id(IdError::NoPath), "X509-SVID §5.2");
        assert_eq!(id(IdError::TrustDomainChar), "SPIFFE-ID §2.1");
        assert_eq!(id(IdError::DotSegment), "SPIFFE-ID §2.2");
        assert_eq!(id(IdError::TooLong), "SPIFFE-ID §2.3");
        assert_eq!(id(IdError::Scheme), "SPIFFE-ID §2");
        let leaf = LeafError::from(CertError::DuplicateExtension("keyUsage".into()));
        assert_eq!(ProveError::from(leaf).clause(), "RFC 5280 §4.2");
    }
}
