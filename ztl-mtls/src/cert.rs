//! A certificate as its bytes say it, read in place.
//!
//! webpki checks signatures, validity and paths and keeps most of a certificate to itself. This reader gives the rest: serial,
//! times, key and the few extensions that X509-SVID speaks of. It copies nothing, so that proving a peer stays cheap, and it
//! never panics: what it cannot read is an error (rule 31).

use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use der::{Decode, Reader, SliceReader, Tag, TagMode, TagNumber, Tagged};
use thiserror::Error;
use ztl_core::Timestamp;

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
    DuplicateExtension(&'static str),
}

impl CertError {
    /// A stable code for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "certificate_too_long",
            Self::Malformed(_) => "certificate_malformed",
            Self::DuplicateExtension(_) => "duplicate_extension",
        }
    }

    pub(crate) fn malformed(why: &str) -> Self {
        Self::Malformed(why.into())
    }
}

impl From<der::Error> for CertError {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error.to_string().into())
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
        let mut input = SliceReader::new(der)?;
        let cert = input.sequence(|outer| {
            let cert = outer.sequence(Self::read_tbs)?;
            expect(outer, Tag::Sequence)?;
            expect(outer, Tag::BitString)?;
            Ok::<_, CertError>(cert)
        })?;
        input.finish()?;
        Ok(cert)
    }

    /// RFC 5280 §4.1: TBSCertificate.
    fn read_tbs(tbs: &mut SliceReader<'a>) -> Result<Self, CertError> {
        let version = match tbs.context_specific::<u8>(TagNumber(0), TagMode::Explicit)? {
            None | Some(0) => Version::V1,
            Some(1) => Version::V2,
            Some(2) => Version::V3,
            Some(_) => return Err(CertError::malformed("unknown version")),
        };
        let serial = expect(tbs, Tag::Integer)?;
        expect(tbs, Tag::Sequence)?; // signature algorithm: webpki compares it with the outer one
        let issuer = sequence(tbs, "the issuer's name is not a SEQUENCE")?;
        let (not_before, not_after) =
            tbs.sequence(|validity| Ok::<_, CertError>((time(validity)?, time(validity)?)))?;
        let subject = sequence(tbs, "the subject's name is not a SEQUENCE")?;
        let spki = sequence(tbs, "the public key is not a SEQUENCE")?;
        let extensions = if tbs.is_finished() {
            Extensions::default()
        } else {
            Extensions::read(AnyRef::decode(tbs)?)?
        };
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

/// The content of the next element, which must have this tag.
pub(crate) fn expect<'a>(reader: &mut SliceReader<'a>, tag: Tag) -> Result<&'a [u8], CertError> {
    let any = AnyRef::decode(reader)?;
    any.tag().assert_eq(tag)?;
    Ok(any.value())
}

/// The next element with tag and length, which must be a SEQUENCE.
pub(crate) fn sequence<'a>(
    reader: &mut SliceReader<'a>,
    or_else: &str,
) -> Result<&'a [u8], CertError> {
    let whole = reader.tlv_bytes()?;
    if whole.first() == Some(&0x30) {
        Ok(whole)
    } else {
        Err(CertError::malformed(or_else))
    }
}

/// RFC 5280 §4.1.2.5: UTCTime or GeneralizedTime, with seconds, in Z, without fractions.
pub(crate) fn time(reader: &mut SliceReader<'_>) -> Result<Timestamp, CertError> {
    let any = AnyRef::decode(reader)?;
    let since_epoch = match any.tag() {
        Tag::UtcTime => any.decode_as::<UtcTime>()?.to_unix_duration(),
        Tag::GeneralizedTime => any.decode_as::<GeneralizedTime>()?.to_unix_duration(),
        _ => return Err(CertError::malformed("a time is no time")),
    };
    Ok(Timestamp::from_unix_secs(since_epoch.as_secs()))
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
