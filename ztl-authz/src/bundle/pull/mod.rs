//! OPA's bundle protocol, without I/O: what to ask for and when, and what of an answer is taken.

mod delay;
mod error;
#[cfg(test)]
mod tests;

use core::fmt;
use core::time::Duration;

use ztl_core::Timestamp;

use super::read::{Bundle, BundleReader};
use super::revision::{RevisionMark, RevisionOrder};
use crate::schedule::Schedule;
use delay::Delay;
use ztl_core::url::{HttpUrl, Plain, shown};

pub use delay::{DEFAULT_MAX_DELAY, DEFAULT_MIN_DELAY};
pub use error::PullError;

/// How long a bundle counts after the server last said that it is the newest, where nothing else is said.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// The least time between two fetches, however quickly a long poll is answered.
const COOL_DOWN: Duration = Duration::from_secs(1);
/// The longest that a server is asked to wait.
const MAX_WAIT: Duration = Duration::from_secs(600);
/// A longer `ETag` is not sent back.
const MAX_ETAG_BYTES: usize = 1024;
/// What a server says that lets a request wait for news.
const LONG_POLL_TYPE: &str = "application/vnd.openpolicyagent.bundles";

/// Pulls one bundle again and again: says what is due, judges what came, remembers what was in force.
///
/// 1. `GET`, with the `ETag` of the bundle in force, asking for a snapshot (never a delta), with the configured bearer token.
/// 2. The first is due at once. After a good answer the next is due after a time drawn between the two delays; where the server lets
///    requests wait for news (`application/vnd.openpolicyagent.bundles`) and [`long_polling`](Self::long_polling) was asked for, at
///    once. After a failure the wait doubles from half a second up to the longer delay.
/// 3. A bundle is taken in two steps: [`receive`](Self::receive) reads and verifies it, and [`in_force`](Self::in_force) is told when
///    it is: only then its `ETag` and its revision count. Where it cannot be put in force, [`failed`](Self::failed) is told, and it
///    is asked for again. Where nobody knows what is in force by then, [`withdrawn`](Self::withdrawn) is told in its place.
/// 4. A revision never goes back ([`RevisionOrder`]).
/// 5. After [`DEFAULT_MAX_AGE`] without a good answer the bundle counts no more (law 1).
/// 6. `http` is taken where a verification key is configured, or from a loopback address (T24). A redirect is a failure.
///
/// It owns no clock, socket or timer. Whoever drives it asks [`due`](Self::due), fetches, and hands in what came.
///
/// ```
/// use ztl_authz::bundle::{BundlePull, BundleReader, PullDue, PullAnswer};
/// use ztl_core::Timestamp;
///
/// let mut pull = BundlePull::new("https://bundles.example/authz.tar.gz", BundleReader::unsigned())?;
/// let now = Timestamp::from_unix_secs(1_790_000_000);
/// let PullDue::Fetch(fetch) = pull.due(now) else { panic!("the first is due at once") };
/// assert_eq!(fetch.url().target(), "/authz.tar.gz");
/// assert_eq!(fetch.prefer(), "modes=snapshot");
///
/// let not_found = PullAnswer { status: 404, etag: None, content_type: None, body: b"" };
/// assert!(pull.receive(not_found, now).is_err());
/// assert!(matches!(pull.due(now), PullDue::At(_)));
///
/// assert!(BundlePull::new("http://bundles.example/authz.tar.gz", BundleReader::unsigned()).is_err());
/// # Ok::<(), ztl_authz::bundle::PullError>(())
/// ```
#[derive(Clone)]
pub struct BundlePull {
    url: HttpUrl,
    reader: BundleReader,
    token: Option<Box<str>>,
    order: RevisionOrder,
    schedule: Schedule,
    delay: Delay,
    /// How long the server may let a request wait, where that is asked for.
    wait: Option<Duration>,
    /// Whether the server lets requests wait, as far as is known.
    waits: bool,
    etag: Option<Box<str>>,
    mark: Option<RevisionMark>,
    /// Read and not yet in force.
    offered: Option<Offered>,
}

#[derive(Clone)]
struct Offered {
    etag: Option<Box<str>>,
    mark: RevisionMark,
}

/// What is to be done now.
#[derive(Debug)]
#[non_exhaustive]
pub enum PullDue {
    /// Fetch, then tell [`BundlePull::receive`] or [`BundlePull::failed`].
    Fetch(PullFetch),
    /// The bundle is older than it may be: it is not in force any more. Said once.
    Withdraw,
    /// Nothing until then.
    At(Timestamp),
}

/// One fetch: `GET` with these fields, and no redirect followed. Has no `Debug` of the token.
#[derive(Clone)]
pub struct PullFetch {
    url: HttpUrl,
    etag: Option<Box<str>>,
    authorization: Option<Box<str>>,
    wait: Option<Duration>,
    max_bytes: usize,
}

/// What came back. Fields that are there several times are as good as none.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "whoever drives a pull makes it, and the protocol has no other part"
)]
pub struct PullAnswer<'a> {
    /// The status.
    pub status: u16,
    /// `ETag`.
    pub etag: Option<&'a str>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// The body: of a `200` all of it, of anything else nothing is read.
    pub body: &'a [u8],
}

/// What a good answer means.
#[derive(Clone, Debug)]
#[must_use]
#[non_exhaustive]
pub enum Pulled {
    /// A bundle: put it in force, and say so with [`BundlePull::in_force`].
    Bundle(Box<Bundle>),
    /// The one in force is the newest.
    Unchanged,
}

impl PullFetch {
    /// Where to ask.
    #[must_use]
    pub const fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// `If-None-Match`, where a bundle is in force that has an `ETag`.
    #[must_use]
    pub fn if_none_match(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// `Authorization`, where a token is configured. A secret.
    #[must_use]
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// `Prefer` (RFC 7240).
    #[must_use]
    pub fn prefer(&self) -> String {
        match self.wait {
            Some(wait) => format!("modes=snapshot;wait={}", wait.as_secs()),
            None => "modes=snapshot".to_owned(),
        }
    }

    /// How long the server may let the request wait before it answers: so much longer than usual a fetch may take.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait.unwrap_or_default()
    }

    /// How many bytes of body may come; with more, give up.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        self.max_bytes
    }
}

impl BundlePull {
    /// The bundle at a URL, read by this reader.
    ///
    /// # Errors
    /// [`PullError::Url`] where it is not `https` without user information, or `http` where that is taken.
    pub fn new(url: &str, reader: BundleReader) -> Result<Self, PullError> {
        let plain = if reader.verifies() {
            Plain::Signed
        } else {
            Plain::FromLoopback
        };
        let parsed = HttpUrl::parse(url, plain).map_err(|error| PullError::Url {
            url: shown(url.split('?').next().unwrap_or_default()),
            error,
        })?;
        Ok(Self {
            url: parsed,
            reader,
            token: None,
            order: RevisionOrder::default(),
            schedule: Schedule::new(DEFAULT_MAX_DELAY, COOL_DOWN, DEFAULT_MAX_AGE),
            delay: Delay::default(),
            wait: None,
            waits: true,
            etag: None,
            mark: None,
            offered: None,
        })
    }

    /// Sends this bearer token (RFC 6750).
    ///
    /// # Errors
    /// [`PullError::Token`] where it is none, [`PullError::TokenInClear`] where anybody could read it on its way.
    pub fn bearer_token(mut self, token: &str) -> Result<Self, PullError> {
        let plain = token.trim_end_matches('=');
        let fits = |it: u8| it.is_ascii_alphanumeric() || b"-._~+/".contains(&it);
        if plain.is_empty() || !plain.bytes().all(fits) {
            return Err(PullError::Token);
        }
        if !self.url.is_encrypted() && !self.url.is_loopback() {
            return Err(PullError::TokenInClear);
        }
        self.token = Some(format!("Bearer {token}").into());
        Ok(self)
    }

    /// Between these two the wait after a good answer is drawn; each from 1 second to a week. [`DEFAULT_MIN_DELAY`] and
    /// [`DEFAULT_MAX_DELAY`] where not set, as in OPA.
    #[must_use]
    pub fn delays(mut self, least: Duration, most: Duration) -> Self {
        self.schedule.set_refresh(most);
        self.delay = self.delay.between(least, self.schedule.refresh());
        self
    }

    /// Asks the server to answer only when there is news, or after this long; whole seconds, at most 10 minutes. A server that does
    /// not know of it answers at once and is asked again after the delays.
    #[must_use]
    pub fn long_polling(mut self, wait: Duration) -> Self {
        let wait = Duration::from_secs(wait.min(MAX_WAIT).as_secs());
        self.wait = Some(wait).filter(|wait| !wait.is_zero());
        self
    }

    /// How long a bundle counts after the last good answer, from 1 second to a week. [`DEFAULT_MAX_AGE`] where not set.
    #[must_use]
    pub fn max_age(mut self, span: Duration) -> Self {
        self.schedule.set_max_stale(span);
        self
    }

    /// What order revisions have to be in.
    #[must_use]
    pub const fn revision_order(mut self, order: RevisionOrder) -> Self {
        self.order = order;
        self
    }

    /// Begins with the mark of an earlier run, so that no older bundle is taken after a restart (T24).
    #[must_use]
    pub fn with_mark(mut self, mark: RevisionMark) -> Self {
        self.mark = Some(mark);
        self
    }

    /// Where the waits are drawn from; without it, from the random state of the process.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.delay = self.delay.seed(seed);
        self
    }

    /// Where it is pulled from.
    #[must_use]
    pub const fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// The newest revision that was in force, now or in an earlier run: to be stored.
    #[must_use]
    pub const fn mark(&self) -> Option<&RevisionMark> {
        self.mark.as_ref()
    }

    /// When the last good answer came, while its bundle is in force.
    #[must_use]
    pub const fn fetched_at(&self) -> Option<Timestamp> {
        self.schedule.good()
    }

    /// From when on the bundle in force counts no more.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.schedule.ends()
    }

    /// What is to be done. A fetch that is handed out counts as tried, so that one which is lost is not tried again at once.
    pub fn due(&mut self, now: Timestamp) -> PullDue {
        let next = self.schedule.next(now);
        if self.schedule.ends().is_some_and(|end| now >= end) {
            self.holds_nothing();
            return PullDue::Withdraw;
        }
        match next {
            Some(at) => PullDue::At(at),
            None => PullDue::Fetch(self.fetch(now)),
        }
    }

    /// A fetch now, whether one is due or not.
    pub fn fetch(&mut self, now: Timestamp) -> PullFetch {
        self.schedule.tried_at(now);
        self.offered = None;
        PullFetch {
            url: self.url.clone(),
            etag: self.etag.clone(),
            authorization: self.token.clone(),
            // Without a bundle the answer is wanted now.
            wait: self.wait.filter(|_| self.waits && self.etag.is_some()),
            max_bytes: self.reader.max_bytes(),
        }
    }

    /// Takes an answer that came **from a host that has proved itself**, or any where the reader verifies.
    ///
    /// # Errors
    /// [`PullError`]; the wait grows, and the bundle in force stays, for as long as it may.
    pub fn receive(&mut self, answer: PullAnswer<'_>, now: Timestamp) -> Result<Pulled, PullError> {
        let received = self.judge(answer, now);
        if received.is_err() {
            self.failed(now);
        }
        received
    }

    fn judge(&mut self, answer: PullAnswer<'_>, now: Timestamp) -> Result<Pulled, PullError> {
        match answer.status {
            200 => {}
            304 if self.etag.is_some() && self.schedule.good().is_some() => {
                self.good(now);
                return Ok(Pulled::Unchanged);
            }
            304 => return Err(PullError::NothingToKeep),
            other => return Err(PullError::Status(other)),
        }
        let bundle = self.reader.read(answer.body)?;
        let mark = RevisionMark::of(&bundle.manifest);
        mark.follows(self.mark.as_ref(), self.order)?;
        let media_type = answer.content_type.unwrap_or_default().split(';').next();
        self.waits = media_type.is_some_and(|it| it.trim().eq_ignore_ascii_case(LONG_POLL_TYPE));
        let sendable = |etag: &&str| {
            (1..=MAX_ETAG_BYTES).contains(&etag.len())
                && etag.bytes().all(|it| (0x20..0x7f).contains(&it))
        };
        self.offered = Some(Offered {
            etag: answer.etag.filter(sendable).map(Into::into),
            mark,
        });
        Ok(Pulled::Bundle(Box::new(bundle)))
    }

    /// The bundle that [`receive`](Self::receive) answered is in force.
    pub fn in_force(&mut self, now: Timestamp) {
        if let Some(Offered { etag, mark }) = self.offered.take() {
            self.etag = etag;
            self.mark = Some(mark);
            self.good(now);
        }
    }

    /// Nothing came, or the bundle that came could not be put in force. The wait grows with each.
    pub fn failed(&mut self, now: Timestamp) {
        self.offered = None;
        let wait = self.delay.after_failure();
        self.schedule.wait(now, wait);
    }

    /// Putting a bundle in force broke off, and what there was is withdrawn, as far as that could be: none is in force any more. One is
    /// asked for again as after a [failure](Self::failed), and whole.
    ///
    /// ```
    /// use ztl_authz::bundle::{BundlePull, BundleReader};
    /// use ztl_core::Timestamp;
    ///
    /// let mut pull = BundlePull::new("https://bundles.example/authz.tar.gz", BundleReader::unsigned())?;
    /// let now = Timestamp::from_unix_secs(1_790_000_000);
    /// pull.withdrawn(now);
    /// assert_eq!((pull.fetched_at(), pull.ends_at()), (None, None));
    /// assert_eq!(pull.fetch(now).if_none_match(), None);
    /// # Ok::<(), ztl_authz::bundle::PullError>(())
    /// ```
    pub fn withdrawn(&mut self, now: Timestamp) {
        self.holds_nothing();
        self.failed(now);
    }

    /// Nothing is in force that could be unchanged.
    fn holds_nothing(&mut self) {
        self.schedule.withdraw();
        self.etag = None;
    }

    fn good(&mut self, now: Timestamp) {
        self.schedule.good_at(now);
        let drawn = self.delay.after_success();
        let polls = self.wait.is_some() && self.waits && self.etag.is_some();
        let wait = if polls { Duration::ZERO } else { drawn };
        self.schedule.wait(now, wait);
    }
}

impl fmt::Debug for BundlePull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundlePull")
            .field("url", &self.url)
            .field("reader", &self.reader)
            .field("mark", &self.mark)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PullFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullFetch")
            .field("url", &self.url)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}
