//! A short name for a public key.

use core::fmt;

use sha2::{Digest, Sha256};

/// SHA-256 of a SubjectPublicKeyInfo. Shows its first 16 bytes in hex: enough to tell keys apart, nothing about the private key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a SubjectPublicKeyInfo in DER, tag and length included.
    #[must_use]
    pub fn of_spki(spki: &[u8]) -> Self {
        Self(Sha256::digest(spki).into())
    }

    /// One that was written down before, all 32 bytes of it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// All 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(16)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_sixteen_bytes_of_the_digest() {
        // SHA-256 of nothing begins with e3b0c442.
        let fingerprint = Fingerprint::of_spki(&[]);
        assert_eq!(fingerprint.to_string(), "e3b0c44298fc1c149afbf4c8996fb924");
        assert_eq!(fingerprint.as_bytes()[31], 0x55);
    }
}
