//! The guard: everything one service needs to prove, permit and authorize, wired once.

mod answers;
mod audit;
mod authorizers;
#[cfg(feature = "browser")]
mod browser;
mod builder;
mod close;
mod context;
mod counts;
mod error;
mod file;
#[cfg(feature = "jwt")]
mod issuers;
mod limits;
mod loss;
#[cfg(feature = "client")]
mod outside;
mod parts;
mod policy;
#[cfg(feature = "trust")]
mod posture;
mod revocation;
#[cfg(feature = "trust")]
mod signals;
mod sources;
mod supplied;
#[cfg(feature = "jwt")]
mod tokens;
mod vouching;

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::CryptoProvider;
use tokio::sync::watch;
use ztl_core::policy::Policy;
use ztl_core::{Engine, Timestamp, TrustDomain};
use ztl_mtls::{BundleSet, Bundles, IdentitySource, Prover, TrustBundle, Unpresentable, X509Svid};

pub(crate) use answers::Answers;
pub use builder::GuardBuilder;
#[cfg(feature = "test-util")]
pub(crate) use builder::default_provider;
pub use error::{BuildError, PolicySwapError, SwapError};
#[cfg(feature = "jwt")]
pub use issuers::IssuerMismatch;
pub(crate) use limits::Limits;
#[cfg(feature = "jwt")]
pub use tokens::UnknownIssuer;

use crate::authorize::AuthorizeLayer;
use crate::live::{Connection, Registry};

/// Reads the wall clock. Tests put their own in its place.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// One service's guard. Cheap to clone; every clone is the same guard.
///
/// ```no_run
/// # #[cfg(all(feature = "serve", feature = "axum-core"))]
/// # async fn example(app: axum::Router) -> Result<(), Box<dyn std::error::Error>> {
/// use ztl_tower::Guard;
///
/// let guard = Guard::builder("model-server")
///     .policy_file("policy.toml")
///     .identity_files("svid.pem", "svid.key")
///     .bundle_file("prod.example", "bundle.pem")
///     .build()
///     .await?;
/// guard.serve("0.0.0.0:8443", app).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

pub(crate) struct Inner {
    name: Arc<str>,
    engine: Arc<Engine>,
    prover: Prover,
    bundles: Bundles,
    identity: Arc<IdentitySource>,
    provider: Arc<CryptoProvider>,
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "nobody is called"))]
    endpoints: HashMap<Box<str>, SocketAddr>,
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "nobody is called"))]
    source_addr: Option<IpAddr>,
    #[cfg(feature = "client")]
    web_roots: Option<ztl_mtls::WebRoots>,
    #[cfg(feature = "jwt")]
    tokens: tokens::Tokens,
    #[cfg(feature = "jwt")]
    bad_tokens: ztl_authz::jwt::BadTokens,
    #[cfg(feature = "trust")]
    signals: ztl_authz::trust::Signals,
    #[cfg(feature = "trust")]
    posture: Option<Arc<dyn ztl_authz::trust::PostureSource>>,
    context: Option<context::ContextFrom>,
    answers: Arc<Answers>,
    authorizers: crate::refresh::Authorizers,
    #[cfg(feature = "serve")]
    listeners: Vec<crate::serve::Listen>,
    #[cfg(feature = "browser")]
    pages: Option<browser::Pages>,
    limits: Limits,
    clock: Clock,
    changes: watch::Sender<u64>,
    loss: Arc<loss::Loss>,
    registry: Registry,
    shutdown: watch::Sender<bool>,
    swapping: Mutex<()>,
    judging: crate::authorize::JudgingPool,
    #[cfg(feature = "serve")]
    judging_again: crate::authorize::JudgingPool,
    duties: crate::duty::Duties,
    #[cfg(feature = "client")]
    pool: crate::egress::Pool,
    #[cfg(feature = "client")]
    look_ups: crate::look_up::LookUps,
    #[cfg(feature = "federation")]
    federation: crate::federation::Federation,
    #[cfg(feature = "oidc")]
    keys: crate::keys::Keys,
    #[cfg(feature = "bundle")]
    opa_bundles: crate::opa_bundle::OpaBundles,
}

/// The protocols we speak within TLS, the preferred one first.
pub(crate) const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];

impl Guard {
    /// Begins a guard for the workload of this name in the policy.
    pub fn builder(name: &str) -> GuardBuilder {
        GuardBuilder::new(name)
    }

    /// The workload's name in the policy.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The decision point.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Where judgements run that may take long.
    pub(crate) fn judging(&self) -> &crate::authorize::JudgingPool {
        &self.0.judging
    }

    /// Where they run again, for requests that are open.
    #[cfg(feature = "serve")]
    pub(crate) fn judging_again(&self) -> &crate::authorize::JudgingPool {
        &self.0.judging_again
    }

    /// What discharges what permits oblige to.
    pub(crate) fn duties(&self) -> &crate::duty::Duties {
        &self.0.duties
    }

    #[cfg(feature = "limit")]
    pub(crate) fn clock(&self) -> Clock {
        Arc::clone(&self.0.clock)
    }

    /// A tower layer that judges every request, for hosts with a server of their own. [`serve`](Self::serve) needs none.
    ///
    /// The requests it gets must carry a [`FlowPermit`](ztl_core::FlowPermit) in their extensions; one without is denied. Behind the layer it
    /// is within the [`ActionPermit`](crate::ActionPermit::flow), so that neither is there without the other.
    /// It judges the path as it finds it: without the feature `axum` it has to be outside of any router that takes a prefix off (rule 49).
    /// A [`ServerName`](crate::ServerName) beside it is compared with the request's host.
    #[must_use]
    pub fn authorize(&self) -> AuthorizeLayer {
        AuthorizeLayer::new(self.clone())
    }

    /// Puts another policy in force, at once; [`load_policy`](Self::load_policy) loads one. Live connections are judged again. Evidence
    /// that it asks for and that the guard was not given a source of is missing, and an error event says so.
    ///
    /// # Errors
    /// [`PolicySwapError`]; the policy in force stays.
    pub fn swap_policy(&self, policy: Policy) -> Result<(), PolicySwapError> {
        #[cfg(feature = "jwt")]
        self.0.tokens.agree(&policy)?;
        if policy.workload_by_name(self.name()).is_none_or(|me| {
            policy
                .workload_by_id(self.0.identity.id())
                .is_none_or(|other| other.name() != me.name())
        }) {
            tracing::error!(target: "ztl", workload = self.name(), "the new policy does not know this workload by its SPIFFE ID: everything will be denied");
        }
        // One at a time, so that policy and aliases are of one document.
        let _one = self
            .0
            .swapping
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // While one takes the other's place no alias of either is open to who is denied (T13).
        let (revocation, engine) = (self.0.prover.revocation(), &self.0.engine);
        revocation.swap_aliases(revocation::names_of_both(&engine.policy(), &policy));
        let swapped = engine.swap_policy(policy);
        revocation.swap_aliases(revocation::names_of(&engine.policy()));
        swapped?;
        self.warn_of_what_is_missing();
        self.changed();
        Ok(())
    }

    /// Takes another certificate and key of the same SPIFFE ID, for every handshake from now on.
    ///
    /// # Errors
    /// [`SwapError`] where the id is another (T22), or the certificate has ended; the identity in use stays.
    pub fn swap_identity(&self, svid: X509Svid) -> Result<(), SwapError> {
        self.check_identity(&svid, self.now())?;
        self.0.identity.swap(svid)?;
        self.changed();
        Ok(())
    }

    /// The SVID that a handshake presents now.
    ///
    /// # Errors
    /// [`Unpresentable`] where it was withdrawn or has ended: new handshakes are refused.
    pub fn svid(&self) -> Result<X509Svid, Unpresentable> {
        (self.0.identity.presentable()).inspect_err(|_| self.refuses())
    }

    /// Whether an SVID could be taken at `now`.
    pub(crate) fn check_identity(&self, svid: &X509Svid, now: Timestamp) -> Result<(), SwapError> {
        self.0.identity.check(svid)?;
        if now >= svid.not_after() {
            return Err(SwapError::Expired {
                not_after: svid.not_after(),
                now,
            });
        }
        if now < svid.not_before() {
            return Err(SwapError::NotYetValid {
                not_before: svid.not_before(),
                now,
            });
        }
        Ok(())
    }

    /// Presents no SVID from now on: new handshakes are refused, on both sides, until another is taken. Sources that the
    /// builder was given do this by themselves (rule 30).
    pub fn withdraw_identity(&self, why: &str) {
        self.0.identity.withdraw(why);
        self.changed();
    }

    /// Takes other trust bundles, in place of all there are, federated ones included. Every open connection is proved again by
    /// them: it lives on, or ends within a second.
    pub fn swap_bundles(&self, bundles: BundleSet) {
        self.0.bundles.swap(bundles);
        self.trust_changed();
    }

    /// The connections that are open, those within their handshake among them, in no order.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        let open = self.0.registry.all();
        open.iter().map(|live| live.shown()).collect()
    }

    /// Takes another bundle of one trust domain; the others stay. Every open connection is proved
    /// again: it lives on, or ends within a second.
    pub fn replace_bundle(&self, bundle: TrustBundle) {
        self.0.bundles.replace(bundle);
        self.trust_changed();
    }

    /// Takes these bundles and no longer those; bundles of other trust domains stay.
    pub(crate) fn change_bundles(&self, gone: &[TrustDomain], bundles: Vec<TrustBundle>) {
        for domain in gone {
            self.0.bundles.remove(domain);
        }
        for bundle in bundles {
            self.0.bundles.replace(bundle);
        }
        self.trust_changed();
    }

    /// Ends every listener of this guard: no new connection, running requests finish, what is open at the deadline is cut.
    pub fn shutdown(&self) {
        self.0.shutdown.send_replace(true);
        let by = self.now().saturating_add(self.limits().drain);
        for live in self.0.registry.all() {
            live.drain(by);
        }
    }

    pub(crate) fn is_shutting_down(&self) -> bool {
        *self.0.shutdown.borrow()
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// What proofs rest on was changed first; who sees the same count before and after a proof has one that rests on what is in
    /// force (T5).
    fn trust_changed(&self) {
        self.0.engine.withdraw_flows();
        self.changed();
    }

    /// What is known of callers may be something else now: what is open is judged again.
    #[cfg(feature = "trust")]
    pub(crate) fn evidence_changed(&self) {
        self.changed();
    }

    /// Without sources of signals nobody has a score.
    #[cfg(not(feature = "trust"))]
    pub(crate) const fn trust_score(
        &self,
        _flow: &ztl_core::FlowPermit,
        _claims: Option<&ztl_core::Claims>,
        _now: Timestamp,
    ) -> Option<ztl_core::TrustScore> {
        None
    }

    /// Without sources of postures nothing is known of a device.
    #[cfg(not(feature = "trust"))]
    pub(crate) const fn posture(
        &self,
        _flow: &ztl_core::FlowPermit,
        _claims: Option<&ztl_core::Claims>,
        _now: Timestamp,
    ) -> Option<ztl_core::Attributes> {
        None
    }

    /// Counts the changes after which evidence that was gathered before may be other evidence: signals, postures, keys of
    /// issuers, and bundles of policies.
    pub(crate) fn evidence_generation(&self) -> u64 {
        let changes = 0_u64;
        #[cfg(feature = "trust")]
        let changes = changes.wrapping_add(self.0.signals.generation());
        #[cfg(feature = "trust")]
        let changes = changes.wrapping_add(self.0.posture.as_ref().map_or(0, |it| it.generation()));
        #[cfg(feature = "jwt")]
        let changes = changes.wrapping_add(self.0.tokens.generation());
        #[cfg(feature = "bundle")]
        let changes = changes.wrapping_add(self.0.opa_bundles.generation());
        changes
    }

    /// Counts the changes after which one caller's trust score may be another, by what that one does.
    #[cfg(feature = "trust")]
    pub(crate) fn score_drift(&self) -> u64 {
        self.0.signals.drift()
    }

    /// Without sources of signals nobody has a score.
    #[cfg(not(feature = "trust"))]
    pub(crate) const fn score_drift(&self) -> u64 {
        0
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0.clock)()
    }

    pub(crate) fn answers(&self) -> &Answers {
        &self.0.answers
    }

    /// The same, for a permit to keep.
    pub(crate) fn shared_answers(&self) -> Arc<Answers> {
        Arc::clone(&self.0.answers)
    }

    pub(crate) fn limits(&self) -> Limits {
        self.0.limits
    }

    pub(crate) fn provider(&self) -> Arc<CryptoProvider> {
        Arc::clone(&self.0.provider)
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    pub(crate) fn shutdown_signal(&self) -> watch::Receiver<bool> {
        self.0.shutdown.subscribe()
    }

    #[cfg(feature = "client")]
    pub(crate) fn endpoint(&self, workload: &str) -> Option<SocketAddr> {
        self.0.endpoints.get(workload).copied()
    }

    #[cfg(feature = "client")]
    pub(crate) fn source_addr(&self) -> Option<IpAddr> {
        self.0.source_addr
    }

    #[cfg(feature = "client")]
    pub(crate) fn web_roots(&self) -> Option<&ztl_mtls::WebRoots> {
        self.0.web_roots.as_ref()
    }

    #[cfg(feature = "client")]
    pub(crate) fn pool(&self) -> &crate::egress::Pool {
        &self.0.pool
    }

    #[cfg(feature = "client")]
    pub(crate) fn look_ups(&self) -> &crate::look_up::LookUps {
        &self.0.look_ups
    }

    #[cfg(feature = "federation")]
    pub(crate) fn federation(&self) -> &crate::federation::Federation {
        &self.0.federation
    }

    #[cfg(feature = "oidc")]
    pub(crate) fn keys(&self) -> &crate::keys::Keys {
        &self.0.keys
    }

    #[cfg(feature = "bundle")]
    pub(crate) fn opa_bundles(&self) -> &crate::opa_bundle::OpaBundles {
        &self.0.opa_bundles
    }

    /// Policies may answer otherwise now: what is open is judged again.
    #[cfg(feature = "bundle")]
    pub(crate) fn opa_bundle_changed(&self) {
        self.0.opa_bundles.next_generation();
        self.changed();
    }

    #[cfg(feature = "serve")]
    pub(crate) fn listeners(&self) -> &[crate::serve::Listen] {
        &self.0.listeners
    }

    #[cfg(feature = "serve")]
    pub(crate) const fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    pub(crate) fn from_inner(inner: Arc<Inner>) -> Self {
        Self(inner)
    }

    fn changed(&self) {
        self.0
            .changes
            .send_modify(|generation| *generation = generation.wrapping_add(1));
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("name", &self.0.name)
            .field("engine", &self.0.engine)
            .finish_non_exhaustive()
    }
}

/// The wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the guard is the enforcement point that tells a decision the time"
)]
pub(crate) fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
