//! Chains that were proved before, so that a returning peer's path is not built again (T17).
//!
//! 1. **What is remembered is that a path holds**: signatures, structure, names, revocation lists. Validity of every certificate
//!    of it, the time in which the lists speak, and the deny list are judged each time. That the peer holds the leaf's key is
//!    no part of it: each handshake signs anew, and each signature is checked.
//! 2. The key is the whole chain, byte for byte and with its lengths, the purpose, and the generations of bundles and revocation
//!    lists. A cache belongs to one configuration of a prover and to its clones. Nothing is taken for equal that is not: the hash
//!    only finds the place.
//! 3. Only successes enter, so whoever is not proved by an authority of ours can put nothing in. Nothing is refused by the cache:
//!    what does not hold of a remembered path is proved from the start.
//! 4. The number of chains is bounded, and so is their length. A new one takes the place of one that no longer counts, else of any
//!    of the four that share its place.

use core::fmt;
use core::hash::{BuildHasher, Hasher};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::hash::RandomState;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use ztl_core::{Peer, Timestamp};

use super::chain::{Chain, ProvedChain};
use super::error::Position;
use super::path::Found;
use super::prover::Purpose;
use crate::cert::Cert;
use crate::revocation::Named;

/// How many chains are remembered where nothing else is said.
pub(crate) const DEFAULT_ENTRIES: usize = 1024;
/// Most bytes of a chain that is remembered. Chains of today have two or three thousand.
const MAX_BYTES: usize = 16 * 1024;
/// How many chains share a place.
const WAYS: usize = 4;

/// What a path was proved under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Under {
    pub(crate) purpose: Purpose,
    pub(crate) bundles: u64,
    pub(crate) crls: u64,
}

/// A path that was proved.
pub(crate) struct Entry {
    hash: u64,
    under: Under,
    chain: ProvedChain,
    found: Found,
    peer: Peer,
    named: OnceLock<Box<[(Position, Named)]>>,
}

/// A bounded number of paths. Reading it takes no lock.
pub(crate) struct Cache {
    hasher: RandomState,
    entries: usize,
    // Made with the first entry.
    slots: OnceLock<Box<[ArcSwapOption<Entry>]>>,
    turn: AtomicUsize,
}

impl Cache {
    pub(crate) fn new(entries: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            entries: entries.next_multiple_of(WAYS),
            slots: OnceLock::new(),
            turn: AtomicUsize::new(0),
        }
    }

    /// How many chains it remembers at most.
    pub(crate) const fn len(&self) -> usize {
        self.entries
    }

    /// The entry of this very chain, if it holds at `now`, the deny list aside. `hash` is that of the chain.
    pub(crate) fn get(
        &self,
        hash: u64,
        chain: Chain<'_>,
        under: Under,
        now: Timestamp,
    ) -> Option<Arc<Entry>> {
        let place = self.place(self.slots.get()?, hash)?;
        place.iter().find_map(|slot| {
            let entry = slot.load();
            entry
                .as_ref()
                .filter(|entry| {
                    entry.hash == hash
                        && entry.under == under
                        && entry.found.holds_at(now)
                        && entry.chain.is(chain)
                })
                .map(Arc::clone)
        })
    }

    /// Remembers a path that was proved. `hash` is that of the chain.
    pub(crate) fn insert(
        &self,
        hash: u64,
        chain: &ProvedChain,
        under: Under,
        found: Found,
        peer: &Peer,
    ) {
        let slots = self
            .slots
            .get_or_init(|| (0..self.entries).map(|_| ArcSwapOption::empty()).collect());
        let Some(place) = self.place(slots, hash) else {
            return;
        };
        let is_free = |slot: &&ArcSwapOption<Entry>| {
            slot.load().as_ref().is_none_or(|entry| {
                entry.under.bundles != under.bundles
                    || entry.under.crls != under.crls
                    || (entry.hash == hash && entry.under == under)
            })
        };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let any = place.get(turn % WAYS);
        if let Some(slot) = place.iter().find(is_free).or(any) {
            slot.store(Some(Arc::new(Entry {
                hash,
                under,
                chain: chain.clone(),
                found,
                peer: peer.clone(),
                named: OnceLock::new(),
            })));
        }
    }

    /// `None` where such a chain is not remembered.
    pub(crate) fn hash(&self, chain: Chain<'_>) -> Option<u64> {
        if self.entries == 0 {
            return None;
        }
        let mut hasher = self.hasher.build_hasher();
        let mut bytes = 0_usize;
        for der in chain.iter() {
            bytes = bytes.saturating_add(der.len());
            if bytes > MAX_BYTES {
                return None;
            }
            hasher.write(der);
        }
        Some(hasher.finish())
    }

    fn place<'a>(
        &self,
        slots: &'a [ArcSwapOption<Entry>],
        hash: u64,
    ) -> Option<&'a [ArcSwapOption<Entry>]> {
        let places = u64::try_from(self.entries / WAYS).ok()?;
        let place = usize::try_from(hash.checked_rem(places)?).ok()?;
        slots.chunks_exact(WAYS).nth(place)
    }
}

impl Entry {
    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(crate) const fn chain(&self) -> &ProvedChain {
        &self.chain
    }

    pub(crate) const fn found(&self) -> &Found {
        &self.found
    }

    /// The leaf and the intermediates of its path, as a deny list names them. `None` would mean that they cannot be read.
    pub(crate) fn named(&self) -> Option<&[(Position, Named)]> {
        if let Some(named) = self.named.get() {
            return Some(named);
        }
        let mut named = Vec::new();
        for (index, der) in self.chain.iter().enumerate() {
            let position = match index.checked_sub(1) {
                None => Position::Leaf,
                Some(place) if self.found.leads_over(place) => Position::Intermediate,
                Some(_) => continue,
            };
            named.push((position, Named::of(&Cert::read(der).ok()?)));
        }
        Some(self.named.get_or_init(|| named.into()))
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}
