//! The client's side of a bundle endpoint, without I/O (SPIFFE Federation §4 to §6; rules 23 and 24).

mod error;
mod schedule;
mod state;
mod store;
mod tls;
mod url;

use core::fmt;
use core::time::Duration;

use ztl_core::url::shown;
use ztl_core::{SpiffeId, Timestamp, TrustDomain};

use crate::bundle::SpiffeBundle;
use schedule::Schedule;

pub use error::EndpointError;
pub use schedule::{DEFAULT_MAX_AGE, DEFAULT_REFRESH, LONGEST_REFRESH, SHORTEST_REFRESH};
pub use tls::{EndpointTls, WebRoots, WebRootsError};
pub use url::EndpointUrl;
pub use ztl_core::url::{MAX_URL_BYTES, UrlError};

/// Most redirects that one fetch follows.
pub const MAX_REDIRECTS: u8 = 3;
/// Most bytes of a stored state: a bundle, as it is written, and what stands around it.
const MAX_STATE_BYTES: usize = 2 * crate::bundle::MAX_BUNDLE_BYTES;

/// Fetches the bundle of one trust domain again and again: says what is due, judges what came, keeps the last good one.
///
/// 1. It is configured with trust domain, URL and profile; the document says nothing of whose it is (§5.1).
/// 2. Profile `https_web`: the Web PKI proves the URL's host, by roots that are handed in. Profile `https_spiffe`: the endpoint
///    proves its configured SPIFFE ID, by the bundle held for the id's own trust domain, which for the first time comes from
///    elsewhere (§5.2).
/// 3. Each refresh begins at the configured URL. Redirects lead only to URLs that obey the same rules, and the new end proves
///    itself the same way: `https_spiffe` by the same SPIFFE ID (§5.2.2.4).
/// 4. The next refresh is due after `spiffe_refresh_hint`, within bounds and after half of the time for which a bundle stays at
///    the latest, and after five minutes where there is none. After a failure it is due after the same time, and after five
///    minutes where that is longer (§6.2).
/// 5. A bundle with a lower sequence than the one held is refused, and so is one with other keys and the same sequence, or with
///    none where the one held has one. Without sequences the newest fetched is the newest (§4.2).
/// 6. After a failure the last good bundle stays for [`max_age`](Self::max_age), a day where not set; past that it is withdrawn,
///    and the next good one puts the domain back (rule 30). Only [`allow_any_age`](Self::allow_any_age) keeps it for ever.
///
/// It owns no clock, socket or timer. Whoever drives it asks [`due`](Self::due), fetches, hands in what came, and spreads its
/// calls a little so that not all services ask at once.
///
/// ```
/// use ztl_core::Timestamp;
/// use ztl_mtls::SpiffeBundle;
/// use ztl_mtls::source::{BundleEndpoint, DEFAULT_MAX_AGE, Due, Received};
///
/// let mut endpoint = BundleEndpoint::https_spiffe(
///     "partner.example",
///     "https://bundles.partner.example/bundle.json",
///     "spiffe://partner.example/bundle-endpoint",
/// )?;
/// let now = Timestamp::from_unix_secs(1_790_000_000);
/// let Due::Fetch(fetch) = endpoint.due(now) else { panic!("the first is due at once") };
/// assert_eq!(fetch.url().host(), "bundles.partner.example");
///
/// // What the endpoint answered, once it had proved itself:
/// let body = br#"{"keys": [], "spiffe_sequence": 8, "spiffe_refresh_hint": 120}"#;
/// assert_eq!(endpoint.receive(body, now)?, Received::Changed);
/// assert_eq!(endpoint.bundle().and_then(SpiffeBundle::sequence), Some(8));
/// assert!(matches!(endpoint.due(now), Due::At(at) if at.since(now).as_secs() == 120));
/// assert_eq!(endpoint.ends_at().map(|end| end.since(now)), Some(DEFAULT_MAX_AGE));
///
/// let older = br#"{"keys": [], "spiffe_sequence": 7}"#;
/// assert!(endpoint.receive(older, now).is_err());
/// # Ok::<(), ztl_mtls::source::EndpointError>(())
/// ```
#[derive(Clone)]
pub struct BundleEndpoint {
    trust_domain: TrustDomain,
    url: EndpointUrl,
    profile: Profile,
    redirects: Redirects,
    schedule: Schedule,
    held: Option<SpiffeBundle>,
}

/// How an endpoint proves itself.
#[derive(Clone, Debug)]
pub(crate) enum Profile {
    Web(WebRoots),
    Spiffe(SpiffeId),
}

/// What is made of an answer that names another URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Redirects {
    Follow,
    Refuse,
}

/// What is to be done now.
#[derive(Debug)]
#[non_exhaustive]
pub enum Due {
    /// Fetch, then tell [`BundleEndpoint::receive`] or [`BundleEndpoint::failed`].
    Fetch(Fetch),
    /// The bundle is older than it may be: its trust domain proves nobody until the next good one. Said once.
    Withdraw,
    /// Nothing until then.
    At(Timestamp),
}

/// What a good answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Received {
    /// Other keys than before, or the first: put [`BundleEndpoint::bundle`] in force.
    Changed,
    /// The same keys, and they are in force.
    Unchanged,
}

/// One fetch: where to ask, and where it may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    url: EndpointUrl,
    redirects: Redirects,
    left: u8,
}

impl Fetch {
    /// Where to ask: with `GET`, without credentials of any kind (§5.2.1.3).
    #[must_use]
    pub const fn url(&self) -> &EndpointUrl {
        &self.url
    }

    /// The same fetch at the `Location` of a redirect. It is forgotten with this fetch, however permanent it says it is
    /// (§7.5.1).
    ///
    /// # Errors
    /// [`EndpointError`] where it leads nowhere that we may go, or there were too many.
    pub fn redirected(&self, location: &str) -> Result<Self, EndpointError> {
        if self.redirects == Redirects::Refuse {
            return Err(EndpointError::RedirectRefused);
        }
        let left = self
            .left
            .checked_sub(1)
            .ok_or(EndpointError::TooManyRedirects)?;
        let url = self
            .url
            .redirect(location)
            .map_err(EndpointError::Redirect)?;
        Ok(Self { url, left, ..*self })
    }
}

impl BundleEndpoint {
    /// An endpoint that the Web PKI proves (§5.2.1), by these roots and no others.
    ///
    /// # Errors
    /// [`EndpointError`] for a bad name or URL.
    pub fn https_web(
        trust_domain: &str,
        url: &str,
        roots: WebRoots,
    ) -> Result<Self, EndpointError> {
        Self::new(trust_domain, url, Profile::Web(roots))
    }

    /// An endpoint that proves itself by an SVID of this SPIFFE ID (§5.2.2).
    ///
    /// Where the id is of `trust_domain` itself, the first bundle has to come from elsewhere: [`with_bundle`](Self::with_bundle)
    /// or [`restore`](Self::restore). Where it is of another domain, that domain's bundle proves it.
    ///
    /// # Errors
    /// [`EndpointError`] for a bad name, id or URL.
    pub fn https_spiffe(
        trust_domain: &str,
        url: &str,
        endpoint_id: &str,
    ) -> Result<Self, EndpointError> {
        let id =
            SpiffeId::parse_workload(endpoint_id).map_err(|error| EndpointError::EndpointId {
                id: shown(endpoint_id),
                error,
            })?;
        Self::new(trust_domain, url, Profile::Spiffe(id))
    }

    fn new(trust_domain: &str, url: &str, profile: Profile) -> Result<Self, EndpointError> {
        let trust_domain =
            TrustDomain::parse(trust_domain).map_err(|error| EndpointError::TrustDomain {
                name: shown(trust_domain),
                error,
            })?;
        let url = EndpointUrl::parse(url).map_err(|error| EndpointError::Url {
            url: shown(url.split('?').next().unwrap_or_default()),
            error,
        })?;
        Ok(Self {
            trust_domain,
            url,
            profile,
            redirects: Redirects::Follow,
            schedule: Schedule::default(),
            held: None,
        })
    }

    /// An endpoint that redirects is a failure (§7.5.1 leaves it to us).
    #[must_use]
    pub const fn refuse_redirects(mut self) -> Self {
        self.redirects = Redirects::Refuse;
        self
    }

    /// Bounds on the hint that a bundle gives. [`SHORTEST_REFRESH`] and [`LONGEST_REFRESH`] where not set; never under a second.
    #[must_use]
    pub fn refresh_between(mut self, shortest: Duration, longest: Duration) -> Self {
        self.schedule.bound(shortest, longest);
        self
    }

    /// How long a bundle stays in force when no refresh succeeds (rule 30). [`DEFAULT_MAX_AGE`] where not set. A refresh is due
    /// after half of it at the latest, whatever [`refresh_between`](Self::refresh_between) says.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.schedule.max_age = Some(age);
        self
    }

    /// A bundle stays in force for ever when no refresh succeeds, each certificate in it until its own end. Whoever can keep us
    /// from the endpoint then keeps an authority in force that its trust domain has long withdrawn.
    #[must_use]
    pub const fn allow_any_age(mut self) -> Self {
        self.schedule.max_age = None;
        self
    }

    /// Begins with a bundle that came another way, and came at that time (§5.2.2.2). Of a file, [`with_bundle_file`](Self::with_bundle_file)
    /// knows how old it is.
    ///
    /// # Errors
    /// [`EndpointError::OtherTrustDomain`].
    pub fn with_bundle(
        mut self,
        bundle: SpiffeBundle,
        now: Timestamp,
    ) -> Result<Self, EndpointError> {
        self.is_of(bundle.trust_domain().as_str())?;
        self.held = Some(bundle);
        self.schedule.good_at(now);
        Ok(self)
    }

    /// Whose bundle it fetches.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Where each refresh begins.
    #[must_use]
    pub const fn url(&self) -> &EndpointUrl {
        &self.url
    }

    /// The trust domain whose bundle proves the endpoint, under `https_spiffe`.
    #[must_use]
    pub fn proved_by(&self) -> Option<TrustDomain> {
        match &self.profile {
            Profile::Web(_) => None,
            Profile::Spiffe(id) => Some(id.trust_domain()),
        }
    }

    /// The newest good bundle, whether in force or withdrawn.
    #[must_use]
    pub const fn bundle(&self) -> Option<&SpiffeBundle> {
        self.held.as_ref()
    }

    /// Whether that bundle may be trusted: it is there, and was not withdrawn for its age.
    #[must_use]
    pub const fn is_in_force(&self) -> bool {
        self.schedule.is_in_force()
    }

    /// Until when the bundle in force may be trusted where no refresh succeeds: whoever waits for one longer than that has to withdraw it
    /// first. Nothing where none is in force, or where it stays [for ever](Self::allow_any_age).
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.schedule.ends().filter(|_| self.is_in_force())
    }

    /// What is to be done. A fetch that is handed out counts as tried, so that one which is lost is not tried again at once.
    pub fn due(&mut self, now: Timestamp) -> Due {
        self.schedule.seen_at(now);
        if self.schedule.is_past_its_age(now) {
            self.schedule.withdraw();
            return Due::Withdraw;
        }
        match self.schedule.next(now) {
            Some(at) => Due::At(at),
            None => Due::Fetch(self.fetch(now)),
        }
    }

    /// A fetch now, whether one is due or not.
    pub fn fetch(&mut self, now: Timestamp) -> Fetch {
        self.failed(now);
        Fetch {
            url: self.url.clone(),
            redirects: self.redirects,
            left: MAX_REDIRECTS,
        }
    }

    /// A fetch came to nothing. Answers when the next is due; never at once.
    pub fn failed(&mut self, now: Timestamp) -> Timestamp {
        self.schedule.failed_at(now, self.hint())
    }

    /// Takes what an endpoint sent **that has proved itself**.
    ///
    /// # Errors
    /// [`EndpointError`]; the bundle held stays as it is, and the next refresh is due as after a failure.
    pub fn receive(&mut self, json: &[u8], now: Timestamp) -> Result<Received, EndpointError> {
        self.failed(now);
        let bundle = SpiffeBundle::from_json(self.trust_domain.clone(), json)?;
        let same = match &self.held {
            Some(held) => newer(held, &bundle)?,
            None => false,
        };
        let received = if same && self.is_in_force() {
            Received::Unchanged
        } else {
            Received::Changed
        };
        self.held = Some(bundle);
        self.schedule.good_at(now);
        self.schedule.refreshed_at(now, self.hint());
        Ok(received)
    }

    fn hint(&self) -> Option<Duration> {
        self.held.as_ref().and_then(SpiffeBundle::refresh_hint)
    }

    fn is_of(&self, found: &str) -> Result<(), EndpointError> {
        if found == self.trust_domain.as_str() {
            return Ok(());
        }
        Err(EndpointError::OtherTrustDomain {
            expected: self.trust_domain.clone(),
            found: shown(found),
        })
    }
}

/// Whether a bundle may follow another (rule 23, §4.2). Answers whether it has the same keys.
fn newer(held: &SpiffeBundle, bundle: &SpiffeBundle) -> Result<bool, EndpointError> {
    let same = bundle.has_keys_of(held);
    match (held.sequence(), bundle.sequence()) {
        (Some(held), Some(found)) if found < held => {
            Err(EndpointError::SequenceWentBack { held, found })
        }
        (Some(held), Some(found)) if found == held && !same => {
            Err(EndpointError::SequenceReused(found))
        }
        (Some(held), None) => Err(EndpointError::SequenceMissing(held)),
        _ => Ok(same),
    }
}

impl fmt::Debug for BundleEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleEndpoint")
            .field("trust_domain", &self.trust_domain)
            .field("url", &self.url)
            .field("profile", &self.profile)
            .field("bundle", &self.held)
            .finish_non_exhaustive()
    }
}
