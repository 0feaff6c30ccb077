//! Where the Workload API is looked for (SPIFFE Workload Endpoint §4).

#![cfg(test)]
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]

use ztl_mtls::provider;
use ztl_mtls::source::WorkloadApi;

/// What an address comes to. Outside of tokio nothing is listened to, which is said of good addresses alone.
fn said(address: &str) -> String {
    let asked = WorkloadApi::at(address, provider(), |_| true);
    asked.expect_err("no runtime").to_string()
}

#[test]
fn workload_endpoint_4_an_address_is_a_socket_or_an_ip_address_with_a_port() {
    for good in [
        "unix:///run/spire/agent.sock",
        "tcp://127.0.0.1:8081",
        "tcp://[::1]:8081",
    ] {
        let said = said(good);
        assert!(said.contains("within tokio"), "{good}: {said}");
    }
    for bad in [
        "",
        "agent.sock",
        "/run/agent.sock",
        "http://agent",
        "https://127.0.0.1:8081",
        "unix://",
        "unix:///",
        "unix://host/run/agent.sock",
        "unix:run/agent.sock",
        "unix:///run/agent.sock?a",
        "unix:///run/agent.sock#a",
        "tcp://agent:8081",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:99999",
        "tcp://127.0.0.1:8081/api",
        "tcp://user@127.0.0.1:8081",
    ] {
        let said = said(bad);
        let named = said.contains(&format!("`{bad}` is no address of a Workload API"));
        assert!(named && said.contains("unix:///"), "{bad}: {said}");
    }
}
