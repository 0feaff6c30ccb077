//! Building a guard: what is required is checked here, once.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rustls::crypto::CryptoProvider;
use tokio::sync::watch;
use ztl_core::Timestamp;
use ztl_core::policy::Policy;
#[cfg(feature = "federation")]
use ztl_mtls::BundleSet;
use ztl_mtls::source::DEFAULT_GRACE;
use ztl_mtls::{Bundles, IdentitySource, Prover, TrustBundle, X509Svid};

use super::audit::AuditFrom;
use super::authorizers::AuthorizersFrom;
use super::policy::PolicyFrom;
use super::revocation::RevocationFrom;
use super::sources::{Opening, Place};
use super::supplied::Supplied;
use super::{BuildError, Clock, Guard, Inner, Limits, wall_clock};
use crate::live::Registry;
use crate::refresh::{OnExpiry, Refresh, Renewed, Sources, Vouching};

/// Most chains that a guard remembers as proved.
const MAX_REMEMBERED: usize = 16_384;

/// Gathers what a guard needs. Policy, identity and at least one bundle are required; nothing else is.
#[must_use = "a builder guards nothing; call `build`"]
pub struct GuardBuilder {
    name: Box<str>,
    pub(super) policy: Option<PolicyFrom>,
    pub(super) vouching: Vouching,
    pub(super) authorizers: AuthorizersFrom,
    pub(super) identity: Option<X509Svid>,
    pub(super) bundles: Vec<TrustBundle>,
    pub(super) places: Vec<Place>,
    pub(super) grace: Duration,
    pub(super) on_expiry: Option<OnExpiry>,
    pub(super) revocation: RevocationFrom,
    #[cfg(feature = "federation")]
    pub(super) federated: Vec<crate::federation::FederatedBundle>,
    #[cfg(feature = "bundle")]
    pub(crate) opa_bundles: Vec<(Box<str>, crate::opa_bundle::OpaBundle)>,
    #[cfg(feature = "bundle")]
    pub(crate) opa_bundle_files: Vec<(Box<str>, crate::opa_bundle::OpaBundleFile)>,
    pub(super) audit: AuditFrom,
    provider: Option<Arc<CryptoProvider>>,
    endpoints: HashMap<Box<str>, SocketAddr>,
    source_addr: Option<IpAddr>,
    #[cfg(feature = "client")]
    pub(super) web_roots: super::outside::WebRootsFrom,
    #[cfg(feature = "jwt")]
    pub(super) tokens: super::tokens::TokensFrom,
    #[cfg(feature = "jwt")]
    pub(super) bad_tokens: ztl_authz::jwt::BadTokens,
    #[cfg(feature = "trust")]
    pub(super) signals: super::signals::SignalsFrom,
    #[cfg(feature = "trust")]
    pub(super) posture: super::posture::PostureFrom,
    pub(super) context: Option<super::context::ContextFrom>,
    pub(super) answers: super::Answers,
    #[cfg(feature = "test-util")]
    pub(crate) for_test: bool,
    #[cfg(feature = "serve")]
    listeners: Vec<crate::serve::Listen>,
    /// What the guard's file says, for [`Guard::browser`].
    #[cfg(feature = "browser")]
    pub(super) browser: Option<crate::browser::Browser>,
    #[cfg(feature = "signal")]
    pub(super) signalled: bool,
    #[cfg(feature = "dev-ca")]
    dev_authority: bool,
    pub(crate) duties: crate::duty::Duties,
    pub(super) limits: Limits,
    explains_denials: bool,
    reload_every: Duration,
    clock: Clock,
}

impl GuardBuilder {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            policy: None,
            vouching: Vouching::default(),
            authorizers: AuthorizersFrom::default(),
            identity: None,
            bundles: Vec::new(),
            places: Vec::new(),
            grace: DEFAULT_GRACE,
            on_expiry: None,
            revocation: RevocationFrom::default(),
            #[cfg(feature = "federation")]
            federated: Vec::new(),
            #[cfg(feature = "bundle")]
            opa_bundles: Vec::new(),
            #[cfg(feature = "bundle")]
            opa_bundle_files: Vec::new(),
            audit: AuditFrom::default(),
            provider: None,
            endpoints: HashMap::new(),
            source_addr: None,
            #[cfg(feature = "client")]
            web_roots: super::outside::WebRootsFrom::default(),
            #[cfg(feature = "jwt")]
            tokens: super::tokens::TokensFrom::default(),
            #[cfg(feature = "jwt")]
            bad_tokens: ztl_authz::jwt::BadTokens::default(),
            #[cfg(feature = "trust")]
            signals: super::signals::SignalsFrom::default(),
            #[cfg(feature = "trust")]
            posture: super::posture::PostureFrom::default(),
            context: None,
            answers: super::Answers::default(),
            #[cfg(feature = "test-util")]
            for_test: false,
            #[cfg(feature = "serve")]
            listeners: Vec::new(),
            #[cfg(feature = "browser")]
            browser: None,
            #[cfg(feature = "signal")]
            signalled: false,
            #[cfg(feature = "dev-ca")]
            dev_authority: false,
            duties: crate::duty::Duties::default(),
            limits: Limits::default(),
            explains_denials: false,
            reload_every: Duration::from_secs(1),
            clock: Arc::new(wall_clock),
        }
    }

    /// The crypto provider, by value. Without this it is the one that is compiled in, `aws-lc-rs` before `ring`; a process-wide
    /// default is neither read nor set.
    pub fn crypto_provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Where a workload is reached, or a host outside the mesh, which has to be where the policy lets it be all the same. The address
    /// proves nothing; without this the name is looked up in the DNS.
    pub fn endpoint(mut self, workload: &str, address: SocketAddr) -> Self {
        self.endpoints.insert(workload.into(), address);
        self
    }

    /// The address that egress connections come from.
    pub const fn source_addr(mut self, address: IpAddr) -> Self {
        self.source_addr = Some(address);
        self
    }

    /// Accepts SVIDs of a development authority. Never in production: its key lies about in somebody's work folder (T28).
    #[cfg(feature = "dev-ca")]
    pub const fn allow_dev_authority(mut self) -> Self {
        self.dev_authority = true;
        self
    }

    /// One more listener for [`Guard::run`].
    #[cfg(feature = "serve")]
    pub fn listener(mut self, listen: crate::serve::Listen) -> Self {
        self.listeners.push(listen);
        self
    }

    /// Lets every denial carry what it hung on, in its record and its [`Decision`](ztl_core::Decision): the rule that came nearest, and
    /// its first clause that failed. Off where not called, for it makes a denial a little dearer.
    pub const fn explain_denials(mut self) -> Self {
        self.explains_denials = true;
        self
    }

    /// How often files are looked at. Every second where not set. Sources of SVID and bundles are looked at four times in a
    /// [`source_grace`](Self::source_grace) at the least, so that it holds.
    pub const fn reload_every(mut self, interval: Duration) -> Self {
        self.reload_every = interval;
        self
    }

    /// Another clock, for tests.
    #[cfg(feature = "test-util")]
    pub fn clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Reads and checks everything, and begins to watch the files.
    ///
    /// The tokio runtime that it is awaited in has to outlive the guard: where it ends first, nobody looks at files and sources any more,
    /// and what rests on them is refused.
    ///
    /// # Errors
    /// [`BuildError`]: whatever is missing or does not fit. A guard that is built enforces.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn build(self) -> Result<Guard, BuildError> {
        let missing = |part, call| BuildError::Missing { part, call };
        let provider = self
            .provider
            .or_else(default_provider)
            .ok_or(BuildError::NoProvider)?;
        let policy = self
            .policy
            .ok_or_else(|| missing("policy", "`policy_file`, `policy` or `policy_text`"))?;
        let (policy, policy_file, authorizers) = policy
            .open(self.authorizers, self.vouching, &provider)
            .await?;
        let sink = self.audit.open((self.clock)())?;
        let sink = crate::watch::counted(&self.name, sink);
        let (loss, sink) = super::loss::Loss::heard_by(&self.name, sink);
        #[cfg(feature = "test-util")]
        let engine = crate::test::engine(self.for_test, policy, sink)?;
        #[cfg(not(feature = "test-util"))]
        let engine = ztl_core::Engine::new(policy, sink)?;
        let engine = engine.with_obligations(crate::duty::kinds());
        let engine = engine.explain_denials(self.explains_denials);
        let engine = Arc::new(engine);
        let policy = engine.policy();
        let opening = Opening {
            #[cfg(feature = "workload-api")]
            name: &self.name,
            #[cfg(feature = "workload-api")]
            engine: &engine,
            provider: &provider,
            grace: self.grace,
        };
        let supplies = opening.supplies(self.places)?;
        let (sources, svid, set) = Sources::begin(
            supplies,
            self.identity,
            self.bundles,
            self.grace,
            &self.clock,
        )
        .await?;
        let svid = svid.ok_or_else(|| {
            missing(
                "identity",
                "`identity_files`, `identity`, `spiffe_workload_api` or `source`",
            )
        })?;
        check_identity(&self.name, &policy, &svid)?;
        check_validity(&svid, (self.clock)())?;
        check_endpoints(&policy, &self.endpoints)?;
        #[cfg(feature = "jwt")]
        let tokens = {
            #[cfg_attr(
                not(feature = "federation"),
                expect(unused_mut, reason = "trust domains are issuers too")
            )]
            let mut tokens = self.tokens;
            #[cfg(feature = "federation")]
            for federated in &self.federated {
                federated.issuer().into_iter().for_each(|it| tokens.add(it));
            }
            tokens.open(&policy).await?
        };
        #[cfg(feature = "trust")]
        let (posture, posture_file) = self.posture.open(&self.clock);
        Supplied {
            workload: &self.name,
            #[cfg(feature = "jwt")]
            tokens: tokens.tokens.are_verified(),
            #[cfg(not(feature = "jwt"))]
            tokens: false,
            #[cfg(feature = "trust")]
            signals: self.signals.signals(),
            #[cfg(feature = "trust")]
            posture: posture.is_some(),
            #[cfg(not(feature = "trust"))]
            posture: false,
            context: self.context.is_some(),
        }
        .check(&policy)?;
        #[cfg(feature = "trust")]
        let known = self.signals.open(posture_file, &self.clock).await?;
        if set.iter().next().is_none() {
            return Err(missing(
                "trust bundle",
                "`bundle_file`, `bundle`, `spiffe_workload_api` or `source`",
            ));
        }
        #[cfg(feature = "federation")]
        let (federation, begun) = crate::federation::open(self.federated, (self.clock)())
            .await
            .map_err(|error| BuildError::Bundle(error.into()))?;
        #[cfg(feature = "federation")]
        let set = BundleSet::new(set.iter().cloned().chain(begun))
            .map_err(|error| BuildError::Bundle(error.into()))?;
        #[cfg(feature = "federation")]
        crate::federation::check(&federation, &set)
            .await
            .map_err(|error| BuildError::Bundle(error.into()))?;
        let bundles_in_use = Bundles::new(set);
        let (revocation, revocation_files) = self.revocation.open(&policy).await?;
        let prover = Prover::new(bundles_in_use.clone(), &provider)
            .with_revocation(revocation)
            // Each open connection is proved again after a change: its peers' chains find room.
            .with_cache_size(self.limits.connections.min(MAX_REMEMBERED));
        #[cfg(feature = "dev-ca")]
        let prover = if self.dev_authority {
            prover.allow_dev_authority()
        } else {
            prover
        };
        let guard = Guard(Arc::new(Inner {
            name: self.name.into(),
            engine,
            prover,
            bundles: bundles_in_use,
            identity: Arc::new(IdentitySource::with_clock(svid, {
                let clock = Arc::clone(&self.clock);
                move || clock()
            })),
            provider,
            endpoints: self.endpoints,
            source_addr: self.source_addr,
            #[cfg(feature = "client")]
            web_roots: self.web_roots.open().await?,
            #[cfg(feature = "jwt")]
            tokens: tokens.tokens,
            #[cfg(feature = "jwt")]
            bad_tokens: self.bad_tokens,
            #[cfg(feature = "trust")]
            signals: known.signals,
            #[cfg(feature = "trust")]
            posture,
            context: self.context,
            answers: Arc::new(self.answers),
            authorizers,
            #[cfg(feature = "serve")]
            listeners: self.listeners,
            #[cfg(feature = "browser")]
            pages: self.browser.map(super::browser::Pages::new),
            limits: self.limits,
            clock: self.clock,
            changes: watch::Sender::new(0),
            loss,
            registry: Registry::default(),
            shutdown: watch::Sender::new(false),
            swapping: Mutex::default(),
            judging: crate::authorize::JudgingPool::bounded(),
            #[cfg(feature = "serve")]
            judging_again: crate::authorize::JudgingPool::unbounded(),
            duties: self.duties.open()?,
            #[cfg(feature = "client")]
            pool: crate::egress::Pool::default(),
            #[cfg(feature = "client")]
            look_ups: crate::look_up::LookUps::default(),
            #[cfg(feature = "federation")]
            federation,
            #[cfg(feature = "oidc")]
            keys: tokens.keys,
            #[cfg(feature = "bundle")]
            opa_bundles: crate::opa_bundle::OpaBundles::new(
                self.opa_bundles,
                &self.opa_bundle_files,
            )?,
        }));
        #[cfg(feature = "bundle")]
        let bundles = crate::opa_bundle::BundleFiles::open(&guard, self.opa_bundle_files).await?;
        #[cfg(feature = "bundle")]
        crate::opa_bundle::begin(&guard).await?;
        let refresh = Refresh {
            policy: policy_file,
            renewed: Renewed::of(sources, self.on_expiry),
            revocation: revocation_files,
            #[cfg(feature = "trust")]
            tables: known.files,
            #[cfg(feature = "jwt")]
            keys: tokens.files,
        };
        refresh.begin_counts(&guard);
        #[cfg(all(feature = "client", feature = "trust"))]
        crate::polled::begin_counts(&known.fetched, &guard);
        let refresh = refresh.ready()?;
        // After all else: what no guard was built with was not in force. Where the handlers that follow fail, it is stored all the same.
        let serial = guard.engine().policy().serial();
        refresh.in_force(serial).await?;
        #[cfg(feature = "bundle")]
        {
            bundles.note(&guard).await;
            crate::opa_bundle::note(&guard).await;
        }
        // Last: nobody takes the handlers back, and without a guard a signal has to end the process. So nothing is awaited after it: whoever
        // waits for the guard may give up.
        #[cfg(feature = "signal")]
        if self.signalled {
            guard
                .shutdown_on_signals()
                .map_err(BuildError::ShutdownSignals)?;
        }
        #[cfg(feature = "bundle")]
        {
            bundles.spawn(&guard.0, self.reload_every);
            crate::opa_bundle::spawn(&guard, &guard.0);
        }
        #[cfg(feature = "oidc")]
        crate::keys::spawn(tokens.waiting, &guard.0);
        #[cfg(all(feature = "client", feature = "trust"))]
        crate::polled::spawn(known.fetched, &guard.0);
        #[cfg(feature = "federation")]
        crate::federation::spawn(guard.federation(), &guard.0);
        refresh.spawn(&guard.0, self.reload_every);
        Ok(guard)
    }
}

/// T22: a guard acts for the workload whose SVID it holds, and for no other.
fn check_identity(name: &str, policy: &Policy, svid: &X509Svid) -> Result<(), BuildError> {
    let me = policy
        .workload_by_name(name)
        .ok_or_else(|| BuildError::UnknownWorkload(name.to_owned()))?;
    if policy
        .workload_by_id(svid.id())
        .is_some_and(|workload| workload.name() == me.name())
    {
        return Ok(());
    }
    Err(BuildError::NotMySvid {
        workload: name.to_owned(),
        expected: me.id().to_string(),
        svid: svid.id().to_string(),
    })
}

/// What has ended proves us to nobody: better said now than at the first handshake.
fn check_validity(svid: &X509Svid, now: Timestamp) -> Result<(), BuildError> {
    if now < svid.not_after() {
        return Ok(());
    }
    Err(BuildError::Expired {
        svid: svid.id().to_string(),
        not_after: svid.not_after(),
        now,
    })
}

pub(crate) fn default_provider() -> Option<Arc<CryptoProvider>> {
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    return Some(ztl_mtls::provider());
    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    None
}

fn check_endpoints(
    policy: &Policy,
    endpoints: &HashMap<Box<str>, SocketAddr>,
) -> Result<(), BuildError> {
    match endpoints.keys().find(|name| {
        policy.workload_by_name(name).is_none() && policy.external_by_host(name).is_none()
    }) {
        Some(name) => Err(BuildError::UnknownEndpoint(name.to_string())),
        None => Ok(()),
    }
}

impl fmt::Debug for GuardBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardBuilder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
