//! A compact JWS (RFC 7515 §7.1), taken apart: nothing in here is believed yet.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use ztl_core::json::{self, FaultKind};

use super::error::{Part, TokenError};

/// The longest token that is read.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// The longest header, encoded.
const MAX_HEADER_BYTES: usize = 4 * 1024;
/// The longest signature, encoded: that of an RSA key of 8192 bits.
const MAX_SIGNATURE_BYTES: usize = 1366;

/// A token in its parts. Has no `Debug`.
pub(crate) struct Compact<'a> {
    /// What the signature is over: header and payload as they came (RFC 7515 §5.2).
    pub(crate) signed: &'a [u8],
    pub(crate) header: Header,
    payload: &'a str,
    pub(crate) signature: Vec<u8>,
}

/// What is read of a header. `jwk`, `jku`, `x5c`, `x5u` and whatever else it has are not (rule 62).
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
}

impl<'a> Compact<'a> {
    /// Takes a token apart and reads its header; the payload waits for [`Compact::claims`].
    pub(crate) fn parse(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        Self::parse_any_length(token)
    }

    /// The same where the caller has bounded the length, for what is longer than a bearer token.
    pub(crate) fn parse_any_length(token: &'a str) -> Result<Self, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        match token.bytes().filter(|byte| *byte == b'.').count() {
            2 => {}
            4 => return Err(TokenError::Encrypted),
            _ => return Err(TokenError::NotThreeParts),
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::NotThreeParts)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::NotThreeParts)?;
        if header.len() > MAX_HEADER_BYTES {
            return Err(TokenError::PartTooLong(Part::Header));
        }
        if signature.len() > MAX_SIGNATURE_BYTES {
            return Err(TokenError::PartTooLong(Part::Signature));
        }
        Ok(Self {
            signed: signed.as_bytes(),
            header: Header::parse(header)?,
            payload,
            signature: decode(signature, Part::Signature)?,
        })
    }

    /// What the payload says, believed or not.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>, TokenError> {
        object(self.payload, Part::Payload)
    }
}

impl Header {
    fn parse(header: &str) -> Result<Self, TokenError> {
        let mut header = object(header, Part::Header)?;
        // RFC 7515 §4.1.11: an extension that is not understood refuses the token, and none is.
        if header.contains_key("crit") {
            return Err(TokenError::Critical);
        }
        // RFC 7797 §7: not for a JWT.
        if header.contains_key("b64") {
            return Err(TokenError::Unencoded);
        }
        // RFC 7519 §5.2.
        if text(&mut header, "cty")?.is_some_and(|cty| same_type(&cty, "JWT")) {
            return Err(TokenError::Nested);
        }
        Ok(Self {
            alg: text(&mut header, "alg")?.ok_or(TokenError::Header("alg"))?,
            kid: text(&mut header, "kid")?,
            typ: text(&mut header, "typ")?,
        })
    }
}

/// Whether two media types are one: letter case does not count, nor does `application/` (RFC 7515 §4.1.9).
pub(crate) fn same_type(one: &str, other: &str) -> bool {
    short_type(one).eq_ignore_ascii_case(short_type(other))
}

fn short_type(media_type: &str) -> &str {
    match media_type.split_once('/') {
        Some((kind, rest)) if kind.eq_ignore_ascii_case("application") && !rest.contains('/') => {
            rest
        }
        _ => media_type,
    }
}

fn object(part: &str, which: Part) -> Result<Map<String, Value>, TokenError> {
    json::object(&decode(part, which)?).map_err(|fault| match fault.kind {
        FaultKind::Duplicate => TokenError::Duplicate(which),
        FaultKind::TooDeep => TokenError::TooDeep(which),
        _ => TokenError::Json(which),
    })
}

/// Base64url without padding, blanks or stray bits (RFC 7515 §2, RFC 4648 §3.5).
fn decode(part: &str, which: Part) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Encoding(which))
}

/// Takes a parameter that must be a text.
fn text(header: &mut Map<String, Value>, name: &'static str) -> Result<Option<String>, TokenError> {
    match header.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::Header(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_compare_as_rfc_7515_4_1_9_says() {
        for same in [
            "at+jwt",
            "AT+JWT",
            "application/at+jwt",
            "Application/At+Jwt",
        ] {
            assert!(same_type(same, "at+jwt"), "{same}");
        }
        for other in [
            "jwt",
            "text/at+jwt",
            "application/x/at+jwt",
            "",
            "at+jwt ",
            "at",
        ] {
            assert!(!same_type(other, "at+jwt"), "{other}");
        }
    }
}
