//! Bounds on what a peer can take up, and on how long.

use core::time::Duration;

use super::GuardBuilder;

/// Bounds on what a peer can take up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From the accepted connection to the end of its handshake.
    pub(crate) handshake: Duration,
    /// From the end of the handshake, or of the last request of HTTP/1.1, to the end of the next header section.
    pub(crate) header: Duration,
    /// From the end of a connection's last request to its own end.
    pub(crate) idle: Duration,
    /// From the beginning of a connection to us to its draining.
    pub(crate) age: Option<Duration>,
    /// From the request to end to the last connection cut.
    pub(crate) drain: Duration,
    /// From a rotation of our own SVID to the end of the connections that rest on the one before.
    pub(crate) rotation: Duration,
    /// From the first packet of an egress connection to the end of its handshake.
    pub(crate) connect: Duration,
    /// Handshakes that compute at once; a slot is taken when a whole ClientHello is there (T35).
    pub(crate) handshakes: usize,
    /// Open connections of one listener.
    pub(crate) connections: usize,
    /// Those of them that have proved nobody, from one address.
    pub(crate) unproved_per_prefix: Option<usize>,
    /// Those of them of one proved peer.
    pub(crate) connections_per_peer: Option<usize>,
    /// Requests of one proved peer at once, on all its connections to one listener.
    pub(crate) requests_per_peer: Option<usize>,
    /// Requests at once on one HTTP/2 connection.
    pub(crate) streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            idle: Duration::from_secs(300),
            age: None,
            drain: Duration::from_secs(10),
            rotation: Duration::from_secs(300),
            connect: Duration::from_secs(10),
            handshakes: 256,
            connections: 16_384,
            unproved_per_prefix: None,
            connections_per_peer: None,
            requests_per_peer: None,
            streams: 256,
        }
    }
}

/// Below this a share is no share: the connections of one client that come at once would be turned away.
#[cfg(feature = "serve")]
const LEAST_SHARE: usize = 16;

#[cfg(feature = "serve")]
impl Limits {
    pub(crate) fn unproved_per_prefix(&self) -> usize {
        self.unproved_per_prefix
            .unwrap_or_else(|| (self.connections / 4).max(LEAST_SHARE))
    }

    pub(crate) fn connections_per_peer(&self) -> usize {
        self.connections_per_peer
            .unwrap_or_else(|| (self.connections / 2).max(LEAST_SHARE))
    }

    pub(crate) fn requests_per_peer(&self) -> usize {
        let streams = usize::try_from(self.streams).unwrap_or(usize::MAX);
        self.requests_per_peer
            .unwrap_or_else(|| (self.connections / 2).max(streams))
    }
}

impl GuardBuilder {
    /// How long a handshake may take, from the accepted connection on. 10 seconds where not set.
    pub const fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.limits.handshake = timeout;
        self
    }

    /// How long the header section of a request may take, from the end of the handshake on, and in HTTP/1.1 from the end of the
    /// request before. 10 seconds where not set.
    pub const fn header_timeout(mut self, timeout: Duration) -> Self {
        self.limits.header = timeout;
        self
    }

    /// How long a connection may stay open while no request runs on it, or while its client takes nothing of what waits to be written to
    /// it. 5 minutes where not set.
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.idle = timeout;
        self
    }

    /// How long a connection to this service lasts at most, in whichever use: a caller comes again, is proved again, and is spread
    /// over what serves by then. No limit where not set.
    ///
    /// Within a second after that it is drained as for a [`shutdown`](crate::Guard::shutdown): what is idle ends, HTTP/2 is told with a
    /// GOAWAY, HTTP/1.1 with the response on its way, and what still runs after the [`drain_timeout`](Self::drain_timeout) is cut, raw streams among it.
    /// Up to a tenth of the time is taken off at random, so that connections that began together do not end together.
    pub const fn max_connection_age(mut self, age: Duration) -> Self {
        self.limits.age = Some(age);
        self
    }

    /// How long an egress connection may take to be made and proved. 10 seconds where not set.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect = timeout;
        self
    }

    /// How long running requests may take after [`Guard::shutdown`](crate::Guard::shutdown). 10 seconds where not set.
    pub const fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.limits.drain = timeout;
        self
    }

    /// How long a connection may last that was made under our SVID before the last rotation; it takes no new request. Never longer
    /// than that SVID is valid. 5 minutes where not set.
    pub const fn rotation_timeout(mut self, timeout: Duration) -> Self {
        self.limits.rotation = timeout;
        self
    }

    /// How many handshakes may compute at once. 256 where not set; at least one.
    pub const fn max_handshakes(mut self, count: usize) -> Self {
        self.limits.handshakes = if count == 0 { 1 } else { count };
        self
    }

    /// How many connections one listener holds. 16 384 where not set; at least one.
    pub const fn max_connections(mut self, count: usize) -> Self {
        self.limits.connections = if count == 0 { 1 } else { count };
        self
    }

    /// How many connections of one listener may come from one address and have proved nobody yet: past that, new ones from there
    /// are closed at once (T35). An address is one of IPv4, or a /64 of IPv6. Callers of a public listener never prove anybody: behind a
    /// load balancer that hides their addresses, set this to [`max_connections`](Self::max_connections).
    ///
    /// A quarter of `max_connections` where not set, but not below 16; at least one.
    pub const fn max_unproved_per_prefix(mut self, count: usize) -> Self {
        self.limits.unproved_per_prefix = Some(if count == 0 { 1 } else { count });
        self
    }

    /// How many connections of one listener one proved peer (SPIFFE ID) may hold: past that, new ones of it are closed after
    /// their handshake (T35).
    ///
    /// Half of [`max_connections`](Self::max_connections) where not set, but not below 16; at least one.
    pub const fn max_connections_per_peer(mut self, count: usize) -> Self {
        self.limits.connections_per_peer = Some(if count == 0 { 1 } else { count });
        self
    }

    /// How many requests one proved peer (SPIFFE ID) may have running at one listener, on all its connections together, upgraded
    /// ones among them: past that, new ones of it are answered 429 with the reason `limit_exceeded`, whatever rules say (T35).
    ///
    /// Half of [`max_connections`](Self::max_connections) where not set, but not below 256, the most that one connection of HTTP/2
    /// may carry; at least one.
    pub const fn max_requests_per_peer(mut self, count: usize) -> Self {
        self.limits.requests_per_peer = Some(if count == 0 { 1 } else { count });
        self
    }
}
