//! What a certificate must say to be the leaf of an X.509-SVID: X509-SVID §2 to §5, and SPIFFE-ID §2.
//!
//! 1. Version 3, at most 64 KiB, strict DER, no extension that is read twice, at most 256 names.
//! 2. Exactly one URI name, a SPIFFE ID with a path. Other kinds of names are allowed and read past; common name, DNS name and
//!    e-mail address are never an identity (rules 16 to 18).
//! 3. `cA` is not true. basicConstraints may be missing: RFC 5280 §4.2.1.9 asks for it in authorities only, issuers in use leave
//!    it out, and `cA` is then false, which is all that X509-SVID §5.2 lets a verifier ask (rule 19).
//! 4. keyUsage is there, with digitalSignature, without keyCertSign and cRLSign. That it is marked critical is asked of issuers,
//!    not of verifiers (§4.3, §5.2; rule 19).
//! 5. extKeyUsage, where it is there, names both serverAuth and clientAuth (§4.4; rule 19).
//! 6. No critical extension is there that nobody here understands (RFC 5280 §4.2).

use core::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;
use ztl_core::{IdError, SpiffeId, Timestamp};

use crate::cert::{Cert, CertError, Version};
use crate::fingerprint::Fingerprint;

/// Most names of any kind in a leaf. Each is compared with each name constraint of its issuers.
pub const MAX_NAMES: usize = 256;

/// Which clause a certificate breaks, so that it is no leaf of an X.509-SVID.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LeafError {
    /// It cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertError),
    /// It is older than version 3, so it has no extensions.
    #[error("is not of version 3, so it cannot hold a SPIFFE ID")]
    Version,
    /// It has more names than [`MAX_NAMES`] (rule 31).
    #[error("has {0} names; at most 256 are read")]
    TooManyNames(usize),
    /// It has no URI name.
    #[error(
        "has no URI name, so it names nobody: common and DNS names are no identity (X509-SVID §2)"
    )]
    NoUri,
    /// It has more than one URI name.
    #[error("has {0} URI names where one is allowed (X509-SVID §2)")]
    ManyUris(usize),
    /// Its URI name is not text.
    #[error("has a URI name that is not ASCII (SPIFFE-ID §2)")]
    UriNotAscii,
    /// Its URI name is no SPIFFE ID of a workload.
    #[error("has a URI name that {0}")]
    Id(IdError),
    /// It is an authority's.
    #[error("has `cA` true: the certificate of an authority never authenticates (X509-SVID §5.2)")]
    IsAuthority,
    /// It does not say what its key is for.
    #[error("has no keyUsage (X509-SVID §4.3)")]
    NoKeyUsage,
    /// Its key may not sign a handshake.
    #[error("has a keyUsage without digitalSignature (X509-SVID §4.3)")]
    NoDigitalSignature,
    /// Its key may sign certificates.
    #[error("has a keyUsage with keyCertSign (X509-SVID §5.2)")]
    CertSign,
    /// Its key may sign revocation lists.
    #[error("has a keyUsage with cRLSign (X509-SVID §5.2)")]
    CrlSign,
    /// It is not for servers.
    #[error("has an extKeyUsage without serverAuth (X509-SVID §4.4)")]
    NoServerAuth,
    /// It is not for clients.
    #[error("has an extKeyUsage without clientAuth (X509-SVID §4.4)")]
    NoClientAuth,
    /// It holds a critical extension that nobody here understands.
    #[error("holds the critical extension {0}, which is not understood here (RFC 5280 §4.2)")]
    UnknownCritical(Box<str>),
}

impl LeafError {
    /// A stable code for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Certificate(error) => error.code(),
            Self::Version => "leaf_version",
            Self::TooManyNames(_) => "leaf_too_many_names",
            Self::NoUri => "leaf_no_uri",
            Self::ManyUris(_) => "leaf_many_uris",
            Self::UriNotAscii => "leaf_uri_not_ascii",
            Self::Id(_) => "leaf_id",
            Self::IsAuthority => "leaf_is_authority",
            Self::NoKeyUsage => "leaf_no_key_usage",
            Self::NoDigitalSignature => "leaf_no_digital_signature",
            Self::CertSign => "leaf_cert_sign",
            Self::CrlSign => "leaf_crl_sign",
            Self::NoServerAuth => "leaf_no_server_auth",
            Self::NoClientAuth => "leaf_no_client_auth",
            Self::UnknownCritical(_) => "unknown_critical",
        }
    }
}

/// Reads a leaf and checks the clauses above. Nothing is said about who signed it, nor when.
pub(crate) fn check(der: &[u8]) -> Result<(Cert<'_>, SpiffeId), LeafError> {
    let cert = Cert::read(der)?;
    if cert.version != Version::V3 {
        return Err(LeafError::Version);
    }
    let names = cert.extensions.names()?;
    if names.all > MAX_NAMES {
        return Err(LeafError::TooManyNames(names.all));
    }
    let id = match names.uris {
        0 => return Err(LeafError::NoUri),
        1 => id_of(names.last_uri)?,
        count => return Err(LeafError::ManyUris(count)),
    };
    if cert.extensions.is_ca()? == Some(true) {
        return Err(LeafError::IsAuthority);
    }
    let usage = cert.extensions.key_usage()?.ok_or(LeafError::NoKeyUsage)?;
    if usage.cert_sign {
        return Err(LeafError::CertSign);
    }
    if usage.crl_sign {
        return Err(LeafError::CrlSign);
    }
    if !usage.digital_signature {
        return Err(LeafError::NoDigitalSignature);
    }
    if let Some(usage) = cert.extensions.extended_key_usage()? {
        if !usage.server_auth {
            return Err(LeafError::NoServerAuth);
        }
        if !usage.client_auth {
            return Err(LeafError::NoClientAuth);
        }
    }
    if let Some(oid) = cert.extensions.unknown_critical() {
        return Err(LeafError::UnknownCritical(oid));
    }
    Ok((cert, id))
}

/// The octets are compared as they stand: no decoding, no folding, no end at a NUL (rules 17, 18).
fn id_of(uri: &[u8]) -> Result<SpiffeId, LeafError> {
    match core::str::from_utf8(uri) {
        Ok(text) if text.is_ascii() => SpiffeId::parse_workload(text).map_err(LeafError::Id),
        _ => Err(LeafError::UriNotAscii),
    }
}

/// The leaf of an X.509-SVID, read and in form. **It is not proved**: anybody can write one.
///
/// For tools that show what a file holds; proving is [`Prover::prove`](crate::Prover::prove).
#[derive(Clone, PartialEq, Eq)]
pub struct Leaf {
    id: SpiffeId,
    serial: Box<[u8]>,
    not_before: Timestamp,
    not_after: Timestamp,
    sha256: [u8; 32],
    key: Fingerprint,
}

impl Leaf {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`LeafError`] names the clause it breaks.
    pub fn read(der: &[u8]) -> Result<Self, LeafError> {
        let (cert, id) = check(der)?;
        Ok(Self {
            id,
            serial: cert.serial.into(),
            not_before: cert.not_before,
            not_after: cert.not_after,
            sha256: Sha256::digest(der).into(),
            key: Fingerprint::of_spki(cert.spki),
        })
    }

    /// Whom it names.
    #[must_use]
    pub const fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// Its serial number, big-endian, as it stands.
    #[must_use]
    pub const fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// From when on it is valid.
    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Until when it is valid.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// SHA-256 of the certificate.
    #[must_use]
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// The fingerprint of its public key.
    #[must_use]
    pub const fn key(&self) -> Fingerprint {
        self.key
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("id", &self.id)
            .field("not_after", &self.not_after)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_17_and_18_the_octets_of_the_uri_are_the_id() {
        assert_eq!(
            id_of(b"spiffe://td/a").map(|id| id.to_string()),
            Ok("spiffe://td/a".to_owned())
        );
        assert_eq!(
            id_of(b"spiffe://td/a\0.evil"),
            Err(LeafError::Id(IdError::PathChar))
        );
        assert_eq!(id_of(b"spiffe://td"), Err(LeafError::Id(IdError::NoPath)));
        assert_eq!(id_of(b"https://td/a"), Err(LeafError::Id(IdError::Scheme)));
        assert_eq!(
            id_of("spiffe://td/\u{e9}".as_bytes()),
            Err(LeafError::UriNotAscii)
        );
        assert_eq!(id_of(b"spiffe://td/\xff"), Err(LeafError::UriNotAscii));
    }
}
