//! One authority of a trust bundle: the certificate of a root, or of an intermediate that is trusted as such.

use std::sync::Arc;

use rustls_pki_types::{CertificateDer, TrustAnchor};
use thiserror::Error;
use ztl_core::Timestamp;

use crate::cert::{Cert, CertError, Version};
use crate::extension::ExtendedKeyUsage;
use crate::revocation::Named;

/// Why a certificate is none that a bundle may hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// It cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertError),
    /// It is not an authority's. A leaf in a bundle would let its holder issue SVIDs.
    #[error("has not `cA` true, so it may not issue (X509-SVID §4.1)")]
    NotAuthority,
    /// Its key may not sign certificates.
    #[error("has a keyUsage without keyCertSign, so it may not issue (X509-SVID §4.3)")]
    NoCertSign,
    /// It holds a critical extension that nobody here understands (RFC 5280 §4.2).
    #[error("holds the critical extension {0}, which is not understood here (RFC 5280 §4.2)")]
    UnknownCritical(Box<str>),
}

/// What is asked of an authority when a path ends in it; the key itself is in the anchor beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) dev_authority: bool,
    pub(crate) constrains_uris: bool,
    /// Most issuers below it that are not self-issued (RFC 5280 §4.2.1.9).
    pub(crate) path_len: Option<usize>,
    /// Which ends it may vouch for, where it says so (RFC 5280 §4.2.1.12).
    pub(crate) purposes: Option<ExtendedKeyUsage>,
    /// Whether its key may sign revocation lists (RFC 5280 §4.2.1.3).
    pub(crate) crl_sign: bool,
    /// Its key, with tag and length.
    pub(crate) spki: Box<[u8]>,
    /// How a deny list names it.
    pub(crate) named: Named,
    /// The whole certificate.
    pub(crate) der: Arc<[u8]>,
}

/// Reads an authority's certificate. Its own signature is not checked: it is trusted for standing in the bundle.
pub(crate) fn read(
    certificate: &CertificateDer<'_>,
) -> Result<(TrustAnchor<'static>, Facts), AuthorityError> {
    let cert = Cert::read(certificate)?;
    if cert.version == Version::V3 {
        if cert.extensions.is_ca()? != Some(true) {
            return Err(AuthorityError::NotAuthority);
        }
        if cert
            .extensions
            .key_usage()?
            .is_some_and(|usage| !usage.cert_sign)
        {
            return Err(AuthorityError::NoCertSign);
        }
    }
    if let Some(oid) = cert.extensions.unknown_critical() {
        return Err(AuthorityError::UnknownCritical(oid));
    }
    let anchor = webpki::anchor_from_trusted_cert(certificate)
        .map_err(|error| CertError::malformed(&error.to_string()))?;
    let facts = Facts {
        not_before: cert.not_before,
        not_after: cert.not_after,
        dev_authority: cert.extensions.is_dev_authority(),
        constrains_uris: cert.extensions.constrains_uris(),
        path_len: cert.extensions.path_len()?,
        purposes: cert.extensions.extended_key_usage()?,
        crl_sign: cert
            .extensions
            .key_usage()?
            .is_none_or(|usage| usage.crl_sign),
        spki: cert.spki.into(),
        named: Named::of(&cert),
        der: certificate.as_ref().into(),
    };
    Ok((anchor.to_owned(), facts))
}
