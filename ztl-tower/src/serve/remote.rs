//! Where a connection comes from.

use core::fmt;
use core::net::SocketAddr;

use ztl_core::{Arrival, Prefix};

/// Whom a connection counts against while it has proved nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Origin {
    Prefix(Prefix),
    /// A user of this machine, at a Unix socket.
    #[cfg(unix)]
    Local(u32),
    /// Nothing is known of where it comes from: all of those are one client.
    Unknown,
}

/// Where a connection comes from, and whom it counts against while it has proved nobody.
#[derive(Clone, Copy)]
pub(super) struct Remote {
    address: Option<SocketAddr>,
    pub(super) share: Origin,
}

impl Remote {
    pub(super) fn from_addr(address: Option<SocketAddr>) -> Self {
        Self {
            address,
            share: address.map_or(Origin::Unknown, |address| {
                Origin::Prefix(address.ip().into())
            }),
        }
    }

    /// Somebody on this machine, at a Unix socket: a user, where the kernel says which.
    #[cfg(unix)]
    pub(super) fn local(stream: &tokio::net::UnixStream) -> Self {
        let user = stream.peer_cred().map(|peer| Origin::Local(peer.uid()));
        Self {
            address: None,
            share: user.unwrap_or(Origin::Unknown),
        }
    }

    /// The place that rules read: a Unix socket has none (T26).
    pub(super) fn arrival(self) -> Arrival {
        self.address
            .map_or_else(Arrival::unknown, |address| Arrival::from_addr(address.ip()))
    }

    pub(super) const fn address(self) -> Option<SocketAddr> {
        self.address
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.share) {
            (Some(address), _) => address.ip().fmt(f),
            #[cfg(unix)]
            (None, Origin::Local(user)) => write!(f, "user {user} of this machine"),
            (None, _) => f.write_str("unknown"),
        }
    }
}
