//! The other end of a connection, proved.

use core::fmt;
use std::sync::Arc;

use crate::id::SpiffeId;
use crate::leaf_digest::LeafDigest;
use crate::time::Timestamp;

/// What an end was proved with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// A certificate chain that leads to the bundle of the id's own trust domain, with possession of the leaf's key.
    X509 {
        /// The only URI name of the leaf.
        id: SpiffeId,
        /// SHA-256 of the leaf's DER.
        leaf_sha256: LeafDigest,
        /// The leaf's serial number, big-endian, as it stands in the certificate.
        serial: Box<[u8]>,
        /// The earliest end of validity in the chain.
        not_after: Timestamp,
    },
    /// Another party says so. Denied unless the target workload names that party in `asserted_by`.
    Asserted {
        /// Whom the other party says it is.
        id: SpiffeId,
        /// The name of the party that says so, as the policy names it.
        by: Box<str>,
        /// SHA-256 of the leaf's DER that the party saw, if it passed one on.
        leaf_sha256: Option<[u8; 32]>,
        /// Until when the assertion holds.
        expires_at: Timestamp,
    },
}

impl Proof {
    /// The proved (or asserted) id.
    #[must_use]
    pub const fn id(&self) -> &SpiffeId {
        match self {
            Self::X509 { id, .. } | Self::Asserted { id, .. } => id,
        }
    }

    /// From when on this proves nothing any more.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        match self {
            Self::X509 { not_after, .. } => *not_after,
            Self::Asserted { expires_at, .. } => *expires_at,
        }
    }
}

/// An end that was proved. Cheap to clone.
///
/// It is the first of the three proofs that are types (law 2): `Peer`, then [`FlowPermit`](crate::FlowPermit), then
/// [`ActionPermit`](crate::ActionPermit). Its one door is [`Peer::assertion`].
#[derive(Clone, PartialEq, Eq)]
pub struct Peer(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    proof: Proof,
    reason: &'static str,
    test_only: bool,
}

impl Peer {
    /// States that an end was proved. **Whoever calls this vouches for it**: `reason` says how the proof was checked.
    ///
    /// A verifier, the C door and test helpers call it; the workspace's `clippy.toml` bans it everywhere else.
    #[must_use]
    pub fn assertion(proof: Proof, reason: &'static str) -> Self {
        Self(Arc::new(Inner {
            proof,
            reason,
            test_only: false,
        }))
    }

    /// A peer that nobody proved, for tests. An engine that was not built for tests denies it (T18).
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn for_test(id: SpiffeId) -> Self {
        let proof = Proof::X509 {
            id,
            leaf_sha256: [0; 32].into(),
            serial: Box::new([1]),
            not_after: Timestamp::MAX,
        };
        Self(Arc::new(Inner {
            proof,
            reason: "test",
            test_only: true,
        }))
    }

    /// A peer that would have this id, to foresee what a decision would be; never handed out.
    pub(crate) fn foreseen(id: SpiffeId) -> Self {
        let proof = Proof::X509 {
            id,
            leaf_sha256: [0; 32].into(),
            serial: Box::new([]),
            not_after: Timestamp::MAX,
        };
        Self(Arc::new(Inner {
            proof,
            reason: "foreseen",
            test_only: true,
        }))
    }

    /// The same, as another party would assert it.
    pub(crate) fn foreseen_by(id: SpiffeId, by: &str) -> Self {
        let proof = Proof::Asserted {
            id,
            by: by.into(),
            leaf_sha256: None,
            expires_at: Timestamp::MAX,
        };
        Self(Arc::new(Inner {
            proof,
            reason: "foreseen",
            test_only: true,
        }))
    }

    /// Who it is.
    #[must_use]
    pub fn id(&self) -> &SpiffeId {
        self.0.proof.id()
    }

    /// What proved it.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        &self.0.proof
    }

    /// The certificate that it proved itself by, to which a token may be bound (RFC 8705). None where somebody else asserts who it is.
    #[must_use]
    pub fn leaf(&self) -> Option<&LeafDigest> {
        match self.proof() {
            Proof::X509 { leaf_sha256, .. } => Some(leaf_sha256),
            Proof::Asserted { .. } => None,
        }
    }

    /// From when on the proof no longer holds.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.0.proof.expires_at()
    }

    /// How the proof was checked, in the words of whoever vouched for it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.0.reason
    }

    pub(crate) fn is_test_only(&self) -> bool {
        self.0.test_only
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("id", self.id())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
