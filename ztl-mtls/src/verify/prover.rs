//! The prover: the only place of this crate that says that a peer was proved.

use core::fmt;

use ::rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use ztl_core::{Peer, Proof, Timestamp};

use super::error::ProveError;
use super::path;
use crate::bundles::Bundles;
use crate::cert::MAX_CERTIFICATE_BYTES;
use crate::leaf;
use crate::pair::MAX_CHAIN;

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

/// Proves peers by their X.509-SVIDs: knows bundles and signature algorithms, no socket, clock or policy. Cheap to clone.
///
/// 1. At most 16 certificates of at most 64 KiB each are looked at (rule 31).
/// 2. The leaf obeys every clause that [`LeafError`](crate::LeafError) names (rules 16 to 19).
/// 3. The leaf's own trust domain chooses the bundle, before any signature is checked (rule 20); no bundle, an empty one: refused.
/// 4. A path leads to an authority of that bundle: signatures, validity of every certificate of the path at `now`, the
///    authority's included, `cA`, keyCertSign, path length, name constraints, extended key usage (RFC 5280 §6).
/// 5. The authority is not a development authority, unless that was allowed (T28).
///
/// The [`Peer`] that comes out expires with the first certificate of its path. Revocation is not judged here yet.
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
    algorithms: WebPkiSupportedAlgorithms,
    dev_authority: DevAuthority,
}

impl Prover {
    /// Proves by these bundles, with the provider's signature algorithms.
    #[must_use]
    pub const fn new(bundles: Bundles, provider: &CryptoProvider) -> Self {
        Self {
            bundles,
            algorithms: provider.signature_verification_algorithms,
            dev_authority: DevAuthority::Refuse,
        }
    }

    /// Also proves peers whose path ends in a development authority (T28). Not for production: the key of such an authority
    /// lies about in a developer's folder.
    #[cfg(feature = "dev-ca")]
    #[must_use]
    pub fn allow_dev_authority(mut self) -> Self {
        self.dev_authority = DevAuthority::Accept;
        self
    }

    /// The bundles it proves by.
    #[must_use]
    pub const fn bundles(&self) -> &Bundles {
        &self.bundles
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
        let (leaf, intermediates) = chain.split_first().ok_or(ProveError::NoCertificate)?;
        self.prove_parts(leaf, intermediates, now, purpose)
            .map(|proved| proved.peer)
    }

    pub(crate) fn prove_parts(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: Timestamp,
        purpose: Purpose,
    ) -> Result<Proved, ProveError> {
        check_bounds(leaf, intermediates)?;
        let (cert, id) = leaf::check(leaf)?;
        let snapshot = self.bundles.snapshot();
        // Rule 20: choose the bundle first, by the leaf's own trust domain, then verify with nothing else.
        let bundle = snapshot
            .set
            .get(id.trust_domain_name())
            .ok_or_else(|| ProveError::UnknownTrustDomain(id.trust_domain()))?;
        let not_after = path::Search {
            bundle,
            algorithms: self.algorithms.all,
            dev_authority: self.dev_authority,
            now,
            purpose,
        }
        .run(leaf, &cert, intermediates)?;
        let proof = Proof::X509 {
            id,
            leaf_sha256: Sha256::digest(leaf).into(),
            serial: cert.serial.into(),
            not_after,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the verifier: every clause above has held"
        )]
        let peer = Peer::assertion(
            proof,
            "path to an authority of its own trust domain verified",
        );
        Ok(Proved {
            peer,
            generation: snapshot.generation,
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
            .field("dev_authority", &self.dev_authority)
            .finish_non_exhaustive()
    }
}

/// A proved peer, and which generation of the bundles proved it.
#[derive(Clone, Debug)]
pub(crate) struct Proved {
    pub(crate) peer: Peer,
    pub(crate) generation: u64,
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
