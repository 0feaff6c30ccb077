//! What a log says of hosts outside the mesh, asked again.

use serde_json::{Value, json};
use ztl_core::Timestamp;
use ztl_core::analysis::{ReplayError, Replayed, replay};
use ztl_core::policy::Policy;

const HEAD: &str = "schema = 1\ntrust_domain = 'prod.example'\n[workloads.caller]\nid = 'spiffe://prod.example/caller'\n\
    [external.hub]\nhosts = ['hub.example.org']\n";

fn policy(more: &str) -> Policy {
    Policy::from_toml(&format!("{HEAD}{more}")).unwrap_or_else(|error| panic!("{error}"))
}

fn permit(actions: &str) -> String {
    format!("[[permit]]\nname = 'out'\nfrom = 'caller'\nto = 'external:hub'\nactions = {actions}\n")
}

/// A record as the guard writes it.
fn record(verdict: &str, action: &str) -> Value {
    json!({ "verdict": verdict, "stage": "action", "reason": "of no account", "direction": "egress", "me": "caller",
        "host": "hub.example.org", "addr": "1.1.1.1", "port": 443, "action": action })
}

fn again(old: &Policy, new: &Policy, record: &Value) -> Result<Replayed, ReplayError> {
    replay(old, new, &record.to_string(), Timestamp::EPOCH)
}

#[test]
fn t10_a_call_outside_is_asked_again_with_its_host() {
    let (none, reads, all) = (
        policy(""),
        policy(&permit("['GET /v1/{a}']")),
        policy(&permit("'any'")),
    );
    let permitted = record("permit", "GET /v1/a");
    let denied = record("deny", "POST /v1/a");
    // The same document says the same.
    assert_eq!(again(&reads, &reads, &permitted), Ok(Replayed::Same));
    assert_eq!(again(&reads, &reads, &denied), Ok(Replayed::Same));
    assert!(matches!(
        again(&reads, &all, &denied),
        Ok(Replayed::NewlyPermitted(_))
    ));
    assert!(matches!(
        again(&reads, &none, &permitted),
        Ok(Replayed::NewlyDenied(_))
    ));
    let mut flow = permitted.clone();
    flow["stage"] = json!("flow");
    flow.as_object_mut().expect("object").remove("action");
    assert_eq!(again(&reads, &reads, &flow), Ok(Replayed::Same));
    assert!(matches!(
        again(&reads, &none, &flow),
        Ok(Replayed::NewlyDenied(_))
    ));
    // What OLD does not answer as recorded was decided by something else.
    for (old, record, verdict) in [(&none, &permitted, "permit"), (&all, &denied, "deny")] {
        assert_eq!(
            again(old, &all, record),
            Err(ReplayError::Disagrees(verdict))
        );
    }
    // What was denied before anybody was dialled has no address.
    let mut foreseen = denied.clone();
    foreseen.as_object_mut().expect("object").remove("addr");
    assert_eq!(again(&reads, &reads, &foreseen), Ok(Replayed::Same));
    assert!(matches!(
        again(&reads, &all, &foreseen),
        Ok(Replayed::NewlyPermitted(_))
    ));
    // A proof that failed fails under both.
    let mut unproved = record("deny", "GET /v1/a");
    unproved["stage"] = json!("identity");
    assert_eq!(again(&none, &all, &unproved), Ok(Replayed::Same));
    assert_eq!(again(&all, &all, &unproved), Ok(Replayed::Same));
}

#[test]
fn t27_t10_the_address_that_was_called_counts() {
    let permit = permit("'any'");
    let (anywhere, inner) = (
        policy(&permit),
        policy(&format!("networks = ['10.2.0.0/16']\n{permit}")),
    );
    let mut denied = record("deny", "GET /v1/a");
    denied["stage"] = json!("flow");
    denied["addr"] = json!("10.2.0.1");
    assert!(matches!(
        again(&anywhere, &inner, &denied),
        Ok(Replayed::NewlyPermitted(_))
    ));
    let permitted = record("permit", "GET /v1/a");
    assert!(matches!(
        again(&anywhere, &inner, &permitted),
        Ok(Replayed::NewlyDenied(_))
    ));
}

#[test]
fn t10_a_call_outside_whose_host_or_address_was_masked_is_never_the_same() {
    let policy = policy(&permit("'any'"));
    for (key, value) in [
        ("host", json!({ "hash": "9f86d081" })),
        ("host", json!("hub.example…")),
        ("addr", json!({ "hash": "9f86d081" })),
        ("addr", json!("here")),
    ] {
        let mut masked = record("permit", "GET /v1/a");
        masked[key] = value;
        assert_eq!(
            again(&policy, &policy, &masked),
            Err(ReplayError::Field(key))
        );
    }
    let without = |key: &str| {
        let mut masked = record("permit", "GET /v1/a");
        masked.as_object_mut().expect("object").remove(key);
        again(&policy, &policy, &masked)
    };
    assert_eq!(without("host"), Err(ReplayError::Disagrees("permit")));
    assert_eq!(without("addr"), Err(ReplayError::Field("addr")));
    // Nor where it was denied: it may be permitted now.
    for stage in ["flow", "action"] {
        let mut masked = record("deny", "GET /v1/a");
        masked["stage"] = json!(stage);
        masked.as_object_mut().expect("object").remove("host");
        assert_eq!(
            again(&policy, &policy, &masked),
            Err(ReplayError::Field("peer"))
        );
    }
    // What was no action, or failed at its proof, says who was called to no end.
    let mut none = record("deny", "");
    none["reason"] = json!("path_ambiguous");
    for key in ["host", "action"] {
        none.as_object_mut().expect("object").remove(key);
    }
    assert_eq!(again(&policy, &policy, &none), Ok(Replayed::Same));
    let mut unproved = record("deny", "GET /v1/a");
    unproved["stage"] = json!("identity");
    unproved.as_object_mut().expect("object").remove("host");
    assert_eq!(again(&policy, &policy, &unproved), Ok(Replayed::Same));
    // A host neither calls, nor has an id.
    for (key, value) in [
        ("direction", json!("ingress")),
        ("peer", json!("spiffe://prod.example/caller")),
    ] {
        let mut broken = record("permit", "GET /v1/a");
        broken[key] = value;
        assert_eq!(
            again(&policy, &policy, &broken),
            Err(ReplayError::Field("host"))
        );
    }
}
