//! Which public keys are strong enough to prove anything.

use der::asn1::ObjectIdentifier;
use rustls_pki_types::SignatureVerificationAlgorithm;
use thiserror::Error;

use crate::cert::CertError;
use crate::element::{BIT_STRING, Bits, Elements, INTEGER, OBJECT_IDENTIFIER, SEQUENCE, unsigned};

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]; // 1.2.840.113549.1.1.1

/// Fewest bits of an RSA modulus (NIST SP 800-131A).
pub(crate) const MIN_RSA_BITS: usize = 2048;
/// Most bits of an RSA modulus: a longer one makes each signature dear to check.
pub(crate) const MAX_RSA_BITS: usize = 8192;

/// Why a public key proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// An RSA modulus is too short.
    #[error("has an RSA key of {0} bits; at least 2048 are needed")]
    RsaShort(usize),
    /// An RSA modulus is too long.
    #[error("has an RSA key of {0} bits; at most 8192 are taken")]
    RsaLong(usize),
    /// The crypto provider verifies with no such key: an unknown algorithm or curve.
    #[error("has a key of a kind that is not accepted: {0}")]
    Unsupported(Box<str>),
    /// The key cannot be read.
    #[error("has a key that is malformed: {0}")]
    Malformed(Box<str>),
}

impl KeyError {
    /// A stable code for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RsaShort(_) => "weak_key",
            Self::RsaLong(_) => "key_too_long",
            Self::Unsupported(_) => "unsupported_key",
            Self::Malformed(_) => "malformed",
        }
    }
}

impl From<CertError> for KeyError {
    fn from(error: CertError) -> Self {
        Self::Malformed(error.into_reason())
    }
}

/// Checks a SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7): a kind that one of these algorithms verifies with, and long enough.
pub(crate) fn check(
    spki: &[u8],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<(), KeyError> {
    let mut fields = Elements::of_sequence(spki)?;
    let algorithm = fields.expect(SEQUENCE)?;
    let key = Bits::read(fields.expect(BIT_STRING)?)?;
    fields.finish()?;
    if !algorithms
        .iter()
        .any(|known| *known.public_key_alg_id().as_ref() == *algorithm)
    {
        return Err(KeyError::Unsupported(name_of(algorithm)?));
    }
    if algorithm_of(algorithm)? == RSA {
        check_rsa(key.octets().unwrap_or_default())?;
    }
    Ok(())
}

/// RFC 8017 §A.1.1: `SEQUENCE { modulus INTEGER, publicExponent INTEGER }`.
fn check_rsa(key: &[u8]) -> Result<(), KeyError> {
    let mut fields = Elements::of_sequence(key)?;
    let octets = unsigned(fields.expect(INTEGER)?)?;
    unsigned(fields.expect(INTEGER)?)?; // publicExponent: the provider refuses what is out of range
    fields.finish()?;
    let unused = octets.first().map_or(0, |octet| octet.leading_zeros());
    let bits = octets
        .len()
        .saturating_mul(8)
        .saturating_sub(usize::try_from(unused).unwrap_or(usize::MAX));
    match bits {
        0..MIN_RSA_BITS => Err(KeyError::RsaShort(bits)),
        MIN_RSA_BITS..=MAX_RSA_BITS => Ok(()),
        _ => Err(KeyError::RsaLong(bits)),
    }
}

fn algorithm_of(identifier: &[u8]) -> Result<&[u8], CertError> {
    Elements::of(identifier).expect(OBJECT_IDENTIFIER)
}

/// The algorithm's OID, and that of its curve where it has one.
fn name_of(identifier: &[u8]) -> Result<Box<str>, KeyError> {
    let oid = |octets| {
        ObjectIdentifier::from_bytes(octets)
            .map_err(|error| KeyError::Malformed(error.to_string().into()))
    };
    let mut fields = Elements::of(identifier);
    let algorithm = oid(fields.expect(OBJECT_IDENTIFIER)?)?;
    let curve = fields.optional(OBJECT_IDENTIFIER)?;
    Ok(match curve.and_then(|curve| oid(curve).ok()) {
        Some(curve) => format!("{algorithm} with {curve}").into(),
        None => algorithm.to_string().into(),
    })
}
