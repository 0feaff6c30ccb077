//! A peer's chain: as it is presented, and as it is kept.

use core::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls_pki_types::CertificateDer;

use super::again::Held;

/// A chain as it was presented.
#[derive(Clone, Copy)]
pub(crate) struct Chain<'a> {
    pub(crate) leaf: &'a CertificateDer<'a>,
    pub(crate) intermediates: &'a [CertificateDer<'a>],
}

impl<'a> Chain<'a> {
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        core::iter::once(self.leaf)
            .chain(self.intermediates)
            .map(AsRef::as_ref)
    }
}

/// A chain that was proved, leaf first, byte for byte as it was presented. Cheap to clone.
///
/// There is one copy of it, whoever holds it: the peer's proof for its leaf's digest, the prover that remembers it, and every
/// connection of that peer that is to be proved again.
#[derive(Clone)]
pub struct ProvedChain(Arc<Certificates>);

struct Certificates {
    leaf: Arc<[u8]>,
    intermediates: Box<[Box<[u8]>]>,
    /// The path over them that held last.
    held: ArcSwapOption<Held>,
}

impl ProvedChain {
    /// `leaf` is a copy of the chain's own, `held` what the chain held by.
    pub(crate) fn of(chain: Chain<'_>, leaf: Arc<[u8]>, held: Option<Held>) -> Self {
        let intermediates = chain.intermediates.iter().map(|der| der.as_ref().into());
        Self(Arc::new(Certificates {
            leaf,
            intermediates: intermediates.collect(),
            held: ArcSwapOption::new(held.map(Arc::new)),
        }))
    }

    pub(crate) fn leaf(&self) -> &Arc<[u8]> {
        &self.0.leaf
    }

    pub(crate) fn is(&self, chain: Chain<'_>) -> bool {
        self.iter().eq(chain.iter())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let intermediates = self.0.intermediates.iter().map(AsRef::as_ref);
        core::iter::once(&*self.0.leaf).chain(intermediates)
    }

    /// What it held by, where it is to be proved again.
    pub(crate) fn hold(&self, held: Held) {
        self.0.held.store(Some(Arc::new(held)));
    }

    pub(crate) fn held(&self) -> Option<Arc<Held>> {
        self.0.held.load_full()
    }

    /// Its certificates, the leaf first.
    pub fn certificates(&self) -> impl Iterator<Item = CertificateDer<'_>> {
        self.iter().map(CertificateDer::from)
    }
}

impl PartialEq for ProvedChain {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for ProvedChain {}

impl fmt::Debug for ProvedChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvedChain")
            .field("certificates", &self.iter().count())
            .finish_non_exhaustive()
    }
}
