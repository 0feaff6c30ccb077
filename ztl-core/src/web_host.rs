//! A host outside the mesh, proved by the Web PKI.

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

use crate::time::Timestamp;

/// A host outside the mesh whose certificate the Web PKI proved to be for exactly its name. Cheap to clone.
///
/// What a [`Peer`](crate::Peer) is to a workload, this is to a destination of `[external.NAME]`: a host has no SPIFFE ID, and is
/// no caller, ever. Its one door is [`WebHost::assertion`].
#[derive(Clone, PartialEq, Eq)]
pub struct WebHost(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    name: Box<str>,
    addr: Option<IpAddr>,
    expires_at: Timestamp,
    reason: &'static str,
    test_only: bool,
}

impl WebHost {
    /// States that the host of this name was proved at this address, by a path of certificates all of which are good until then.
    /// **Whoever calls this vouches for it**: `reason` says how the proof was checked. The workspace's `clippy.toml` bans it but
    /// for the verifier.
    #[must_use]
    pub fn assertion(
        name: &str,
        addr: IpAddr,
        expires_at: Timestamp,
        reason: &'static str,
    ) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            addr: Some(addr),
            expires_at,
            reason,
            test_only: false,
        }))
    }

    /// A host that would prove itself, at an address that it may have where none is given, to foresee what a decision would be;
    /// never handed out.
    pub(crate) fn foreseen(name: &str, addr: Option<IpAddr>) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            addr,
            expires_at: Timestamp::MAX,
            reason: "foreseen",
            test_only: true,
        }))
    }

    /// Its name, in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Where it was proved; none where that was not asked.
    #[must_use]
    pub fn addr(&self) -> Option<IpAddr> {
        self.0.addr
    }

    /// From when on the proof no longer holds.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.0.expires_at
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

impl fmt::Debug for WebHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebHost")
            .field("name", &self.name())
            .field("addr", &self.addr())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

/// Who is called outside the mesh.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outside<'a> {
    /// Whoever is to be asked for this name; it proved nothing.
    Named(&'a str),
    Proved(&'a WebHost),
}

impl<'a> Outside<'a> {
    pub(crate) fn name(self) -> &'a str {
        match self {
            Self::Named(name) => name,
            Self::Proved(host) => host.name(),
        }
    }

    pub(crate) fn proved(self) -> Option<&'a WebHost> {
        match self {
            Self::Named(_) => None,
            Self::Proved(host) => Some(host),
        }
    }
}
