//! Conditions that loop: judged where nobody else waits for them, and turned away where there is no place (T34).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use axum::routing::get;
use serde_json::{Map, Value};
use ztl_authz::cel::Cel;
use ztl_core::Attributes;
use ztl_core::authorizer::{
    AuthorizerError, Condition, ConditionCompiler, ConditionError, Facts, Reads, Setting,
};
use ztl_core::policy::{Effect, Format, Loader};

use super::*;

/// The threads of the pool.
const APART: &str = "ztl-judge";

/// Most judgements of one caller that wait or run there.
const SHARE: usize = 32;

const WORKLOADS: &str = r#"
schema = 1
trust_domain = "prod.example"
[workloads.caller]
id = "spiffe://prod.example/caller"
[workloads.other]
id = "spiffe://prod.example/other"
[workloads.absent]
id = "spiffe://prod.example/absent"
[workloads.gateway]
id = "spiffe://prod.example/gateway"
ports = [8443]
[issuers.corp]
issuer = "https://idp.example"
audience = "gateway"
"#;

const LOOPS: &str = r#"
[[permit]]
name = "compares"
from = "caller"
to = "gateway"
actions = ["GET /compares/{who}", "GET /nested/compares/{who}"]
require.when = "context.owner == params.who"
[[permit]]
name = "loops"
from = "caller"
to = "gateway"
actions = ["GET /loops", "GET /nested/again"]
require.when = "context.list.all(x, x >= 0)"
[[permit]]
name = "plain"
from = "caller"
to = "gateway"
actions = ["GET /plain", "GET /tried", "GET /fenced/{id}", "GET /shared/{id}"]
[[permit]]
name = "trial"
mode = "shadow"
from = "caller"
to = "gateway"
actions = "GET /tried"
require.when = "context.owner.matches('^a')"
[[forbid]]
name = "the-caller"
from = "caller"
to = "gateway"
actions = "GET /fenced/{id}"
when = "context.list.exists(x, x < 0)"
[[forbid]]
name = "whoever-comes-along"
from = "absent"
to = "gateway"
actions = "GET /shared/{id}"
when = "context.list.map(x, x * 2).size() == 1"
"#;

fn load(text: &str, language: Arc<dyn ConditionCompiler>) -> Policy {
    let loader = Loader::new().with_conditions(language);
    let loaded = loader.load(text, Format::Toml);
    loaded.unwrap_or_else(|error| panic!("{error}"))
}

/// On which thread each path was judged, by that one asking what the service knows of it.
type Judged = Arc<Mutex<Vec<(String, bool)>>>;

struct Host {
    guard: Guard,
    audit: Arc<MemorySink>,
    judged: Judged,
}

impl Host {
    async fn new(policy: Policy) -> Self {
        let mesh = Mesh::new(&format!("{WORKLOADS}{LOOPS}"));
        let audit = Arc::new(MemorySink::new(1000));
        let judged = Judged::default();
        let told = Arc::clone(&judged);
        let guard = Guard::builder("gateway")
            .policy(policy)
            .identity(mesh.svid("/gateway"))
            .bundle(mesh.authority.bundle())
            .allow_dev_authority()
            .token_verifier(some_verifier("gateway"))
            .context_from(move |parts, now| {
                let apart = std::thread::current().name() == Some(APART);
                let path = parts.uri.path().to_owned();
                told.lock().expect("lock").push((path, apart));
                let said = json!({ "owner": "alice", "list": [1, 2, 3] });
                let said: Map<String, Value> = said.as_object().expect("object").clone();
                let until = now.saturating_add(Duration::from_secs(60));
                Some(Attributes::new(said, now, until))
            })
            .audit(Arc::clone(&audit));
        Self {
            guard: guard.build().await.expect("a guard"),
            audit,
            judged,
        }
    }

    /// What was judged since somebody asked, and whether on the pool.
    fn judged(&self) -> Vec<(String, bool)> {
        core::mem::take(&mut self.judged.lock().expect("lock"))
    }
}

#[tokio::test]
async fn t34_what_loops_is_judged_on_the_pool_and_what_compares_is_not() {
    let policy = load(&format!("{WORKLOADS}{LOOPS}"), Arc::new(Cel::new()));
    let host = Host::new(policy).await;
    let flow = called::flow(&host.guard, "/caller");
    for (path, apart) in [
        ("/plain", false),
        ("/compares/alice", false),
        ("/loops", true),
        ("/tried", true),
        ("/fenced/7", true),
        // No token, and nobody passed on: whether somebody comes along is not known before it is judged.
        ("/shared/7", true),
    ] {
        let answered = called::ask(&host.guard, &flow, path, Marker::default().app()).await;
        assert_eq!(answered, (StatusCode::OK, false), "{path}");
        assert_eq!(host.judged(), [(path.to_owned(), apart)]);
    }
    let denied = called::ask(&host.guard, &flow, "/compares/bob", Marker::default().app());
    assert_eq!(denied.await, (StatusCode::FORBIDDEN, false));
    assert_eq!(host.judged(), [("/compares/bob".to_owned(), false)]);
}

/// Judged again within a router that took the prefix off: as what it was asked for, and so where that is judged.
#[tokio::test]
async fn t34_what_is_judged_again_with_half_its_path_is_judged_where_the_whole_one_is() {
    let policy = load(&format!("{WORKLOADS}{LOOPS}"), Arc::new(Cel::new()));
    let host = Host::new(policy).await;
    let flow = called::flow(&host.guard, "/caller");
    for (path, apart) in [("/nested/again", true), ("/nested/compares/alice", false)] {
        let changes = host.guard.clone();
        let changed =
            tower::util::MapRequestLayer::new(move |request: Request<axum::body::Body>| {
                // Nothing that was judged before this stands any more.
                let issuer = DevIssuer::new("https://idp.example").expect("issuer");
                let keys = Jwks::from_json(issuer.jwks_json().as_bytes()).expect("keys");
                changes.swap_token_keys("corp", keys).expect("swap");
                request
            });
        let routes = Router::new()
            .route("/again", get(async || "loops"))
            .route("/compares/{who}", get(async || "compares"));
        let inner = routes.layer(host.guard.authorize()).layer(changed);
        let app = Router::new().nest("/nested", inner);
        let answered = called::ask(&host.guard, &flow, path, app).await;
        assert_eq!(answered, (StatusCode::OK, false), "{path}");
        let judged: Vec<bool> = host.judged().into_iter().map(|(_, apart)| apart).collect();
        assert_eq!(judged, [apart, apart], "{path}");
    }
}

/// A language whose conditions let everything through, and take as long for the caller as they are held.
#[derive(Debug, Default)]
struct Held {
    released: Mutex<bool>,
    changes: Condvar,
    asked: AtomicUsize,
    off_the_pool: AtomicBool,
}

#[derive(Debug)]
struct Language(Arc<Held>);

#[derive(Debug)]
struct Waits(Arc<Held>, bool);

impl Held {
    fn release(&self) {
        *self.released.lock().expect("lock") = true;
        self.changes.notify_all();
    }
}

/// A test that fails leaves no thread that waits.
struct Releases(Arc<Held>);

impl Drop for Releases {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl ConditionCompiler for Language {
    fn compile(&self, _: &str, of: &Setting<'_>) -> Result<Arc<dyn Condition>, ConditionError> {
        let lets = of.effect == Effect::Permit;
        Ok(Arc::new(Waits(Arc::clone(&self.0), lets)))
    }
}

/// It does not say that it is heavy: what says nothing is.
impl Condition for Waits {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn holds(&self, facts: &Facts<'_>) -> Result<bool, AuthorizerError> {
        let Self(held, lets) = self;
        if std::thread::current().name() != Some(APART) {
            held.off_the_pool.store(true, Ordering::SeqCst);
            return Ok(*lets);
        }
        if facts.workload == Some("caller") {
            held.asked.fetch_add(1, Ordering::SeqCst);
            let released = held.released.lock().expect("lock");
            let patience = support::PATIENCE;
            let waits = |released: &mut bool| !*released;
            let waited = held.changes.wait_timeout_while(released, patience, waits);
            drop(waited.expect("lock"));
        }
        Ok(*lets)
    }
}

/// On one thread: were one of them judged on it, nobody would be answered any more.
#[tokio::test]
async fn t34_conditions_that_take_long_have_a_share_of_the_pool_and_keep_nobody_out() {
    let asks = "from = [\"caller\", \"other\"]\nto = \"gateway\"\nactions =";
    let rules = format!(
        "{WORKLOADS}
[[permit]]\nname = \"asks\"\n{asks} \"GET /asks\"\nrequire.when = \"held\"
[[permit]]\nname = \"plain\"\n{asks} [\"GET /plain\", \"GET /fenced\"]
[[forbid]]\nname = \"fence\"\n{asks} \"GET /fenced\"\nwhen = \"held\"\n"
    );
    for path in ["/asks", "/fenced"] {
        let held = Arc::new(Held::default());
        let _released = Releases(Arc::clone(&held));
        let language = Arc::new(Language(Arc::clone(&held)));
        let host = Host::new(load(&rules, language)).await;
        let (greedy, other) = (
            called::flow(&host.guard, "/caller"),
            called::flow(&host.guard, "/other"),
        );
        let app = || Marker::default().app();
        let asked: Vec<_> = (0..SHARE + 8)
            .map(|_| tokio::spawn(called::ask(&host.guard, &greedy, path, app())))
            .collect();
        until("one is judged", || held.asked.load(Ordering::SeqCst) > 0).await;
        let finished = || asked.iter().filter(|asked| asked.is_finished()).count();
        until("what finds no place is turned away", || finished() >= 8).await;
        // Who asks nothing of the kind waits for nobody, the greedy one neither; and others have places of their own.
        for (flow, path) in [(&greedy, "/plain"), (&other, "/plain"), (&other, path)] {
            let answer = tokio::time::timeout(
                support::PATIENCE / 2,
                called::ask(&host.guard, flow, path, app()),
            );
            let answer = answer.await.expect("in time");
            assert_eq!(answer, (StatusCode::OK, false), "{path}");
        }
        assert_eq!(finished(), 8);
        let failed = |reason: &&String| *reason == "authorizer_failed";
        assert_eq!(reasons(&host.audit).iter().filter(failed).count(), 8);
        held.release();
        let mut turned_away = 0;
        for asked in asked {
            match asked.await.expect("an answer") {
                (StatusCode::SERVICE_UNAVAILABLE, true) => turned_away += 1,
                answer => assert_eq!(answer, (StatusCode::OK, false)),
            }
        }
        assert_eq!(turned_away, 8, "{path}");
        assert!(!held.off_the_pool.load(Ordering::SeqCst), "{path}");
    }
}
