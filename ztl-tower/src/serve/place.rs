//! What a connection takes up of its listener, for as long as its stream is open.

use tokio::sync::OwnedSemaphorePermit;
use ztl_core::SpiffeId;

use super::share::Share;
use crate::prefix::Prefix;

/// A connection's place: among all of the listener, and in the share of whoever it counts against.
pub(crate) struct Place {
    _slot: OwnedSemaphorePermit,
    share: Against,
}

/// Whom a connection counts against; the share is given back with the place.
enum Against {
    /// The address it comes from, for as long as nobody is proved.
    Prefix { _share: Share<Prefix> },
    /// The peer that was proved.
    Peer { _share: Share<SpiffeId> },
}

impl Place {
    pub(super) const fn unproved(slot: OwnedSemaphorePermit, share: Share<Prefix>) -> Self {
        Self {
            _slot: slot,
            share: Against::Prefix { _share: share },
        }
    }

    /// From now on it counts against its peer, and no longer against its address.
    pub(super) fn prove(&mut self, share: Share<SpiffeId>) {
        self.share = Against::Peer { _share: share };
    }
}
