//! The public key of a JWK (RFC 7517, RFC 7518 §6), and whether it is the key of a certificate.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode, ErrorKind, Reader, SliceReader};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::serial::significant;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A curve: its name in a JWK, its name in a certificate, and the octets of a coordinate (RFC 7518 §6.2.1).
type Curve = (&'static str, ObjectIdentifier, usize);

const CURVES: [Curve; 3] = [
    (
        "P-256",
        ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
        32,
    ),
    ("P-384", ObjectIdentifier::new_unwrap("1.3.132.0.34"), 48),
    ("P-521", ObjectIdentifier::new_unwrap("1.3.132.0.35"), 66),
];

/// Why a JWK refuses the bundle that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JwkError {
    /// It is not an object.
    #[error("is not a JSON object")]
    NotAnObject,
    /// A member is missing or malformed.
    #[error("has `{0}` missing or malformed (RFC 7517, RFC 7518 §6)")]
    Member(&'static str),
    /// It has a private part.
    #[error(
        "holds a private key: whoever read this bundle can issue SVIDs; withdraw the key and publish public parts only"
    )]
    Private,
    /// The first value of `x5c` is no certificate in base64.
    #[error("has an `x5c` that is not base64 of a certificate (X509-SVID §6.1)")]
    Certificate,
    /// The certificate is of another key than the members say (RFC 7517 §4.7).
    #[error("says another key than its certificate in `x5c` (RFC 7517 §4.7)")]
    OtherKey,
    /// A key for JWT-SVIDs has no `kid`.
    #[error("is for JWT-SVIDs and has no `kid` (JWT-SVID §6.1)")]
    NoKeyId,
    /// Two keys for JWT-SVIDs have one `kid`.
    #[error("has the `kid` of one before it; give each key its own")]
    DuplicateKeyId,
}

/// A public key of a kind that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// Modulus and exponent, without zeros at the front.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// A point on a named curve.
    Ec {
        crv: &'static str,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    /// RFC 8037.
    Ed25519 { x: Vec<u8> },
}

impl PublicKey {
    /// The key that a JWK says. `None` where it is of a kind or on a curve that is not known: the whole element is then
    /// ignored (Bundle §4.2.1).
    pub(super) fn read(jwk: &Map<String, Value>) -> Result<Option<Self>, JwkError> {
        let kty = required(jwk, "kty")?;
        if !matches!(kty, "RSA" | "EC" | "OKP") {
            return Ok(None);
        }
        // Any one of them but `oth` gives the others away (RFC 7518 §6.3.2).
        let private = ["d", "p", "q", "dp", "dq", "qi", "oth"];
        if private.iter().any(|part| jwk.contains_key(*part)) {
            return Err(JwkError::Private);
        }
        if kty == "RSA" {
            let number = |name| match octets(jwk, name) {
                Ok(octets) => Some(significant(&octets).to_vec())
                    .filter(|number| !number.is_empty())
                    .ok_or(JwkError::Member(name)),
                Err(error) => Err(error),
            };
            return Ok(Some(Self::Rsa {
                n: number("n")?,
                e: number("e")?,
            }));
        }
        let crv = required(jwk, "crv")?;
        if kty == "OKP" {
            return match crv {
                "Ed25519" => Ok(Some(Self::Ed25519 {
                    x: octets_of(jwk, "x", 32)?,
                })),
                _ => Ok(None),
            };
        }
        let Some((crv, _, len)) = CURVES.into_iter().find(|(name, ..)| *name == crv) else {
            return Ok(None);
        };
        Ok(Some(Self::Ec {
            crv,
            x: octets_of(jwk, "x", len)?,
            y: octets_of(jwk, "y", len)?,
        }))
    }

    /// The key of a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7, RFC 3279 §2.3, RFC 5480 §2, RFC 8410 §4), where it is of a known
    /// kind.
    pub(super) fn of_spki(spki: &[u8]) -> Option<Self> {
        Self::read_spki(spki).ok().flatten()
    }

    fn read_spki(spki: &[u8]) -> Result<Option<Self>, der::Error> {
        let mut input = SliceReader::new(spki)?;
        let (algorithm, curve, bits) = input.sequence(|info| {
            let (algorithm, curve) = info.sequence(|identifier| {
                let algorithm = ObjectIdentifier::decode(identifier)?;
                let parameters = Option::<AnyRef<'_>>::decode(identifier)?;
                let curve = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
                Ok::<_, der::Error>((algorithm, curve))
            })?;
            let bits = BitStringRef::decode(info)?
                .as_bytes()
                .ok_or(ErrorKind::Failed)?;
            Ok::<_, der::Error>((algorithm, curve, bits))
        })?;
        input.finish()?;
        match algorithm {
            RSA => rsa(bits).map(Some),
            EC => Ok(curve.and_then(|curve| point(curve, bits))),
            ED25519 => Ok(Some(Self::Ed25519 { x: bits.to_vec() })),
            _ => Ok(None),
        }
    }

    /// The members of a JWK that say this key.
    pub(super) fn members(&self) -> Vec<(&'static str, String)> {
        let text = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
        match self {
            Self::Rsa { n, e } => {
                vec![("kty", "RSA".to_owned()), ("n", text(n)), ("e", text(e))]
            }
            Self::Ec { crv, x, y } => vec![
                ("kty", "EC".to_owned()),
                ("crv", (*crv).to_owned()),
                ("x", text(x)),
                ("y", text(y)),
            ],
            Self::Ed25519 { x } => vec![
                ("kty", "OKP".to_owned()),
                ("crv", "Ed25519".to_owned()),
                ("x", text(x)),
            ],
        }
    }
}

/// RSAPublicKey (RFC 8017 §A.1.1).
fn rsa(bits: &[u8]) -> Result<PublicKey, der::Error> {
    let mut input = SliceReader::new(bits)?;
    let (n, e) = input.sequence(|key| {
        let n = UintRef::decode(key)?.as_bytes().to_vec();
        let e = UintRef::decode(key)?.as_bytes().to_vec();
        Ok::<_, der::Error>((n, e))
    })?;
    input.finish()?;
    Ok(PublicKey::Rsa { n, e })
}

/// An uncompressed point (SEC 1 §2.3.3); RFC 5480 §2.2 lets certificates hold compressed ones, which no verifier here takes.
fn point(curve: ObjectIdentifier, bits: &[u8]) -> Option<PublicKey> {
    let (crv, _, len) = CURVES.into_iter().find(|(_, oid, _)| *oid == curve)?;
    let (4, coordinates) = bits.split_first()? else {
        return None;
    };
    let (x, y) = coordinates.split_at_checked(len)?;
    (y.len() == len).then(|| PublicKey::Ec {
        crv,
        x: x.to_vec(),
        y: y.to_vec(),
    })
}

pub(super) fn required<'a>(
    jwk: &'a Map<String, Value>,
    name: &'static str,
) -> Result<&'a str, JwkError> {
    jwk.get(name)
        .and_then(Value::as_str)
        .ok_or(JwkError::Member(name))
}

fn octets(jwk: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, JwkError> {
    URL_SAFE_NO_PAD
        .decode(required(jwk, name)?)
        .map_err(|_| JwkError::Member(name))
}

fn octets_of(
    jwk: &Map<String, Value>,
    name: &'static str,
    len: usize,
) -> Result<Vec<u8>, JwkError> {
    octets(jwk, name).and_then(|octets| {
        if octets.len() == len {
            Ok(octets)
        } else {
            Err(JwkError::Member(name))
        }
    })
}
