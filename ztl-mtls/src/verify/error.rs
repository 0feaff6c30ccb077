//! Why a peer is not proved.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use ::rustls::{CertificateError, OtherError};
use rustls_pki_types::UnixTime;
use thiserror::Error;
use ztl_core::{Reason, Timestamp, TrustDomain};

use crate::key::KeyError;
use crate::leaf::LeafError;
use crate::revocation::Denied;

/// Which certificate of a path is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// The peer's own.
    Leaf,
    /// One between leaf and bundle.
    Intermediate,
    /// One of the bundle.
    Authority,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leaf => "the leaf",
            Self::Intermediate => "an intermediate certificate",
            Self::Authority => "the authority's certificate",
        })
    }
}

/// Why the status of a certificate is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unknown {
    /// There is no revocation list of its issuer.
    #[error("there is no revocation list of its issuer; add one, or write `UnknownStatus::Allow`")]
    NoCrl,
    /// There are some, for other certificates of its issuer.
    #[error(
        "no revocation list of its issuer covers it: their issuingDistributionPoint is none that it names (RFC 5280 §6.3.3)"
    )]
    Scope,
    /// It has not begun.
    #[error(
        "the revocation list of its issuer begins at {this_update}, and it is {now}: compare the clocks"
    )]
    NotYetValid {
        /// When it begins.
        this_update: Timestamp,
        /// When it was judged.
        now: Timestamp,
    },
    /// The next one is overdue (T25).
    #[error(
        "the revocation list of its issuer was to be replaced by {next_update}, and it is {now}"
    )]
    Expired {
        /// When the next one was due.
        next_update: Timestamp,
        /// When it was judged.
        now: Timestamp,
    },
}

/// Why a peer is not proved. Each names the clause that failed; none of them is ever read as success (rule 25).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProveError {
    /// There is no certificate at all.
    #[error("the peer sent no certificate")]
    NoCertificate,
    /// There are more certificates than [`MAX_CHAIN`](crate::MAX_CHAIN) (rule 31).
    #[error("the peer sent {0} certificates; at most 16 are read")]
    ChainTooLong(usize),
    /// A certificate is longer than [`MAX_CERTIFICATE_BYTES`](crate::MAX_CERTIFICATE_BYTES) (rule 31).
    #[error("certificate {index} of the peer's chain has {len} bytes; at most 65536 are read")]
    CertificateTooLong {
        /// Its place, the leaf's being 0.
        index: usize,
        /// Its length.
        len: usize,
    },
    /// The leaf breaks a clause of X509-SVID.
    #[error("the leaf {0}")]
    Leaf(LeafError),
    /// Nobody told us of that trust domain (rule 20).
    #[error("no bundle is held for the trust domain `{0}` that the leaf names")]
    UnknownTrustDomain(TrustDomain),
    /// Its bundle holds no authority, so its SVIDs are invalid (rule 21).
    #[error("the bundle of the trust domain `{0}` holds no authority, so its SVIDs prove nothing")]
    EmptyBundle(TrustDomain),
    /// No authority of the leaf's own trust domain issued it (rule 20).
    #[error("no path leads from the leaf to an authority of its own trust domain `{0}`")]
    UnknownIssuer(TrustDomain),
    /// A certificate has ended.
    #[error("{certificate} ended at {not_after}, and it is {now}")]
    Expired {
        /// Which.
        certificate: Position,
        /// Its last second.
        not_after: Timestamp,
        /// When it was judged.
        now: Timestamp,
    },
    /// A certificate has not begun.
    #[error("{certificate} begins at {not_before}, and it is {now}: compare the clocks")]
    NotYetValid {
        /// Which.
        certificate: Position,
        /// Its first second.
        not_before: Timestamp,
        /// When it was judged.
        now: Timestamp,
    },
    /// A signature in the path is wrong.
    #[error("a certificate of the path bears a signature that its issuer's key did not make")]
    BadSignature,
    /// A certificate is signed in a way that the crypto provider does not accept.
    #[error("a certificate of the path is signed with an algorithm that is not accepted")]
    UnsupportedAlgorithm,
    /// Something that is no authority issued a certificate of the path.
    #[error("a certificate of the path was issued by one without `cA` (X509-SVID §4.1)")]
    IssuerNotAuthority,
    /// An issuer's key may not sign certificates (rule 19).
    #[error("a certificate of the path was issued by one without keyCertSign (X509-SVID §4.3)")]
    IssuerNoCertSign,
    /// There are more issuers below an authority than it allows.
    #[error("the path is longer than its pathLenConstraint allows (RFC 5280 §4.2.1.9)")]
    PathLength,
    /// A name of the chain is outside what an issuer may name.
    #[error("a name is outside the name constraints of its issuer (RFC 5280 §4.2.1.10)")]
    NameConstraint,
    /// An issuer constrains URIs, which is not supported: no SPIFFE ID passes such an issuer.
    #[error(
        "an issuer constrains URI names; URI name constraints are not supported, so it can vouch for no SPIFFE ID"
    )]
    UriNameConstraint,
    /// An issuer's extended key usage does not cover this end of TLS.
    #[error("an issuer's extKeyUsage does not cover TLS {0} authentication (RFC 5280 §4.2.1.12)")]
    Purpose(&'static str),
    /// An issuer's certificate holds a critical extension that nobody here understands; of the leaf's
    /// [`LeafError::UnknownCritical`] tells.
    #[error(
        "a certificate of the path holds a critical extension that is not understood here (RFC 5280 §4.2)"
    )]
    UnknownCritical,
    /// A certificate of the path is damaged, or of a form that is not read.
    #[error("a certificate of the path is malformed: {0}")]
    Malformed(Box<str>),
    /// The search for a path was given up (rule 31).
    #[error("the chain is too intricate: the search for a path was given up")]
    TooIntricate,
    /// The path ends in a development authority (T28).
    #[error(
        "the path ends in a development authority of `{0}`, which proves nobody here: take it out of the bundle, or build with \
         the feature `dev-ca` and call `allow_dev_authority`"
    )]
    DevAuthority(TrustDomain),
    /// A certificate's key is too weak, or of no kind that the crypto provider verifies with.
    #[error("{certificate} {error}")]
    Key {
        /// Which.
        certificate: Position,
        /// What is wrong with its key.
        error: KeyError,
    },
    /// A deny list names the peer, or a certificate of its path (T25).
    #[error("{certificate} is denied: the deny list has `{denied}`")]
    Denied {
        /// Which certificate is named.
        certificate: Position,
        /// The entry.
        denied: Denied,
    },
    /// The issuer of a certificate revoked it (RFC 5280 §5).
    #[error("{certificate} with the serial number {serial} was revoked by its issuer")]
    Revoked {
        /// Which.
        certificate: Position,
        /// Its serial number in hexadecimal.
        serial: Box<str>,
    },
    /// Nothing says whether a certificate is revoked, and [`UnknownStatus::Deny`](crate::UnknownStatus::Deny) is in force.
    #[error("whether {certificate} is revoked cannot be told: {why}")]
    RevocationUnknown {
        /// Which.
        certificate: Position,
        /// What is missing.
        why: Unknown,
    },
    /// A revocation list bears the name of a certificate's issuer, whose key did not sign it.
    #[error(
        "the revocation list for {certificate} bears the name of its issuer, but a signature that the issuer's key did not make"
    )]
    CrlSignature {
        /// The certificate whose status is asked for.
        certificate: Position,
    },
    /// A revocation list is signed in a way that the crypto provider does not accept.
    #[error(
        "the revocation list for {certificate} is signed with an algorithm that is not accepted"
    )]
    CrlAlgorithm {
        /// The certificate whose status is asked for.
        certificate: Position,
    },
    /// An issuer signed a revocation list, but its key may not.
    #[error(
        "the revocation list for {certificate} was signed by a key without cRLSign (RFC 5280 §4.2.1.3)"
    )]
    CrlSigner {
        /// The certificate whose status is asked for.
        certificate: Position,
    },
    /// The peer does not hold the leaf's key.
    #[error("the peer did not sign the handshake with the leaf's key")]
    NoPossession,
    /// A verifier was used for a second connection; each judges one.
    #[error("the verifier has judged a connection before: make one a connection")]
    VerifierUsedTwice,
    /// Path building failed in a way that has no name here.
    #[error("no valid path: {0}")]
    Path(Box<str>),
}

impl From<LeafError> for ProveError {
    fn from(error: LeafError) -> Self {
        Self::Leaf(error)
    }
}

impl ProveError {
    /// A stable code for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::ChainTooLong(_) => "chain_too_long",
            Self::CertificateTooLong { .. } => "certificate_too_long",
            Self::Leaf(error) => error.code(),
            Self::UnknownTrustDomain(_) => "unknown_trust_domain",
            Self::EmptyBundle(_) => "empty_bundle",
            Self::UnknownIssuer(_) => "unknown_issuer",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::BadSignature => "bad_signature",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::IssuerNotAuthority => "issuer_not_authority",
            Self::IssuerNoCertSign => "issuer_no_cert_sign",
            Self::PathLength => "path_length",
            Self::NameConstraint => "name_constraint",
            Self::UriNameConstraint => "uri_name_constraint",
            Self::Purpose(_) => "purpose",
            Self::UnknownCritical => "unknown_critical",
            Self::Malformed(_) => "malformed",
            Self::TooIntricate => "too_intricate",
            Self::DevAuthority(_) => "dev_authority",
            Self::Key { error, .. } => error.code(),
            Self::Denied { denied, .. } => match denied {
                Denied::Id(_) => "denied_id",
                Denied::Key(_) => "denied_key",
                Denied::Serial(_) => "denied_serial",
            },
            Self::Revoked { .. } => "revoked",
            Self::RevocationUnknown { why, .. } => match why {
                Unknown::Expired { .. } => "crl_expired",
                Unknown::NotYetValid { .. } => "crl_not_yet_valid",
                Unknown::NoCrl | Unknown::Scope => "revocation_unknown",
            },
            Self::CrlSignature { .. } => "crl_bad_signature",
            Self::CrlAlgorithm { .. } => "crl_unsupported_algorithm",
            Self::CrlSigner { .. } => "crl_signer",
            Self::NoPossession => "no_possession",
            Self::VerifierUsedTwice => "verifier_used_twice",
            Self::Path(_) => "path",
        }
    }

    /// Whether the peer was proved but for this: somebody took its proof back, or it cannot be told that nobody did.
    #[must_use]
    pub const fn is_revocation(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. }
                | Self::Revoked { .. }
                | Self::RevocationUnknown { .. }
                | Self::CrlSignature { .. }
                | Self::CrlAlgorithm { .. }
                | Self::CrlSigner { .. }
        )
    }

    /// The reason under which a decision records it. All three are of the stage identity.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Expired { .. } => Reason::IdentityExpired,
            error if error.is_revocation() => Reason::IdentityRevoked,
            _ => Reason::IdentityUnproven,
        }
    }

    /// What rustls is told, and so the alert that the peer sees (RFC 8446 §6.2).
    pub(crate) fn to_certificate_error(&self) -> CertificateError {
        match self {
            Self::Expired { not_after, now, .. } => CertificateError::ExpiredContext {
                time: unix_time(*now),
                not_after: unix_time(*not_after),
            },
            Self::NotYetValid {
                not_before, now, ..
            } => CertificateError::NotValidYetContext {
                time: unix_time(*now),
                not_before: unix_time(*not_before),
            },
            Self::UnknownTrustDomain(_)
            | Self::EmptyBundle(_)
            | Self::UnknownIssuer(_)
            | Self::DevAuthority(_) => CertificateError::UnknownIssuer,
            Self::Denied { .. } | Self::Revoked { .. } => CertificateError::Revoked,
            Self::RevocationUnknown {
                why: Unknown::Expired { next_update, now },
                ..
            } => CertificateError::ExpiredRevocationListContext {
                time: unix_time(*now),
                next_update: unix_time(*next_update),
            },
            Self::RevocationUnknown { .. }
            | Self::CrlSignature { .. }
            | Self::CrlAlgorithm { .. }
            | Self::CrlSigner { .. } => CertificateError::UnknownRevocationStatus,
            Self::BadSignature | Self::NoPossession => CertificateError::BadSignature,
            Self::Purpose(_) => CertificateError::InvalidPurpose,
            Self::UnknownCritical | Self::Leaf(LeafError::UnknownCritical(_)) => {
                CertificateError::UnhandledCriticalExtension
            }
            Self::Malformed(_) | Self::Leaf(LeafError::Certificate(_)) => {
                CertificateError::BadEncoding
            }
            _ => CertificateError::Other(OtherError(Arc::new(self.clone()))),
        }
    }
}

pub(crate) fn unix_time(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(at.as_unix_secs()))
}

pub(crate) const fn timestamp(at: UnixTime) -> Timestamp {
    Timestamp::from_unix_secs(at.as_secs())
}

#[cfg(test)]
mod tests {
    use ::rustls::AlertDescription as Alert;
    use ztl_core::IdError;

    use super::*;
    use crate::cert::CertError;

    #[test]
    fn each_error_has_its_alert() {
        let domain = || TrustDomain::parse("a.test").expect("domain");
        let (certificate, now) = (Position::Leaf, Timestamp::EPOCH);
        let alerts = [
            (ProveError::UnknownIssuer(domain()), Alert::UnknownCA),
            (ProveError::UnknownTrustDomain(domain()), Alert::UnknownCA),
            (ProveError::EmptyBundle(domain()), Alert::UnknownCA),
            (ProveError::DevAuthority(domain()), Alert::UnknownCA),
            (
                ProveError::Expired {
                    certificate,
                    not_after: now,
                    now,
                },
                Alert::CertificateExpired,
            ),
            (
                ProveError::NotYetValid {
                    certificate,
                    not_before: now,
                    now,
                },
                Alert::CertificateExpired,
            ),
            (
                ProveError::Revoked {
                    certificate,
                    serial: "01".into(),
                },
                Alert::CertificateRevoked,
            ),
            (
                ProveError::Denied {
                    certificate,
                    denied: "id spiffe://a.test/x".parse().expect("entry"),
                },
                Alert::CertificateRevoked,
            ),
            (
                ProveError::RevocationUnknown {
                    certificate,
                    why: Unknown::NoCrl,
                },
                Alert::UnknownCA,
            ),
            (
                ProveError::RevocationUnknown {
                    certificate,
                    why: Unknown::Expired {
                        next_update: now,
                        now,
                    },
                },
                Alert::UnknownCA,
            ),
            (ProveError::CrlSignature { certificate }, Alert::UnknownCA),
            (
                ProveError::Key {
                    certificate,
                    error: KeyError::RsaShort(1024),
                },
                Alert::CertificateUnknown,
            ),
            (ProveError::BadSignature, Alert::DecryptError),
            (ProveError::NoPossession, Alert::DecryptError),
            (ProveError::Malformed("x".into()), Alert::BadCertificate),
            (
                ProveError::Leaf(CertError::TooLong.into()),
                Alert::BadCertificate,
            ),
            (ProveError::Purpose("client"), Alert::UnsupportedCertificate),
            (ProveError::UnknownCritical, Alert::BadCertificate),
            (
                ProveError::Leaf(LeafError::UnknownCritical("1.2.3".into())),
                Alert::BadCertificate,
            ),
            (
                ProveError::Leaf(LeafError::Id(IdError::NoPath)),
                Alert::CertificateUnknown,
            ),
            (ProveError::ChainTooLong(17), Alert::CertificateUnknown),
            (ProveError::VerifierUsedTwice, Alert::CertificateUnknown),
        ];
        for (error, alert) in alerts {
            assert_eq!(Alert::from(error.to_certificate_error()), alert, "{error}");
        }
    }

    #[test]
    fn an_error_says_what_where_and_when() {
        let expired = ProveError::Expired {
            certificate: Position::Intermediate,
            not_after: Timestamp::from_unix_secs(10),
            now: Timestamp::from_unix_secs(11),
        };
        assert_eq!(
            expired.to_string(),
            "an intermediate certificate ended at 1970-01-01T00:00:10Z, and it is 1970-01-01T00:00:11Z"
        );
        let leaf = ProveError::Leaf(LeafError::Id(IdError::NoPath)).to_string();
        assert!(
            leaf.starts_with("the leaf has a URI name that has no path"),
            "{leaf}"
        );
    }
}
