//! Where an issuer publishes its keys, without I/O (OpenID Connect Discovery 1.0; rule 63).

mod absent;
mod error;
#[cfg(test)]
mod tests;
mod url;

use core::fmt;
use core::time::Duration;

use ztl_core::url::{HttpUrl, Plain, UrlError, shown};
use ztl_core::{Timestamp, json};

use super::jwks::{Jwks, MAX_JWKS_BYTES};
use crate::schedule::Schedule;
use absent::Absent;

pub use error::EndpointError;

/// How often keys are fetched again where nothing else is said.
pub const DEFAULT_REFRESH: Duration = Duration::from_secs(300);
/// The least time between two fetches where nothing else is said, whatever is asked for in between.
pub const DEFAULT_COOL_DOWN: Duration = Duration::from_secs(30);
/// How long keys count after the last good answer where nothing else is said.
pub const DEFAULT_MAX_STALE: Duration = Duration::from_secs(3600);

/// The longest metadata of an issuer that is read.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;

/// Fetches the keys of one issuer again and again: says what is due, judges what came, keeps the last good keys.
///
/// 1. The issuer, or the URL of its keys, is configured; nothing in a token leads anywhere (rule 62).
/// 2. By discovery: the metadata stands below the issuer's own URL (§4.1), says the configured issuer to the letter (§4.3), and
///    names the keys by a `jwks_uri` that is `https`. Each refresh begins there anew.
/// 3. Nothing is fetched on the path of a request. The first fetch is due at once, the next after [`DEFAULT_REFRESH`]; between
///    two there is at least [`DEFAULT_COOL_DOWN`], **by time alone**: neither failures nor tokens of unknown keys shorten it.
/// 4. A token of an unknown key brings the next fetch forward to the end of the cool-down. A key that was asked for and did not
///    come is remembered as absent until the next regular one.
/// 5. A redirect is a failure: there is nothing here that follows one.
/// 6. After a failure the last good keys stay, until [`DEFAULT_MAX_STALE`] after the last good answer, which [`Jwks::until`]
///    says too: then every token of the issuer is refused. There are no keys to fall back on.
///
/// It owns no clock, socket or timer. Whoever drives it asks [`due`](Self::due), fetches with `GET` and without credentials, and
/// hands in what came.
///
/// ```
/// use ztl_authz::jwt::{Due, JwksEndpoint, Received};
/// use ztl_core::Timestamp;
///
/// let mut corp = JwksEndpoint::discovery("https://idp.example")?;
/// let now = Timestamp::from_unix_secs(1_790_000_000);
/// let Due::Fetch(metadata) = corp.due(now) else { panic!("the first is due at once") };
/// assert_eq!(metadata.url().to_string(), "https://idp.example/.well-known/openid-configuration");
///
/// let body = br#"{"issuer": "https://idp.example", "jwks_uri": "https://idp.example/keys"}"#;
/// let Received::Next(keys) = corp.receive(&metadata, body, now)? else { panic!("keys come next") };
/// assert_eq!(keys.url().target(), "/keys");
///
/// let body = br#"{"keys": [{
///     "kty": "EC", "crv": "P-256", "kid": "2026-11",
///     "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
///     "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
/// }]}"#;
/// assert!(matches!(corp.receive(&keys, body, now)?, Received::Changed));
/// assert_eq!(corp.jwks().key_count(), 1);
///
/// let liar = br#"{"issuer": "https://evil.example", "jwks_uri": "https://idp.example/keys"}"#;
/// assert!(corp.receive(&metadata, liar, now).is_err());
/// # Ok::<(), ztl_authz::jwt::EndpointError>(())
/// ```
#[derive(Clone)]
pub struct JwksEndpoint {
    start: HttpUrl,
    /// Whose metadata it is, where that is what stands at `start`.
    issuer: Option<Box<str>>,
    plain: Plain,
    schedule: Schedule,
    absent: Absent,
    held: Jwks,
}

/// What is to be done now.
#[derive(Debug)]
#[non_exhaustive]
pub enum Due {
    /// Fetch, then tell [`JwksEndpoint::receive`]; where nothing came there is nothing to tell.
    Fetch(Fetch),
    /// The keys are older than they may be: every token of the issuer is refused until the next good answer. Said once.
    Withdraw,
    /// Nothing until then.
    At(Timestamp),
}

/// What a good answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Received {
    /// The metadata is good: fetch the keys that it names, now.
    Next(Fetch),
    /// Other keys than before, or the first: put [`JwksEndpoint::jwks`] in force.
    Changed,
    /// The same keys, good for longer: put [`JwksEndpoint::jwks`] in force all the same.
    Unchanged,
}

/// One fetch: where to ask, and how much to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    url: HttpUrl,
    /// Where its endpoint begins: whose it is.
    start: HttpUrl,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Metadata,
    Keys,
}

impl Fetch {
    /// Where to ask: with `GET`, without credentials, and following no redirect.
    #[must_use]
    pub const fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// How many bytes of body may come; with more, give up.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        match self.step {
            Step::Metadata => MAX_METADATA_BYTES,
            Step::Keys => MAX_JWKS_BYTES,
        }
    }
}

impl JwksEndpoint {
    /// The keys of an issuer by OpenID Connect Discovery. `issuer` is its `iss`, to the letter.
    ///
    /// # Errors
    /// [`EndpointError::Url`] where it is not an `https` URL without query, fragment and user information.
    pub fn discovery(issuer: &str) -> Result<Self, EndpointError> {
        Self::discovered(issuer, Plain::Refuse)
    }

    /// The same, where the issuer may also be `http` at a loopback address such as `http://127.0.0.1:8080`. **For development
    /// only**: whoever else is on this host can be that issuer.
    ///
    /// # Errors
    /// [`EndpointError::Url`].
    pub fn discovery_allow_plain_loopback(issuer: &str) -> Result<Self, EndpointError> {
        Self::discovered(issuer, Plain::FromLoopback)
    }

    fn discovered(issuer: &str, plain: Plain) -> Result<Self, EndpointError> {
        match url::of_metadata(issuer, plain) {
            Ok(start) => Ok(Self::new(start, Some(issuer.into()))),
            Err(error) => Err(EndpointError::url(issuer, error)),
        }
    }

    /// The key set at a URL, for an issuer without metadata.
    ///
    /// # Errors
    /// [`EndpointError::Url`] where it is not an `https` URL without user information.
    pub fn jwks_url(url: &str) -> Result<Self, EndpointError> {
        match HttpUrl::parse(url, Plain::Refuse) {
            Ok(start) => Ok(Self::new(start, None)),
            Err(error) => Err(EndpointError::url(url, error)),
        }
    }

    fn new(start: HttpUrl, issuer: Option<Box<str>>) -> Self {
        Self {
            // What begins encrypted leads to nothing that is not.
            plain: if start.is_encrypted() {
                Plain::Refuse
            } else {
                Plain::FromLoopback
            },
            start,
            issuer,
            schedule: Schedule::new(DEFAULT_REFRESH, DEFAULT_COOL_DOWN, DEFAULT_MAX_STALE),
            absent: Absent::default(),
            held: Jwks::none(),
        }
    }

    /// How often keys are fetched again, from 1 second to a week. [`DEFAULT_REFRESH`] where not set.
    #[must_use]
    pub fn refresh_every(mut self, every: Duration) -> Self {
        self.schedule.set_refresh(every);
        self
    }

    /// The least time between two fetches, from 1 second to a week. [`DEFAULT_COOL_DOWN`] where not set.
    #[must_use]
    pub fn cool_down(mut self, span: Duration) -> Self {
        self.schedule.set_cool_down(span);
        self
    }

    /// How long keys count after the last good answer, from 1 second to a week. [`DEFAULT_MAX_STALE`] where not set.
    #[must_use]
    pub fn max_stale(mut self, span: Duration) -> Self {
        self.schedule.set_max_stale(span);
        self
    }

    /// The issuer whose metadata is read, where it is by discovery.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Where each refresh begins.
    #[must_use]
    pub const fn url(&self) -> &HttpUrl {
        &self.start
    }

    /// The keys in force, with the moment from which on they are not. None before the first good answer, and when they are
    /// older than they may be.
    #[must_use]
    pub fn jwks(&self) -> Jwks {
        match self.schedule.ends() {
            Some(end) => self.held.clone().until(end),
            None => Jwks::none(),
        }
    }

    /// When the last good answer came, while its keys are in force.
    #[must_use]
    pub const fn fetched_at(&self) -> Option<Timestamp> {
        self.schedule.good()
    }

    /// What is to be done. A fetch that is handed out counts as tried, so that one which is lost is not tried again at once.
    pub fn due(&mut self, now: Timestamp) -> Due {
        let next = self.schedule.next(now);
        if self.schedule.ends().is_some_and(|end| now >= end) {
            self.schedule.withdraw();
            return Due::Withdraw;
        }
        match next {
            Some(at) => Due::At(at),
            None => Due::Fetch(self.fetch(now)),
        }
    }

    /// A fetch now, whether one is due or not. Whoever calls this often is a burden to the issuer.
    pub fn fetch(&mut self, now: Timestamp) -> Fetch {
        self.schedule.tried_at(now);
        Fetch {
            url: self.start.clone(),
            start: self.start.clone(),
            step: match self.issuer {
                Some(_) => Step::Metadata,
                None => Step::Keys,
            },
        }
    }

    /// A token named a key that is not among those held. Answers whether that brings the next fetch forward; never to within
    /// the cool-down.
    pub fn unknown_key(&mut self, kid: &str, now: Timestamp) -> bool {
        // Tokens that came while nothing was there, or before what is there now, say nothing new.
        if self.schedule.good().is_none() || self.held.has_key_id(kid) {
            return false;
        }
        let news = self.absent.is_news(kid, now, self.schedule.refresh());
        if news {
            self.schedule.hasten(now);
        }
        news
    }

    /// Takes the body of a `200` that came **from a host that has proved itself**.
    ///
    /// # Errors
    /// [`EndpointError`]; the keys held stay, for as long as they may.
    pub fn receive(
        &mut self,
        fetch: &Fetch,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Received, EndpointError> {
        // Keys say of no issuer that they are its own: whoever drives several endpoints has to keep them apart.
        if fetch.start != self.start {
            return Err(EndpointError::OtherEndpoint);
        }
        match (fetch.step, &self.issuer) {
            (Step::Metadata, Some(issuer)) => Ok(Received::Next(Fetch {
                url: keys_of(issuer, body, self.plain)?,
                start: fetch.start.clone(),
                step: Step::Keys,
            })),
            (Step::Metadata, None) => Err(EndpointError::OtherEndpoint),
            (Step::Keys, _) => {
                let jwks = Jwks::from_json(body)?;
                let same = self.schedule.good().is_some() && jwks.has_keys_of(&self.held);
                self.held = jwks;
                self.schedule.good_at(now);
                if same {
                    return Ok(Received::Unchanged);
                }
                self.absent.forget();
                Ok(Received::Changed)
            }
        }
    }
}

/// Where the issuer's metadata says that its keys are.
fn keys_of(issuer: &str, metadata: &[u8], plain: Plain) -> Result<HttpUrl, EndpointError> {
    if metadata.len() > MAX_METADATA_BYTES {
        let bytes = metadata.len();
        return Err(EndpointError::MetadataTooLong { bytes });
    }
    let metadata = json::object(metadata).map_err(EndpointError::Metadata)?;
    let text = |name| {
        let value = metadata.get(name).and_then(serde_json::Value::as_str);
        value.ok_or(EndpointError::Member(name))
    };
    let found = text("issuer")?;
    if found != issuer {
        return Err(EndpointError::OtherIssuer {
            expected: issuer.into(),
            found: shown(found),
        });
    }
    HttpUrl::parse(text("jwks_uri")?, plain).map_err(EndpointError::JwksUri)
}

impl EndpointError {
    fn url(url: &str, error: UrlError) -> Self {
        Self::Url {
            url: shown(url.split('?').next().unwrap_or_default()),
            error,
        }
    }
}

impl fmt::Debug for JwksEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwksEndpoint")
            .field("url", &self.start)
            .field("issuer", &self.issuer)
            .field("keys", &self.held)
            .finish_non_exhaustive()
    }
}
