//! Changes of whom a token names, of what is passed on, and of obligations (T12).

use serde_json::{Value, json};
use ztl_core::analysis::{Caller, Change};

use crate::diff::{diff, one_kind, rule};
use crate::support::document;

/// A token's names and obligations, which are compared by name.
#[test]
fn t12_subjects_forwarded_ids_and_obligations_are_compared() {
    let with = |edit: &dyn Fn(&mut Value)| {
        let mut rule = rule(&Value::Null);
        edit(&mut rule);
        let mut document = document(&[rule], &[]);
        document["issuers"] = json!({ "corp": { "issuer": "https://corp.example" } });
        document["limits"] = json!({ "slow": { "requests": 5, "per": "1m" } });
        document
    };
    let plain = with(&|_| {});
    let subject = |names: Value| with(&|rule| rule["subject"] = names.clone());
    let (looser, stricter, both) = ((true, false), (false, true), (true, true));
    let (alice, bob) = ("user:corp/alice", "user:corp/bob");
    for (old, new, wanted) in [
        (subject(json!([alice])), plain.clone(), looser),
        (
            subject(json!([alice])),
            subject(json!([alice, bob])),
            looser,
        ),
        (subject(json!([alice])), subject(json!([bob])), both),
        (
            plain.clone(),
            with(&|rule| rule["actors"] = json!(["router"])),
            stricter,
        ),
        (
            with(&|rule| rule["oblige"] = json!({ "limit": "slow" })),
            plain.clone(),
            looser,
        ),
        (
            with(&|rule| rule["oblige"] = json!({ "max_body": 10 })),
            with(&|rule| rule["oblige"] = json!({ "max_body": 20 })),
            both,
        ),
    ] {
        let found = diff(&old, &new);
        assert_eq!(
            (found.permits_more(), found.denies_more()),
            wanted,
            "{old:#} {new:#}"
        );
        assert!(diff(&old, &old).is_empty());
    }
    // A forbid that is narrowed to some subjects permits more than one that is not.
    let forbid = |subject: Option<&str>| {
        let mut new = plain.clone();
        new["forbid"] =
            json!([{ "name": "no", "from": "router", "to": "gateway", "actions": ["GET /v1/a"] }]);
        if let Some(subject) = subject {
            new["forbid"][0]["subject"] = json!(subject);
        }
        new
    };
    let found = diff(&forbid(None), &forbid(Some(alice)));
    assert_eq!((found.permits_more(), found.denies_more()), looser);
    // A forbid on somebody else fires on them as subject as well: taking it away permits more to everybody.
    let mut sensor = plain.clone();
    sensor["forbid"] = json!([{ "name": "no", "from": "sensor", "to": "gateway", "ports": 8443, "actions": ["GET /v1/a"] }]);
    let found = diff(&sensor, &plain);
    let told: Vec<_> = found
        .newly_permitted
        .iter()
        .flat_map(|change| &change.callers)
        .map(ToString::to_string)
        .collect();
    assert_eq!(told, ["router"]);
    let mut forwards = plain.clone();
    forwards["workloads"]["router"]["forwards"] = json!(["sensor"]);
    assert_eq!(one_kind(&diff(&plain, &forwards)), "workload");
    let mut faster = plain.clone();
    faster["limits"]["slow"]["requests"] = json!(6);
    assert_eq!(one_kind(&diff(&plain, &faster)), "limit");
}

/// A token's names are what they stand for, which another alias, issuer or id changes though the rule is the same (T10, T12).
#[test]
fn t10_the_same_name_that_stands_for_somebody_else_is_compared() {
    let named = |key: &str, name: &str| {
        let mut rule =
            json!({ "from": "sensor", "to": "any", "ports": "1-65535", "actions": "any" });
        rule[key] = json!(name);
        document(&[rule], &[])
    };
    let old = named("subject", "trust-domain:old.example");
    let mut new = old.clone();
    new["trust_domain_aliases"] = json!(["older.example"]);
    let found = diff(&old, &new);
    let sensor = |change: &Change| change.callers.contains(&Caller::Workload("sensor".into()));
    let denied = &found.newly_denied;
    assert!(
        denied
            .iter()
            .any(|change| &*change.to == "gateway" && sensor(change))
    );
    // Whoever is in that trust domain was in the other.
    assert!(!found.newly_permitted.iter().any(sensor));
    assert!(diff(&new, &new).is_empty());

    let aliases = json!(["older.example"]);
    for (name, kind, at, value) in [
        (
            "trust-domain:prod.example",
            "aliases",
            "/trust_domain_aliases",
            &aliases,
        ),
        (
            "label:tier=agent",
            "aliases",
            "/trust_domain_aliases",
            &aliases,
        ),
        (
            "issuer:corp",
            "issuer",
            "/issuers/corp/issuer",
            &json!("https://other.example"),
        ),
        (
            "router",
            "workload",
            "/workloads/router/id",
            &json!("spiffe://prod.example/agents/other"),
        ),
    ] {
        for key in ["subject", "actors"] {
            let old = named(key, name);
            let mut new = old.clone();
            *new.pointer_mut(at).expect("stated") = value.clone();
            let found = diff(&old, &new);
            assert_eq!(one_kind(&found), kind, "{name}");
            assert!(found.newly_permitted.iter().any(sensor), "{key} {name}");
            assert!(found.newly_denied.iter().any(sensor), "{key} {name}");
        }
    }
    // One more alias lets more in, and takes nothing away.
    let mut more = named("subject", "trust-domain:prod.example");
    more["trust_domain_aliases"] = json!(["old.example", "older.example"]);
    let found = diff(&named("subject", "trust-domain:prod.example"), &more);
    assert!(found.newly_permitted.iter().any(sensor) && found.newly_denied.is_empty());

    // A forbid on somebody who comes along is narrowed by the same.
    let permit = json!({ "from": "sensor", "to": "gateway", "ports": 8443, "actions": "any" });
    let forbid = json!({ "from": "trust-domain:old.example", "to": "gateway" });
    let old = document(&[permit], &[forbid]);
    let mut new = old.clone();
    new["trust_domain_aliases"] = json!(["older.example"]);
    assert!(diff(&old, &new).newly_permitted.iter().any(sensor));
}

/// A workload that is new decides about others by what it passes on, and by the labels that it gives (T12).
#[test]
fn t10_a_new_workload_that_tells_others_apart_counts_as_newly_permitted() {
    let base = |edit: &dyn Fn(&mut Value)| {
        let mut document = document(&[rule(&Value::Null)], &[]);
        document["workloads"]["router"]["forwards"] = json!(["retriever"]);
        edit(&mut document);
        document
    };
    let with = |mut document: Value, more: &Value| {
        document["workloads"]["evil"] = json!({ "id": "spiffe://prod.example/evil" });
        for (key, value) in more.as_object().expect("object") {
            document["workloads"]["evil"][key] = value.clone();
        }
        document
    };
    let plain = base(&|_| {});
    let labels = json!({ "labels": { "tier": "agent" } });
    let forwards = with(plain.clone(), &json!({ "forwards": "any" }));
    assert_eq!(one_kind(&diff(&plain, &forwards)), "workload");
    let named = [
        base(&|document| {
            document["forbid"] =
                json!([{ "name": "no", "from": "label:tier=thing", "to": "gateway" }])
        }),
        base(&|document| document["permit"][0]["subject"] = json!("label:tier=agent")),
        base(&|document| document["permit"][0]["actors"] = json!("label:tier=agent")),
        base(&|document| document["workloads"]["router"]["forwards"] = json!("label:tier=agent")),
    ];
    for old in named {
        assert_eq!(
            one_kind(&diff(&old, &with(old.clone(), &labels))),
            "workload",
            "{old:#}"
        );
    }
    // Labels that nothing names, and a workload that has nothing of this, are no risk.
    assert!(diff(&plain, &with(plain.clone(), &labels)).is_empty());
    assert!(diff(&plain, &with(plain.clone(), &json!({}))).is_empty());
    assert!(diff(&with(plain.clone(), &labels), &plain).is_empty());
}

/// What could be read as two obligations, or as another name, is not.
#[test]
fn t10_texts_that_read_alike_are_told_apart() {
    let with = |key: &str, value: &Value| {
        let mut rule = rule(&Value::Null);
        rule[key] = value.clone();
        let mut document = document(&[rule], &[]);
        document["issuers"] = json!({ "corp": { "issuer": "https://corp.example" } });
        document
    };
    let pairs = [
        (
            "oblige",
            json!({ "schema": "s", "max_body": 10 }),
            json!({ "schema": "s and max_body 10" }),
        ),
        (
            "oblige",
            json!({ "log": ["a", "b"] }),
            json!({ "log": ["a"] }),
        ),
        (
            "subject",
            json!(["user:corp/a", "user:corp/b"]),
            json!(["user:corp/a, user:corp/b"]),
        ),
    ];
    for (key, one, other) in pairs {
        let (one, other) = (with(key, &one), with(key, &other));
        assert!(diff(&one, &other).permits_more(), "{one:#}");
        assert!(diff(&one, &one).is_empty());
    }
}

/// The first permit that grants obliges, so that an obligation is lost where the verdict stays.
#[test]
fn t10_an_obligation_that_is_lost_counts_as_newly_permitted() {
    let named = |name: &str, oblige: &Value| {
        let mut rule = rule(&Value::Null);
        rule["name"] = json!(name);
        if !oblige.is_null() {
            rule["oblige"] = oblige.clone();
        }
        rule
    };
    let (small, large) = (json!({ "max_body": 10 }), json!({ "max_body": 20 }));
    let (a, b) = (named("a", &small), named("b", &Value::Null));
    let loose = named("a", &large);
    let mut other = named("c", &Value::Null);
    other["actions"] = json!(["GET /v1/a"]);
    let both = document(&[a.clone(), b.clone()], &[]);
    for new in [
        &[b.clone(), a.clone()][..],
        std::slice::from_ref(&b),
        &[loose, b.clone()],
        &[named("a", &Value::Null), b.clone()],
        &[other.clone(), a.clone(), b.clone()],
        &[named("c", &large), a.clone(), b.clone()],
    ] {
        let new = document(new, &[]);
        let found = diff(&both, &new);
        let told: Vec<_> = found
            .document
            .iter()
            .map(|one| (one.kind, &*one.name))
            .collect();
        assert_eq!(told, [("obligations", "gateway")], "{new:#}");
        assert!(
            found.document[0]
                .how
                .contains("`a` (obliged to max_body 10)")
        );
    }
    // What comes after the last that obliges, and what goes beside them, takes no obligation away.
    for new in [
        &[a.clone(), b.clone(), other.clone()][..],
        std::slice::from_ref(&a),
        &[a.clone(), other.clone(), b.clone()],
        &[a.clone(), named("d", &small)],
        &[],
    ] {
        let found = diff(&both, &document(new, &[]));
        assert!(found.document.is_empty(), "{found:#?}");
    }
    let plain = document(&[b, other], &[]);
    assert!(diff(&plain, &both).document.is_empty());
    // Which of two permits obliges is decided by a label, which one who was declared has, and one who is no more has not.
    let mut by_label = a;
    by_label["from"] = json!("label:tier=agent");
    let mut rest = named("b", &Value::Null);
    rest["from"] = json!("spiffe://prod.example/**");
    let old = document(&[by_label, rest], &[]);
    let mut new = old.clone();
    new["workloads"]["more"] =
        json!({ "id": "spiffe://prod.example/more", "labels": { "tier": "agent" } });
    for (old, new) in [(&old, &new), (&new, &old)] {
        assert_eq!(one_kind(&diff(old, new)), "workload");
    }
}

/// Of rules about destinations outside the mesh no decision is compared: every key of theirs counts, and whoever they could mean.
#[test]
fn t10_every_key_of_a_rule_about_an_external_counts() {
    let with = |kind: &str, from: &str, keys: &[(&str, Value)]| {
        let mut document = document(&[], &[]);
        document["external"] =
            json!({ "api": { "hosts": ["api.example.com"], "ports": [443, 8443] } });
        let mut rule =
            json!({ "name": "out", "from": from, "to": "external:api", "actions": "GET /v1" });
        for (key, value) in keys {
            rule[*key] = value.clone();
        }
        document[kind] = json!([rule]);
        document
    };
    let both = |one: &Value, two: &Value, kind: &str| {
        for (old, new) in [(one, two), (two, one)] {
            assert_eq!(one_kind(&diff(old, new)), kind, "{two:#}");
        }
        assert!(diff(two, two).is_empty());
    };
    for (key, value) in [
        ("actions", json!("GET /v2")),
        ("ports", json!(443)),
        ("from", json!("any")),
        ("to", json!(["external:api", "gateway"])),
    ] {
        let (plain, other) = (
            with("forbid", "router", &[]),
            with("forbid", "router", &[(key, value)]),
        );
        both(&plain, &other, "external-rule");
    }
    // A forbid of everything forbids what is outside as well.
    let cut_off = with("forbid", "router", &[("to", json!("any"))]);
    let mut whole = cut_off.clone();
    whole["forbid"] = json!([]);
    both(&whole, &cut_off, "external-rule");
    let plain = with("permit", "router", &[]);
    let mut inner = plain.clone();
    inner["external"]["api"]["networks"] = json!(["10.2.0.0/16"]);
    both(&plain, &inner, "external");
    // Somebody more whom no rule names, and yet one means.
    let wide = with("permit", "zone:production", &[]);
    let mut more = wide.clone();
    more["workloads"]["more"] = json!({ "id": "spiffe://prod.example/more", "zone": "production" });
    assert_eq!(one_kind(&diff(&wide, &more)), "workload");
    let mut moved = more.clone();
    moved["workloads"]["more"]
        .as_object_mut()
        .expect("table")
        .remove("zone");
    both(&more, &moved, "workload");
}
