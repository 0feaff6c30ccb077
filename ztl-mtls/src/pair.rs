//! A certificate chain and the private key that belongs to it.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::cert::Cert;
use crate::fingerprint::Fingerprint;
use crate::svid::SvidError;

/// Most certificates of a chain, the leaf included (rule 31).
pub const MAX_CHAIN: usize = 16;

/// Loads the key and compares its public half with the leaf's, so that a torn pair never reaches a handshake.
pub(crate) fn join(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    subject: &str,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, SvidError> {
    let leaf = chain.first().ok_or(SvidError::NoCertificate)?;
    if chain.len() > MAX_CHAIN {
        return Err(SvidError::ChainTooLong(chain.len()));
    }
    let certified = Fingerprint::of_spki(
        Cert::read(leaf)
            .map_err(|error| SvidError::Leaf(error.into()))?
            .spki,
    );
    // The provider's words are not passed on: they are of no help and may quote the input.
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|_| SvidError::UnusableKey)?;
    let held = key
        .public_key()
        .map(|spki| Fingerprint::of_spki(&spki))
        .ok_or(SvidError::UnusableKey)?;
    if certified != held {
        return Err(SvidError::KeyMismatch {
            subject: subject.into(),
            certificate: certified,
            key: held,
        });
    }
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}
