//! A certificate as its bytes say it, read in place.
//!
//! webpki checks signatures, validity and paths and keeps most of a certificate to itself. This reader gives the rest: serial,
//! times, key and the few extensions that X509-SVID speaks of. It copies nothing, so that proving a peer stays cheap, and it
//! never panics: what it cannot read is an error (rule 31).

use thiserror::Error;
use ztl_core::Timestamp;

use crate::element::{BIT_STRING, Elements, INTEGER, SEQUENCE, context_around, unsigned};
use crate::extension::Extensions;

/// Most bytes of a certificate that are read. A leaf of today has fewer than two thousand.
pub const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;

/// Why bytes are no certificate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertError {
    /// There are more than [`MAX_CERTIFICATE_BYTES`].
    #[error("is longer than 65536 bytes")]
    TooLong,
    /// The bytes are not the DER of a certificate.
    #[error("is not a certificate in DER: {0}")]
    Malformed(Box<str>),
    /// An extension occurs twice (RFC 5280 §4.2).
    #[error("holds the extension {0} twice (RFC 5280 §4.2)")]
    DuplicateExtension(Box<str>),
    /// There are more than [`MAX_EXTENSIONS`](crate::MAX_EXTENSIONS) (rule 31).
    #[error("has more than 32 extensions")]
    TooManyExtensions,
}

impl CertError {
    /// A stable code for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "certificate_too_long",
            Self::Malformed(_) => "certificate_malformed",
            Self::DuplicateExtension(_) => "duplicate_extension",
            Self::TooManyExtensions => "too_many_extensions",
        }
    }

    #[cold]
    pub(crate) fn malformed(why: &str) -> Self {
        Self::Malformed(why.into())
    }

    /// What is wrong with the DER, for errors of what is no certificate.
    pub(crate) fn into_reason(self) -> Box<str> {
        match self {
            Self::Malformed(why) => why,
            other => other.to_string().into(),
        }
    }
}

/// X.509 versions that occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Without extensions: old roots.
    V1,
    /// Obsolete.
    V2,
    /// All others.
    V3,
}

/// A certificate that was read, but not verified in any way.
#[derive(Clone, Debug)]
pub(crate) struct Cert<'a> {
    pub(crate) version: Version,
    /// The octets of the INTEGER, as they stand.
    pub(crate) serial: &'a [u8],
    /// The issuer's name with tag and length.
    pub(crate) issuer: &'a [u8],
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// The subject's name with tag and length: finds issuers, names nobody (rule 16).
    pub(crate) subject: &'a [u8],
    /// SubjectPublicKeyInfo with tag and length.
    pub(crate) spki: &'a [u8],
    pub(crate) extensions: Extensions<'a>,
}

impl<'a> Cert<'a> {
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, CertError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertError::TooLong);
        }
        let mut outer = Elements::of_sequence(der)?;
        let cert = Self::read_tbs(outer.sequence()?)?;
        outer.expect(SEQUENCE)?;
        outer.expect(BIT_STRING)?;
        outer.finish()?;
        Ok(cert)
    }

    /// RFC 5280 §4.1: TBSCertificate.
    fn read_tbs(mut tbs: Elements<'a>) -> Result<Self, CertError> {
        let version = match tbs.optional(context_around(0))? {
            None => Version::V1,
            Some(version) => read_version(version)?,
        };
        let serial = tbs.expect(INTEGER)?;
        tbs.expect(SEQUENCE)?; // signature algorithm: webpki compares it with the outer one
        let issuer = tbs.expect_whole(SEQUENCE)?;
        let mut validity = tbs.sequence()?;
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        validity.finish()?;
        let subject = tbs.expect_whole(SEQUENCE)?;
        let spki = tbs.expect_whole(SEQUENCE)?;
        let extensions = if tbs.is_finished() {
            Extensions::default()
        } else {
            Extensions::read(tbs.expect(context_around(3))?)?
        };
        tbs.finish()?;
        Ok(Self {
            version,
            serial,
            issuer,
            not_before,
            not_after,
            subject,
            spki,
            extensions,
        })
    }
}

fn read_version(field: &[u8]) -> Result<Version, CertError> {
    let mut field = Elements::of(field);
    let version = unsigned(field.expect(INTEGER)?)?;
    field.finish()?;
    match version {
        [0] => Ok(Version::V1),
        [1] => Ok(Version::V2),
        [2] => Ok(Version::V3),
        _ => Err(CertError::malformed("unknown version")),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn der() -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2060, 1, 1);
        params.serial_number = Some(vec![0x01, 0x00, 0xff].into());
        let key = KeyPair::generate().expect("key");
        params
            .self_signed(&key)
            .expect("certificate")
            .der()
            .to_vec()
    }

    #[test]
    fn reads_what_the_certificate_says() {
        let der = der();
        let cert = Cert::read(&der).expect("certificate");
        assert_eq!(cert.version, Version::V3);
        assert_eq!(cert.serial, [0x01, 0x00, 0xff]);
        assert_eq!(cert.not_before.as_unix_secs(), 1_767_225_600); // UTCTime
        assert_eq!(cert.not_after.as_unix_secs(), 2_840_140_800); // GeneralizedTime
        let key = webpki::EndEntityCert::try_from(&der.as_slice().into())
            .map(|c| c.subject_public_key_info().to_vec());
        assert_eq!(key.as_deref(), Ok(cert.spki));
    }

    #[test]
    fn rule_31_every_prefix_and_every_trailing_byte_is_refused() {
        let mut der = der();
        for end in 0..der.len() {
            assert!(Cert::read(&der[..end]).is_err(), "{end}");
        }
        der.push(0);
        assert!(Cert::read(&der).is_err());
        let long = vec![0x30; MAX_CERTIFICATE_BYTES + 1];
        assert_eq!(
            Cert::read(&long).map(|c| c.version),
            Err(CertError::TooLong)
        );
    }
}
