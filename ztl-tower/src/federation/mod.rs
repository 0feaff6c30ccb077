//! Federation: the bundles of other trust domains, fetched from their bundle endpoints while the service runs (SPIFFE
//! Federation; rules 20 to 24).
//!
//! 1. What is due, and what of an answer is taken, is said by [`BundleEndpoint`]; here it is only carried out: one task an
//!    endpoint, for as long as the guard lives.
//! 2. Before the first good answer a domain without stored state or bootstrap has an empty bundle: it proves nobody (law 1).
//!    The guard starts all the same, so that no service waits for somebody else's.
//! 3. A fetch ends within its time, however slow the endpoint sends, and reads no more than a bundle document may have. It uses
//!    no proxy of the environment, sends no cookie, no credential and no certificate of ours.
//! 4. Changed keys are in force at once, and what was proved by the earlier ones has to be proved again (rule 27).

mod error;
mod fetch;
mod kept;
mod run;
#[cfg(feature = "jwt")]
mod svids;

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Mutex;
use ztl_core::Timestamp;
use ztl_mtls::source::BundleEndpoint;
use ztl_mtls::{BundleSet, TrustBundle};

pub use error::FederationError;
pub use run::Refreshed;
#[cfg(feature = "jwt")]
pub use svids::jwt_svid_keys;

pub(crate) use run::spawn;

use crate::refresh::off_thread;
use kept::Kept;

/// How long a fetch may take, where nothing else is said.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// The bundle of another trust domain, fetched from its endpoint. For
/// [`GuardBuilder::federated_bundle`](crate::GuardBuilder::federated_bundle).
///
/// ```
/// use ztl_tower::FederatedBundle;
/// use ztl_tower::mtls::source::BundleEndpoint;
///
/// let partner = FederatedBundle::new(BundleEndpoint::https_spiffe(
///     "partner.example",
///     "https://bundles.partner.example/bundle.json",
///     "spiffe://partner.example/bundle-endpoint",
/// )?)
/// .bootstrap_file("partner.bundle.json")
/// .state_file("/var/lib/model-server/partner.example.json");
/// # Ok::<(), ztl_tower::mtls::source::EndpointError>(())
/// ```
pub struct FederatedBundle {
    endpoint: BundleEndpoint,
    bootstrap: Option<PathBuf>,
    state: Option<PathBuf>,
    timeout: Duration,
    address: Option<SocketAddr>,
    /// Name and audience.
    #[cfg(feature = "jwt")]
    svids: Option<(Box<str>, Box<str>)>,
}

impl FederatedBundle {
    /// Fetches what this endpoint is configured for.
    #[must_use]
    pub const fn new(endpoint: BundleEndpoint) -> Self {
        Self {
            endpoint,
            bootstrap: None,
            state: None,
            timeout: FETCH_TIMEOUT,
            address: None,
            #[cfg(feature = "jwt")]
            svids: None,
        }
    }

    /// Begins with the bundle in a file, read once: a SPIFFE bundle document or PEM. `https_spiffe` needs one where the endpoint
    /// is of the same trust domain.
    ///
    /// It is as old as the file says that it is, by the time when it was last written. Past the endpoint's `max_age` it proves the
    /// endpoint, so that a new one can be fetched, and nobody else; so does one of times to come, by more than five minutes. Where each
    /// start writes the file anew, only the [`state_file`](Self::state_file) says how old its bundle is.
    #[must_use]
    pub fn bootstrap_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.bootstrap = Some(path.into());
        self
    }

    /// Keeps the last good bundle in a file, so that after a restart it is in force at once, and no older one is ever taken
    /// (T24). Its folder must be there, and belong to this service alone.
    #[must_use]
    pub fn state_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.state = Some(path.into());
        self
    }

    /// How long a fetch may take, its redirects included, though never beyond the end of the bundle in force. 10 seconds where not set.
    #[must_use]
    pub const fn fetch_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Takes JWT-SVIDs of this trust domain's workloads as bearer tokens, verified with the keys for them in the bundle
    /// (SPIFFE JWT-SVID §4). `audience` is what `aud` must name; `name` is the issuer's, for
    /// [`Guard::token_keys`](crate::Guard::token_keys). In a policy it is declared as
    /// `issuer = "spiffe://<trust domain>"`.
    #[cfg(feature = "jwt")]
    #[must_use]
    pub fn jwt_svids(mut self, name: &str, audience: &str) -> Self {
        self.svids = Some((name.into(), audience.into()));
        self
    }

    /// The trust domain as an issuer, without keys yet.
    #[cfg(feature = "jwt")]
    pub(crate) fn issuer(&self) -> Option<ztl_authz::jwt::Issuer> {
        use ztl_authz::jwt::{Issuer, Jwks};

        let (name, audience) = self.svids.as_ref()?;
        let domain = self.endpoint.trust_domain();
        Some(Issuer::jwt_svids(name, domain, audience, Jwks::none()))
    }

    /// Where the endpoint is reached. The address proves nothing; without this its host is looked up in the DNS.
    #[must_use]
    pub const fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }
}

impl fmt::Debug for FederatedBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FederatedBundle")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// An endpoint under way.
pub(crate) struct Federated {
    endpoint: BundleEndpoint,
    state: Option<PathBuf>,
    timeout: Duration,
    address: Option<SocketAddr>,
    kept: Kept,
}

/// All endpoints of a guard, by trust domain, and whether each is kept.
pub(crate) type Federation = HashMap<Box<str>, (Kept, Arc<Mutex<Federated>>)>;

/// Reads bootstrap and state. Answers the endpoints and the bundles that they begin with, one each.
pub(crate) async fn open(
    federated: Vec<FederatedBundle>,
    now: Timestamp,
) -> Result<(Federation, Vec<TrustBundle>), FederationError> {
    let mut endpoints = Federation::new();
    let mut bundles = Vec::new();
    for one in federated {
        let (bootstrap, state) = (one.bootstrap, one.state.clone());
        let work = move |endpoint: &mut BundleEndpoint| begin(endpoint, bootstrap, state, now);
        let (endpoint, begun) = off_thread(one.endpoint, work).await?;
        begun?;
        bundles.push(in_force(&endpoint));
        let domain = endpoint.trust_domain().as_str().into();
        let kept = Kept::of(
            endpoint.trust_domain().clone(),
            #[cfg(feature = "jwt")]
            one.svids.map(|(name, _)| name),
        );
        let federated = Federated {
            endpoint,
            state: one.state,
            timeout: one.timeout,
            address: one.address,
            kept: kept.clone(),
        };
        // Two for one domain are two bundles in `bundles`, which no set takes (rule 22).
        endpoints.insert(domain, (kept, Arc::new(Mutex::new(federated))));
    }
    Ok((endpoints, bundles))
}

fn begin(
    endpoint: &mut BundleEndpoint,
    bootstrap: Option<PathBuf>,
    state: Option<PathBuf>,
    now: Timestamp,
) -> Result<(), FederationError> {
    if let Some(path) = bootstrap {
        *endpoint = endpoint.clone().with_bundle_file(path, now)?;
    }
    if let Some(path) = state {
        endpoint.restore_file(path, now)?;
    }
    Ok(())
}

/// Under `https_spiffe` there must be a bundle that proves the endpoint, else no refresh could ever succeed.
pub(crate) async fn check(
    federation: &Federation,
    bundles: &BundleSet,
) -> Result<(), FederationError> {
    for (_, federated) in federation.values() {
        let federated = federated.lock().await;
        let Some(prover) = federated.endpoint.proved_by() else {
            continue;
        };
        let own = prover == *federated.endpoint.trust_domain();
        let is_there = if own {
            federated.endpoint.bundle().is_some()
        } else {
            bundles.get(prover.as_str()).is_some()
        };
        if !is_there {
            return Err(FederationError::NothingProves {
                trust_domain: federated.endpoint.trust_domain().to_string(),
                proved_by: prover.to_string(),
            });
        }
    }
    Ok(())
}

/// What is put in force for an endpoint: its bundle, or an empty one, which proves nobody (rule 21).
fn in_force(endpoint: &BundleEndpoint) -> TrustBundle {
    endpoint
        .bundle()
        .filter(|_| endpoint.is_in_force())
        .map_or_else(
            || TrustBundle::empty(endpoint.trust_domain().clone()),
            |bundle| bundle.x509().clone(),
        )
}
