//! Signals that are polled over HTTP while the service runs.
//!
//! What is due, and what of an answer is taken, is said by [`SignalEndpoint`]; here it is only carried out: one task a source, for as
//! long as the guard lives. No request ever waits for it, no redirect is followed, and a fetch ends within its time.

mod run;

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::path::PathBuf;

use ztl_authz::trust::SignalEndpoint;
use ztl_mtls::source::WebRoots;

use crate::refresh::SteadyFile;

pub(crate) use run::{begin_counts, spawn};

/// How long a fetch may take, where nothing else is said.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest bearer token of ours.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Where signals are polled from. For [`GuardBuilder::fetched_signals`](crate::GuardBuilder::fetched_signals).
///
/// ```no_run
/// use ztl_tower::FetchedSignals;
/// use ztl_tower::authz::trust::SignalEndpoint;
/// use ztl_tower::mtls::source::WebRoots;
///
/// let roots = WebRoots::from_pem_file("/etc/ssl/certs/ca-certificates.crt")?;
/// let mdm = FetchedSignals::new(SignalEndpoint::new("https://mdm.example/signals")?, roots)
///     .with_identity()
///     .bearer_token_file("/var/run/secrets/mdm/token");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FetchedSignals {
    pub(crate) endpoint: SignalEndpoint,
    roots: Option<WebRoots>,
    timeout: Duration,
    address: Option<SocketAddr>,
    identity: bool,
    token: Option<SteadyFile>,
}

impl FetchedSignals {
    /// Polls this endpoint, at a host that these roots prove: those of the Web PKI, or a private authority's alone.
    #[must_use]
    pub const fn new(endpoint: SignalEndpoint, roots: WebRoots) -> Self {
        Self::by(endpoint, Some(roots))
    }

    /// Polls without any root, so that no `https` host is ever proved: for an agent at a loopback address
    /// ([`SignalEndpoint::allow_plain_loopback`]).
    #[must_use]
    pub const fn without_roots(endpoint: SignalEndpoint) -> Self {
        Self::by(endpoint, None)
    }

    const fn by(endpoint: SignalEndpoint, roots: Option<WebRoots>) -> Self {
        Self {
            endpoint,
            roots,
            timeout: FETCH_TIMEOUT,
            address: None,
            identity: false,
            token: None,
        }
    }

    /// Presents the guard's SVID to the source: mutual TLS. While there is none to present, nothing is fetched.
    #[must_use]
    pub const fn with_identity(mut self) -> Self {
        self.identity = true;
        self
    }

    /// Sends the text of this file as bearer token (RFC 6750 §2.1), read again for each fetch. A file that group or others may write
    /// is refused, and where it cannot be read nothing is fetched.
    #[must_use]
    pub fn bearer_token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token = Some(SteadyFile::new(path.into(), MAX_TOKEN_BYTES));
        self
    }

    /// How long a fetch may take. 10 seconds where not set.
    #[must_use]
    pub const fn fetch_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Where the host is reached. The address proves nothing; without this the host is looked up in the DNS. For plain `http`
    /// from a loopback address it has to be one as well: nothing is asked for anywhere else.
    #[must_use]
    pub const fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }
}

impl fmt::Debug for FetchedSignals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchedSignals")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
