//! What `diff` tells of, one by one (T10).

use serde_json::{Value, json};
use ztl_core::Timestamp;
use ztl_core::analysis::{self, Change, Diff, ReplayError, Replayed};
use ztl_core::policy::{Format, Policy, Query};

use crate::support::{ROUTER, document, load, loader};

pub(crate) fn diff(old: &Value, new: &Value) -> Diff {
    let (old, new) = (load(old), load(new));
    let diff = analysis::diff(&old, &new).expect("small");
    let now = Timestamp::from_unix_secs(1_790_000_000);
    for (changes, permits, denies) in [
        (&diff.newly_permitted, &new, &old),
        (&diff.newly_denied, &old, &new),
    ] {
        for change in changes.iter().filter(|change| change.confirmed) {
            let query = Query::from_map(&change.witness).expect("request");
            let said = |policy| query.decide(policy, now).expect("answer").verdict.as_str();
            assert_eq!(
                (said(permits), said(denies)),
                ("permit", "deny"),
                "{change:#?}"
            );
        }
    }
    diff
}

pub(crate) fn rule(require: &Value) -> Value {
    let mut rule = json!({ "name": "rule", "from": "router", "to": "gateway", "ports": 8443, "actions": ["GET /v1/{id}"] });
    if !require.is_null() {
        rule["require"] = require.clone();
    }
    rule
}

/// Whether more, and whether less, is permitted with the second requirement than with the first.
fn requires(old: &Value, new: &Value) -> (bool, bool) {
    let document = |require| document(&[rule(require)], &[]);
    let diff = diff(&document(old), &document(new));
    assert!(diff.document.is_empty());
    (diff.permits_more(), diff.denies_more())
}

#[test]
fn t10_requirements_are_compared_as_looser_and_stricter() {
    let (looser, stricter, both) = ((true, false), (false, true), (true, true));
    let token = |more: Value| json!({ "token": more });
    let cases = [
        (
            json!({ "trust_score": 70 }),
            json!({ "trust_score": 1 }),
            looser,
        ),
        (
            json!({ "trust_score": 1 }),
            json!({ "trust_score": 2 }),
            stricter,
        ),
        (json!({ "trust_score": 70 }), Value::Null, looser),
        (token(json!({})), Value::Null, looser),
        (
            token(json!({ "scopes": ["a"] })),
            token(json!({ "scopes": ["b"] })),
            both,
        ),
        (
            token(json!({ "scopes": ["a", "b"] })),
            token(json!({ "scopes": ["b"] })),
            looser,
        ),
        (
            token(json!({ "issuer": "one" })),
            token(json!({ "issuer": "two" })),
            both,
        ),
        (
            token(json!({ "audience": "one" })),
            token(json!({ "audience": "one", "issuer": "i" })),
            stricter,
        ),
        (
            token(json!({ "claims": { "aud": "one" } })),
            token(json!({ "audience": "one" })),
            (false, false),
        ),
        (
            token(json!({ "claims": { "scope": "a" } })),
            token(json!({ "scopes": ["a"] })),
            looser,
        ),
        (
            token(json!({ "claims": { "team": "x", "admin": true } })),
            token(json!({ "claims": { "team": "x" } })),
            looser,
        ),
        (
            json!({ "mfa": true }),
            json!({ "mfa": "phishing-resistant" }),
            stricter,
        ),
        (
            json!({ "mfa": true }),
            token(json!({ "claims": { "amr": "mfa" } })),
            both,
        ),
        (
            token(json!({ "claims": { "acr": "phr" } })),
            json!({ "mfa": "phishing-resistant" }),
            looser,
        ),
        (
            json!({ "headers": { "x-tenant": ["a", "b"] } }),
            json!({ "headers": { "x-tenant": ["a"] } }),
            stricter,
        ),
        (
            json!({ "headers": { "x-tenant": ["a", "b"] } }),
            json!({ "headers": { "x-tenant": ["b", "c"] } }),
            both,
        ),
        (
            json!({ "headers": { "x": "a" } }),
            json!({ "trust_score": 5 }),
            both,
        ),
        (json!({ "zone_trust": 3 }), Value::Null, (false, false)),
        (json!({ "zone_trust": 4 }), Value::Null, looser),
        (json!({ "when": "token" }), json!({ "when": "true" }), both),
        (json!({ "when": "token" }), Value::Null, looser),
        (
            json!({ "authorizer": "objector" }),
            json!({ "authorizer": ["objector", "broken"] }),
            stricter,
        ),
    ];
    for (old, new, wanted) in cases {
        assert_eq!(requires(&old, &new), wanted, "{old} -> {new}");
        assert_eq!(requires(&new, &old), (wanted.1, wanted.0), "{new} -> {old}");
        assert_eq!(requires(&old, &old), (false, false), "{old}");
    }
}

#[test]
fn t10_permits_together_are_compared_as_a_whole() {
    // Two permits that together ask for what one asked for: nothing changes; a third adds nothing either.
    let with = |values: Value| rule(&json!({ "headers": { "x-tenant": values } }));
    let mut other = with(json!(["b"]));
    other["name"] = json!("other");
    let one = document(&[with(json!(["a", "b"]))], &[]);
    let two = document(&[with(json!(["a"])), other.clone()], &[]);
    // A request with both values is let in by neither of the two.
    let found = diff(&one, &two);
    assert_eq!((found.permits_more(), found.denies_more()), (false, true));
    assert_eq!(
        found.newly_denied[0].witness["headers"]["x-tenant"],
        json!(["a", "b"])
    );
    let mut three = with(json!(["a", "b"]));
    three["name"] = json!("three");
    assert!(diff(&one, &document(&[with(json!(["a"])), other, three], &[])).is_empty());
}

#[test]
fn t10_a_condition_added_to_a_forbid_permits_more() {
    let forbid = |when: Option<&str>| {
        let mut forbid =
            json!({ "name": "no", "from": "router", "to": "gateway", "actions": ["GET /v1/a"] });
        if let Some(when) = when {
            forbid["when"] = json!(when);
        }
        document(&[rule(&Value::Null)], &[forbid])
    };
    let found = diff(&forbid(None), &forbid(Some("token")));
    assert!(found.permits_more() && !found.denies_more());
    assert_eq!(found.newly_permitted[0].witness["path"], "/v1/a");
    // The toy condition `token` is true of every token, so that no request shows it; `false` never fires.
    assert!(!found.newly_permitted[0].confirmed);
    assert!(diff(&forbid(None), &forbid(Some("false"))).newly_permitted[0].confirmed);
    let found = diff(&forbid(Some("true")), &forbid(Some("token")));
    assert!(found.permits_more() && found.denies_more());
}

#[test]
fn t10_what_stands_around_the_rules_counts_as_newly_permitted() {
    let base = || document(&[rule(&Value::Null)], &[]);
    let kinds = |old: &Value, new: &Value| -> Vec<&'static str> {
        let found = diff(old, new);
        assert!(found.permits_more());
        found.document.iter().map(|change| change.kind).collect()
    };
    let mut shadow = base();
    shadow["permit"][0]["mode"] = json!("shadow");
    assert_eq!(kinds(&base(), &shadow), ["mode"]);
    type Edit = (&'static str, fn(&mut Value));
    let edits: [Edit; 8] = [
        ("zone", |document| {
            document["zones"]["iot"]["trust"] = json!(2)
        }),
        ("zone", |document| {
            document["zones"]["more"] = json!({ "networks": ["10.66.0.0/16"] })
        }),
        ("relays", |document| {
            document["relays"] = json!(["10.10.0.98/32"])
        }),
        ("aliases", |document| {
            document["trust_domain_aliases"] = json!(["older.example"])
        }),
        ("issuer", |document| {
            document["issuers"] = json!({ "corp": { "issuer": "https://corp.example" } })
        }),
        ("workload", |document| {
            document["workloads"]["store"]["asserted_by"] = json!(["gateway"])
        }),
        ("external", |document| {
            document["external"] = json!({ "cdn": { "hosts": ["cdn.example"] } })
        }),
        ("workload", |document| {
            document["workloads"]["gateway"]["id"] = json!("spiffe://prod.example/edge/other")
        }),
    ];
    for (kind, edit) in edits {
        let mut new = base();
        edit(&mut new);
        assert_eq!(kinds(&base(), &new), [kind], "{new:#}");
    }
    let mut asserted = base();
    asserted["never"] = json!([{ "name": "apart", "from": "sensor", "to": "store" }]);
    assert_eq!(kinds(&asserted, &base()), ["never"]);
    let found = diff(&base(), &asserted);
    assert!(found.is_empty(), "an assertion more is no risk: {found:#?}");
    let mut wider = asserted.clone();
    wider["never"][0]["transitive"] = json!(true);
    assert_eq!(kinds(&wider, &asserted), ["never"]);
}

#[test]
fn t13_an_alias_that_is_new_lets_its_ids_in() {
    let mut old = document(&[rule(&Value::Null)], &[]);
    let new = old.clone();
    old.as_object_mut()
        .expect("object")
        .remove("trust_domain_aliases");
    let found = diff(&old, &new);
    let ids: Vec<_> = found
        .newly_permitted
        .iter()
        .map(|change| change.witness["from"].clone())
        .collect();
    assert_eq!(ids, ["spiffe://old.example/agents/router"]);
}

fn one(changes: &[Change]) -> &Change {
    match changes {
        [one] => one,
        other => panic!("{other:#?}"),
    }
}

#[test]
fn callers_ports_and_places_are_told_together() {
    let open = json!({ "name": "open", "from": "label:tier=agent", "to": "retriever", "ports": [8443, 9000], "actions": ["POST /v1/{id}"] });
    let found = diff(&document(&[], &[]), &document(&[open], &[]));
    let change = one(&found.newly_permitted);
    let callers: Vec<_> = change.callers.iter().map(ToString::to_string).collect();
    assert_eq!(callers, ["retriever", "router"]);
    assert_eq!(change.ports, [8443, 9000]);
    assert_eq!(change.places, [Some("production".into())]);
    assert_eq!(change.action.as_deref(), Some("POST /v1/{id}"));
    assert_eq!(
        (&*change.rule, change.otherwise.reason.code()),
        ("open", "no_flow_permitted")
    );
}

#[test]
fn a_wider_pattern_is_told_of_where_it_is_wider() {
    let with = |actions: &[&str]| {
        let mut rule = rule(&Value::Null);
        rule["actions"] = json!(actions);
        document(&[rule], &[])
    };
    let found = diff(
        &with(&["GET /v1/{id:int}", "GET /v1/about"]),
        &with(&["GET /v1/{id}"]),
    );
    let change = one(&found.newly_permitted);
    assert!(!["/v1/1", "/v1/about"].contains(&change.witness["path"].as_str().expect("path")));
    assert!(!found.denies_more());
    // The same set in other words.
    assert!(
        diff(
            &with(&["GET,HEAD /v1/{id}"]),
            &with(&["GET /v1/{name}", "HEAD /v1/{name}"])
        )
        .is_empty()
    );
    assert!(diff(&with(&["grpc a.B/C"]), &with(&["POST /a.B/C"])).is_empty());
    // A slash at the end is another path.
    let slash = diff(&with(&["GET /v1/a"]), &with(&["GET /v1/a", "GET /v1/a/"]));
    assert_eq!(one(&slash.newly_permitted).witness["path"], "/v1/a/");
}

#[test]
fn a_flow_on_which_nothing_can_be_asked_is_told_of() {
    let sealed = json!({ "from": "any", "to": "gateway", "actions": ["any"] });
    let found = diff(
        &document(&[], &[]),
        &document(&[rule(&Value::Null)], &[sealed]),
    );
    assert_eq!(one(&found.newly_permitted).action, None);
}

#[test]
fn what_is_too_large_is_said_to_be_and_never_cut() {
    // 30 texts in each of four places: 30^4 paths can be told apart.
    let actions = |first: usize| -> Vec<String> {
        let text = |at: usize| {
            (0..4)
                .map(|depth| {
                    if depth == at % 4 {
                        format!("/t{at}")
                    } else {
                        format!("/{{p{depth}}}")
                    }
                })
                .collect::<String>()
        };
        (first..first + 60)
            .map(|at| format!("GET {}", text(at)))
            .collect()
    };
    let rules = |names: &[usize]| -> Value {
        let rule = |name: &usize| json!({ "name": format!("r{name}"), "from": "router", "to": "gateway", "ports": 8443, "actions": actions(name * 60) });
        document(&names.iter().map(rule).collect::<Vec<_>>(), &[])
    };
    let (old, new) = (load(&document(&[], &[])), load(&rules(&[0, 1])));
    let error = analysis::diff(&old, &new).expect_err("too large");
    assert!(
        error.to_string().contains("too large to compare exactly"),
        "{error}"
    );
    // The same rules on both sides are no work at all.
    assert!(
        analysis::diff(&new, &new)
            .expect("nothing to compare")
            .is_empty()
    );
}

fn replay(old: &Policy, new: &Policy, line: &Value) -> Result<Replayed, ReplayError> {
    analysis::replay(old, new, &line.to_string(), Timestamp::EPOCH)
}

#[test]
fn a_log_is_asked_again() {
    let text = |require: &Value| document(&[rule(require)], &[]).to_string();
    let load = |require: &Value| loader().load(&text(require), Format::Json).expect("policy");
    let (free, scored) = (load(&Value::Null), load(&json!({ "trust_score": 50 })));
    let request = |score: u8| json!({ "from": "router", "from_addr": "10.10.0.5", "to": "gateway", "port": 8443, "method": "GET", "path": "/v1/a", "trust_score": score });
    assert!(matches!(
        replay(&free, &scored, &request(40)),
        Ok(Replayed::NewlyDenied(_))
    ));
    assert!(matches!(
        replay(&scored, &free, &request(40)),
        Ok(Replayed::NewlyPermitted(_))
    ));
    assert_eq!(replay(&free, &scored, &request(50)), Ok(Replayed::Same));
    // A record holds no score: what it was decided by is not known.
    let record = json!({ "id": "0", "direction": "ingress", "me": "gateway", "peer": ROUTER, "addr": "10.10.0.5", "port": 8443, "action": "GET /v1/a" });
    assert!(matches!(
        replay(&free, &scored, &record),
        Ok(Replayed::NewlyDenied(_))
    ));
    let stricter = load(&json!({ "trust_score": 60 }));
    assert_eq!(
        replay(&scored, &stricter, &record),
        Ok(Replayed::Depends {
            permitted: false,
            denied: true
        })
    );
    assert_eq!(
        replay(&stricter, &scored, &record),
        Ok(Replayed::Depends {
            permitted: true,
            denied: false
        })
    );
    assert_eq!(replay(&scored, &scored, &record), Ok(Replayed::Same));
    let egress = json!({ "direction": "egress", "me": "router", "peer": "spiffe://prod.example/edge/gateway", "port": 8443, "action": "GET /v1/a" });
    let none = loader()
        .load(&document(&[], &[]).to_string(), Format::Json)
        .expect("policy");
    assert!(matches!(
        replay(&free, &none, &egress),
        Ok(Replayed::NewlyDenied(_))
    ));
    for (key, value) in [
        ("action", json!("GET /v1/…")),
        ("action", json!("nonsense")),
        ("port", json!(70_000)),
        ("peer", json!("router")),
        ("direction", json!("sideways")),
        ("addr", json!("here")),
    ] {
        let mut broken = record.clone();
        broken[key] = value;
        assert_eq!(
            replay(&free, &scored, &broken),
            Err(ReplayError::Field(key))
        );
    }
    assert!(matches!(
        replay(&free, &scored, &json!({ "too": "gateway" })),
        Err(ReplayError::Query(_))
    ));
}

/// What was masked away is not taken for what was never there.
#[test]
fn t10_a_masked_record_is_never_the_same() {
    let load = |permits: &[Value]| {
        loader()
            .load(&document(permits, &[]).to_string(), Format::Json)
            .expect("policy")
    };
    let mut any = rule(&Value::Null);
    any["actions"] = json!("any");
    let (old, new) = (load(&[rule(&Value::Null)]), load(&[any]));
    let record = json!({
        "verdict": "deny", "stage": "action", "reason": "no_action_permitted", "direction": "ingress", "me": "gateway",
        "peer": ROUTER, "addr": "10.10.0.5", "zone": "production", "port": 8443, "action": "POST /v2",
    });
    let without = |keys: &[&str]| {
        let mut record = record.clone();
        let fields = record.as_object_mut().expect("object");
        fields.retain(|key, _| !keys.contains(&key.as_str()));
        record
    };
    assert!(matches!(
        replay(&old, &new, &record),
        Ok(Replayed::NewlyPermitted(_))
    ));
    for (keys, missing) in [(&["peer"][..], "peer"), (&["addr"], "addr")] {
        assert_eq!(
            replay(&old, &new, &without(keys)),
            Err(ReplayError::Field(missing))
        );
    }
    // Without zone and address it was permitted nothing, as an unknown place; but it was permitted.
    let mut permitted = without(&["addr", "zone"]);
    permitted["action"] = json!("GET /v1/a");
    permitted["verdict"] = json!("permit");
    assert_eq!(
        replay(&old, &new, &permitted),
        Err(ReplayError::Disagrees("permit"))
    );
    let mut denied = record.clone();
    denied["action"] = json!("GET /v1/a");
    assert_eq!(
        replay(&old, &new, &denied),
        Err(ReplayError::Disagrees("deny"))
    );
    // A caller without an SVID at a public port is one, and a proof that failed fails under both.
    let mut public = without(&["peer"]);
    public["port"] = json!(443);
    assert_eq!(replay(&old, &new, &public), Ok(Replayed::Same));
    let failed = json!({ "verdict": "deny", "stage": "identity", "reason": "expired", "direction": "ingress", "me": "gateway", "addr": "10.10.0.5", "port": 8443 });
    assert_eq!(replay(&old, &new, &failed), Ok(Replayed::Same));
    // Whose assertions are believed decides where that changed.
    let believing = |party: &str| {
        let mut document = document(&[rule(&Value::Null)], &[]);
        document["workloads"]["gateway"]["asserted_by"] = json!([party]);
        loader()
            .load(&document.to_string(), Format::Json)
            .expect("policy")
    };
    let (one, other) = (believing("front-proxy"), believing("side-proxy"));
    assert_eq!(
        replay(&one, &other, &record),
        Err(ReplayError::Field("asserted_by"))
    );
    assert_eq!(replay(&one, &one, &record), Ok(Replayed::Same));
}

pub(crate) fn one_kind(diff: &Diff) -> &'static str {
    assert!(diff.permits_more());
    match diff.document.as_slice() {
        [one] => one.kind,
        other => panic!("{other:#?}"),
    }
}
