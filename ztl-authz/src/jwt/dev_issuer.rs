//! **For development and tests only**: an issuer that lives in the process.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

/// **For development and tests only**: makes a P-256 key at run time and signs whatever it is given, asking nobody.
///
/// A service that trusts its key set trusts whoever can call [`DevIssuer::sign`]. The key is in memory only and dies with
/// the process. Has no `Debug`.
///
/// ```
/// use serde_json::json;
/// use ztl_authz::jwt::{DevIssuer, Issuer, Jwks, TokenVerifier};
/// use ztl_core::Timestamp;
///
/// let dev = DevIssuer::new("https://dev.example")?;
/// let verifier = TokenVerifier::builder()
///     .issuer(Issuer::access_tokens("dev", dev.iss(), "model-server", Jwks::from_json(dev.jwks_json().as_bytes())?))
///     .build()?;
/// let token = dev.sign(json!({ "sub": "alice", "aud": "model-server", "exp": 1_790_000_300 }))?;
/// let claims = verifier.verify(&token, Timestamp::from_unix_secs(1_790_000_000))?;
/// assert_eq!(claims.subject(), Some("alice"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[expect(missing_debug_implementations, reason = "it holds a private key")]
pub struct DevIssuer {
    iss: Box<str>,
    kid: Box<str>,
    x: String,
    y: String,
    key: EcdsaKeyPair,
}

impl DevIssuer {
    /// Makes a key; `iss` is what its tokens will say.
    ///
    /// # Errors
    ///
    /// Where the system has no randomness.
    pub fn new(iss: &str) -> Result<Self, DevIssuerError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| DevIssuerError::Crypto)?;
        let point = key.public_key().as_ref();
        // An uncompressed point (SEC 1 §2.3.3): 4, then x and y of 32 octets each.
        let (Some(x), Some(y)) = (point.get(1..33), point.get(33..65)) else {
            return Err(DevIssuerError::Crypto);
        };
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let digest = URL_SAFE_NO_PAD.encode(digest(&SHA256, point));
        Ok(Self {
            iss: iss.into(),
            kid: format!("dev-only-{digest}").into(),
            x,
            y,
            key,
        })
    }

    /// What its tokens say in `iss`.
    #[must_use]
    pub fn iss(&self) -> &str {
        &self.iss
    }

    /// Its public key as a key set (RFC 7517 §5).
    #[must_use]
    pub fn jwks_json(&self) -> String {
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig",
            "kid": self.kid, "x": self.x, "y": self.y,
        }] })
        .to_string()
    }

    /// Signs these claims as an access token (`typ` is `at+jwt`, RFC 9068 §2.1). `iss` is added where it is missing; every
    /// other claim is the caller's: `sub`, `aud` and `exp` at least.
    ///
    /// # Errors
    ///
    /// Where the claims are no object, or the signature fails.
    pub fn sign(&self, claims: Value) -> Result<String, DevIssuerError> {
        let Value::Object(mut claims) = claims else {
            return Err(DevIssuerError::NotAnObject);
        };
        claims
            .entry("iss")
            .or_insert_with(|| Value::from(&*self.iss));
        let header = json!({ "alg": "ES256", "kid": self.kid, "typ": "at+jwt" });
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string())
        );
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| DevIssuerError::Crypto)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Why the development issuer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DevIssuerError {
    /// No key was made, or no signature.
    #[error("the development issuer could not make a key or a signature")]
    Crypto,
    /// Claims are a JSON object (RFC 7519 §4).
    #[error("the claims are not a JSON object")]
    NotAnObject,
}
