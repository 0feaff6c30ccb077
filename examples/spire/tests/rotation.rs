//! The two services on a Workload API that stands in for SPIRE's agent: SVIDs and the authorities that sign them rotate, and no
//! request fails (rule 30).

#![cfg(test)]
#![cfg(unix)]

#[path = "../../../ztl-tower/tests/workload_api/agent.rs"]
#[allow(dead_code, reason = "this test uses a part of it")]
mod agent;

use std::time::{Duration, SystemTime};

use agent::Agent as StandIn;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use spire::{Agent, POLICY, load, store};
use tokio::net::TcpListener;
use ztl_mtls::{DevCa, IssuedSvid, TrustBundle, X509Svid};
use ztl_tower::Guard;
use ztl_tower::core::audit::MemorySink;
use ztl_tower::core::policy::Policy;
use ztl_tower::core::{SpiffeId, Timestamp, TrustDomain};

#[expect(
    clippy::disallowed_methods,
    reason = "whoever issues certificates reads the clock"
)]
fn now() -> Timestamp {
    SystemTime::now().into()
}

fn domain() -> TrustDomain {
    TrustDomain::parse("spire.example").expect("domain")
}

fn authority() -> DevCa {
    DevCa::new(domain(), now()).expect("authority")
}

fn issue(signs: &DevCa, name: &str) -> IssuedSvid {
    let id = SpiffeId::parse(&format!("spiffe://spire.example/{name}")).expect("id");
    let minute = Duration::from_secs(60);
    let issued = signs.issue(&id, now(), minute, &ztl_mtls::provider());
    issued.expect("svid")
}

/// Gives new SVIDs of the first of these authorities, which are all that is trusted.
fn give(stand_in: &StandIn, signs: &DevCa, trusted: &[&DevCa]) {
    let svids = ["store", "reader"].map(|name| issue(signs, name));
    let certificates = trusted
        .iter()
        .flat_map(|it| it.bundle().certificates().to_vec());
    let bundle = TrustBundle::from_der(domain(), certificates).expect("bundle");
    stand_in.give(&svids, &bundle, &[]);
}

/// New SVIDs five times a step.
async fn step(stand_in: &StandIn, signs: &DevCa, trusted: &[&DevCa]) {
    for _ in 0..5 {
        give(stand_in, signs, trusted);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_svids_and_authorities_rotate() {
    let socket = std::env::temp_dir().join(format!("ztl-spire-{}.sock", std::process::id()));
    let stand_in = StandIn::start(&socket);
    let (first, second) = (authority(), authority());
    let late = issue(&first, "reader").svid;
    give(&stand_in, &first, &[&first]);
    let agent = Agent::Development(stand_in.endpoint());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let policy = POLICY.replace("28444", &address.port().to_string());
    let served = tokio::spawn({
        let (agent, policy) = (agent.clone(), policy.clone());
        async move { store(&agent, &policy, listener, MemorySink::new(100)).await }
    });
    // The second authority follows the first: trusted beside it, then signing in its place, then alone.
    let rotating = tokio::spawn(async move {
        step(&stand_in, &first, &[&first]).await;
        step(&stand_in, &first, &[&first, &second]).await;
        step(&stand_in, &second, &[&first, &second]).await;
        step(&stand_in, &second, &[&second]).await;
        (stand_in, second)
    });
    let report = load(&agent, &policy, address, Duration::from_secs(5)).await;
    let report = report.expect("the reader has an SVID");
    assert!(report.is_good(), "{}", report.to_json());
    let (stand_in, second) = rotating.await.expect("rotated");
    // Whoever still shows an SVID of the first is refused, and whoever comes with one of the second is not.
    let asks = async |svid: X509Svid| {
        let guard = Guard::builder("reader")
            .policy(Policy::from_toml(&policy).expect("policy"))
            .identity(svid)
            .bundle(second.bundle())
            .endpoint("store", address)
            .allow_dev_authority()
            .audit(MemorySink::new(10))
            .build();
        let guard = guard.await.expect("guard");
        let request = Request::get("https://store/items/1").body(Empty::<Bytes>::new());
        let response = guard.client().request(request.expect("request")).await;
        response.map(|response| response.status()).ok()
    };
    assert_eq!(asks(late).await, None);
    let svid = issue(&second, "reader").svid;
    assert_eq!(asks(svid).await, Some(StatusCode::OK));
    served.abort();
    drop(stand_in);
}
