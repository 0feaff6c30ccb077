//! What a page may run: by its content, or by a number that only this response knows.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha384};

/// The SHA-384 of one of the service's own assets, as Subresource Integrity and Content-Security-Policy write it.
///
/// Put it into the page (`<script src="…" integrity="sha384-…">`): a browser runs no other content under that name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Integrity(String);

impl Integrity {
    /// That of these bytes.
    #[must_use]
    pub fn of(asset: &[u8]) -> Self {
        Self(format!("sha384-{}", STANDARD.encode(Sha384::digest(asset))))
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of one response, for inline scripts or styles: 128 random bits. In the extensions of each request where the policy
/// asks for it ([`Csp::script_nonce`](super::Csp::script_nonce)).
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// Another one. None where the system has no randomness.
    pub(super) fn draw() -> Option<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        Some(Self(STANDARD.encode(bytes)))
    }

    /// For the attribute `nonce`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonce").finish_non_exhaustive()
    }
}
