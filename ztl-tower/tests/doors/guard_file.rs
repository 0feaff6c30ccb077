//! A guard from one file: every key, and what refuses the file.

use std::path::Path;

use super::*;
use crate::folder::Folder;

const WHOLE: &str = r#"
workload = "gateway"
policy = "policy.toml"
audit = "audit.jsonl"
deny_list = "denied.json"
posture = "postures.json"
source_address = "127.0.0.1"
explain_denials = true
reload_every = "20ms"
source_grace = "5m"
allow_dev_authority = true

[identity]
certificate = "svid.pem"
key = "svid.key"

[bundles]
"prod.example" = "bundle.pem"

[endpoints]
caller = "127.0.0.1:9000"

[limits]
handshake_timeout = 5
header_timeout = "5s"
idle_timeout = "1m"
connect_timeout = "250ms"
drain_timeout = "1s"
rotation_timeout = "1m"
max_connection_age = "1h"
max_handshakes = 16
max_connections = 100
max_unproved_per_prefix = 50
max_connections_per_peer = 50
max_requests_per_peer = 500
bad_tokens = { at_once = 10, a_second = 1 }

[schemas]
max_body = 65536
max_waiting = 1048576
allow_unfit = true

[refusals]
bodies = false
uniform = false
resource_metadata = "https://api.example/.well-known/oauth-protected-resource"

[[listen]]
address = "ADDRESS"
"#;

#[tokio::test]
async fn law_1_a_guard_from_one_file_serves_what_the_file_says_and_no_more() {
    let (listener, address) = listener().await;
    drop(listener);
    let mesh = Mesh::new(&policy(address.port(), 1).replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    ));
    let folder = Folder::new("serves");
    let hour = Duration::from_secs(3600);
    let svid = mesh
        .authority
        .issue(&support::id("/gateway"), now(), hour, &ztl_mtls::provider());
    let svid = svid.expect("svid");
    folder.write("policy.toml", &mesh.policy);
    folder.write("svid.pem", &svid.cert_pem);
    folder.write("svid.key", &svid.key_pem);
    folder.write("bundle.pem", mesh.authority.bundle_pem());
    folder.write(
        "denied.json",
        r#"{"ids": ["spiffe://prod.example/denied"]}"#,
    );
    folder.write("postures.json", "{}");
    let whole = WHOLE.replace("ADDRESS", &address.to_string());
    let without = whole.replace("deny_list", "#").replace("posture", "#");
    let file = folder.write("guard.toml", &without);
    let guard = Guard::from_file(&file).await;
    let guard = guard.unwrap_or_else(|error| panic!("{error}"));
    let marker = Marker::default();
    let running = tokio::spawn({
        let (guard, app) = (guard.clone(), marker.app());
        async move { guard.run(app).await }
    });
    until("it listens", || {
        std::net::TcpStream::connect(address).is_ok()
    })
    .await;
    let caller = mesh.svid("/caller");
    let response = knock(address, None, Some(&caller), b"h2", get2("/v1/x")).await;
    assert_eq!(response.expect("response").status(), StatusCode::OK);
    let refused = knock(address, None, Some(&caller), b"h2", get2("/v2/x")).await;
    let refused = refused.expect("response");
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(refused.headers().get("content-type").is_none(), "no body");
    let audit = std::fs::read_to_string(folder.0.join("audit.jsonl")).expect("audit");
    assert!(audit.contains("caller-reads"), "{audit}");
    assert!(audit.contains(r#""near":{"#), "{audit}");
    guard.shutdown();
    let ended = tokio::time::timeout(support::PATIENCE, running).await;
    ended.expect("ends").expect("task").expect("in good order");
    // Where replicas count together stands in a file of its own, for it may hold a password.
    folder.write("redis.url", "redis://127.0.0.1:1/0\n");
    let shared = "[redis]\nurl_file = 'redis.url'\ntimeout = '20ms'\nprefix = 'p'\naway = 'local'\nreplicas = 3\n";
    let with_redis = folder.write("shared.toml", &format!("{without}{shared}"));
    let error = GuardBuilder::from_file(&with_redis).map(drop);
    assert!(error.is_ok(), "{error:?}");
    // T6: whoever may write the file says what the service permits.
    #[cfg(unix)]
    {
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o620))
            .expect("mode");
        let error = GuardBuilder::from_file(&file).expect_err("refused");
        assert!(matches!(error, BuildError::GuardFile(_)), "{error}");
        assert!(error.to_string().contains("chmod go-w"), "{error}");
    }
    assert!(GuardBuilder::from_file(folder.0.join("none.toml")).is_err());
    // What a file does not say may be said in code, and nothing is made up for it.
    let error = GuardBuilder::from_toml("workload = 'gateway'", Path::new("guard.toml"));
    let error = error.expect("read").build().await.expect_err("incomplete");
    assert!(matches!(error, BuildError::Missing { .. }), "{error}");
}

fn refused(text: &str) -> String {
    let read = GuardBuilder::from_toml(text, Path::new("/etc/guard.toml"));
    read.map_or_else(|error| error.to_string(), |_| "read".to_owned())
}

#[test]
fn the_page_has_every_key_and_its_example_is_read() {
    let page = include_str!("../../../docs/guard-file.md");
    let keys = WHOLE.lines().filter_map(|line| line.split_once(" = "));
    let keys = keys.map(|(key, _)| key).filter(|key| *key != "caller");
    for key in keys.filter(|key| !key.starts_with('"')) {
        assert!(page.contains(&format!("`{key}`")), "{key}");
    }
    let example = page
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    assert_eq!(refused(example.expect("an example")), "read");
}

#[test]
fn law_1_what_is_not_understood_refuses_the_whole_file() {
    let whole = WHOLE.replace("ADDRESS", "[::]:8443");
    assert_eq!(refused(&whole), "read");
    let public =
        "[[listen]]\nkind = 'public'\naddress = '0.0.0.0:443'\ncertificate = 'c'\nkey = 'k'\n";
    assert_eq!(refused(&format!("{whole}{public}")), "read");
    assert_eq!(
        refused(&format!("{whole}[[signals]]\nnames = ['a']\nfile = 'f'\n")),
        "read"
    );
    let with = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        refused(&whole.replace(from, to))
    };
    for (said, error) in [
        (with("workload = \"gateway\"", ""), "missing `workload`"),
        (with("policy = ", "polcy = "), "did you mean `policy`?"),
        (with("policy = ", "workload = "), "duplicate key `workload`"),
        (
            with("max_handshakes = 16", "max_handshakes = 0"),
            "an integer from 1",
        ),
        (
            with("max_handshakes = 16", "max_handshakes = \"16\""),
            "write 16 without quotes",
        ),
        (
            with("\"250ms\"", "\"250 ms\""),
            "`connect_timeout` takes a time",
        ),
        (
            with("\"127.0.0.1:9000\"", "\"localhost:9000\""),
            "write an address and a port",
        ),
        (
            with("source_address = \"127.0.0.1\"", "source_address = \"lo\""),
            "write an address",
        ),
        (
            with("\"prod.example\" =", "prod.example ="),
            "written in quotes",
        ),
        (
            with("\"prod.example\" =", "\"Prod.example\" ="),
            "write a trust domain",
        ),
        (
            with("key = \"svid.key\"", ""),
            "missing `key` in [identity]",
        ),
        (
            with("[identity]", "[identity]\nworkload_api = \"env\""),
            "`workload_api`",
        ),
        (with("[::]:8443", "8443"), "write an address and a port"),
        (with("[[listen]]", "[listen]"), "write `[[listen]]`"),
        (
            with("[[listen]]", "[[listen]]\nkind = \"Mesh\""),
            "write `mesh` or `public`",
        ),
        (
            with("[[listen]]", "[[listen]]\nkind = \"public\""),
            "missing `certificate`",
        ),
        (
            with("[[listen]]", "[[listen]]\nkey = \"k\""),
            "proves itself by the SVID",
        ),
        (
            with("[[listen]]", "[[listen]]\nport = 1"),
            "is for a Unix socket",
        ),
        (
            with("[[listen]]", "[[listen]]\npath = \"s\""),
            "a Unix socket has no port",
        ),
        (
            with("[limits]", "[limits]\nserial = 1"),
            "a key of the policy document",
        ),
        (with("a_second = 1", ""), "missing `a_second`"),
        (
            with("max_body = 65536", "max_body = \"64KiB\""),
            "an integer",
        ),
        (
            with("max_waiting = 1048576", "max_waiting = 0"),
            "from 1 to 68719476736",
        ),
        (with("\"https://api.example/", "\"/"), "write a URL"),
        (
            with("[schemas]", "[redis]\n[schemas]"),
            "missing `url_file`",
        ),
        (
            with("[schemas]", "[redis]\nurl_file = \"none\"\n[schemas]"),
            "`url_file` does not take `none`",
        ),
        (
            with("[schemas]", "[redis]\naway = \"allow\"\n[schemas]"),
            "write `deny` or `local`",
        ),
        (
            with("[schemas]", "[redis]\nreplicas = 3\n[schemas]"),
            "is for `away",
        ),
        (
            with("[schemas]", "[redis]\naway = \"local\"\n[schemas]"),
            "missing `replicas`",
        ),
    ] {
        assert!(said.contains(error), "{error}\n{said}");
        assert!(said.contains("/etc/guard.toml:"), "{said}");
        assert!(said.contains('^'), "{said}");
    }
}
