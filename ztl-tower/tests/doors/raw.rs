//! Raw streams: authorized for `connect` before anybody gets one, and ended when they would no longer be.

use ztl_core::authorizer::{Authorizer, AuthorizerError, Demands, Facts, Opinion, Reads};
use ztl_core::policy::{Format, Loader};
use ztl_tower::{EgressError, Listener, RawStream};

use super::*;

const EDGE: &str = r#"
[[permit]]
name = "caller-streams"
from = "caller"
to = "gateway"
actions = ["connect"]
"#;

fn raw_policy(port: u16, edge: &str) -> String {
    format!(
        r#"
schema = 1
trust_domain = "prod.example"
[workloads.caller]
id = "spiffe://prod.example/caller"
[workloads.gateway]
id = "spiffe://prod.example/gateway"
ports = [{port}]
[[permit]]
name = "caller-asks"
from = "caller"
to = "gateway"
actions = ["GET /v1/{{*rest}}"]
{edge}"#
    )
}

struct Raw {
    mesh: Mesh,
    guard: Guard,
    audit: Arc<MemorySink>,
    listener: Listener,
    caller: Guard,
    address: SocketAddr,
}

async fn raw(edge: &str, limits: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Raw {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&raw_policy(address.port(), edge));
    let audit = Arc::new(MemorySink::new(100));
    let guard = limits(mesh.builder("gateway", "/gateway", &audit));
    let guard = guard.build().await.expect("guard");
    let listener = guard.listen_on(listener).expect("listener");
    let caller = mesh.builder("caller", "/caller", &Arc::new(MemorySink::new(100)));
    let caller = caller.endpoint("gateway", address).build();
    Raw {
        caller: caller.await.expect("guard"),
        mesh,
        guard,
        audit,
        listener,
        address,
    }
}

impl Raw {
    async fn pair(&mut self) -> (RawStream, RawStream) {
        let theirs = self.caller.connect("gateway").await.expect("stream");
        let ours = tokio::time::timeout(support::PATIENCE, self.listener.accept()).await;
        (
            ours.expect("in time").expect("listener").expect("stream"),
            theirs,
        )
    }
}

#[tokio::test]
async fn a_raw_stream_is_authorized_once_on_each_side_and_carries_bytes() {
    let mut raw = raw(EDGE, |builder| builder).await;
    let (mut ours, mut theirs) = raw.pair().await;
    assert_eq!(ours.peer().id().to_string(), "spiffe://prod.example/caller");
    assert_eq!(
        theirs.peer().id().to_string(),
        "spiffe://prod.example/gateway"
    );
    let records = raw.audit.lines();
    assert_eq!(records.len(), 2, "its flow, and its action: {records:?}");
    assert!(records[1].contains("connect"), "{records:?}");
    theirs.write_all(b"ping").await.expect("write");
    let mut heard = [0; 4];
    ours.read_exact(&mut heard).await.expect("read");
    assert_eq!(&heard, b"ping");
    ours.shutdown().await.expect("close_notify");
    assert_eq!(theirs.read(&mut heard).await.expect("end"), 0);
}

#[tokio::test]
async fn rule_39_a_stream_that_no_rule_permits_as_raw_is_refused_on_either_side() {
    // The flow is permitted, for requests.
    let mut raw = raw("", |builder| builder).await;
    let denied = raw.caller.connect("gateway").await.expect_err("denied");
    assert!(matches!(denied, EgressError::Denied(_)), "{denied}");
    for nobody in ["nobody", "gateway.example", "gateway:0"] {
        assert!(raw.caller.connect(nobody).await.is_err(), "{nobody}");
    }
    let svid = raw.mesh.svid("/caller");
    let stream = support::raw_connect(raw.address, None, Some(&svid), b"raw");
    let mut stream = stream.await.expect("handshake");
    let _ = stream.write_all(b"anything").await;
    assert!(
        !matches!(stream.read(&mut [0; 8]).await, Ok(1..)),
        "it is closed"
    );
    assert_eq!(
        reasons(&raw.audit),
        ["permitted", "no_action_permitted"],
        "the flow, and then the action"
    );
    // Nobody was handed a stream.
    raw.guard.shutdown();
    let none = tokio::time::timeout(support::PATIENCE, raw.listener.accept()).await;
    assert!(none.expect("in time").expect("listener").is_none());
}

#[tokio::test]
async fn t14_a_raw_stream_ends_when_its_peer_is_denied_or_its_action_withdrawn() {
    for revoke in [true, false] {
        let mut raw = raw(EDGE, |builder| builder).await;
        let (mut ours, mut theirs) = raw.pair().await;
        if revoke {
            raw.guard.deny(ztl_mtls::Denied::Id(support::id("/caller")));
        } else {
            // Its flow is still permitted, for requests.
            let policy = Policy::from_toml(&raw_policy(raw.address.port(), "")).expect("policy");
            raw.guard.swap_policy(policy).expect("swap");
        }
        let at_once = Duration::from_millis(1500);
        let ended = tokio::time::timeout(at_once, ours.read(&mut [0; 8])).await;
        let ended = ended.expect("within a second").expect_err("revoked");
        assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionAborted);
        drop(ours);
        let heard = tokio::time::timeout(at_once, theirs.read(&mut [0; 8])).await;
        assert!(
            !matches!(heard, Ok(Ok(1..)) | Err(_)),
            "the peer sees its end"
        );
    }
}

#[tokio::test]
async fn law_8_a_raw_stream_lasts_no_longer_than_it_may() {
    let limits = |builder: GuardBuilder| {
        let builder = builder.max_connection_age(Duration::from_millis(300));
        builder.drain_timeout(Duration::from_millis(100))
    };
    let mut raw = raw(EDGE, limits).await;
    let (mut ours, _theirs) = raw.pair().await;
    let ended = tokio::time::timeout(support::PATIENCE, ours.read(&mut [0; 8])).await;
    assert!(ended.expect("it ends").is_err());
}

/// Agrees, and demands something that is done for requests alone.
#[derive(Debug)]
struct Demanding(Demands);

impl Authorizer for Demanding {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn objects(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        Ok(false)
    }

    fn opinion(&self, _: &Facts<'_>) -> Result<Opinion, AuthorizerError> {
        Ok(Opinion::Agrees(self.0.clone()))
    }
}

/// A document cannot oblige for raw bytes; an authorizer can try.
#[tokio::test]
async fn law_1_a_raw_stream_with_an_obligation_that_nobody_discharges_is_refused() {
    let limit = "[limits.few]\nrequests = 1\nper = 10\n";
    for demands in [
        Demands::none().with_limit("few"),
        Demands::none().with_max_body(1 << 20),
        Demands::none().with_log([]),
    ] {
        let mut raw = raw(&format!("{EDGE}{limit}"), |builder| builder).await;
        let asked = EDGE.trim_end().to_owned() + "\nrequire = { authorizer = \"demanding\" }\n";
        let text = raw.mesh.policy.replace(EDGE.trim_end(), &asked);
        let told = format!("{demands:?}");
        let loader = Loader::new().with_authorizer("demanding", Arc::new(Demanding(demands)));
        let policy = loader.load(&text, Format::Toml);
        let policy = policy.unwrap_or_else(|error| panic!("{error}"));
        raw.guard.swap_policy(policy).expect("swap");
        let mut stream = raw.caller.connect("gateway").await.expect("handshake");
        let heard = tokio::time::timeout(support::PATIENCE, stream.read(&mut [0; 8])).await;
        assert!(!matches!(heard.expect("in time"), Ok(1..)), "{told}");
        let records = raw.audit.lines();
        let last = records.last().expect("a record");
        assert!(
            last.contains("obligation_unknown") && last.contains("caller-streams"),
            "{last}"
        );
        raw.guard.shutdown();
        let none = tokio::time::timeout(support::PATIENCE, raw.listener.accept()).await;
        assert!(none.expect("in time").expect("listener").is_none());
    }
}
