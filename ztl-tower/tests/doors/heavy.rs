//! Judgements that take long: they end within their bound, and nobody else waits for them (T34).

use std::collections::BTreeMap;

use ztl_authz::rego::RegoKind;
use ztl_core::FlowPermit;
use ztl_core::authorizer::{Authorizer, AuthorizerError, Facts, Reads};
use ztl_core::policy::{Format, Loader, Policy};

use super::*;

const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"

[workloads.caller]
id = "spiffe://prod.example/caller"

[workloads.other]
id = "spiffe://prod.example/other"

[workloads.gateway]
id = "spiffe://prod.example/gateway"
ports = [8443]

[authorizers.endless]
kind = "rego"
policy = "endless.rego"
entrypoint = "endless/allow"
timeout = "40ms"

[authorizers.brief]
kind = "rego"
policy = "endless.rego"
entrypoint = "endless/brief"

[[permit]]
name = "asks-for-long"
from = ["caller", "other"]
to = "gateway"
actions = "GET /endless"
require.authorizer = "endless"

[[permit]]
name = "asks-for-short"
from = ["caller", "other"]
to = "gateway"
actions = "GET /brief/{n}"
require.authorizer = "brief"

[[permit]]
name = "asks-nobody"
from = ["caller", "other"]
to = "gateway"
actions = "GET /plain"
"#;

const ENDLESS: &str = r#"
package endless
allow if { some a in numbers.range(0, 9999); some b in numbers.range(0, 9999); a + b < 0 }
brief if input.params.n == "7"
"#;

fn rego() -> Arc<RegoKind> {
    let files = [("endless.rego".to_owned(), ENDLESS.as_bytes().to_vec())];
    Arc::new(RegoKind::interpreter(Arc::new(BTreeMap::from(files))))
}

fn policy() -> Policy {
    let loader = Loader::new().authorizer_kind("rego", rego());
    let loaded = loader.load(POLICY, Format::Toml);
    loaded.unwrap_or_else(|error| panic!("{error}"))
}

struct Host {
    guard: Guard,
    audit: Arc<MemorySink>,
    marker: Marker,
}

impl Host {
    async fn new() -> Self {
        let mesh = Mesh::new(POLICY);
        let audit = Arc::new(MemorySink::new(1000));
        let guard = Guard::builder("gateway")
            .policy(policy())
            .identity(mesh.svid("/gateway"))
            .bundle(mesh.authority.bundle())
            .allow_dev_authority()
            .audit(Arc::clone(&audit));
        Self {
            guard: guard.build().await.expect("a guard"),
            audit,
            marker: Marker::default(),
        }
    }

    fn flow(&self, caller: &str) -> FlowPermit {
        called::flow(&self.guard, caller)
    }

    /// What comes of a request, and its `Retry-After`.
    fn ask(
        &self,
        flow: &FlowPermit,
        path: &str,
    ) -> impl Future<Output = (StatusCode, bool)> + Send + use<> {
        called::ask(&self.guard, flow, path, self.marker.app())
    }
}

#[tokio::test]
async fn a_policy_is_asked_and_its_answer_counts() {
    let host = Host::new().await;
    let flow = host.flow("/caller");
    assert_eq!(host.ask(&flow, "/brief/7").await.0, StatusCode::OK);
    assert_eq!(host.ask(&flow, "/brief/8").await.0, StatusCode::FORBIDDEN);
    assert_eq!(host.marker.calls(), 1);
    assert_eq!(reasons(&host.audit), ["permitted", "permitted", "objected"]);
}

/// Has a bug.
#[derive(Debug)]
struct Falls;

impl Authorizer for Falls {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn objects(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        panic!("a bug of the authorizer")
    }

    fn is_heavy(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn law_6_a_judgement_that_ends_without_an_answer_denies_and_says_whom() {
    let host = Host::new().await;
    let falls = POLICY.replace("authorizer = \"brief\"", "authorizer = \"falls\"");
    let loader = Loader::new().authorizer_kind("rego", rego());
    let loader = loader.with_authorizer("falls", Arc::new(Falls));
    let policy = loader.load(&falls, Format::Toml);
    let policy = policy.unwrap_or_else(|error| panic!("{error}"));
    host.guard.swap_policy(policy).expect("swap");
    let flow = host.flow("/caller");
    let asked = host.ask(&flow, "/brief/7").await;
    assert_eq!(asked, (StatusCode::FORBIDDEN, false));
    assert_eq!(host.marker.calls(), 0);
    let lines = host.audit.lines();
    let last: serde_json::Value =
        serde_json::from_str(lines.last().expect("a record")).expect("json");
    assert_eq!(last["reason"], "not_judged");
    assert_eq!(last["peer"], "spiffe://prod.example/caller");
}

/// On one thread: were a judgement made on it, everybody would wait.
#[tokio::test]
async fn t34_a_policy_that_loops_is_denied_while_others_go_on() {
    let host = Host::new().await;
    let flow = host.flow("/caller");
    let slow: Vec<_> = (0..8)
        .map(|_| tokio::spawn(host.ask(&flow, "/endless")))
        .collect();
    tokio::task::yield_now().await;
    for _ in 0..50 {
        assert_eq!(host.ask(&flow, "/plain").await.0, StatusCode::OK);
    }
    assert!(slow.iter().any(|asked| !asked.is_finished()));
    for asked in slow {
        let answered = tokio::time::timeout(support::PATIENCE, asked)
            .await
            .expect("in time");
        let answer = answered.expect("an answer");
        assert_eq!(answer, (StatusCode::FORBIDDEN, false));
    }
    let failed = reasons(&host.audit);
    let failed = failed
        .iter()
        .filter(|reason| *reason == "authorizer_failed");
    assert_eq!(failed.count(), 8);
}

#[tokio::test]
async fn t34_who_asks_for_much_keeps_nobody_out() {
    let host = Host::new().await;
    let (greedy, other) = (host.flow("/caller"), host.flow("/other"));
    let slow: Vec<_> = (0..40)
        .map(|_| tokio::spawn(host.ask(&greedy, "/endless")))
        .collect();
    tokio::task::yield_now().await;
    let others = tokio::time::timeout(support::PATIENCE, host.ask(&other, "/brief/7")).await;
    assert_eq!(others.expect("in time").0, StatusCode::OK);
    // It waited for none of those that wait, and at most for what runs on its way.
    let judged = slow.iter().filter(|asked| asked.is_finished()).count();
    assert!(judged <= 16, "{judged} of 40 came first");
    let mut refused = 0;
    for asked in slow {
        let answered = tokio::time::timeout(support::PATIENCE, asked)
            .await
            .expect("in time");
        match answered.expect("an answer") {
            (StatusCode::SERVICE_UNAVAILABLE, true) => refused += 1,
            answer => assert_eq!(answer, (StatusCode::FORBIDDEN, false)),
        }
    }
    assert!((1..=8).contains(&refused), "{refused}");
}

/// T24: what a document names is watched as the document is; half a file changes nothing.
#[tokio::test]
async fn a_policy_beside_the_document_is_read_again() {
    let name = format!("ztl-rego-{}-{}", std::process::id(), now().as_unix_millis());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("folder");
    let write = |name: &str, text: &str| {
        let (new, path) = (folder.join(format!("{name}.new")), folder.join(name));
        std::fs::write(&new, text).expect("write");
        #[cfg(unix)]
        std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("mode");
        std::fs::rename(&new, &path).expect("rename");
        path
    };
    write("endless.rego", ENDLESS);
    let mesh = Mesh::new(POLICY);
    let audit = Arc::new(MemorySink::new(1000));
    let guard = Guard::builder("gateway")
        .policy_file(write("policy.toml", POLICY))
        .identity(mesh.svid("/gateway"))
        .bundle(mesh.authority.bundle())
        .allow_dev_authority()
        .reload_every(Duration::from_millis(20))
        .audit(Arc::clone(&audit));
    let host = Host {
        guard: guard.build().await.expect("a guard"),
        audit,
        marker: Marker::default(),
    };
    let before = host.guard.engine().policy().revision();
    let flow = host.flow("/caller");
    assert_eq!(host.ask(&flow, "/brief/8").await.0, StatusCode::FORBIDDEN);

    write("endless.rego", "package endless\nbrief if {");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(host.guard.engine().policy().revision(), before);
    assert_eq!(host.ask(&flow, "/brief/7").await.0, StatusCode::OK);

    write("endless.rego", &ENDLESS.replace("\"7\"", "\"8\""));
    let policy = || host.guard.engine().policy().revision();
    support::until("another revision", || policy() != before).await;
    assert_eq!(host.ask(&flow, "/brief/8").await.0, StatusCode::OK);
    assert_eq!(host.ask(&flow, "/brief/7").await.0, StatusCode::FORBIDDEN);
    let _ = std::fs::remove_dir_all(&folder);
}
