//! The key that checkpoints are signed with.

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// A key for HMAC-SHA-256 (RFC 2104). Whoever has it can sign, so keep it from whoever can write the file: the service gets
/// it at its start and an auditor has it elsewhere. Not shown.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

/// A key that signs nothing well.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "an audit key is at least 32 bytes, as 64 or more hexadecimal digits in lower case; `openssl rand -hex 32` makes one"
)]
pub struct KeyError;

impl SigningKey {
    /// A key of at least 32 random bytes.
    ///
    /// # Errors
    /// [`KeyError`] for fewer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() < 32 {
            return Err(KeyError);
        }
        Hmac::new_from_slice(bytes).map(Self).map_err(|_| KeyError)
    }

    /// From lower-case hexadecimal digits, as they stand in a key file. White space around them does not count.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let bytes = crate::hex::parse(text.trim_ascii().as_bytes()).ok_or(KeyError)?;
        Self::from_bytes(&bytes)
    }

    /// Names the key without showing it: half of a MAC over a fixed text.
    pub(super) fn id(&self) -> String {
        let mut out = String::new();
        let mac = self.mac(b"ztl audit key");
        crate::hex::push(mac.get(..8).unwrap_or_default(), &mut out);
        out
    }

    pub(super) fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }

    /// Compared in constant time.
    pub(super) fn is_mac(&self, bytes: &[u8], mac: &[u8]) -> bool {
        let mut own = self.0.clone();
        own.update(bytes);
        own.verify_slice(mac).is_ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_key_is_none_and_no_key_is_shown() {
        assert_eq!(SigningKey::from_bytes(&[1; 31]).err(), Some(KeyError));
        assert!(SigningKey::from_hex("zz").is_err());
        let key = SigningKey::from_hex(&format!(" {}\n", "ab".repeat(32))).expect("key");
        assert_eq!(format!("{key:?}"), "SigningKey");
        assert!(!key.id().contains("abab") && key.id().len() == 16);
        assert!(key.is_mac(b"x", &key.mac(b"x")) && !key.is_mac(b"y", &key.mac(b"x")));
    }
}
