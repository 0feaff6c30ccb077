//! What an operator sees of an open connection.

use ztl_core::{Arrival, Direction, SpiffeId, Timestamp};

/// An open connection, as [`Guard::connections`](crate::Guard::connections) shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connection {
    /// The proved peer; `None` within the handshake, for a caller without SVID on a public port, and for a host outside the mesh.
    pub peer: Option<SpiffeId>,
    /// The host outside the mesh that we called, once it is proved.
    pub host: Option<String>,
    /// Whether the peer called us, or we called it.
    pub direction: Direction,
    /// Where it arrived from; of one to a host outside the mesh, where it goes to.
    pub arrival: Arrival,
    /// The target's port.
    pub port: u16,
    /// When it was registered.
    pub since: Timestamp,
    /// Until when the peer's proof holds though nothing changes.
    pub until: Option<Timestamp>,
    /// How it stands.
    pub state: ConnectionState,
    /// How many requests of the peer run on it, upgraded streams among them.
    pub requests: usize,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Nothing is proved yet.
    Handshake,
    /// It takes requests.
    Open,
    /// It finishes what runs.
    Draining,
    /// It was ended, and its stream is not dropped yet.
    Revoked,
}
