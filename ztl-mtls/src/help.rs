//! How each error is mended, said to whoever issues certificates or runs the workload that was refused.

use crate::cert::CertError;
use crate::key::KeyError;
use crate::leaf::LeafError;
use crate::verify::{ProveError, Unknown};

const MALFORMED: &str =
    "look at it with `openssl x509 -text`; issue it anew with a tool that writes strict DER";
const UNKNOWN_CRITICAL: &str = "issue it without that extension, or with it not critical";

impl CertError {
    /// How it is mended.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::TooLong => "issue a smaller certificate: a leaf of today has under 2000 bytes",
            Self::Malformed(_) => MALFORMED,
            Self::DuplicateExtension(_) => "issue it anew with each extension once",
            Self::TooManyExtensions => "issue it anew with fewer extensions; seven kinds are read",
        }
    }
}

impl LeafError {
    /// How it is mended.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Certificate(error) => error.help(),
            Self::Version => "issue it anew as version 3, with a URI name",
            Self::TooManyNames(_) => "issue it anew with fewer names; one URI is all that is read",
            Self::NoUri => {
                "issue it with the URI name `spiffe://trust-domain/path`: in the subjectAltName, not in the subject"
            }
            Self::ManyUris(_) => {
                "issue one certificate for each SPIFFE ID; leave other URIs out, DNS names may stay"
            }
            Self::UriNotAscii => "issue it with an id of letters, digits, `.`, `-` and `_`",
            Self::Id(error) => error.help(),
            Self::IsAuthority => {
                "present the workload's own certificate, not its issuer's; and issue it without `CA:TRUE`"
            }
            Self::NoKeyUsage | Self::NoDigitalSignature => {
                "issue it with `keyUsage = critical, digitalSignature`"
            }
            Self::CertSign | Self::CrlSign => {
                "issue it with `keyUsage = critical, digitalSignature` and without keyCertSign and cRLSign"
            }
            Self::NoServerAuth | Self::NoClientAuth => {
                "issue it with `extendedKeyUsage = serverAuth, clientAuth`, or with none at all"
            }
            Self::UnknownCritical(_) => UNKNOWN_CRITICAL,
        }
    }
}

impl ProveError {
    /// How it is mended.
    ///
    /// ```
    /// use ztl_mtls::{LeafError, ProveError};
    ///
    /// let error = ProveError::Leaf(LeafError::NoKeyUsage);
    /// assert_eq!(error.help(), "issue it with `keyUsage = critical, digitalSignature`");
    /// ```
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::NoCertificate => "have the workload present its SVID",
            Self::ChainTooLong(_) => {
                "present the leaf and the intermediates of one path, nothing else"
            }
            Self::CertificateTooLong { .. } => CertError::TooLong.help(),
            Self::Leaf(error) => error.help(),
            Self::UnknownTrustDomain(_) => {
                "give the bundle of that trust domain, if its workloads are to be proved: federate with it"
            }
            Self::EmptyBundle(_) => "fetch the bundle again; put the domain's authorities into it",
            Self::UnknownIssuer(_) => {
                "present the intermediates with the leaf; or refresh the bundle, if the authority is a new one of that domain"
            }
            Self::Expired { .. } => {
                "rotate it, and see why it was not: is the source still delivering?"
            }
            Self::NotYetValid { .. } => {
                "set both clocks; have the issuer date certificates back by a minute"
            }
            Self::BadSignature => {
                "present the certificate of the key that signed the leaf: another of the same name is no help"
            }
            Self::UnsupportedAlgorithm => {
                "sign with ECDSA P-256 or P-384, Ed25519, or RSA of 2048 bits or more, and SHA-256 or better"
            }
            Self::IssuerNotAuthority => {
                "issue from a certificate with `basicConstraints = critical, CA:TRUE`"
            }
            Self::IssuerNoCertSign => {
                "issue from a certificate with `keyUsage = critical, keyCertSign`"
            }
            Self::PathLength => "issue from a higher authority, or raise the issuer's `pathlen`",
            Self::NameConstraint => {
                "issue it without the name, from another authority, or with wider name constraints"
            }
            Self::UriNameConstraint => {
                "take the URI name constraints out of the issuer's certificate"
            }
            Self::Purpose(_) => {
                "issue from a certificate whose extKeyUsage, if any, has both serverAuth and clientAuth"
            }
            Self::UnknownCritical => UNKNOWN_CRITICAL,
            Self::Malformed(_)
            | Self::Key {
                error: KeyError::Malformed(_),
                ..
            } => MALFORMED,
            Self::TooIntricate => {
                "present the intermediates of one path; let authorities of one name not fork"
            }
            Self::DevAuthority(_) => {
                "for production, issue from a real authority; for development, allow development authorities"
            }
            Self::Key { .. } => {
                "issue it for a key of ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits"
            }
            Self::Denied { .. } => {
                "issue it anew, for a new key, once whoever wrote the entry takes it back: the entry is the one that is quoted"
            }
            Self::Revoked { .. } => {
                "issue it anew, for a new key: what an authority revoked it does not take back"
            }
            Self::RevocationUnknown {
                why: Unknown::NotYetValid { .. },
                ..
            } => {
                "compare the clocks of this host and of the authority that made the revocation list"
            }
            Self::RevocationUnknown { .. } => {
                "put the current revocation list of its issuer in place, and see why it was not: is the authority still publishing?"
            }
            Self::CrlSignature { .. } => {
                "fetch the revocation list again from the authority that issued the certificate"
            }
            Self::CrlAlgorithm { .. } => {
                "sign revocation lists with ECDSA P-256 or P-384, Ed25519, or RSA of 2048 bits or more, and SHA-256 or better"
            }
            Self::CrlSigner { .. } => {
                "issue the authority's certificate with `keyUsage = critical, keyCertSign, cRLSign`"
            }
            Self::NoPossession => "give the workload the key that belongs to its certificate",
            Self::VerifierUsedTwice => "make a verifier for each connection",
            Self::Path(_) => "look at the chain with `openssl verify -show_chain`",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_of_the_innermost_error() {
        let leaf = LeafError::from(CertError::TooLong);
        let long = ProveError::CertificateTooLong {
            index: 1,
            len: 70_000,
        };
        assert_eq!(ProveError::from(leaf).help(), long.help());
    }
}
