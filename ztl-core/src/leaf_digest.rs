//! The digest of a leaf, taken only when somebody asks for it.

use core::fmt;
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use crate::hex;

/// SHA-256 of a leaf's DER: what tokens are bound to (RFC 8705 `x5t#S256`).
///
/// A verifier makes it of the leaf itself. Most connections never ask for the digest, and it costs more than all else that a
/// verifier does beside checking signatures; so it is taken once, by whoever asks first. Two are equal if their digests are.
///
/// ```
/// use std::sync::Arc;
/// use ztl_core::LeafDigest;
///
/// let leaf: Arc<[u8]> = Arc::from(&b"the DER of a certificate"[..]);
/// let digest = LeafDigest::of(leaf);
/// assert_eq!(LeafDigest::from(*digest.as_bytes()), digest);
/// ```
#[derive(Clone)]
pub struct LeafDigest(Of);

#[derive(Clone)]
enum Of {
    Known([u8; 32]),
    Leaf {
        der: Arc<[u8]>,
        digest: OnceLock<[u8; 32]>,
    },
}

impl LeafDigest {
    /// Of a leaf in DER, which is kept until it is dropped.
    #[must_use]
    pub const fn of(der: Arc<[u8]>) -> Self {
        Self(Of::Leaf {
            der,
            digest: OnceLock::new(),
        })
    }

    /// All 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        match &self.0 {
            Of::Known(digest) => digest,
            Of::Leaf { der, digest } => digest.get_or_init(|| Sha256::digest(der).into()),
        }
    }
}

/// One that was taken before.
impl From<[u8; 32]> for LeafDigest {
    fn from(digest: [u8; 32]) -> Self {
        Self(Of::Known(digest))
    }
}

impl PartialEq for LeafDigest {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Of::Leaf { der: one, .. }, Of::Leaf { der: other, .. }) if Arc::ptr_eq(one, other) => {
                true
            }
            _ => self.as_bytes() == other.as_bytes(),
        }
    }
}

impl Eq for LeafDigest {}

/// In hexadecimal; of the certificate itself nothing is shown.
impl fmt::Debug for LeafDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeafDigest(")?;
        hex::write(self.as_bytes(), f)?;
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_leaf_and_shows_nothing_else() {
        let leaf = |der: &[u8]| LeafDigest::of(der.into());
        let abc = leaf(b"abc");
        // FIPS 180-2, B.1.
        let shown = "LeafDigest(ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad)";
        assert_eq!(format!("{abc:?}"), shown);
        assert_eq!(abc, leaf(b"abc"));
        assert_eq!(abc, abc.clone());
        assert_eq!(abc, LeafDigest::from(*abc.as_bytes()));
        assert_ne!(abc, leaf(b"abd"));
        assert_ne!(abc, LeafDigest::from([0; 32]));
    }
}
