//! A peer's chain: as it is presented, and as it is kept.

use core::fmt;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;

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
#[derive(Clone, PartialEq, Eq)]
pub struct ProvedChain {
    leaf: Arc<[u8]>,
    // None where there are none, as is most common: nothing is allocated for them then.
    intermediates: Option<Arc<[Box<[u8]>]>>,
}

impl ProvedChain {
    pub(crate) fn of(chain: Chain<'_>) -> Self {
        let intermediates = chain.intermediates.iter().map(|der| der.as_ref().into());
        Self {
            leaf: chain.leaf.as_ref().into(),
            intermediates: (!chain.intermediates.is_empty()).then(|| intermediates.collect()),
        }
    }

    pub(crate) const fn leaf(&self) -> &Arc<[u8]> {
        &self.leaf
    }

    pub(crate) fn is(&self, chain: Chain<'_>) -> bool {
        self.iter().eq(chain.iter())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let intermediates = self.intermediates.iter().flat_map(|all| all.iter());
        core::iter::once(&*self.leaf).chain(intermediates.map(AsRef::as_ref))
    }

    /// Its certificates, the leaf first.
    pub fn certificates(&self) -> impl Iterator<Item = CertificateDer<'_>> {
        self.iter().map(CertificateDer::from)
    }
}

impl fmt::Debug for ProvedChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvedChain")
            .field("certificates", &self.iter().count())
            .finish_non_exhaustive()
    }
}
