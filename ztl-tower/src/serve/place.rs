//! What a connection takes up of its listener, for as long as its stream is open.

use tokio::sync::OwnedSemaphorePermit;
use ztl_core::SpiffeId;

use super::remote::Origin;
use super::share::{Busy, Share};

/// A connection's place: among all of the listener, and in the share of whoever it counts against.
pub(crate) struct Place {
    _slot: OwnedSemaphorePermit,
    share: Against,
}

/// Whom a connection counts against; the share is given back with the place.
enum Against {
    /// Where it comes from, for as long as nobody is proved.
    Origin { _share: Share<Origin> },
    /// The peer that was proved.
    Peer { share: Share<SpiffeId> },
}

impl Place {
    pub(super) const fn unproved(slot: OwnedSemaphorePermit, share: Share<Origin>) -> Self {
        Self {
            _slot: slot,
            share: Against::Origin { _share: share },
        }
    }

    /// From now on it counts against its peer, and no longer against its address.
    pub(super) fn prove(&mut self, share: Share<SpiffeId>) {
        self.share = Against::Peer { share };
    }

    /// Bounds the requests that its peer has running here; of nobody where nobody is proved.
    pub(super) fn busy(&self, most: usize) -> Option<Busy> {
        match &self.share {
            Against::Origin { .. } => None,
            Against::Peer { share } => Some(share.busy(most)),
        }
    }
}
