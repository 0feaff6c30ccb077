//! A path that held once, judged again without a search: every open connection is, when bundles, revocation lists or a deny list
//! change (rule 27).
//!
//! 1. **What stands is what neither time nor a list can change**: that this chain leads over these certificates to that authority,
//!    by its signatures, structure, names and keys, for that purpose and with those algorithms.
//! 2. All else is judged each time: the authority stands, byte for byte, in the bundle of the leaf's own trust domain (rules 20
//!    and 21); every certificate is valid; the deny list names none of them; no issuer revoked one, and their lists speak.
//! 3. Nothing is refused here: what does not hold is searched from the start, and may have another path.

use std::sync::Arc;

use ztl_core::Peer;

use super::chain::ProvedChain;
use super::error::Position;
use super::path::{Found, Search};
use super::prover::{DevAuthority, Purpose};
use super::status::{self, Issuer};
use crate::cert::Cert;
use crate::crl::Algorithms;

/// A path that held, and for whom.
pub(crate) struct Held {
    purpose: Purpose,
    algorithms: Algorithms,
    dev_authority: DevAuthority,
    found: Found,
    /// The certificate that it ends in.
    authority: Arc<[u8]>,
    peer: Peer,
}

impl Held {
    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl Search<'_> {
    /// What is to be kept of a path that this search found.
    pub(super) fn held(&self, found: Found, peer: &Peer) -> Option<Held> {
        let authority = self.bundle.facts().get(found.authority)?;
        Some(Held {
            purpose: self.purpose,
            algorithms: self.algorithms,
            dev_authority: self.dev_authority,
            found,
            authority: Arc::clone(&authority.der),
            peer: peer.clone(),
        })
    }

    /// The path that held, if it holds. `None` says nothing but that it is to be searched.
    pub(super) fn again(&self, held: &Held, chain: &ProvedChain) -> Option<Found> {
        if held.purpose != self.purpose
            || held.dev_authority != self.dev_authority
            || !core::ptr::eq(held.algorithms, self.algorithms)
        {
            return None;
        }
        let mut authorities = self.bundle.facts().iter().enumerate();
        let (index, authority) = authorities.find(|(_, facts)| facts.der == held.authority)?;
        let mut found = Found {
            authority: index,
            // What revocation lists said then counts no more.
            holds_from: held.found.from,
            holds_until: held.found.not_after,
            ..held.found
        };
        if !found.holds_at(self.now) {
            return None;
        }
        status::check_id(self.revocation, held.peer.id()).ok()?;
        let lists = self.revocation.deny_lists();
        status::check_named(lists, Position::Authority, &authority.named).ok()?;
        let has_crls = self.revocation.crls(self.bundle.trust_domain().as_str());
        if has_crls.is_none() && !status::names_certificates(lists) {
            return Some(found);
        }
        let chain: Vec<&[u8]> = chain.iter().collect();
        let read = |place: usize| Cert::read(chain.get(place)?).ok();
        let (mut position, mut below) = (Position::Leaf, read(0)?);
        self.check_denied(position, &below).ok()?;
        for place in held.found.via.places() {
            // The leaf stands before them.
            let cert = read(place.checked_add(1)?)?;
            self.check_denied(Position::Intermediate, &cert).ok()?;
            let signer = Issuer {
                spki: cert.spki,
                crl_sign: cert.extensions.key_usage().ok()??.crl_sign,
            };
            let status = self.check_status((position, &below), signer, &mut found);
            status.ok()?;
            (position, below) = (Position::Intermediate, cert);
        }
        let signer = Issuer {
            spki: &authority.spki,
            crl_sign: authority.crl_sign,
        };
        let status = self.check_status((position, &below), signer, &mut found);
        status.ok()?;
        Some(found)
    }
}
