//! The keys that a bundle's signature is verified with.

use core::fmt;
use core::str::FromStr;

use aws_lc_rs::hmac;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use thiserror::Error;
use ztl_core::json;

use crate::jwt::KeyError;
use crate::jwt::key::{Key, Usage};

/// What a bundle is signed with (RFC 7518 §3.1), by the names that OPA takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is its name")]
pub enum SigningAlgorithm {
    Es256,
    Es384,
    Es512,
    Hs256,
    Hs384,
    Hs512,
    Ps256,
    Ps384,
    Ps512,
    Rs256,
    Rs384,
    Rs512,
}

impl SigningAlgorithm {
    /// As `alg` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
        }
    }

    /// That of a message authentication code; none of a signature proper.
    const fn mac(self) -> Option<hmac::Algorithm> {
        match self {
            Self::Hs256 => Some(hmac::HMAC_SHA256),
            Self::Hs384 => Some(hmac::HMAC_SHA384),
            Self::Hs512 => Some(hmac::HMAC_SHA512),
            _ => None,
        }
    }
}

impl FromStr for SigningAlgorithm {
    type Err = VerificationKeyError;

    fn from_str(name: &str) -> Result<Self, VerificationKeyError> {
        const ALL: [SigningAlgorithm; 12] = [
            SigningAlgorithm::Es256,
            SigningAlgorithm::Es384,
            SigningAlgorithm::Es512,
            SigningAlgorithm::Hs256,
            SigningAlgorithm::Hs384,
            SigningAlgorithm::Hs512,
            SigningAlgorithm::Ps256,
            SigningAlgorithm::Ps384,
            SigningAlgorithm::Ps512,
            SigningAlgorithm::Rs256,
            SigningAlgorithm::Rs384,
            SigningAlgorithm::Rs512,
        ];
        ALL.into_iter()
            .find(|one| one.name() == name)
            .ok_or(VerificationKeyError::Algorithm)
    }
}

/// A key that verifies the signature of a bundle, for one algorithm, which is configured with it and read from nowhere else (rule
/// 62). Has no `Debug` of the key.
///
/// A public key and a secret are made by two functions, so that neither is ever taken for the other.
#[derive(Clone)]
pub struct VerificationKey {
    algorithm: SigningAlgorithm,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Public(Key),
    Secret(Box<hmac::Key>),
}

impl VerificationKey {
    /// A public key in PEM, one `PUBLIC KEY` section: `openssl pkey -pubin` and `openssl ec -pubout` write one.
    ///
    /// # Errors
    /// [`VerificationKeyError`]: another kind of key than the algorithm has, a secret's algorithm, or an RSA key that nobody should trust,
    /// as in a JWK: of less than 2048 or more than 8192 bits, or one that can be factored (CVE-2017-15361).
    pub fn from_pem(algorithm: SigningAlgorithm, pem: &[u8]) -> Result<Self, VerificationKeyError> {
        if algorithm.mac().is_some() {
            return Err(VerificationKeyError::NotASecret(algorithm.name()));
        }
        let mut sections = SubjectPublicKeyInfoDer::pem_slice_iter(pem);
        let (Some(Ok(key)), None) = (sections.next(), sections.next()) else {
            return Err(VerificationKeyError::Pem);
        };
        let key = Key::from_spki(algorithm.name(), &key)?;
        Ok(Self {
            algorithm,
            material: Material::Public(key.ok_or(VerificationKeyError::Kind(algorithm.name()))?),
        })
    }

    /// A public key as a JWK (RFC 7517) on P-256, P-384 or P-521, or of RSA. Its `alg` says the algorithm; RSA without `alg` is
    /// RS256.
    ///
    /// # Errors
    /// [`VerificationKeyError`]: it is malformed, weak, private, symmetric or of another kind.
    pub fn from_jwk(jwk: &[u8]) -> Result<Self, VerificationKeyError> {
        let jwk = json::object(jwk).map_err(|_| VerificationKeyError::Jwk)?;
        let key = Key::from_jwk(&serde_json::Value::Object(jwk), Usage::Tokens)?;
        let key = key.ok_or(VerificationKeyError::Jwk)?;
        Ok(Self {
            // No Edwards curve: OPA signs with none.
            algorithm: key.alg().parse()?,
            material: Material::Public(key),
        })
    }

    /// A secret that signer and verifier share. **Whoever verifies with it can sign with it.**
    ///
    /// # Errors
    /// [`VerificationKeyError`]: the algorithm is not of this kind, the secret is shorter than its digest (RFC 7518 §3.2), or it is
    /// a key in PEM, which no secret is.
    pub fn from_secret(
        algorithm: SigningAlgorithm,
        secret: &[u8],
    ) -> Result<Self, VerificationKeyError> {
        let Some(mac) = algorithm.mac() else {
            return Err(VerificationKeyError::NotPublic(algorithm.name()));
        };
        if secret.windows(11).any(|it| it == b"-----BEGIN ") {
            return Err(VerificationKeyError::PemAsSecret);
        }
        let least = mac.digest_algorithm().output_len();
        if secret.len() < least {
            return Err(VerificationKeyError::ShortSecret { least });
        }
        Ok(Self {
            algorithm,
            material: Material::Secret(Box::new(hmac::Key::new(mac, secret))),
        })
    }

    /// The algorithm that it is for.
    #[must_use]
    pub const fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &Vec<u8>) -> bool {
        match &self.material {
            Material::Public(key) => key.verifies(message, signature),
            Material::Secret(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Why a key is none to verify with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VerificationKeyError {
    /// An algorithm that no bundle is signed with.
    #[error(
        "the algorithm is none of ES256, ES384, ES512, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512"
    )]
    Algorithm,
    /// A public key for an algorithm with a secret.
    #[error("`{0}` takes a secret, no public key")]
    NotASecret(&'static str),
    /// A secret for an algorithm with a public key.
    #[error("`{0}` takes a public key, no secret")]
    NotPublic(&'static str),
    /// Not one `PUBLIC KEY` section.
    #[error(
        "the key is not PEM with one `PUBLIC KEY` section; `openssl pkey -in key.pem -pubout` writes it"
    )]
    Pem,
    /// Another kind of key than the algorithm has.
    #[error("the key is none for `{0}`: of another kind or curve, or malformed")]
    Kind(&'static str),
    /// Not a JWK of a kind that verifies.
    #[error("the key is not a JWK of an RSA, P-256, P-384 or P-521 public key")]
    Jwk,
    /// The key is weak, or as a JWK malformed, private or symmetric.
    #[error("the key is refused: {0}")]
    Refused(KeyError),
    /// A key in PEM as a secret: everybody has the public half.
    #[error("the secret is a key in PEM; give it as a public key")]
    PemAsSecret,
    /// RFC 7518 §3.2.
    #[error("the secret is shorter than {least} bytes, the length of its digest")]
    ShortSecret {
        /// The least length.
        least: usize,
    },
}

impl From<KeyError> for VerificationKeyError {
    fn from(error: KeyError) -> Self {
        Self::Refused(error)
    }
}
