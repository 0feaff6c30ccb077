//! Where the Workload API is looked for (SPIFFE Workload Endpoint §4).

#![cfg(test)]
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]

use std::process::Command;

use ztl_mtls::provider;
use ztl_mtls::source::WorkloadApi;

const SOCKET: &str = "SPIFFE_ENDPOINT_SOCKET";
/// Says to the process of a test that it is to read its environment.
const CHILD: &str = "ZTL_TEST_READS_ITS_ENVIRONMENT";

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

#[test]
fn workload_endpoint_4_the_environment_names_the_socket() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment is what is tested"
    )]
    let is_child = std::env::var_os(CHILD).is_some();
    if is_child {
        let asked = WorkloadApi::from_env(provider(), |_| true);
        println!("said: {}", asked.expect_err("no runtime"));
        return;
    }
    // An environment is a process's own.
    for (value, says) in [
        (None, SOCKET),
        (Some(""), "socket"),
        (Some("http://agent"), "scheme"),
        (Some("unix:///run/agent.sock"), "within tokio"),
    ] {
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        child.args(["--exact", "--nocapture"]);
        child.arg("workload_endpoint_4_the_environment_names_the_socket");
        child.env(CHILD, "").env_remove(SOCKET);
        if let Some(value) = value {
            child.env(SOCKET, value);
        }
        let output = child.output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let said = text.lines().find_map(|line| line.split_once("said: "));
        let (_, said) = said.unwrap_or_else(|| panic!("{value:?}: {text}"));
        assert!(output.status.success() && said.contains(says), "{said}");
    }
}
