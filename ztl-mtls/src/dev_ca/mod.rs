//! A throwaway authority for development and tests. **Never for production** (T28).
//!
//! 1. Its root carries a private critical extension, so every verifier that is not told otherwise refuses it: ours until
//!    [`Prover::allow_dev_authority`](crate::Prover::allow_dev_authority), others because they do not know the extension.
//! 2. What it issues lives at most a day.
//! 3. Keys are written with [`write_private`], for their owner alone.
//! 4. Web certificates come from another root, [`DevWebCa`], which no bundle holds.

mod authority;
mod error;
mod params;
mod private;
mod web;

pub use authority::{DevCa, IssuedSvid};
pub use error::DevCaError;
pub use params::MAX_DEV_LIFETIME;
pub use private::write_private;
pub use web::{DevWebCa, IssuedWeb};
