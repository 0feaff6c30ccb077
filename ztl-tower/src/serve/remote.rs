//! Where a connection comes from.

use core::fmt;
use core::net::SocketAddr;

use ztl_core::Arrival;

use crate::prefix::Prefix;

/// Where a connection comes from, and whom it counts against while it has proved nobody.
#[derive(Clone, Copy)]
pub(super) struct Remote {
    address: Option<SocketAddr>,
    pub(super) share: Prefix,
}

impl Remote {
    pub(super) fn from_addr(address: Option<SocketAddr>) -> Self {
        Self {
            address,
            share: address.map_or(Prefix::Unknown, |address| Prefix::from(address.ip())),
        }
    }

    /// Somebody on this machine, at a Unix socket: a user, where the kernel says which.
    #[cfg(unix)]
    pub(super) fn local(stream: &tokio::net::UnixStream) -> Self {
        let user = stream.peer_cred().map(|peer| Prefix::Local(peer.uid()));
        Self {
            address: None,
            share: user.unwrap_or(Prefix::Unknown),
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
            (None, Prefix::Local(user)) => write!(f, "user {user} of this machine"),
            (None, _) => f.write_str("unknown"),
        }
    }
}
