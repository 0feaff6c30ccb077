//! A provider that counts the signatures that are checked.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use ztl_mtls::provider;

/// How many signatures were checked by [`counting`] providers.
pub(crate) static CHECKED: AtomicUsize = AtomicUsize::new(0);

/// Counts, for all tests of a file together: each runs alone, under [`alone`].
#[derive(Debug)]
struct Counting(&'static dyn SignatureVerificationAlgorithm);

impl SignatureVerificationAlgorithm for Counting {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        CHECKED.fetch_add(1, Ordering::SeqCst);
        self.0.verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.0.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.0.signature_alg_id()
    }
}

pub(crate) fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(crate) fn counting() -> Arc<CryptoProvider> {
    static ALL: std::sync::OnceLock<Vec<&'static dyn SignatureVerificationAlgorithm>> =
        std::sync::OnceLock::new();
    let mut counting = (*provider()).clone();
    let known = counting.signature_verification_algorithms;
    let all = ALL.get_or_init(|| {
        let leak = |known: &&'static dyn SignatureVerificationAlgorithm| {
            let counting: &'static dyn SignatureVerificationAlgorithm =
                Box::leak(Box::new(Counting(*known)));
            counting
        };
        known.all.iter().map(leak).collect()
    });
    counting.signature_verification_algorithms = WebPkiSupportedAlgorithms {
        all,
        mapping: known.mapping,
    };
    Arc::new(counting)
}
