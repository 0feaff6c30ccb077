//! How long a round takes where all peers differ, so that nothing that is remembered of one helps another (law 8).
//!
//! Some hundred peers; `ZTL_SWEEP_PEERS=16384` makes them as many as a listener holds, which is for a release build.

#![cfg(all(feature = "dev-ca", feature = "serve"))]

#[cfg(feature = "trust")]
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, IsCa, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::CertificateDer;
#[cfg(feature = "trust")]
use ztl_core::Timestamp;
use ztl_core::audit::MemorySink;
use ztl_core::policy::Policy;
use ztl_core::{Arrival, Flow, SpiffeId, TrustDomain};
use ztl_mtls::{BundleSet, CrlSet, Denied, DevCa, Purpose, TrustBundle, X509Svid};

use super::round::MANY;
use super::*;
#[cfg(feature = "trust")]
use crate::gather::{Gathered, Scored};
use crate::guard::GuardBuilder;
use crate::live::grounds::Begun;
use crate::live::registry::{Registered, Registry};
#[cfg(any(feature = "bundle", feature = "trust"))]
use crate::live::request::{Carried, Request};

const POLICY: &str = "schema = 1\ntrust_domain = 'prod.example'\n[workloads.db]\nid = 'spiffe://prod.example/db'\nports = [8443]\n\
    [[permit]]\nname = 'reads'\nfrom = 'spiffe://prod.example/callers/**'\nto = 'db'\nactions = ['GET /v1/{*rest}']\n";
const FORBID: &str =
    "[[forbid]]\nname = 'no'\nfrom = 'spiffe://prod.example/callers/**'\nto = 'db'\n";
/// What law 8 gives, and what the machine may be late.
const AT_ONCE: Duration = Duration::from_millis(1000 + 500);

/// More than one thread is asked to judge alone.
const FEW: usize = 2 * MANY;

#[expect(
    clippy::disallowed_methods,
    reason = "how much a test does is no input of a decision"
)]
fn peers() -> usize {
    let text = std::env::var("ZTL_SWEEP_PEERS").unwrap_or_default();
    text.parse().unwrap_or(FEW)
}

type Chain = Vec<CertificateDer<'static>>;

struct Mesh {
    guard: Guard,
    authority: DevCa,
    /// Of one peer each.
    chains: Vec<Chain>,
}

impl Mesh {
    async fn new(peers: usize) -> Self {
        let authority = other();
        let chain = |at| {
            issue(&authority, &format!("/callers/{at}"))
                .chain()
                .to_vec()
        };
        Self {
            guard: guard(&authority).await,
            chains: (0..peers).map(chain).collect(),
            authority,
        }
    }

    /// A connection of each peer, as after its handshake.
    fn open(&self) -> Vec<Registered> {
        let guard = &self.guard;
        let open = |chain: &Chain| {
            let live = Live::ingress(guard, Arrival::unknown(), 8443, true);
            let registered = Registry::register(guard, live);
            let begun = Begun::now(guard);
            let proved = guard
                .prover()
                .prove_chain(chain, guard.now(), Purpose::Client);
            let proved = proved.expect("proved");
            let flow = Flow::ingress("db", 8443, Arrival::unknown(), Some(proved.peer()));
            let permit = guard.engine().permit_flow(&flow, guard.now());
            let permit = permit.expect("permitted");
            assert!(registered.live().begin(guard, begun, permit, Some(&proved)));
            registered
        };
        self.chains.iter().map(open).collect()
    }

    /// The authority's revocation list, with this one on it.
    fn crl(&self, revoked: &Chain) -> CrlSet {
        let key = KeyPair::from_pem(&self.authority.key_pem()).expect("key");
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let name = "ztl development authority";
        params
            .distinguished_name
            .push(DnType::OrganizationName, name);
        let Denied::Serial(serial) = Denied::serial_of(&revoked[0]).expect("serial") else {
            panic!("a serial number");
        };
        let made = rcgen::date_time_ymd(1970, 1, 1)
            + Duration::from_secs(self.guard.now().as_unix_secs() - 60);
        let list = CertificateRevocationListParams {
            this_update: made,
            next_update: made + Duration::from_secs(3600),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from_slice(serial.serial()),
                revocation_time: made,
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&Issuer::new(params, key)).expect("list");
        let domain = self.authority.trust_domain().clone();
        CrlSet::from_der(domain, [list.into()]).expect("set")
    }
}

/// What is changed, and how many live on.
type Change = (&'static str, fn(&Mesh), fn(usize) -> usize);

const CHANGES: [Change; 6] = [
    (
        "bundles: another authority beside",
        |mesh| {
            let other = TrustBundle::from_der(
                mesh.authority.trust_domain().clone(),
                [other().bundle(), mesh.authority.bundle()]
                    .iter()
                    .flat_map(|bundle| bundle.certificates().to_vec()),
            );
            mesh.guard.replace_bundle(other.expect("a bundle"));
        },
        |all| all,
    ),
    (
        "a revocation list that names the last",
        |mesh| {
            let last = mesh.chains.last().expect("a peer");
            mesh.guard.swap_crls(mesh.crl(last));
        },
        |all| all - 1,
    ),
    (
        "the deny list: a number",
        |mesh| {
            let last = mesh.chains.last().expect("a peer");
            mesh.guard
                .deny(Denied::serial_of(&last[0]).expect("serial"));
        },
        |all| all - 1,
    ),
    (
        "policy: all are forbidden",
        |mesh| {
            let policy = Policy::from_toml(&format!("{POLICY}{FORBID}")).expect("policy");
            mesh.guard.swap_policy(policy).expect("swap");
        },
        |_| 0,
    ),
    (
        "bundles: another authority of another name instead",
        |mesh| {
            let key = KeyPair::generate().expect("key");
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let root = params.self_signed(&key).expect("root");
            let domain = mesh.authority.trust_domain().clone();
            let bundle = TrustBundle::from_der(domain, [root.der().clone()]);
            mesh.guard.replace_bundle(bundle.expect("a bundle"));
        },
        |_| 0,
    ),
    (
        "bundles: another authority of that name instead",
        |mesh| {
            let set = BundleSet::new([other().bundle()]).expect("a set");
            mesh.guard.swap_bundles(set);
        },
        |_| 0,
    ),
];

fn other() -> DevCa {
    let domain = TrustDomain::parse("prod.example").expect("domain");
    DevCa::new(domain, crate::guard::wall_clock()).expect("authority")
}

fn issue(authority: &DevCa, path: &str) -> X509Svid {
    let id = SpiffeId::parse(&format!("spiffe://prod.example{path}")).expect("id");
    let (now, hour) = (crate::guard::wall_clock(), Duration::from_secs(3600));
    let issued = authority.issue(&id, now, hour, &ztl_mtls::provider());
    issued.expect("an SVID").svid
}

async fn guard(authority: &DevCa) -> Guard {
    builder(authority).build().await.expect("guard")
}

fn builder(authority: &DevCa) -> GuardBuilder {
    Guard::builder("db")
        .policy(Policy::from_toml(POLICY).expect("policy"))
        .identity(issue(authority, "/db"))
        .bundle(authority.bundle())
        .allow_dev_authority()
        .audit(Arc::new(MemorySink::new(16)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_a_second_is_enough_however_many_peers_there_are() {
    let mut mesh = Mesh::new(peers()).await;
    for (what, change, left) in CHANGES {
        mesh.guard = guard(&mesh.authority).await;
        let open = mesh.open();
        let since = Instant::now();
        change(&mesh);
        let patience = since + Duration::from_secs(60);
        let lives = || open.iter().filter(|it| !it.live().is_revoked());
        // Judged again, each of them.
        while lives().any(|it| it.live().is_stale(&mesh.guard, mesh.guard.now())) {
            assert!(Instant::now() < patience, "{what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let took = since.elapsed();
        println!("{} peers, {what}: {} ms", open.len(), took.as_millis());
        assert_eq!(lives().count(), left(open.len()), "{what}");
        // What is not optimised takes ten times as long.
        let counts = open.len() <= FEW || !cfg!(debug_assertions);
        assert!(took < AT_ONCE || !counts, "{what}: {took:?}");
    }
}

/// Resolves once it is so; what never is fails the test.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < patience, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn law_8_what_changes_counts_though_no_thread_is_to_be_had_for_a_helper() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mesh = Mesh::new(FEW).await;
        let open = mesh.open();
        let lives = || open.iter().filter(|it| !it.live().is_revoked()).count();
        let (free, taken) = std::sync::mpsc::channel::<()>();
        let holds = tokio::task::spawn_blocking(move || taken.recv().is_err());
        // More than one judges alone: helpers are asked for.
        let (what, change, _) = CHANGES[0];
        change(&mesh);
        let stale = |it: &Registered| it.live().is_stale(&mesh.guard, mesh.guard.now());
        until(what, || !open.iter().any(stale)).await;
        assert_eq!(lives(), open.len());
        let last = mesh.chains.last().expect("a peer");
        let serial = Denied::serial_of(&last[0]).expect("serial");
        mesh.guard.deny(serial);
        until("the last is denied", || lives() == open.len() - 1).await;
        drop(free);
        assert!(holds.await.expect("a thread"), "it was taken all along");
    });
}

#[tokio::test]
async fn law_8_what_one_runtime_drives_is_judged_though_nobody_drives_another() {
    let mesh = Mesh::new(2).await;
    let mut other = tokio::runtime::Builder::new_current_thread();
    let other = other.enable_all().build().expect("a runtime");
    // It came first, as that of a program that calls now and then.
    let first = {
        let _within = other.enter();
        mesh.open()
    };
    let open = mesh.open();
    let serial = Denied::serial_of(&mesh.chains[0][0]).expect("serial");
    mesh.guard.deny(serial);
    until("it ends", || open[0].live().is_revoked()).await;
    assert!(!open[1].live().is_revoked() && !first[1].live().is_revoked());
    // And what nobody ever will drive goes with its runtime.
    let ended = tokio::task::spawn_blocking(move || drop(other));
    ended.await.expect("ended");
    assert!(first[1].live().is_revoked() && !open[1].live().is_revoked());
}

/// The test has the sweeper's thread, and gives it a turn where it yields.
#[tokio::test]
async fn law_8_what_changes_within_a_round_that_began_quiet_is_judged_by_several() {
    if std::thread::available_parallelism().map_or(1, usize::from) == 1 {
        return;
    }
    let mesh = Mesh::new(FEW).await;
    let open = mesh.open();
    let lives = || open.iter().filter(|it| !it.live().is_revoked()).count();
    // A round holds all connections.
    let held = || Arc::strong_count(open[0].live());
    let patience = Instant::now() + Duration::from_secs(20);
    while held() > 2 {
        assert!(Instant::now() < patience, "the first round ends");
        tokio::task::yield_now().await;
    }
    while held() == 2 {
        assert!(Instant::now() < patience, "another begins");
        tokio::task::yield_now().await;
    }
    // Nothing was to be judged as it began.
    let policy = Policy::from_toml(&format!("{POLICY}{FORBID}")).expect("policy");
    mesh.guard.swap_policy(policy).expect("swap");
    // A few are judged by the sweeper, and a few more it has taken: those it keeps for as long as this one has the thread.
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
    let left = 3 * FEW / 8;
    while lives() > left {
        assert!(Instant::now() < patience, "nobody helps: {}", lives());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Knows everybody, and says again and again that what it knows may be another.
#[cfg(feature = "trust")]
#[derive(Debug, Default)]
struct Drifting {
    drift: core::sync::atomic::AtomicU64,
    asked: core::sync::atomic::AtomicU64,
}

#[cfg(feature = "trust")]
impl ztl_authz::trust::SignalSource for Drifting {
    fn signal(
        &self,
        _: &str,
        _: ztl_authz::trust::About<'_>,
        now: Timestamp,
    ) -> Option<ztl_core::trust::Signal> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        ztl_core::trust::Signal::new(100, now, Timestamp::MAX, "test")
    }

    fn drift(&self) -> u64 {
        self.drift.load(Ordering::SeqCst)
    }
}

/// One peer, and a rule for these actions that asks for its score.
#[cfg(feature = "trust")]
async fn drifting(actions: &str) -> (Mesh, Arc<Drifting>) {
    const TRUST: &str =
        "[trust]\nbase = 20\n[trust.signals.device]\nweight = 80\nmax_age = '10m'\n";
    let mut mesh = Mesh::new(1).await;
    let drifting = Arc::new(Drifting::default());
    let signals = ztl_authz::trust::Signals::none().with("device", Arc::clone(&drifting));
    let asks = format!("actions = ['{actions}']\nrequire = {{ trust_score = 60 }}");
    let policy = POLICY.replace("actions = ['GET /v1/{*rest}']", &asks);
    let policy = Policy::from_toml(&format!("{policy}{TRUST}")).expect("policy");
    let builder = builder(&mesh.authority).policy(policy).signals(signals);
    mesh.guard = builder.build().await.expect("guard");
    (mesh, drifting)
}

#[cfg(feature = "trust")]
#[tokio::test]
async fn t34_a_drift_that_leaves_a_raw_stream_its_score_is_looked_at_once() {
    let (mesh, drifting) = drifting("connect").await;
    let (guard, open) = (&mesh.guard, mesh.open());
    let live = open[0].live();
    let permitted = live.authorize_connect(guard).await;
    assert!(permitted.is_ok(), "{permitted:?}");
    assert!(!live.is_behind(guard, guard.now()));
    for _ in 0..2 {
        drifting.drift.fetch_add(1, Ordering::SeqCst);
        assert!(live.is_behind(guard, guard.now()));
        let before = drifting.asked.load(Ordering::SeqCst);
        live.sweep(guard);
        assert!(!live.is_revoked() && !live.is_behind(guard, guard.now()));
        assert_eq!(drifting.asked.load(Ordering::SeqCst), before + 1);
        live.sweep(guard);
        assert_eq!(drifting.asked.load(Ordering::SeqCst), before + 1);
    }
}

#[cfg(feature = "trust")]
#[tokio::test]
async fn t34_a_drift_is_looked_at_where_a_request_that_runs_has_a_score() {
    let (mesh, drifting) = drifting("GET /v1/{*rest}").await;
    let (guard, open) = (&mesh.guard, mesh.open());
    let live = open[0].live();
    let drift = || drifting.drift.fetch_add(1, Ordering::SeqCst);
    let begin = || Request::begin(live, Carried::AmongOthers, live.hosted().begin());
    let unscored = begin();
    drift();
    assert!(!live.is_behind(guard, guard.now()), "nothing drifts");

    let scored = begin();
    let flow = live.permit().expect("permit");
    let by = || Gathered::now(guard, &flow, None, None, guard.now()).scored();
    scored.scored_as(by());
    live.sweep(guard);
    assert!(!live.is_behind(guard, guard.now()), "it was looked at");
    for _ in 0..2 {
        drift();
        assert!(live.is_behind(guard, guard.now()));
        live.sweep(guard);
        assert!(!live.is_behind(guard, guard.now()));
    }
    // Judged anew, by no score; by one again; and over.
    scored.scored_as(Scored::default());
    drift();
    assert!(!live.is_behind(guard, guard.now()));
    let before = by();
    drift();
    scored.scored_as(before);
    assert!(live.is_behind(guard, guard.now()), "it drifted meanwhile");
    drop(scored);
    assert!(!live.is_behind(guard, guard.now()));
    drop(unscored);
}

/// What is known of callers changes, and nothing that a connection itself rests on.
#[cfg(feature = "bundle")]
#[tokio::test]
async fn law_8_many_requests_that_are_to_be_judged_again_are_judged_by_several() {
    let mesh = Mesh::new(MANY).await;
    let open = mesh.open();
    let much = || Round::begin(&mesh.guard, tokio::runtime::Handle::current().id()).is_much();
    // The sweeper has this thread only where something is awaited.
    mesh.guard.opa_bundle_changed();
    assert!(!much(), "nothing runs");
    let begin = |it: &Registered| {
        let ticket = it.live().hosted().begin();
        Request::begin(it.live(), Carried::AmongOthers, ticket)
    };
    let mut running: Vec<_> = open.iter().map(begin).collect();
    assert!(much());
    running.pop();
    assert!(!much(), "one is too few");
}

/// What is ended by its deadline, or because nobody uses it, was not withdrawn.
#[tokio::test]
async fn t35_what_had_its_time_is_not_counted_as_revoked() {
    let mesh = Mesh::new(3).await;
    let silent = Duration::from_millis(1);
    let quick = builder(&mesh.authority).header_timeout(silent);
    let mesh = Mesh {
        guard: quick.build().await.expect("guard"),
        ..mesh
    };
    let open = mesh.open();
    let lives: Vec<_> = open.iter().map(|it| it.live()).collect();
    lives[0].drain(mesh.guard.now());
    lives[1].hosted();
    mesh.guard
        .deny(Denied::serial_of(&mesh.chains[2][0]).expect("serial"));
    let patience = Instant::now() + Duration::from_secs(60);
    while !lives.iter().all(|live| live.is_revoked()) {
        assert!(Instant::now() < patience);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let causes: Vec<_> = lives.iter().map(|live| live.cause()).collect();
    assert_eq!(causes, ["drained", "closed", "revoked"]);
}
