//! An authorizer whose policy is that of the bundle in force.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use ztl_authz::bundle::{Bundle, BundleConsumer};
use ztl_authz::rego::RegoBundle;
use ztl_core::Timestamp;
use ztl_core::policy::{Format, Loader, Policy, Query};

use crate::support::Pack;

fn policy(bundle: &RegoBundle) -> Policy {
    let document = json!({
        "schema": 1,
        "trust_domain": "prod.example",
        "workloads": {
            "router": { "id": "spiffe://prod.example/router" },
            "models": { "id": "spiffe://prod.example/models", "ports": [8443] },
        },
        "permit": [{
            "from": "router",
            "to": "models",
            "actions": ["GET,POST /v1/models"],
            "require": { "authorizer": "models" },
        }],
    });
    let loader = Loader::new().with_authorizer("models", bundle.authorizer());
    let loaded = loader.load(&document.to_string(), Format::Json);
    loaded.unwrap_or_else(|error| panic!("{error}"))
}

fn decide(policy: &Policy) -> &'static str {
    let query = json!({ "from": "router", "to": "models", "method": "GET", "path": "/v1/models" });
    let query = Query::from_json(&query.to_string()).expect("a query");
    let now = Timestamp::from_unix_millis(1_795_339_815_250);
    query.decide(policy, now).expect("a decision").reason.code()
}

fn read(pack: Pack) -> Bundle {
    pack.read().unwrap_or_else(|error| panic!("{error}"))
}

fn refused(into: &RegoBundle, pack: Pack) -> String {
    let refused = into.put_in_force(read(pack));
    refused.expect_err("not in force").to_string()
}

/// A bundle that permits, one that objects, one that is none, and none at all.
fn in_turn(bundle: RegoBundle, permits: Pack, objects: Pack, broken: Pack, why: &str) {
    let bundle = Arc::new(bundle.timeout(Duration::from_secs(5)));
    let policy = policy(&bundle);
    assert_eq!(decide(&policy), "authorizer_failed", "none has come yet");
    let put = |pack: Pack| {
        let put = bundle.put_in_force(read(pack));
        put.unwrap_or_else(|error| panic!("{error}"));
    };
    put(permits);
    assert_eq!(decide(&policy), "permitted");
    let said = refused(&bundle, broken);
    assert!(said.contains(why), "{said}");
    assert_eq!(decide(&policy), "permitted", "the last good one stays");
    put(objects);
    assert_eq!(decide(&policy), "objected");
    bundle.withdraw();
    assert_eq!(decide(&policy), "authorizer_failed");
}

#[cfg(feature = "rego")]
mod rego {
    use super::*;
    use ztl_core::authorizer::Reads;

    fn pack(source: &str, models: &Value) -> Pack {
        let data = json!({ "list": models }).to_string();
        (Pack::new().file("models/data.json", data)).file("models/policy.rego", source)
    }

    const SOURCE: &str = "package models\nallow if input.target in data.models.list";

    fn bundle() -> RegoBundle {
        RegoBundle::interpreter("models/allow", Reads::nothing())
    }

    #[test]
    fn law_1_a_policy_in_rego_is_that_of_the_bundle_in_force() {
        let permits = pack(SOURCE, &json!(["models"]));
        let broken = pack("package models\nallow if {", &json!(["models"]));
        in_turn(
            bundle(),
            permits,
            pack(SOURCE, &json!([])),
            broken,
            "policy.rego:2:",
        );
    }

    /// One decision under whatever is in force: its reason, and the bundle that the record names.
    #[expect(clippy::disallowed_methods, reason = "a test vouches for its own peer")]
    fn recorded(bundle: &RegoBundle) -> (Value, Value) {
        use ztl_core::audit::MemorySink;
        use ztl_core::{Action, Arrival, Engine, Evidence, Flow, Peer, Proof, SpiffeId};
        let audit = Arc::new(MemorySink::new(8));
        let engine = Engine::new(policy(bundle), Arc::clone(&audit)).expect("an engine");
        let proof = Proof::X509 {
            id: SpiffeId::parse("spiffe://prod.example/router").expect("an id"),
            leaf_sha256: [0; 32].into(),
            serial: Box::default(),
            not_after: Timestamp::MAX,
        };
        let peer = Peer::assertion(proof, "test");
        let flow = Flow::ingress("models", 8443, Arrival::unknown(), Some(&peer));
        let now = Timestamp::from_unix_millis(1_795_339_815_250);
        let permit = engine.permit_flow(&flow, now).expect("a flow");
        let action = Action::request("GET", "/v1/models").expect("a path");
        drop(engine.authorize(&permit, &action, &Evidence::none(), now));
        let last = audit.lines().pop().expect("a record");
        let mut line: Value = serde_json::from_str(&last).expect("JSON");
        (line["reason"].take(), line["authorizers"]["models"].take())
    }

    #[test]
    fn t24_the_record_names_the_bundle_that_spoke() {
        let bundle = bundle().timeout(Duration::from_secs(5));
        let put = |revision: &str, source: &str| {
            let manifest = json!({ "revision": revision }).to_string();
            let pack = pack(source, &json!(["models"])).file(".manifest", manifest);
            let read = read(pack);
            let sha256: String = read
                .sha256
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            bundle.put_in_force(read).expect("in force");
            sha256
        };
        let recorded = || recorded(&bundle);
        assert_eq!(
            recorded(),
            (json!("authorizer_failed"), Value::Null),
            "none has come yet"
        );
        let first = put("1742", SOURCE);
        let said = json!({ "sha256": first, "revision": "1742" });
        assert_eq!(recorded(), (json!("permitted"), said));
        // The same revision, and yet another bundle.
        let second = put("1742", "package models\nallow := false");
        assert_ne!(first, second);
        let said = json!({ "sha256": second, "revision": "1742" });
        assert_eq!(recorded(), (json!("objected"), said));
        let third = put("", "package models\nallow := 1");
        assert_eq!(
            recorded(),
            (json!("authorizer_failed"), json!({ "sha256": third }))
        );
        bundle.withdraw();
        assert_eq!(recorded(), (json!("authorizer_failed"), Value::Null));
    }

    #[test]
    fn what_the_interpreter_cannot_have_is_not_put_in_force() {
        let none = Pack::new().file("data.json", "{}");
        assert!(refused(&bundle(), none).contains("no policy in Rego"));
        let old = pack(SOURCE, &json!([])).file(".manifest", r#"{"rego_version":0}"#);
        assert!(refused(&bundle(), old).contains("version 0 of Rego"));
        let memory = refused(&bundle().memory(1 << 20), pack(SOURCE, &json!([])));
        assert!(memory.contains("cannot be bounded"), "{memory}");
    }
}

#[cfg(feature = "opa")]
mod opa {
    use super::*;
    use ztl_core::authorizer::Reads;

    fn pack(entrypoint: &str, from: &str, to: &str) -> Pack {
        let text = include_str!("../opa/policy.wat").replace("BUILTINS", "{}");
        let module = wat::parse_str(text.replace(from, to));
        let module = module.unwrap_or_else(|error| panic!("{error}"));
        let manifest = json!({ "wasm": [{ "entrypoint": entrypoint, "module": "/policy.wasm" }] });
        (Pack::new().file(".manifest", manifest.to_string())).file("policy.wasm", module)
    }

    #[test]
    fn law_1_a_module_is_that_of_the_bundle_in_force() {
        let readers = "policy/readers";
        in_turn(
            RegoBundle::wasm(readers, Reads::nothing()),
            pack(readers, "", ""),
            // What it looks for is another method.
            pack(readers, r#":\"GET\""#, r#":\"PUT\""#),
            pack("policy/echo", "", ""),
            "names no module for `policy/readers`",
        );
    }
}
