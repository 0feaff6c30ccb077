//! The keys that issuers sign tokens with, fetched while the service runs (OpenID Connect Discovery 1.0; rule 63).
//!
//! 1. What is due, and what of an answer is taken, is said by [`JwksEndpoint`]; here it is only carried out: one task an issuer,
//!    for as long as the guard lives, and so one fetch at a time.
//! 2. No request ever waits for a fetch. Before the first good answer, and when the keys are too old, every token of that issuer
//!    is refused; the guard starts all the same, so that no service waits for somebody else's.
//! 3. A token that names an unknown key wakes the task, which fetches sooner if the cool-down lets it (T34).
//! 4. A fetch ends within its time, however slow the host sends, and reads no more than may come. It follows no redirect, uses no
//!    proxy of the environment, sends no cookie, no credential and no certificate of ours.
//! 5. When a key is gone, running requests that it vouched for are judged again without their token (law 8).

mod error;
mod fetch;
mod run;

use core::fmt;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use ztl_authz::jwt::{Issuer, JwksEndpoint};
use ztl_mtls::source::WebRoots;

pub use error::KeysError;
pub use run::KeysRefreshed;

pub(crate) use run::spawn;

/// How long a fetch may take, where nothing else is said.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Names of unknown keys that wait for the task; what comes beyond is dropped, since one is enough to wake it.
const WAITING: usize = 16;

/// Where the keys of an issuer come from. For [`GuardBuilder::fetched_issuer`](crate::GuardBuilder::fetched_issuer).
///
/// ```no_run
/// use ztl_tower::FetchedKeys;
/// use ztl_tower::authz::jwt::JwksEndpoint;
/// use ztl_tower::mtls::source::WebRoots;
///
/// let roots = WebRoots::from_pem_file("/etc/ssl/certs/ca-certificates.crt")?;
/// let keys = FetchedKeys::new(JwksEndpoint::discovery("https://idp.example")?, roots);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FetchedKeys {
    endpoint: JwksEndpoint,
    roots: Option<WebRoots>,
    timeout: Duration,
    address: Option<SocketAddr>,
}

impl FetchedKeys {
    /// Fetches what this endpoint is configured for, from hosts that these roots prove.
    #[must_use]
    pub const fn new(endpoint: JwksEndpoint, roots: WebRoots) -> Self {
        Self {
            endpoint,
            roots: Some(roots),
            timeout: FETCH_TIMEOUT,
            address: None,
        }
    }

    /// Fetches without any root, so that no `https` host is ever proved: for an issuer at a loopback address
    /// ([`JwksEndpoint::discovery_allow_plain_loopback`]), in development.
    #[must_use]
    pub const fn without_roots(endpoint: JwksEndpoint) -> Self {
        Self {
            endpoint,
            roots: None,
            timeout: FETCH_TIMEOUT,
            address: None,
        }
    }

    /// How long a fetch may take, metadata and keys together. 10 seconds where not set.
    #[must_use]
    pub const fn fetch_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Where the configured host is reached. The address proves nothing; without this the host is looked up in the DNS, and so is
    /// another host that the metadata names. For plain `http`
    /// from a loopback address it has to be one as well: nothing is asked for anywhere else.
    #[must_use]
    pub const fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Whether the tokens of this issuer are those whose keys these are.
    pub(crate) fn is_of(&self, issuer: &Issuer) -> bool {
        self.endpoint
            .issuer()
            .is_none_or(|said| said == issuer.iss())
    }
}

impl fmt::Debug for FetchedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchedKeys")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// An issuer whose keys are under way.
pub(crate) struct Fetched {
    issuer: Box<str>,
    from: FetchedKeys,
    /// How many fetches began.
    begun: Arc<AtomicU64>,
    /// What the last one that came to its end came to, by its number.
    last: Option<(u64, Result<KeysRefreshed, KeysError>)>,
}

/// One of them, and how its task is told of a key that is missing.
pub(crate) struct Held {
    fetched: Arc<Mutex<Fetched>>,
    /// How many fetches of it began.
    begun: Arc<AtomicU64>,
    unknown: mpsc::Sender<Box<str>>,
}

impl Held {
    /// How many fetches of it began by now.
    fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }
}

/// All of a guard, by the issuer's name.
pub(crate) struct Keys(HashMap<Box<str>, Held>);

/// What the tasks are told by, until they run.
pub(crate) type Waiting = Vec<(Arc<Mutex<Fetched>>, mpsc::Receiver<Box<str>>)>;

impl Keys {
    pub(crate) fn new(issuers: Vec<(Box<str>, FetchedKeys)>) -> (Self, Waiting) {
        let (mut keys, mut waiting) = (HashMap::new(), Vec::new());
        for (issuer, from) in issuers {
            let (unknown, told) = mpsc::channel(WAITING);
            let begun = Arc::new(AtomicU64::new(0));
            let fetched = Fetched {
                issuer: issuer.clone(),
                from,
                begun: Arc::clone(&begun),
                last: None,
            };
            let fetched = Arc::new(Mutex::new(fetched));
            waiting.push((Arc::clone(&fetched), told));
            let held = Held {
                fetched,
                begun,
                unknown,
            };
            keys.insert(issuer, held);
        }
        (Self(keys), waiting)
    }

    pub(crate) fn issuers(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|issuer| &**issuer)
    }

    /// A token named a key that the issuer lacks. Never waits.
    pub(crate) fn unknown(&self, issuer: &str, key_id: &str) {
        if let Some(held) = self.0.get(issuer) {
            // Full means that the task is awake, or about to be.
            let _ = held.unknown.try_send(key_id.into());
        }
    }

    fn get(&self, issuer: &str) -> Option<&Held> {
        self.0.get(issuer)
    }
}
