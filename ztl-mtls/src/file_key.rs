//! Keys that files are signed with: whoever may write a file need not be whom its reader believes.

use core::fmt;

use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{
    AlgorithmIdentifier, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, alg_id,
};
use thiserror::Error;

use crate::cert::CertError;
use crate::element::{BIT_STRING, Bits, Elements, SEQUENCE};
use crate::key::{self, KeyError};

/// Most keys in one text: one in force, and some that follow or go.
const MAX_KEYS: usize = 16;
/// What each kind of key signs with: the key decides, and nobody else.
const SIGNED_BY: [AlgorithmIdentifier; 3] = [
    alg_id::ED25519,
    alg_id::ECDSA_SHA256,
    alg_id::RSA_PKCS1_SHA256,
];

/// Public keys, one of which has to have signed a file: Ed25519 (RFC 8032) over its bytes; ECDSA over P-256 or P-384 (FIPS 186-5, in DER)
/// or RSA of 2048 to 8192 bits (RFC 8017 §8.2) over their SHA-256. What the key is decides which.
///
/// With OpenSSL such a signature is made by `openssl pkeyutl -sign -rawin -inkey KEY -in FILE -out FILE.sig` for Ed25519, and by
/// `openssl dgst -sha256 -sign KEY -out FILE.sig FILE` for the others.
pub struct FileKeys(Vec<FileKey>);

struct FileKey {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    key: Box<[u8]>,
}

/// Why a file is not taken to be signed, or keys cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FileKeyError {
    /// No block `PUBLIC KEY` stands in the text.
    #[error("has no block `-----BEGIN PUBLIC KEY-----`; `openssl pkey -in KEY -pubout` writes one")]
    NoKey,
    /// The text is longer, or has more keys, than is read.
    #[error("has more than 65536 bytes or 16 keys")]
    TooLarge,
    /// The text is no PEM.
    #[error("cannot be read as PEM: {0}")]
    Pem(Box<str>),
    /// A key proves nothing.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The signature is longer than any of these keys makes.
    #[error("is longer than a signature: it has to be the bare bytes that `openssl` writes")]
    NoSignature,
    /// No key made this signature of these bytes.
    #[error("was made by none of the keys, or of other bytes")]
    Signature,
}

impl From<CertError> for FileKeyError {
    fn from(error: CertError) -> Self {
        Self::Key(error.into())
    }
}

impl FileKeys {
    /// Most bytes of the text of keys: more are [`TooLarge`](FileKeyError::TooLarge). Whoever reads a file needs no more than one past it.
    pub const MAX_PEM_BYTES: usize = 64 * 1024;
    /// Most bytes of a signature: an RSA key of 8192 bits makes the longest. More are [`NoSignature`](FileKeyError::NoSignature).
    pub const MAX_SIGNATURE_BYTES: usize = 1024;

    /// Reads keys from PEM: blocks `PUBLIC KEY` (RFC 7468 §13), one or several.
    ///
    /// ```
    /// use ztl_mtls::{FileKeyError, FileKeys, provider};
    ///
    /// assert_eq!(FileKeys::from_pem(b"", &provider()).err(), Some(FileKeyError::NoKey));
    /// ```
    ///
    /// # Errors
    /// [`FileKeyError`].
    pub fn from_pem(pem: &[u8], provider: &CryptoProvider) -> Result<Self, FileKeyError> {
        if pem.len() > Self::MAX_PEM_BYTES {
            return Err(FileKeyError::TooLarge);
        }
        let mut keys = Vec::new();
        for block in SubjectPublicKeyInfoDer::pem_slice_iter(pem) {
            let spki = block.map_err(|error| FileKeyError::Pem(error.to_string().into()))?;
            if keys.len() == MAX_KEYS {
                return Err(FileKeyError::TooLarge);
            }
            keys.push(FileKey::read(&spki, provider)?);
        }
        if keys.is_empty() {
            return Err(FileKeyError::NoKey);
        }
        Ok(Self(keys))
    }

    /// Whether one of the keys signed exactly these bytes.
    ///
    /// # Errors
    /// [`FileKeyError::NoSignature`] and [`FileKeyError::Signature`].
    pub fn verify(&self, bytes: &[u8], signature: &[u8]) -> Result<(), FileKeyError> {
        if signature.len() > Self::MAX_SIGNATURE_BYTES {
            return Err(FileKeyError::NoSignature);
        }
        let signed = |key: &FileKey| {
            let verified = key.algorithm.verify_signature(&key.key, bytes, signature);
            verified.is_ok()
        };
        match self.0.iter().any(signed) {
            true => Ok(()),
            false => Err(FileKeyError::Signature),
        }
    }
}

impl FileKey {
    fn read(spki: &[u8], provider: &CryptoProvider) -> Result<Self, FileKeyError> {
        let algorithms = provider.signature_verification_algorithms.all;
        key::check(spki, algorithms)?;
        let mut fields = Elements::of_sequence(spki)?;
        let kind = fields.expect(SEQUENCE)?;
        let key = Bits::read(fields.expect(BIT_STRING)?)?;
        let of_kind = |known: &&&'static dyn SignatureVerificationAlgorithm| {
            *known.public_key_alg_id().as_ref() == *kind
                && SIGNED_BY.contains(&known.signature_alg_id())
        };
        let Some(algorithm) = algorithms.iter().find(of_kind) else {
            return Err(KeyError::Unsupported("it signs no files".into()).into());
        };
        Ok(Self {
            algorithm: *algorithm,
            key: key.octets().unwrap_or_default().into(),
        })
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileKeys({})", self.0.len())
    }
}
