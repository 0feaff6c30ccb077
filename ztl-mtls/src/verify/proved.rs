//! What comes out of a proof, beside the peer: what it rests on.

use ztl_core::{Peer, Timestamp};

use super::chain::ProvedChain;

/// How often that on which proofs rest was changed. What was proved under other generations is to be proved again (rule 27).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Generations {
    /// Of the [`Bundles`](crate::Bundles).
    pub bundles: u64,
    /// Of the [`Revocation`](crate::Revocation).
    pub revocation: u64,
}

/// A proved peer, and what its proof rests on.
#[derive(Clone, Debug)]
#[must_use]
pub struct Proved {
    pub(crate) peer: Peer,
    pub(crate) chain: ProvedChain,
    pub(crate) generations: Generations,
    pub(crate) holds_until: Timestamp,
}

impl Proved {
    /// The peer.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The peer alone.
    #[must_use]
    pub fn into_peer(self) -> Peer {
        self.peer
    }

    /// The chain that proved it, to prove it [again](crate::Prover::prove_again).
    #[must_use]
    pub const fn chain(&self) -> &ProvedChain {
        &self.chain
    }

    /// The bundles and revocations that it was proved by. While they are those that
    /// [`Prover::generations`](crate::Prover::generations) names, nothing that was withdrawn bears on it.
    #[must_use]
    pub const fn generations(&self) -> Generations {
        self.generations
    }

    /// The last second in which it holds though nothing is changed: until the first certificate of its path ends, or the last
    /// revocation list that covers one of them is overdue. Prove the chain again after it.
    #[must_use]
    pub const fn holds_until(&self) -> Timestamp {
        self.holds_until
    }
}
