//! The two services on a Workload API that stands in for SPIRE's agent: SVIDs rotate, and no request fails (rule 30).

#![cfg(test)]
#![cfg(unix)]

#[path = "../../../ztl-tower/tests/workload_api/agent.rs"]
#[allow(dead_code, reason = "this test uses a part of it")]
mod agent;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent::Agent as StandIn;
use spire::{Agent, POLICY, load, store};
use tokio::net::TcpListener;
use ztl_mtls::DevCa;
use ztl_tower::core::audit::MemorySink;
use ztl_tower::core::{SpiffeId, Timestamp, TrustDomain};

#[expect(
    clippy::disallowed_methods,
    reason = "whoever issues certificates reads the clock"
)]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("clock");
    Timestamp::from_unix_secs(since.as_secs())
}

fn rotate(stand_in: &StandIn, authority: &DevCa) {
    let svids = ["store", "reader"].map(|name| {
        let id = SpiffeId::parse(&format!("spiffe://spire.example/{name}")).expect("id");
        authority
            .issue(&id, now(), Duration::from_secs(60), &ztl_mtls::provider())
            .expect("svid")
    });
    stand_in.give(&svids, &authority.bundle(), &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_svids_rotate() {
    let socket = std::env::temp_dir().join(format!("ztl-spire-{}.sock", std::process::id()));
    let stand_in = StandIn::start(&socket);
    let domain = TrustDomain::parse("spire.example").expect("domain");
    let authority = DevCa::new(domain, now()).expect("authority");
    rotate(&stand_in, &authority);
    let agent = Agent::Development(stand_in.endpoint());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let policy = POLICY.replace("28444", &address.port().to_string());
    let served = tokio::spawn({
        let (agent, policy) = (agent.clone(), policy.clone());
        async move { store(&agent, &policy, listener, MemorySink::new(100)).await }
    });
    let rotating = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            rotate(&stand_in, &authority);
        }
    });
    let report = load(&agent, &policy, address, Duration::from_secs(3)).await;
    rotating.abort();
    served.abort();
    let report = report.expect("the reader has an SVID");
    assert!(report.is_good(), "{}", report.to_json());
}
