//! The crypto provider, as a value.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The provider that this build prefers: aws-lc-rs where its feature is on, else ring. Nothing is installed for the process.
///
/// With aws-lc-rs the post-quantum hybrid `X25519MLKEM768` is offered first.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(provider)
}
