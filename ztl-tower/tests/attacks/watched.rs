//! What an operator sees of all this: metrics, spans and events under the names that `docs/observability.md` gives, and traces
//! that go on.
//!
//! Each test runs on one thread, so that what listens there hears that test and no other.

mod details;
mod listens;
mod names;
mod prometheus;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use listens::{Recorded, Spans};
use ztl_core::audit::MemorySink;
use ztl_tower::TraceContext;

use super::*;
use crate::support::heard::hear;

fn policy(port: u16) -> String {
    format!(
        "schema = 1\ntrust_domain = \"prod.example\"\n\
         [workloads.caller]\nid = \"spiffe://prod.example/caller\"\n\
         [workloads.other]\nid = \"spiffe://prod.example/other\"\n\
         [workloads.watched]\nid = \"spiffe://prod.example/watched\"\nports = [{port}]\n\
         [[permit]]\nname = \"reads\"\nfrom = [\"caller\", \"watched\"]\nto = \"watched\"\nactions = [\"GET /open\", \"GET /on\"]\n\
         [[forbid]]\nname = \"soon-gone\"\nmode = \"shadow\"\nfrom = \"caller\"\nto = \"watched\"\nactions = [\"GET /open\"]\n"
    )
}

/// A service that tells the trace that it was called with, and on `/on` that which it calls itself with.
fn app(guard: Arc<std::sync::OnceLock<Guard>>) -> Router {
    Router::new().fallback(any(move |request: axum::extract::Request| {
        let guard = Arc::clone(&guard);
        async move {
            if request.uri().path() == "/on" {
                return on(guard.get().expect("a guard"), "/open").await;
            }
            let named = request.headers().get("traceparent");
            named.map_or_else(String::new, |it| it.to_str().expect("text").to_owned())
        }
    }))
}

/// What a request over egress is answered.
async fn on(guard: &Guard, path: &str) -> String {
    let request = Request::get(format!("https://watched{path}"));
    let request = request.body(Empty::<Bytes>::new()).expect("request");
    let answer = guard.client().request(request).await;
    let answer = answer.unwrap_or_else(|error| panic!("{}", support::chain(&error)));
    let body = answer.into_body().collect().await.expect("a body");
    String::from_utf8(body.to_bytes().to_vec()).expect("text")
}

struct Watched {
    mesh: Mesh,
    address: SocketAddr,
    guard: Guard,
}

async fn watched() -> Watched {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port()));
    let audit = Arc::new(MemorySink::new(100));
    let guard = mesh.builder("watched", "/watched", &audit);
    let guard = guard.endpoint("watched", address).build().await;
    let guard = guard.expect("guard");
    let itself = Arc::new(std::sync::OnceLock::new());
    let _ = itself.set(guard.clone());
    support::serve(&guard, listener, app(itself));
    Watched {
        mesh,
        address,
        guard,
    }
}

impl Watched {
    async fn ask(&self, who: &str, request: http::request::Builder) -> Result<String, String> {
        let svid = self.mesh.svid(who);
        let answer = knock(self.address, None, Some(&svid), b"http/1.1", request).await?;
        let body = String::from_utf8(answer.body().to_vec()).expect("text");
        Ok(format!("{} {body}", answer.status().as_u16()))
    }
}

#[tokio::test]
async fn law_6_every_decision_is_counted_once_and_handshakes_and_ends_with_it() {
    let _shared = MEASURED.read().await;
    let recorded = Recorded::default();
    let _here = metrics::set_default_local_recorder(&recorded);
    let watched = watched().await;
    for _ in 0..3 {
        let answer = watched.ask("/caller", get1("/open")).await;
        assert_eq!(answer.as_deref(), Ok("200 "));
    }
    let denied = watched.ask("/caller", get1("/admin")).await;
    assert!(denied.expect("an answer").starts_with("403 "));
    assert!(watched.ask("/other", get1("/open")).await.is_err());
    let permitted = "direction=ingress,reason=permitted,rule=reads,stage=action,verdict=permit,workload=watched";
    let count = |name: &str, labels: &str| recorded.value(name, labels);
    assert_eq!(count("ztl_decisions_total", permitted), 3.0);
    let refused = "direction=ingress,reason=no_action_permitted,rule=,stage=action,verdict=deny,workload=watched";
    assert_eq!(count("ztl_decisions_total", refused), 1.0);
    let unknown =
        "direction=ingress,reason=no_flow_permitted,rule=,stage=flow,verdict=deny,workload=watched";
    assert_eq!(count("ztl_decisions_total", unknown), 1.0);
    let would = "rule=soon-gone,verdict=permit,workload=watched,would=deny";
    assert_eq!(count("ztl_shadow_outcomes_total", would), 3.0);
    let name = "ztl_handshake_duration_seconds";
    assert_eq!(
        count(name, "kind=mutual,result=permitted,workload=watched"),
        4.0
    );
    assert_eq!(
        count(name, "kind=mutual,result=refused,workload=watched"),
        1.0
    );
    support::until("all are gone", || watched.guard.connections().is_empty()).await;
    let name = "ztl_connections_ended_total";
    assert_eq!(
        count(name, "cause=closed,direction=ingress,workload=watched"),
        4.0
    );
    assert_eq!(
        count(name, "cause=unproved,direction=ingress,workload=watched"),
        1.0
    );
}

#[tokio::test]
async fn a_reload_is_counted_by_what_and_outcome() {
    let _shared = MEASURED.read().await;
    let recorded = Recorded::default();
    let _here = metrics::set_default_local_recorder(&recorded);
    let mesh = Mesh::new(&policy(8443));
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("ztl-watched-policy.toml");
    std::fs::write(&path, &mesh.policy).expect("a file");
    let audit = Arc::new(MemorySink::new(100));
    let guard = mesh.builder("watched", "/watched", &audit);
    let guard = guard
        .policy_file(&path)
        .reload_every(Duration::from_millis(5));
    let _guard = guard.build().await.expect("guard");
    for (text, outcome) in [("# another\n", "taken"), ("schema = 2\n", "refused")] {
        std::fs::write(&path, format!("{text}{}", mesh.policy)).expect("a file");
        let labels = format!("outcome={outcome},what=policy,workload=watched");
        let reloaded = || recorded.value("ztl_reloads_total", &labels) >= 1.0;
        support::until(outcome, reloaded).await;
    }
    std::fs::remove_file(&path).expect("a file");
}

#[tokio::test]
async fn law_7_a_span_tells_who_asked_and_what_was_decided_and_no_path() {
    // Whether anybody listens is remembered for all threads at once.
    let _alone = MEASURED.write().await;
    let spans = Spans::default();
    let _hears = hear(spans.clone());
    let watched = watched().await;
    let secret = get1("/open?token=secret-in-the-query").header("authorization", "Bearer secret");
    assert!(
        watched
            .ask("/caller", secret)
            .await
            .expect("an answer")
            .starts_with("200")
    );
    let secret = get1("/secret-in-the-path");
    assert!(
        watched
            .ask("/caller", secret)
            .await
            .expect("an answer")
            .starts_with("403")
    );
    support::until("all are gone", || watched.guard.connections().is_empty()).await;
    let connections = spans.all("connection");
    let peer = "ztl.peer.id=spiffe://prod.example/caller";
    assert!(
        connections.iter().all(|span| span.contains(peer)),
        "{connections:?}"
    );
    let requests = spans.all("request");
    for (request, fields) in requests.iter().zip([
        [
            "http.response.status_code=200",
            "ztl.verdict=permit",
            "ztl.rule=reads",
            "ztl.reason=permitted",
        ],
        [
            "http.response.status_code=403",
            "ztl.verdict=deny",
            "http.request.method=GET",
            "ztl.reason=no_action_permitted",
        ],
    ]) {
        assert!(
            fields.iter().all(|field| request.contains(field)),
            "{request}"
        );
        assert!(request.contains("ztl.decision.id="), "{request}");
    }
    assert_eq!((connections.len(), requests.len()), (2, 2));
    let denied = spans.all("request denied");
    assert!(
        denied[0].contains("ztl.reason=no_action_permitted"),
        "{denied:?}"
    );
    assert_eq!(denied.len(), 1);
    let ended = spans.all("connection ended");
    assert!(
        ended[0].contains("cause=closed") && ended[0].contains(peer),
        "{ended:?}"
    );
    assert!(!spans.text().contains("secret"), "{}", spans.text());
}

#[tokio::test]
async fn trace_context_3_a_trace_goes_on_through_egress_under_a_span_of_its_own() {
    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let _shared = MEASURED.read().await;
    let watched = watched().await;
    let parse =
        |text: &str| TraceContext::parse(text.strip_prefix("200 ").unwrap_or(text).as_bytes());
    let given = parse(GIVEN).expect("a context");
    // It comes in, and goes on with the request that its handler makes.
    let answer = watched
        .ask("/caller", get1("/on").header("traceparent", GIVEN))
        .await;
    let passed = parse(&answer.expect("an answer")).expect("a context");
    assert_eq!(passed.trace_id(), given.trace_id());
    assert_ne!(passed.parent_id(), given.parent_id());
    assert!(passed.is_sampled());
    // What is bad is as good as none: the request is served, and a trace begins.
    for bad in ["", "00-0-0-0", "junk"] {
        let answer = watched
            .ask("/caller", get1("/on").header("traceparent", bad))
            .await;
        let begun = parse(&answer.expect("an answer")).expect("a context");
        assert_ne!(begun.trace_id(), given.trace_id());
    }
    // Nothing is being answered here: each request begins a trace of its own.
    let (one, two) = (
        on(&watched.guard, "/open").await,
        on(&watched.guard, "/open").await,
    );
    let (one, two) = (
        parse(&one).expect("a context"),
        parse(&two).expect("a context"),
    );
    assert_ne!(one.trace_id(), two.trace_id());
}
