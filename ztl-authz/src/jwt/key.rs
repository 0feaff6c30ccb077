//! One key of a set, with the one algorithm that it is for.

use aws_lc_rs::digest::{Context, SHA256};
#[cfg(feature = "bundle")]
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};
use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::rsa;

/// Why a key refuses its whole set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is not an object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// A member is missing or malformed.
    #[error("`{0}` is missing or malformed (RFC 7517, RFC 7518 §6)")]
    Member(&'static str),
    /// It has a private or symmetric part, which is published with it (RFC 7517 §9.2, §9.3).
    #[error(
        "it holds a private key or a shared secret (`{0}`): whoever read this set can sign; withdraw the key and publish public parts only, of which a symmetric key has none"
    )]
    Private(&'static str),
    /// RFC 7518 §3.3.
    #[error("its RSA modulus has {bits} bits; at least 2048 are needed")]
    RsaTooShort {
        /// The length found.
        bits: usize,
    },
    /// Costly without being of use.
    #[error("its RSA modulus has {bits} bits; at most 8192 are read")]
    RsaTooLong {
        /// The length found.
        bits: usize,
    },
    /// RFC 8017 §3.1.
    #[error("its RSA exponent is not an odd number of 2 to 33 bits")]
    RsaExponent,
    /// Even, or made by the library of CVE-2017-15361.
    #[error("its RSA modulus can be factored (CVE-2017-15361); make a new key")]
    RsaWeak,
}

/// Which key a signature was verified with: a digest of the key, its algorithm and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyFingerprint([u8; 32]);

#[cfg(test)]
impl KeyFingerprint {
    pub(super) const fn of_nothing() -> Self {
        Self([0; 32])
    }
}

/// A public key. Has no `Debug`.
#[derive(Clone)]
pub(crate) struct Key {
    kid: Option<Box<str>>,
    alg: &'static str,
    material: Material,
    fingerprint: KeyFingerprint,
}

#[derive(Clone)]
enum Material {
    /// What `jsonwebtoken` verifies with.
    Known(Algorithm, DecodingKey),
    /// A point on P-521, which it does not know, and what was no JWK.
    Parsed(ParsedPublicKey),
}

/// Whom a key set is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// An issuer of tokens: `use` is `sig` or absent.
    Tokens,
    /// A trust domain (JWT-SVID §6.1): `use` is `jwt-svid` or absent, and there is a `kid`.
    Svids,
}

impl Key {
    /// Reads a JWK (RFC 7517). `None` where it is not a key that a token could be verified with: a symmetric one that is only
    /// spoken of, one for encryption, or one of an unknown kind, curve or algorithm. What is secret is refused in a key of any
    /// kind.
    pub(crate) fn from_jwk(jwk: &Value, usage: Usage) -> Result<Option<Self>, KeyError> {
        let jwk = jwk.as_object().ok_or(KeyError::NotAnObject)?;
        if let Some(part) = SECRET.into_iter().find(|part| jwk.contains_key(*part)) {
            return Err(KeyError::Private(part));
        }
        let kty = text(jwk, "kty")?.ok_or(KeyError::Member("kty"))?;
        if !matches!(kty, "RSA" | "EC" | "OKP") {
            return Ok(None);
        }
        let crv = text(jwk, "crv")?.unwrap_or_default();
        let stated = text(jwk, "alg")?;
        let Some(alg) = algorithm(kty, crv, stated) else {
            return Ok(None);
        };
        if text(jwk, "use")?.is_some_and(|it| it != usage.word()) || !may_verify(jwk)? {
            return Ok(None);
        }
        let kid: Option<Box<str>> = text(jwk, "kid")?.map(Into::into);
        if usage == Usage::Svids {
            // JWT-SVID §3.1, §2.1: there is no Edwards curve among its algorithms.
            if kty == "OKP" {
                return Ok(None);
            }
            if kid.as_ref().is_none_or(|kid| kid.is_empty()) {
                return Err(KeyError::Member("kid"));
            }
        }
        let mut digest = Context::new(&SHA256);
        let mut add = |part: &[u8]| {
            digest.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        };
        add(alg.as_bytes());
        add(kid.as_deref().unwrap_or_default().as_bytes());
        let material = match alg {
            "ES256" | "ES384" | "ES512" => {
                let point = point(jwk, coordinate(crv))?;
                add(&point);
                match alg {
                    "ES256" => Material::Known(Algorithm::ES256, DecodingKey::from_ec_der(&point)),
                    "ES384" => Material::Known(Algorithm::ES384, DecodingKey::from_ec_der(&point)),
                    _ => Material::Parsed(
                        ParsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, &point)
                            .map_err(|_| KeyError::Member("x"))?,
                    ),
                }
            }
            "EdDSA" | "Ed25519" => {
                let key = octets_of(jwk, "x", 32)?;
                add(&key);
                Material::Known(Algorithm::EdDSA, DecodingKey::from_ed_der(&key))
            }
            _ => {
                let (modulus, exponent) = (octets(jwk, "n")?, octets(jwk, "e")?);
                rsa::check(&modulus, &exponent)?;
                add(&modulus);
                add(&exponent);
                let key = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
                Material::Known(rsa_algorithm(alg), key)
            }
        };
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest.finish().as_ref());
        Ok(Some(Self {
            kid,
            alg,
            material,
            fingerprint: KeyFingerprint(fingerprint),
        }))
    }

    /// Reads a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7) for one algorithm. `None` where it is no key that this algorithm has. An RSA
    /// key has to be fit to trust, as one in a JWK has.
    #[cfg(feature = "bundle")]
    pub(crate) fn from_spki(alg: &'static str, spki: &[u8]) -> Result<Option<Self>, KeyError> {
        let verification: &'static dyn VerificationAlgorithm = match alg {
            "ES256" => &ECDSA_P256_SHA256_FIXED,
            "ES384" => &ECDSA_P384_SHA384_FIXED,
            "ES512" => &ECDSA_P521_SHA512_FIXED,
            "RS256" => &RSA_PKCS1_2048_8192_SHA256,
            "RS384" => &RSA_PKCS1_2048_8192_SHA384,
            "RS512" => &RSA_PKCS1_2048_8192_SHA512,
            "PS256" => &RSA_PSS_2048_8192_SHA256,
            "PS384" => &RSA_PSS_2048_8192_SHA384,
            "PS512" => &RSA_PSS_2048_8192_SHA512,
            _ => return Ok(None),
        };
        if alg.starts_with("RS") || alg.starts_with("PS") {
            let Some((modulus, exponent)) = rsa::of_spki(spki) else {
                return Ok(None);
            };
            rsa::check(modulus, exponent)?;
        }
        let Ok(key) = ParsedPublicKey::new(verification, spki) else {
            return Ok(None);
        };
        let mut digest = Context::new(&SHA256);
        digest.update(alg.as_bytes());
        digest.update(spki);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest.finish().as_ref());
        Ok(Some(Self {
            kid: None,
            alg,
            material: Material::Parsed(key),
            fingerprint: KeyFingerprint(fingerprint),
        }))
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What the `alg` of a token must be.
    pub(crate) fn alg(&self) -> &'static str {
        self.alg
    }

    /// Whether this key made this signature.
    ///
    /// The provider is named: the process-wide one of `jsonwebtoken` panics where another crate turned on its other
    /// backend too.
    pub(crate) fn verifies(&self, message: &[u8], signature: &Vec<u8>) -> bool {
        match &self.material {
            Material::Known(algorithm, key) => (DEFAULT_PROVIDER.verifier_factory)(algorithm, key)
                .is_ok_and(|verifier| verifier.verify(message, signature).is_ok()),
            Material::Parsed(key) => key.verify_sig(message, signature).is_ok(),
        }
    }

    pub(crate) const fn fingerprint(&self) -> KeyFingerprint {
        self.fingerprint
    }
}

impl Usage {
    const fn word(self) -> &'static str {
        match self {
            Self::Tokens => "sig",
            Self::Svids => "jwt-svid",
        }
    }
}

/// What is registered as private in a JWK of whatever kind (RFC 7518 §6.2.2, §6.3.2, §6.4.1, RFC 8037 §2); `priv` is that of `AKP`. Any
/// one of an RSA key but `oth` gives the others away.
const SECRET: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// The one algorithm of a key (RFC 8725 §3.1): what it is decides, `alg` can only narrow. An RSA key that does not say is
/// for RS256, as every issuer's is. An Ed25519 key goes by `EdDSA` (RFC 8037 §3.1) unless it says `Ed25519` (RFC 9864 §2.2).
fn algorithm(kty: &str, crv: &str, stated: Option<&str>) -> Option<&'static str> {
    match (kty, crv, stated) {
        ("EC", "P-256", None | Some("ES256")) => Some("ES256"),
        ("EC", "P-384", None | Some("ES384")) => Some("ES384"),
        ("EC", "P-521", None | Some("ES512")) => Some("ES512"),
        ("OKP", "Ed25519", None | Some("EdDSA")) => Some("EdDSA"),
        ("OKP", "Ed25519", Some("Ed25519")) => Some("Ed25519"),
        ("RSA", _, None | Some("RS256")) => Some("RS256"),
        ("RSA", _, Some("RS384")) => Some("RS384"),
        ("RSA", _, Some("RS512")) => Some("RS512"),
        ("RSA", _, Some("PS256")) => Some("PS256"),
        ("RSA", _, Some("PS384")) => Some("PS384"),
        ("RSA", _, Some("PS512")) => Some("PS512"),
        _ => None,
    }
}

fn rsa_algorithm(alg: &str) -> Algorithm {
    match alg {
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        _ => Algorithm::RS256,
    }
}

/// The octets of a coordinate (RFC 7518 §6.2.1.2).
fn coordinate(crv: &str) -> usize {
    match crv {
        "P-384" => 48,
        "P-521" => 66,
        _ => 32,
    }
}

/// Whether `key_ops` (RFC 7517 §4.3), where there is one, holds `verify`.
fn may_verify(jwk: &Map<String, Value>) -> Result<bool, KeyError> {
    match jwk.get("key_ops") {
        None => Ok(true),
        Some(Value::Array(ops)) => Ok(ops.iter().any(|op| op == "verify")),
        Some(_) => Err(KeyError::Member("key_ops")),
    }
}

/// An uncompressed point (RFC 7518 §6.2.1, SEC 1 §2.3.3). Whether it is on the curve is seen at each verification.
fn point(jwk: &Map<String, Value>, len: usize) -> Result<Vec<u8>, KeyError> {
    let (x, y) = (octets_of(jwk, "x", len)?, octets_of(jwk, "y", len)?);
    Ok([&[4], x.as_slice(), y.as_slice()].concat())
}

fn octets_of(
    jwk: &Map<String, Value>,
    name: &'static str,
    len: usize,
) -> Result<Vec<u8>, KeyError> {
    octets(jwk, name).and_then(|octets| {
        if octets.len() == len {
            Ok(octets)
        } else {
            Err(KeyError::Member(name))
        }
    })
}

fn octets(jwk: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, KeyError> {
    text(jwk, name)?
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .ok_or(KeyError::Member(name))
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, KeyError> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(KeyError::Member(name)),
    }
}
