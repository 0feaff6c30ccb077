//! The prover: the only place of this crate that says that a peer was proved.

use core::fmt;
use std::sync::Arc;

use ::rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls_pki_types::CertificateDer;
use ztl_core::{LeafDigest, Peer, Proof, Timestamp};

use super::cache::{self, Cache, Entry, Under};
use super::chain::{Chain, ProvedChain};
use super::error::{Position, ProveError};
use super::path;
use super::proved::{Generations, Proved};
use super::status;
use crate::bundles::BundleSet;
use crate::bundles::Bundles;
use crate::cert::MAX_CERTIFICATE_BYTES;
use crate::leaf;
use crate::pair::MAX_CHAIN;
use crate::revocation::{Revocation, State};

/// Which end of TLS the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// It called us.
    Client,
    /// We called it.
    Server,
}

/// Whether a path may end in a development authority (T28).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DevAuthority {
    Refuse,
    #[cfg(feature = "dev-ca")]
    Accept,
}

/// Whether a peer may show that it holds its key as TLS 1.2 does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls12 {
    Refuse,
    #[cfg(feature = "tls12")]
    Accept,
}

/// Proves peers by their X.509-SVIDs: knows bundles and signature algorithms, no socket, clock or policy. Cheap to clone.
///
/// 1. At most 16 certificates of at most 64 KiB each are looked at (rule 31).
/// 2. The leaf obeys every clause that [`LeafError`](crate::LeafError) names (rules 16 to 19).
/// 3. The leaf's own trust domain chooses the bundle, before any signature is checked (rule 20); no bundle, an empty one: refused.
/// 4. A path leads to an authority of that bundle: signatures, validity of every certificate of the path at `now`, the
///    authority's included, `cA`, keyCertSign, path length, name constraints, extended key usage (RFC 5280 §6). What the authority's
///    own certificate says of path length, names and extended key usage holds as that of any issuer does.
/// 5. The authority is not a development authority, unless that was allowed (T28).
/// 6. Keys of the path are RSA keys of 2048 to 8192 bits, or of another kind that the provider verifies with.
/// 7. No deny list names the id, nor the key or the serial number of any certificate of the path, the authority's included; and
///    no issuer revoked one (T25, [`CrlSet`](crate::CrlSet)).
///
/// Names and revocations are judged on paths that hold otherwise, so none of their errors hides a wrong signature (rule 25), and
/// nobody learns by a forged certificate whom we deny.
///
/// The [`Peer`] that comes out expires with the first certificate of its path.
///
/// ```
/// # #[cfg(all(feature = "dev-ca", any(feature = "aws-lc-rs", feature = "ring")))] {
/// use core::time::Duration;
/// use ztl_core::{SpiffeId, Timestamp, TrustDomain};
/// use ztl_mtls::{BundleSet, Bundles, DevCa, Prover, Purpose};
///
/// let now = Timestamp::from_unix_secs(1_790_000_000);
/// let provider = ztl_mtls::provider();
/// let authority = DevCa::new(TrustDomain::parse("prod.example")?, now)?;
/// let router = authority.issue(
///     &SpiffeId::parse("spiffe://prod.example/ns/agents/sa/router")?,
///     now,
///     Duration::from_secs(3600),
///     &provider,
/// )?;
///
/// let bundles = Bundles::new(BundleSet::new([authority.bundle()])?);
/// let prover = Prover::new(bundles, &provider).allow_dev_authority();
/// let peer = prover.prove(router.svid.chain(), now, Purpose::Client)?;
/// assert_eq!(peer.id().path(), "/ns/agents/sa/router");
///
/// let tomorrow = now.saturating_add(Duration::from_secs(86_400));
/// let error = prover.prove(router.svid.chain(), tomorrow, Purpose::Client).unwrap_err();
/// assert_eq!(error.code(), "expired");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Prover {
    bundles: Bundles,
    revocation: Revocation,
    algorithms: WebPkiSupportedAlgorithms,
    dev_authority: DevAuthority,
    cache: Arc<Cache>,
    tls12: Tls12,
}

impl Prover {
    /// Proves by these bundles, with the provider's signature algorithms.
    #[must_use]
    pub fn new(bundles: Bundles, provider: &CryptoProvider) -> Self {
        Self {
            bundles,
            revocation: Revocation::new(),
            algorithms: provider.signature_verification_algorithms,
            dev_authority: DevAuthority::Refuse,
            cache: Arc::new(Cache::new(cache::DEFAULT_ENTRIES)),
            tls12: Tls12::Refuse,
        }
    }

    /// Refuses what is revoked there. Without this the prover has an empty holder of its own, [`revocation`](Self::revocation).
    #[must_use]
    pub fn with_revocation(mut self, revocation: Revocation) -> Self {
        self.revocation = revocation;
        let chains = self.cache.len();
        self.with_cache_size(chains)
    }

    /// Remembers at most so many chains that were proved, rounded up to a multiple of four; 0 is none. 1024 where not called.
    ///
    /// Whatever is remembered, validity of every certificate of a path, and the deny list are judged in each proof, and the
    /// handshake's signature in each handshake. A change of bundles or revocation lists forgets all.
    #[must_use]
    pub fn with_cache_size(mut self, chains: usize) -> Self {
        self.cache = Arc::new(Cache::new(chains));
        self
    }

    /// Also proves peers whose path ends in a development authority (T28). Not for production: the key of such an authority
    /// lies about in a developer's folder.
    #[cfg(feature = "dev-ca")]
    #[must_use]
    pub fn allow_dev_authority(mut self) -> Self {
        self.dev_authority = DevAuthority::Accept;
        let chains = self.cache.len();
        self.with_cache_size(chains)
    }

    /// The same, by other bundles: what was proved by these is not remembered there.
    #[must_use]
    pub fn with_bundles(&self, bundles: Bundles) -> Self {
        let other = Self {
            bundles,
            ..self.clone()
        };
        other.with_cache_size(self.cache.len())
    }

    /// Verifiers made of it also judge connections of TLS 1.2, where a configuration speaks it
    /// ([`server_config_allowing_tls12`](crate::server_config_allowing_tls12)). What proves a chain stays the same.
    #[cfg(feature = "tls12")]
    #[must_use]
    pub const fn allow_tls12(mut self) -> Self {
        self.tls12 = Tls12::Accept;
        self
    }

    pub(crate) const fn tls12(&self) -> Tls12 {
        self.tls12
    }

    /// The bundles it proves by.
    #[must_use]
    pub const fn bundles(&self) -> &Bundles {
        &self.bundles
    }

    /// What it refuses though its path holds.
    #[must_use]
    pub const fn revocation(&self) -> &Revocation {
        &self.revocation
    }

    /// The bundles and revocations in force. A [`Proved`] of other generations is to be proved again.
    #[must_use]
    pub fn generations(&self) -> Generations {
        Generations {
            bundles: self.bundles.generation(),
            revocation: self.revocation.generation(),
        }
    }

    /// Proves the chain that a peer presented, leaf first.
    ///
    /// **The caller has checked, or will check before it uses the answer, that the peer holds the leaf's key.** The adapters for
    /// rustls do so; a host with a TLS stack of its own relies on that stack.
    ///
    /// # Errors
    /// [`ProveError`] names the clause that failed.
    pub fn prove(
        &self,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
        purpose: Purpose,
    ) -> Result<Peer, ProveError> {
        self.prove_chain(chain, now, purpose).map(Proved::into_peer)
    }

    /// As [`prove`](Self::prove), and says what the proof rests on: for those who keep connections open, and prove the chain of
    /// each again when something of it changes or ends (rule 27).
    ///
    /// # Errors
    /// [`ProveError`] names the clause that failed.
    pub fn prove_chain(
        &self,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
        purpose: Purpose,
    ) -> Result<Proved, ProveError> {
        let (leaf, intermediates) = chain.split_first().ok_or(ProveError::NoCertificate)?;
        let presented = Chain {
            leaf,
            intermediates,
        };
        self.prove_presented(presented, None, now, purpose)
    }

    /// The same for a chain that was proved before, as if it were presented anew. No copy of it is made.
    ///
    /// Where its path still ends in an authority of the bundle in force, that same certificate, no signature of it is checked once
    /// more; validity, deny list and revocation lists are judged each time.
    ///
    /// # Errors
    /// [`ProveError`] names the clause that failed.
    pub fn prove_again(
        &self,
        chain: &ProvedChain,
        now: Timestamp,
        purpose: Purpose,
    ) -> Result<Proved, ProveError> {
        if let Some(proved) = self.prove_held(chain, now, purpose) {
            return Ok(proved);
        }
        let certificates: Vec<CertificateDer<'_>> = chain.certificates().collect();
        let (leaf, intermediates) = certificates
            .split_first()
            .ok_or(ProveError::NoCertificate)?;
        let presented = Chain {
            leaf,
            intermediates,
        };
        self.prove_presented(presented, Some(chain), now, purpose)
    }

    /// By the path that held last, where that holds.
    fn prove_held(&self, chain: &ProvedChain, now: Timestamp, purpose: Purpose) -> Option<Proved> {
        let held = chain.held()?;
        let (bundles, revocation) = (self.bundles.snapshot(), self.revocation.snapshot());
        // Rule 20: by the leaf's own trust domain, as ever.
        let bundle = bundles.set.get(held.peer().id().trust_domain_name())?;
        let search = path::Search {
            bundle,
            revocation: &revocation,
            algorithms: self.algorithms.all,
            dev_authority: self.dev_authority,
            now,
            purpose,
        };
        let found = search.again(&held, chain)?;
        Some(Proved {
            peer: held.peer().clone(),
            chain: chain.clone(),
            generations: Generations {
                bundles: bundles.generation,
                revocation: revocation.generation,
            },
            holds_until: found.holds_until,
        })
    }

    /// `kept` is the chain that is presented, where there is a copy of it already.
    pub(crate) fn prove_presented(
        &self,
        presented: Chain<'_>,
        kept: Option<&ProvedChain>,
        now: Timestamp,
        purpose: Purpose,
    ) -> Result<Proved, ProveError> {
        let Chain {
            leaf,
            intermediates,
        } = presented;
        check_bounds(leaf, intermediates)?;
        let (bundles, revocation) = (self.bundles.snapshot(), self.revocation.snapshot());
        let generations = Generations {
            bundles: bundles.generation,
            revocation: revocation.generation,
        };
        let under = Under {
            purpose,
            bundles: bundles.generation,
            crls: revocation.crl_generation,
        };
        let hash = self.cache.hash(presented);
        let get = |hash| self.cache.get(hash, presented, under, now);
        if let Some(entry) = hash.and_then(get)
            && is_denied_nowhere(&entry, &bundles.set, &revocation)
        {
            return Ok(Proved {
                peer: entry.peer().clone(),
                chain: entry.chain().clone(),
                generations,
                holds_until: entry.found().holds_until,
            });
        }
        let (cert, id) = leaf::check(leaf)?;
        // Rule 20: choose the bundle first, by the leaf's own trust domain, then verify with nothing else.
        let bundle = bundles
            .set
            .get(id.trust_domain_name())
            .ok_or_else(|| ProveError::UnknownTrustDomain(id.trust_domain()))?;
        let search = path::Search {
            bundle,
            revocation: &revocation,
            algorithms: self.algorithms.all,
            dev_authority: self.dev_authority,
            now,
            purpose,
        };
        let found = search.run(leaf, &cert, &id, intermediates)?;
        let leaf = kept.map_or_else(|| leaf.as_ref().into(), |kept| Arc::clone(kept.leaf()));
        let proof = Proof::X509 {
            id,
            leaf_sha256: LeafDigest::of(Arc::clone(&leaf)),
            serial: cert.serial.into(),
            not_after: found.not_after,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the verifier: every clause above has held"
        )]
        let peer = Peer::assertion(
            proof,
            "path to an authority of its own trust domain verified",
        );
        let held = search.held(found, &peer);
        let chain = match kept {
            None => ProvedChain::of(presented, leaf, held),
            Some(kept) => {
                held.into_iter().for_each(|held| kept.hold(held));
                kept.clone()
            }
        };
        if let Some(hash) = hash {
            self.cache.insert(hash, &chain, under, found, &peer);
        }
        Ok(Proved {
            peer,
            chain,
            generations,
            holds_until: found.holds_until,
        })
    }

    pub(crate) const fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.algorithms
    }
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prover")
            .field("bundles", &self.bundles)
            .field("revocation", &self.revocation)
            .field("dev_authority", &self.dev_authority)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

/// Whether the deny list names nothing of a remembered path. Judged each time (T17).
fn is_denied_nowhere(entry: &Entry, bundles: &BundleSet, revocation: &State) -> bool {
    if status::check_id(revocation, entry.peer().id()).is_err() {
        return false;
    }
    let lists = revocation.deny_lists();
    if !status::names_certificates(lists) {
        return true;
    }
    let clean = |(certificate, named): &(Position, _)| {
        status::check_named(lists, *certificate, named).is_ok()
    };
    let authority = bundles
        .get(entry.peer().id().trust_domain_name())
        .and_then(|bundle| bundle.facts().get(entry.found().authority));
    entry.named().is_some_and(|named| named.iter().all(clean))
        && authority.is_some_and(|facts| {
            status::check_named(lists, Position::Authority, &facts.named).is_ok()
        })
}

/// Rule 31: what is too much is not even parsed.
fn check_bounds(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<(), ProveError> {
    let count = intermediates.len().saturating_add(1);
    if count > MAX_CHAIN {
        return Err(ProveError::ChainTooLong(count));
    }
    for (index, certificate) in core::iter::once(leaf).chain(intermediates).enumerate() {
        let len = certificate.len();
        if len > MAX_CERTIFICATE_BYTES {
            return Err(ProveError::CertificateTooLong { index, len });
        }
    }
    Ok(())
}
