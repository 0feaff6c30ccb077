//! `SPIFFE_ENDPOINT_SOCKET`. A test may not change its own environment, so it begins itself again with another one.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use ztl_mtls::source::{Part, Source};

use super::*;

const VARIABLE: &str = "SPIFFE_ENDPOINT_SOCKET";
/// There in the process that is begun: what has to come of its environment.
const EXPECTED: &str = "ZTL_TEST_EXPECTS";

/// What comes of this process's environment: the id that the agent gives us, or why there is no agent.
async fn asked() -> String {
    let ours = |found: &ztl_core::SpiffeId| *found == id("/db");
    let mut source = match WorkloadApi::from_env(ztl_mtls::provider(), ours) {
        Ok(source) => source,
        Err(error) => return error.to_string(),
    };
    assert!(source.name().contains(VARIABLE), "{}", source.name());
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    loop {
        let polled = source.poll(now());
        if let Part::Changed(svid) = polled.svid {
            assert!(matches!(polled.bundles, Part::Changed(bundles) if bundles.len() == 1));
            return svid.id().to_string();
        }
        assert!(tokio::time::Instant::now() < deadline, "{:?}", polled.svid);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::disallowed_methods,
    reason = "the environment is what is asked for"
)]
async fn the_environment_says_where_the_agent_is_or_the_error_says_how_to_mend_it() {
    if let Some(expected) = std::env::var_os(EXPECTED) {
        let (came, expected) = (asked().await, expected.into_string().expect("text"));
        assert!(came.contains(&expected), "`{came}` and not `{expected}`");
        return;
    }
    let site = Site::new().await;
    site.rotate(&[]);
    let (good, none) = (site.agent.endpoint(), "names no Workload API");
    let tcp = "tcp://agent.prod.example:8081";
    let cases: [(Option<&OsStr>, &str); 8] = [
        (Some(good.as_ref()), "spiffe://prod.example/db"),
        (None, none),
        (Some("".as_ref()), none),
        (Some("/run/spire/agent.sock".as_ref()), none),
        (Some("https://agent/".as_ref()), none),
        (Some("unix://user@/agent.sock".as_ref()), none),
        (Some(tcp.as_ref()), none),
        (Some(OsStr::from_bytes(b"unix:///\xff")), none),
    ];
    for (socket, expected) in cases {
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        child
            .args(["--exact", "--nocapture"])
            .arg("environment::the_environment_says_where_the_agent_is_or_the_error_says_how_to_mend_it")
            .env(EXPECTED, expected)
            .env_remove(VARIABLE);
        if let Some(socket) = socket {
            child.env(VARIABLE, socket);
        }
        let ended = tokio::task::spawn_blocking(move || child.output());
        let ended = ended.await.expect("joined").expect("begun");
        let said = OsString::from(OsStr::from_bytes(&ended.stdout));
        let said = format!(
            "{}{}",
            said.display(),
            String::from_utf8_lossy(&ended.stderr)
        );
        assert!(ended.status.success(), "{socket:?}: {said}");
        assert!(said.contains("1 passed"), "{socket:?}: {said}");
    }
}
