//! A module beside the policy document, compiled from Rego: it is asked, watched, and bounded.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use support::{Marker, Mesh, get2, knock, listener, now, reasons, serve, until};
use ztl_core::audit::MemorySink;
use ztl_tower::Guard;

/// Its entrypoint `policy/readers` looks for `"method":"GET"` in the input.
const MODULE: &str = include_str!("../../../ztl-authz/tests/opa/policy.wat");

fn policy(port: u16) -> String {
    format!(
        r#"
schema = 1
trust_domain = "prod.example"

[workloads.caller]
id = "spiffe://prod.example/caller"

[workloads.gateway]
id = "spiffe://prod.example/gateway"
ports = [{port}]

[authorizers.readers]
kind = "opa"
policy = "policy.wasm"
entrypoint = "policy/readers"
timeout = "5s"

[authorizers.endless]
kind = "opa"
policy = "policy.wasm"
entrypoint = "policy/forever"
timeout = "20ms"

[[permit]]
from = "caller"
to = "gateway"
actions = "GET /readers"
require.authorizer = "readers"

[[permit]]
from = "caller"
to = "gateway"
actions = "GET /endless"
require.authorizer = "endless"
"#
    )
}

/// T24, T34: what a document names is watched as the document is, and a module that loops ends in a denial.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_a_module_beside_the_document_is_asked_and_read_again() {
    let name = format!("ztl-opa-{}-{}", std::process::id(), now().as_unix_millis());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("folder");
    let write = |name: &str, bytes: &[u8]| {
        let (new, path) = (folder.join(format!("{name}.new")), folder.join(name));
        std::fs::write(&new, bytes).expect("write");
        #[cfg(unix)]
        std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("mode");
        std::fs::rename(&new, &path).expect("rename");
        path
    };
    let module = |method: &str| {
        let text = MODULE.replace("BUILTINS", "{}");
        let text = text.replace(r#":\"GET\""#, &format!(r#":\"{method}\""#));
        wat::parse_str(text).expect("a module")
    };
    write("policy.wasm", &module("GET"));
    let (listener, address) = listener().await;
    let document = policy(address.port());
    let mesh = Mesh::new(&document);
    let audit = Arc::new(MemorySink::new(1000));
    let guard = Guard::builder("gateway")
        .policy_file(write("policy.toml", document.as_bytes()))
        .identity(mesh.svid("/gateway"))
        .bundle(mesh.authority.bundle())
        .allow_dev_authority()
        .reload_every(Duration::from_millis(20))
        .audit(Arc::clone(&audit));
    let guard = guard.build().await.expect("a guard");
    let marker = Marker::default();
    serve(&guard, listener, marker.app());
    let caller = mesh.svid("/caller");
    let ask = async |path: &str| {
        let answered = knock(address, None, Some(&caller), b"h2", get2(path)).await;
        answered.expect("a response").status()
    };
    assert_eq!(ask("/readers").await, StatusCode::OK);
    assert_eq!(ask("/endless").await, StatusCode::FORBIDDEN);
    assert!(reasons(&audit).contains(&"authorizer_failed".to_owned()));
    assert_eq!(marker.calls(), 1);

    let revision = || guard.engine().policy().revision();
    let before = revision();
    write("policy.wasm", &module("PUT"));
    until("another revision", || revision() != before).await;
    assert_eq!(ask("/readers").await, StatusCode::FORBIDDEN);
    assert!(reasons(&audit).contains(&"objected".to_owned()));
    let _ = std::fs::remove_dir_all(&folder);
}
