//! A rule said another thing than its author read in it.

use super::*;
use support::{GATEWAY, RETRIEVER, SENSOR, STORE, STRANGER, try_load};

/// Law 5: what looks like a regular expression in an identity is text, or is refused.
#[test]
fn no_regular_expression_is_made_of_an_identity() {
    let exact = |id: &str| {
        let rule = json!({ "from": id, "to": "gateway", "actions": ["any"] });
        try_load(&document(&[rule], &[]))
    };
    let policy = exact("spiffe://prod.example/agents/r.uter").expect("a dot is a character");
    assert_eq!(get(&policy, "/"), "no_flow_permitted");
    let policy = exact("spiffe://prod.example/agents/rout/**").expect("whole segments");
    assert_eq!(get(&policy, "/"), "no_flow_permitted");
    for id in [
        "spiffe://prod.example/agents/.*",
        "spiffe://prod.example/agents/r*",
        "spiffe://prod.example/*/router",
        "spiffe://prod.example/agents/(router|x)",
        "spiffe://*/agents/router",
        "trust-domain:prod.*",
    ] {
        assert!(exact(id).is_err(), "{id}");
    }
}

/// Rule 9: there is no way to write who is not meant, so that nobody is meant for what he lacks.
#[test]
fn there_is_no_negative_matcher() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut rule = router_may(&["any"]);
        change(&mut rule);
        try_load(&document(&[rule.clone()], &[])).map(|_| panic!("{rule}"))
    };
    for from in [
        "!router",
        "not router",
        "not:router",
        "label:tier!=agent",
        "label:tier=!agent",
        "zone:!iot",
        "-router",
    ] {
        let _ = refused(&|rule| rule["from"] = from.into());
    }
    for key in [
        "not_from",
        "notFrom",
        "except",
        "not",
        "unless",
        "not_actions",
        "notPorts",
    ] {
        let _ = refused(&|rule| rule[key] = "router".into());
    }
    for action in ["!GET /x", "not GET /x", "!any"] {
        let _ = refused(&|rule| rule["actions"] = json!([action]));
    }
    let _ = refused(&|rule| rule["from"] = json!({ "not": "router" }));
}

/// A label is what the document says of a workload, not what a caller is called: an id that nobody declared has none.
#[test]
fn no_caller_brings_its_own_labels() {
    let by_label = json!({ "from": "label:tier=agent", "to": "gateway", "actions": ["any"] });
    let policy = load(&document(&[by_label], &[]));
    assert_eq!(get(&policy, "/"), "permitted");
    let stranger = Question::get(STRANGER, "gateway", 8443, "/");
    assert_eq!(ask(&policy, &stranger), "no_flow_permitted");
}

/// What a field of the request says about the method is no method: neither to permit nor to forbid.
#[test]
fn a_field_does_not_override_the_method() {
    let policy = permit(&["GET /x"]);
    for field in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    ] {
        let question = |method, field, value| Question {
            headers: vec![(field, value)],
            ..Question::get(ROUTER, "gateway", 8443, "/x").method(method)
        };
        assert_eq!(
            ask(&policy, &question("DELETE", field, b"GET")),
            "no_action_permitted"
        );
        assert_eq!(
            ask(&policy, &question("GET", field, b"DELETE")),
            "permitted"
        );
    }
}

/// A value behind one that is allowed, in one field or in two, in a list or after a blank, is a value as well (rule 43).
#[test]
fn no_value_hides_behind_another() {
    let mut rule = router_may(&["any"]);
    rule["require"] = json!({ "headers": { "x-role": ["user"] } });
    let policy = load(&document(&[rule], &[]));
    let with = |values: &[&'static [u8]]| {
        let headers = values.iter().map(|value| ("x-role", *value)).collect();
        let question = Question::get(ROUTER, "gateway", 8443, "/");
        ask(
            &policy,
            &Question {
                headers,
                ..question
            },
        )
    };
    assert_eq!(with(&[b"user"]), "permitted");
    let hidden: [&[&[u8]]; 8] = [
        &[b"user", b"admin"],
        &[b"admin", b"user"],
        &[b"user,admin"],
        &[b"user", b""],
        &[b""],
        &[b" user"],
        &[b"User"],
        &[b"user\xff"],
    ];
    for values in hidden {
        assert_eq!(with(values), "requirement_unmet", "{values:?}");
    }
    assert_eq!(with(&[]), "evidence_missing");
}

/// A rule about one edge says nothing about another, whatever it is added to.
#[test]
fn a_rule_elsewhere_widens_nothing_here() {
    let here = || json!({ "from": "router", "to": "gateway", "actions": ["GET /v1/{id}"], "require": { "trust_score": 50 } });
    let before = load(&document(&[here()], &[]));
    let mut asked = Vec::new();
    for from in [GATEWAY, ROUTER, RETRIEVER, SENSOR, STORE, STRANGER] {
        for target in ["/v1/a", "/v2", "/"] {
            for method in ["GET", "HEAD", "POST"] {
                for score in [None, Some(90)] {
                    let question = Question::get(from, "gateway", 8443, target).method(method);
                    asked.push(Question { score, ..question });
                }
            }
        }
    }
    let permitted = asked.iter().filter(|one| ask(&before, one) == "permitted");
    assert_eq!(permitted.count(), 1);
    for elsewhere in [
        json!({ "from": "any", "to": "store", "actions": ["any", "connect"] }),
        json!({ "from": "any", "to": ["retriever", "router"], "ports": "1-65535", "actions": "any" }),
        json!({ "from": "any", "to": "gateway", "ports": 443, "actions": "any" }),
        json!({ "from": "public", "to": "gateway", "anonymous": true, "actions": "any" }),
        json!({ "from": "any", "to": "gateway", "actions": "any", "mode": "shadow" }),
        json!({ "from": "any", "to": "gateway", "actions": "any", "mode": "off" }),
    ] {
        let after = load(&document(&[here(), elsewhere.clone()], &[]));
        for question in &asked {
            let (before, after) = (question.ask(&before), question.ask(&after));
            assert_eq!(before.verdict, after.verdict, "{elsewhere}: {question:?}");
        }
    }
}

/// Nothing is permitted for where it comes from alone, be it this machine.
#[test]
fn an_address_of_this_machine_proves_nothing() {
    let policy = permit(&["any"]);
    for address in [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
    ] {
        let anonymous = Question::anonymous("gateway", 8443, "/").at(address);
        assert_eq!(ask(&policy, &anonymous), "identity_unproven", "{address}");
        let router = Question::get(ROUTER, "gateway", 8443, "/").at(address);
        assert_eq!(ask(&policy, &router), "zone_unknown", "{address}");
    }
}

/// Host names in a document: case and one dot at the end mean nothing, an address or a pattern is no host (rule 42).
#[test]
fn a_host_has_one_spelling() {
    let hosts = |host: &str| {
        let mut document = document(&[], &[]);
        document["workloads"]["gateway"]["hosts"] = json!([host]);
        try_load(&document).map(|policy| {
            let gateway = policy.workload_by_name("gateway").expect("declared");
            gateway
                .hosts()
                .iter()
                .map(|host| host.to_string())
                .collect::<Vec<_>>()
        })
    };
    for host in ["api.example", "API.example", "Api.Example."] {
        assert_eq!(hosts(host).expect(host), ["api.example"]);
    }
    for host in [
        "api.example:443",
        "https://api.example",
        "u@api.example",
        "*.example",
        "api..example",
        "bücher.example",
        "api.example..",
        "",
    ] {
        assert!(hosts(host).is_err(), "{host}");
    }
}
