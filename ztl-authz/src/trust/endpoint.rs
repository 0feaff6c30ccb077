//! Signals that are polled over HTTP, without I/O.

use core::fmt;
use core::time::Duration;

use thiserror::Error;
use ztl_core::Timestamp;
use ztl_core::url::{HttpUrl, Plain, UrlError, shown};

use super::shared::SharedTable;
use super::table::{MAX_TABLE_BYTES, SignalTable, TableError};
use crate::schedule::Schedule;

/// How often signals are asked for where nothing else is said.
pub const DEFAULT_POLL: Duration = Duration::from_secs(30);
/// How long signals count after the last good answer where nothing else is said.
pub const DEFAULT_KEPT: Duration = Duration::from_secs(600);
/// The least time between two fetches.
const COOL_DOWN: Duration = Duration::from_secs(10);
/// The longest time between two fetches of a source that fails, where it is not polled less often.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(300);
/// Longest entity tag that is kept; a longer one is taken for none.
const MAX_ETAG_BYTES: usize = 512;

/// Polls one source of signals: says what is due, judges what came, keeps the last good table.
///
/// 1. The answer is a [`SignalTable`], at most [`MAX_TABLE_BYTES`] of JSON. One bad signal refuses all of it, and so does one that is
///    older than what is held of the same: a table never goes back in time (rule 57).
/// 2. Nothing is fetched on the path of a request. The first fetch is due at once, the next after [`DEFAULT_POLL`].
/// 3. After a failure the last good table stays, until [`DEFAULT_KEPT`] after the last good answer. Then all of its signals are gone,
///    and what a missing signal does to a score, they do (T4).
/// 4. After one failure the next fetch is due after 10 seconds, and after each more in twice the time, up to 5 minutes.
/// 5. An entity tag (RFC 9110 §8.8.3) is sent back, and `304` means that the table is still the newest.
///
/// It owns no clock, socket or timer. Whoever drives it asks [`due`](Self::due), fetches, and hands in what came.
///
/// ```
/// use ztl_authz::trust::{SignalEndpoint, Signals, SignalsDue};
/// use ztl_core::Timestamp;
///
/// let mut mdm = SignalEndpoint::new("https://mdm.example/signals")?;
/// let signals = Signals::none().with("device", mdm.signals());
///
/// let now = Timestamp::from_unix_secs(1_790_000_000);
/// assert!(matches!(mdm.due(now), SignalsDue::Fetch));
/// let body = br#"{"source": "mdm", "signals": [
///     {"name": "device", "peer": "spiffe://prod.example/laptop", "value": 90, "observed_at": 1790000000}
/// ]}"#;
/// mdm.receive(body, Some("\"7\""), now)?;
/// assert_eq!(mdm.etag(), Some("\"7\""));
/// # let _ = signals;
/// # Ok::<(), ztl_authz::trust::SignalEndpointError>(())
/// ```
pub struct SignalEndpoint {
    url: HttpUrl,
    schedule: Schedule,
    held: SharedTable,
    etag: Option<Box<str>>,
    failures: u32,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignalsDue {
    /// Fetch, then tell [`SignalEndpoint::receive`], [`not_modified`](SignalEndpoint::not_modified) or
    /// [`failed`](SignalEndpoint::failed).
    Fetch,
    /// The signals were too old and are gone. Said once.
    Withdrawn,
    /// Nothing until then.
    At(Timestamp),
}

/// Why a source was not configured, or what came from it was not taken. The last good table stays, for as long as it may.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignalEndpointError {
    /// The URL is none that signals are fetched from.
    #[error("the URL `{url}` {error}")]
    Url {
        /// The URL, without its query.
        url: Box<str>,
        /// What is wrong with it.
        error: UrlError,
    },
    /// The table is refused.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A signal is older than the one that is held of the same.
    #[error(
        "a signal `{name}` was observed before the one that is in force: the table is not taken"
    )]
    GoesBack {
        /// Its name.
        name: Box<str>,
    },
    /// `304` to a question without an entity tag.
    #[error("the source says that its table is the one in force, and it was not asked so")]
    NotAsked,
}

impl SignalEndpoint {
    /// The table at a URL.
    ///
    /// # Errors
    /// [`SignalEndpointError::Url`] where it is not an `https` URL without user information.
    pub fn new(url: &str) -> Result<Self, SignalEndpointError> {
        Self::at(url, Plain::Refuse)
    }

    /// The same, where the source may also be `http` at a loopback address such as `http://127.0.0.1:8080`: an agent on this very
    /// host. Whoever else is on this host can be that source.
    ///
    /// # Errors
    /// [`SignalEndpointError::Url`].
    pub fn allow_plain_loopback(url: &str) -> Result<Self, SignalEndpointError> {
        Self::at(url, Plain::FromLoopback)
    }

    fn at(url: &str, plain: Plain) -> Result<Self, SignalEndpointError> {
        let parsed = HttpUrl::parse(url, plain).map_err(|error| SignalEndpointError::Url {
            url: shown(url.split('?').next().unwrap_or_default()),
            error,
        })?;
        Ok(Self {
            url: parsed,
            schedule: Schedule::new(DEFAULT_POLL, COOL_DOWN, DEFAULT_KEPT),
            held: SharedTable::new(),
            etag: None,
            failures: 0,
        })
    }

    /// How often signals are asked for, from 1 second to a week. [`DEFAULT_POLL`] where not set.
    #[must_use]
    pub fn poll_every(mut self, every: Duration) -> Self {
        self.schedule.set_refresh(every);
        self.schedule.set_cool_down(every.min(COOL_DOWN));
        self
    }

    /// How long signals count after the last good answer, from 1 second to a week. [`DEFAULT_KEPT`] where not set. What the policy
    /// says of a signal's age (`max_age`) holds beside it.
    #[must_use]
    pub fn keep_for(mut self, span: Duration) -> Self {
        self.schedule.set_max_stale(span);
        self
    }

    /// Where to ask: with `GET`, and following no redirect.
    #[must_use]
    pub const fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// How many bytes of body may come; with more, give up.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        MAX_TABLE_BYTES
    }

    /// What to send as `If-None-Match`, where anything.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// The signals that are held, as they change.
    #[must_use]
    pub fn signals(&self) -> SharedTable {
        self.held.clone()
    }

    /// When the last good answer came, while its signals count.
    #[must_use]
    pub const fn fetched_at(&self) -> Option<Timestamp> {
        self.schedule.good()
    }

    /// What is to be done. A fetch that is handed out counts as tried.
    pub fn due(&mut self, now: Timestamp) -> SignalsDue {
        let next = self.schedule.next(now);
        if self.schedule.ends().is_some_and(|end| now >= end) {
            self.schedule.withdraw();
            self.etag = None;
            // From that moment on nobody knows of them; this makes room.
            self.held.swap(SignalTable::default());
            return SignalsDue::Withdrawn;
        }
        match next {
            Some(at) => SignalsDue::At(at),
            None => {
                self.schedule.tried_at(now);
                SignalsDue::Fetch
            }
        }
    }

    /// Takes the body of a `200` that came **from a host that has proved itself**, and says how many signals there are now.
    ///
    /// # Errors
    /// [`SignalEndpointError`]; the table held stays, for as long as it may.
    pub fn receive(
        &mut self,
        body: &[u8],
        etag: Option<&str>,
        now: Timestamp,
    ) -> Result<usize, SignalEndpointError> {
        let table = SignalTable::from_json(body)?;
        self.held.admits(&table, now)?;
        let count = table.len();
        // Before the table: what comes with it must not end with the last.
        self.good(now);
        self.held.swap(table);
        self.etag = etag.filter(|etag| is_etag(etag)).map(Into::into);
        Ok(count)
    }

    /// The source answered `304`: what is held is the newest.
    ///
    /// # Errors
    /// [`SignalEndpointError::NotAsked`] where no entity tag was sent.
    pub fn not_modified(&mut self, now: Timestamp) -> Result<(), SignalEndpointError> {
        if self.etag.is_none() {
            return Err(SignalEndpointError::NotAsked);
        }
        self.good(now);
        Ok(())
    }

    /// Nothing good came.
    pub fn failed(&mut self, now: Timestamp) {
        // 10 s, 20 s, 40 s …
        let more = 1_u32.checked_shl(self.failures.min(16)).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let longest = LONGEST_BACK_OFF.max(self.schedule.refresh());
        let wait = self.schedule.cool_down().saturating_mul(more);
        self.schedule.wait(now, wait.min(longest));
    }

    fn good(&mut self, now: Timestamp) {
        self.failures = 0;
        self.schedule.good_at(now);
        if let Some(end) = self.schedule.ends() {
            self.held.until(end);
        }
    }
}

/// RFC 9110 §8.8.3, bounded: it is sent back as it came.
fn is_etag(etag: &str) -> bool {
    let opaque = etag.strip_prefix("W/").unwrap_or(etag);
    let opaque = opaque.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    etag.len() <= MAX_ETAG_BYTES
        && opaque.is_some_and(|it| {
            it.bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'"')
        })
}

impl fmt::Debug for SignalEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalEndpoint")
            .field("url", &self.url)
            .field("fetched_at", &self.fetched_at())
            .finish_non_exhaustive()
    }
}
