//! Tokens: good ones, and such as cost whoever looks at them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde_json::{Value, json};

use crate::service::now;

pub(crate) const ISSUER: &str = "https://idp.example";
pub(crate) const AUDIENCE: &str = "service";
/// The longest token that is looked at.
const MOST_BYTES: usize = 8 * 1024;
/// Bytes of an ES384 signature, whose verification is the dearest of all elliptic curves' that aws-lc has.
const SIGNATURE: usize = 96;

/// Who signs good tokens.
pub(crate) struct Signer(EcdsaKeyPair);

impl Signer {
    /// With a key of its own.
    pub(crate) fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING);
        Self(key.expect("a key"))
    }

    /// Its public key.
    pub(crate) fn jwks(&self) -> String {
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(48);
        json!({ "keys": [{
            "kty": "EC", "crv": "P-384", "alg": "ES384", "kid": "2026-11", "x": b64(x), "y": b64(y),
        }] })
        .to_string()
    }

    /// A good token with these claims as well.
    pub(crate) fn good(&self, claims: Value) -> HeaderValue {
        let signed = signed(claims, 0);
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes());
        bearer(&format!("{signed}.{}", b64(signature.expect("signed"))))
    }
}

/// A claim whose list is as long as a token has room for.
pub(crate) fn long_list() -> Value {
    let signature = b64([0; SIGNATURE]).len() + 1;
    let fits = |count: &usize| {
        let text = signed(json!({ "list": vec![1; *count] }), 0);
        text.len() + signature <= MOST_BYTES
    };
    let most = (1..MOST_BYTES).take_while(fits).last();
    json!({ "list": vec![1; most.expect("some")] })
}

/// Signed by nobody, and each another: a signature has to be looked at for each.
pub(crate) fn forged(at: u64) -> HeaderValue {
    bearer(&forged_text(json!({}), at))
}

/// The same, as long as a token may be: all of it is hashed.
pub(crate) fn forged_long(at: u64) -> HeaderValue {
    let short = forged_text(json!({ "text": "" }), at).len();
    let text = "a".repeat((MOST_BYTES - short - 4) * 3 / 4);
    let token = forged_text(json!({ "text": text }), at);
    assert!((MOST_BYTES - 16..=MOST_BYTES).contains(&token.len()));
    bearer(&token)
}

/// A header whose lists nest as deep as there is room.
pub(crate) fn deep(at: u64) -> HeaderValue {
    let depth = 1400;
    let (open, close) = ("[".repeat(depth), "]".repeat(depth));
    let header = format!(r#"{{"alg":"ES384","kid":"2026-11","at":{at},"x":{open}{close}}}"#);
    let claims = URL_SAFE_NO_PAD.encode(format!("{open}{close}"));
    bearer(&format!("{}.{claims}.{}", b64(header), b64([1; SIGNATURE])))
}

/// As many parts as there is room for.
pub(crate) fn many_parts(at: u64) -> HeaderValue {
    let begin = format!("{}.", b64(at.to_string()));
    let parts = "a.".repeat((MOST_BYTES - begin.len()) / 2);
    bearer(&format!("{begin}{parts}"))
}

fn forged_text(claims: Value, at: u64) -> String {
    let mut signature = [1; SIGNATURE];
    signature[SIGNATURE - 8..].copy_from_slice(&at.to_be_bytes());
    format!("{}.{}", signed(claims, at), b64(signature))
}

/// What is signed of a token: its header and its claims.
fn signed(mut claims: Value, at: u64) -> String {
    let header = json!({ "alg": "ES384", "kid": "2026-11", "typ": "at+jwt" });
    let exp = now().as_unix_secs() + 24 * 3600;
    let all = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "role": "reader", "exp": exp,
        "jti": format!("{at:020}"),
    });
    let claims = claims.as_object_mut().expect("an object");
    claims.extend(all.as_object().expect("an object").clone());
    format!(
        "{}.{}",
        b64(header.to_string()),
        b64(Value::Object(claims.clone()).to_string())
    )
}

fn bearer(token: &str) -> HeaderValue {
    let text = format!("Bearer {token}");
    HeaderValue::try_from(text).expect("ASCII")
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
