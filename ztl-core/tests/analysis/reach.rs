//! `reach` and transitive assertions: against trying everything, and T10, T11, T12 one by one.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use ztl_core::analysis::{self, Reach, ReachError, ReachOptions};
use ztl_core::policy::Policy;
use ztl_core::{Action, Arrival, Evidence, Flow, Verdict};

use crate::support::{self, document, load, try_load};
use crate::universe::draft;

const WORKLOADS: [(&str, &str); 5] = [
    ("gateway", support::GATEWAY),
    ("router", support::ROUTER),
    ("retriever", support::RETRIEVER),
    ("sensor", support::SENSOR),
    ("store", support::STORE),
];
const PATHS: [&str; 10] = [
    "/v1/a",
    "/v1/admin",
    "/v1/7",
    "/v1/a/b",
    "/v1/a/",
    "/pkg.Svc/Do",
    "/",
    "/x/y",
    "/z",
    "/admin/a",
];

/// Whether anything at all is permitted there.
fn any_action(policy: &Policy, from: Option<&str>, addr: &str, to: &str, port: u16) -> bool {
    let peer = from.map(support::peer);
    let arrival = Arrival::from_addr(addr.parse().expect("address"));
    let flow = Flow::ingress(to, port, arrival, peer.as_ref());
    let permits = |action: Action<'_>| {
        let input = ztl_core::policy::Input::new(flow)
            .with_action(Ok(action))
            .with_evidence(Evidence::none());
        ztl_core::policy::decide(policy, &input, support::NOW).verdict == Verdict::Permit
    };
    permits(Action::Connect)
        || PATHS.iter().any(|path| {
            let request = |method| Action::request(method, path).expect("path");
            ["GET", "HEAD", "POST", "PUT"]
                .into_iter()
                .any(|method| permits(request(method)))
                || permits(request("GET").with_upgrade("websocket"))
        })
}

/// The document with all that reach does not count on taken out.
fn relaxed(document: &Value) -> Policy {
    let mut document = document.clone();
    let rules = |kind: &str| {
        document
            .get(kind)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut permits = rules("permit");
    for permit in &mut permits {
        let trust = permit
            .get("require")
            .and_then(|require| require.get("zone_trust"))
            .cloned();
        if let Some(permit) = permit.as_object_mut() {
            for key in ["require", "subject", "actors", "oblige"] {
                permit.remove(key);
            }
            if permit.get("from") == Some(&json!("public")) {
                permit.insert("anonymous".to_owned(), true.into());
            }
            if let Some(trust) = trust {
                permit.insert("require".to_owned(), json!({ "zone_trust": trust }));
            }
        }
    }
    let mut forbids = rules("forbid");
    forbids.retain(|forbid| {
        ["when", "subject", "actors"]
            .iter()
            .all(|key| forbid.get(key).is_none())
    });
    document["permit"] = permits.into();
    document["forbid"] = forbids.into();
    load(&document)
}

/// One address of every place in which a workload can stand: its zone, all of it.
fn homes(name: &str) -> &'static [&'static str] {
    match name {
        "sensor" => &["10.20.0.5"],
        "store" => &["10.10.7.5"],
        _ => &["10.10.0.5", "fd00:10::5"],
    }
}

type Edges = BTreeSet<(String, String, u16, &'static str)>;

fn by_trying(policy: &Policy, start: &str) -> Edges {
    let mut edges = Edges::new();
    let mut taken = vec![start.to_owned()];
    let mut at = 0;
    while let Some(from) = taken.get(at).cloned() {
        at += 1;
        let id = WORKLOADS
            .iter()
            .find(|(name, _)| *name == from)
            .expect("workload")
            .1;
        for target in policy
            .workloads()
            .iter()
            .filter(|target| target.name() != from)
        {
            for port in target.ports().iter().chain(target.public_ports()) {
                for (shown, as_what) in [(Some(id), "svid"), (None, "public")] {
                    if shown.is_none() && !target.public_ports().contains(port) {
                        continue;
                    }
                    let open = |addr: &&str| any_action(policy, shown, addr, target.name(), *port);
                    if homes(&from).iter().any(open) {
                        edges.insert((from.clone(), target.name().to_owned(), *port, as_what));
                        if !taken.iter().any(|name| name == target.name()) {
                            taken.push(target.name().to_owned());
                        }
                    }
                }
            }
        }
    }
    edges
}

fn edges(reach: &Reach) -> Edges {
    let edge = |edge: &analysis::ReachEdge| {
        (
            edge.from.to_string(),
            edge.to.to_string(),
            edge.port,
            edge.shown_as,
        )
    };
    reach.edges.iter().map(edge).collect()
}

fn reach(policy: &Policy, start: &str) -> Reach {
    analysis::reach(policy, start, &ReachOptions::new()).expect("reach")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// T10, T11: what can be reached is what trying everything reaches, with requirements met and weak forbids gone.
    #[test]
    fn t10_reach_agrees_with_trying_everything(draft in draft()) {
        let document = draft.document();
        // The party that the store believes is no workload here, so that nobody can speak for others.
        if let (0, Ok(policy)) = (draft.world, try_load(&document)) {
            let relaxed = relaxed(&document);
            for (start, _) in WORKLOADS {
                let (found, wanted) = (reach(&policy, start), by_trying(&relaxed, start));
                prop_assert_eq!(edges(&found), wanted, "from {}: {:#?}", start, found);
            }
        }
    }

    /// Taking a permit out never widens the radius, taking a forbid out never narrows it.
    #[test]
    fn without_a_permit_is_never_wider(draft in draft()) {
        if let Ok(policy) = try_load(&draft.document()) {
            for rule in &policy.document().rules {
                let options = ReachOptions::new().without(&rule.name.value);
                let after = edges(&analysis::reach(&policy, "router", &options).expect("reach"));
                let before = edges(&reach(&policy, "router"));
                match rule.effect {
                    ztl_core::policy::Effect::Permit => prop_assert!(after.is_subset(&before)),
                    ztl_core::policy::Effect::Forbid => prop_assert!(after.is_superset(&before)),
                }
            }
        }
    }
}

fn permit(name: &str, from: &str, to: &str, actions: &[&str]) -> Value {
    json!({ "name": name, "from": from, "to": to, "ports": "1-65535", "actions": actions })
}

fn reached(policy: &Policy, start: &str) -> Vec<(String, usize, bool)> {
    let all = reach(policy, start).reached;
    all.iter()
        .map(|one| (one.workload.to_string(), one.hops, one.freely))
        .collect()
}

#[test]
fn t10_weak_forbids_and_requirements_hold_nothing_up() {
    let mut first = permit("a", "sensor", "gateway", &["any"]);
    first["require"] = json!({ "trust_score": 70, "token": { "scopes": ["x"] } });
    let second = permit("b", "gateway", "store", &["GET /v1/{id}", "connect"]);
    let found = |forbids: &[Value]| {
        let policy = load(&document(&[first.clone(), second.clone()], forbids));
        reached(&policy, "sensor")
    };
    let all = vec![
        ("gateway".to_owned(), 1, false),
        ("store".to_owned(), 2, false),
    ];
    assert_eq!(found(&[]), all);
    for weak in [
        json!({ "from": "gateway", "to": "store", "mode": "shadow" }),
        json!({ "from": "gateway", "to": "store", "mode": "off" }),
        json!({ "from": "gateway", "to": "store", "when": "true" }),
        json!({ "from": "gateway", "to": "store", "actions": ["GET /v1/a"] }),
    ] {
        assert_eq!(found(std::slice::from_ref(&weak)), all, "{weak}");
    }
    assert_eq!(
        found(&[json!({ "from": "gateway", "to": "store" })]),
        all[..1]
    );
    // All that is permitted is forbidden, action by action; a forbid on a path takes raw bytes with it (T20).
    assert_eq!(
        found(&[json!({ "from": "gateway", "to": "store", "actions": ["GET /v1/{*rest}"] })]),
        all[..1]
    );
}

#[test]
fn t10_what_stands_in_the_way_is_told() {
    let mut guarded = permit(
        "guarded",
        "router",
        "store",
        &["GET /v1/{id}", "POST /v1/{id}"],
    );
    guarded["require"] = json!({ "trust_score": 70, "zone_trust": 3, "token": { "issuer": "corp", "scopes": ["infer"] }, "headers": { "x-tenant": ["a", "b"] } });
    let forbids = [
        json!({ "name": "sealed", "from": "any", "to": "store", "actions": ["GET /v1/secret"] }),
        json!({ "name": "perhaps", "from": "router", "to": "store", "actions": ["POST /v1/a"], "when": "token" }),
        json!({ "name": "elsewhere", "from": "router", "to": "store", "actions": ["PUT /v1/a"] }),
    ];
    let policy = load(&document(&[guarded], &forbids));
    let found = reach(&policy, "router");
    let [edge] = found.edges.as_slice() else {
        panic!("{found:#?}")
    };
    let [one] = edge.uses.as_slice() else {
        panic!("{edge:#?}")
    };
    assert_eq!(
        one.requires,
        [
            "trust_score >= 70",
            "token from https://idp.example with scope infer",
            "header x-tenant of `a`, `b`"
        ]
    );
    assert_eq!(one.actions, ["GET /v1/{id}", "POST /v1/{id}"]);
    assert_eq!(
        one.except.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["sealed"]
    );
    assert_eq!(
        one.unless.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["perhaps"]
    );
    assert!(!edge.is_free());
    // A zone that is not trusted enough is known from the document.
    let mut far = permit("far", "router", "store", &["any"]);
    far["require"] = json!({ "zone_trust": 4 });
    assert_eq!(reached(&load(&document(&[far], &[])), "router"), []);
}

#[test]
fn t11_a_workload_comes_as_public_too() {
    let open = json!({ "name": "open", "from": "public", "to": "gateway", "ports": 443, "actions": ["GET /hello"], "anonymous": true });
    let policy = load(&document(&[open], &[]));
    let found = reach(&policy, "sensor");
    let [edge] = found.edges.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!(
        (&*edge.to, edge.port, edge.shown_as, edge.is_free()),
        ("gateway", 443, "public", true)
    );
}

#[test]
fn t12_a_believed_party_that_is_taken_over_is_everyone() {
    let mut document = document(
        &[permit("reads", "retriever", "store", &["GET /v1/{id}"])],
        &[],
    );
    document["workloads"]["store"]["asserted_by"] = json!(["gateway"]);
    let policy = load(&document);
    let found = reach(&policy, "gateway");
    let [edge] = found.edges.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!(
        (&*edge.to, edge.shown_as, &*edge.uses[0].rule),
        ("store", "asserted", "reads")
    );
    // Somebody that the store does not believe is nobody but itself.
    assert_eq!(reached(&policy, "router"), []);
}

/// An assertion about a party that the target believes is one about everyone as whom it may come, over one hop as over several.
#[test]
fn t12_never_counts_whom_a_believed_party_may_say_it_is() {
    let with = |party: &str, transitive: bool, from: &str| {
        let mut document = document(
            &[permit("reads", "retriever", "store", &["GET /v1/{id}"])],
            &[],
        );
        document["workloads"]["store"]["asserted_by"] = json!([party]);
        document["never"] =
            json!([{ "name": "apart", "from": from, "to": "store", "transitive": transitive }]);
        try_load(&document).map_err(|error| error.to_string())
    };
    for transitive in [false, true] {
        for from in [
            "gateway",
            "label:tier=edge",
            "spiffe://prod.example/edge/**",
        ] {
            let refused =
                with("gateway", transitive, from).expect_err("it may come as `retriever`");
            assert!(refused.contains("`apart` does not hold"), "{refused}");
            assert!(refused.contains("permit `reads`"), "{refused}");
        }
        // Whom the target does not believe, and who stands where no permit speaks for anyone.
        with("router", transitive, "gateway").expect("not believed");
        with("sensor", transitive, "sensor").expect("stands elsewhere");
        // By its id it would be believed, and no assertion would know it.
        for party in [
            support::GATEWAY,
            "SPIFFE://old.example/edge/gateway",
            " spiffe://prod.example/edge/gateway",
        ] {
            let refused = with(party, transitive, "gateway").expect_err("an id");
            assert!(
                refused.contains("names a party by its SPIFFE ID"),
                "{refused}"
            );
        }
    }
}

#[test]
fn hops_and_rules_taken_out() {
    let chain = [
        permit("one", "sensor", "gateway", &["any"]),
        permit("two", "gateway", "router", &["any"]),
        permit("three", "router", "store", &["any"]),
        permit("back", "store", "sensor", &["any"]),
    ];
    let policy = load(&document(&chain, &[]));
    assert_eq!(reached(&policy, "sensor").len(), 3);
    for (hops, many) in [(0, 0), (1, 1), (2, 2), (9, 3)] {
        let found =
            analysis::reach(&policy, "sensor", &ReachOptions::new().hops(hops)).expect("reach");
        assert_eq!(found.reached.len(), many, "{hops}");
        assert!(found.edges.iter().all(|edge| edge.hop <= hops));
    }
    let without = |rule| analysis::reach(&policy, "sensor", &ReachOptions::new().without(rule));
    assert_eq!(without("two").expect("reach").reached.len(), 1);
    assert_eq!(
        without("four").map(|_| ()),
        Err(ReachError::UnknownRule("four".to_owned()))
    );
    let nobody = analysis::reach(&policy, "nobody", &ReachOptions::new());
    assert_eq!(
        nobody.map(|_| ()),
        Err(ReachError::UnknownWorkload("nobody".to_owned()))
    );
}

fn never(permits: &[Value], forbids: &[Value], never: Value) -> Result<(), String> {
    let mut document = document(permits, forbids);
    document["never"] = json!([never]);
    try_load(&document)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

#[test]
fn t10_a_transitive_assertion_holds_over_every_number_of_hops() {
    let chain = [
        permit("one", "sensor", "gateway", &["any"]),
        permit("two", "gateway", "router", &["GET /v1/{id}"]),
        permit("three", "router", "store", &["PUT /v1/{id}"]),
    ];
    let far = |transitive| json!({ "name": "apart", "from": "sensor", "to": "store", "transitive": transitive });
    assert_eq!(never(&chain, &[], far(false)), Ok(()));
    let error = never(&chain, &[], far(true)).expect_err("a chain");
    for hop in [
        "`sensor` reaches `gateway` on port 443 (permit `one`)",
        "`gateway` reaches `router` on port 8443 (permit `two`)",
        "`router` reaches `store` on port 6333 (permit `three`)",
    ] {
        assert!(error.contains(hop), "{error}");
    }
    for cut in 0..3 {
        let mut left = chain.to_vec();
        left.remove(cut);
        assert_eq!(never(&left, &[], far(true)), Ok(()), "{cut}");
    }
    // What the last hop must not do is said as always; a weak forbid on the way is no cut, an enforced one is.
    let only = |actions: &str| json!({ "from": "sensor", "to": "store", "transitive": true, "actions": actions });
    assert!(never(&chain, &[], only("PUT /v1/secret")).is_err());
    assert_eq!(never(&chain, &[], only("DELETE /v1/secret")), Ok(()));
    let mut cut = json!({ "from": "gateway", "to": "router" });
    assert_eq!(never(&chain, std::slice::from_ref(&cut), far(true)), Ok(()));
    cut["when"] = json!("true");
    assert!(never(&chain, &[cut], far(true)).is_err());
    // Requirements on the way are no protection either, not even the trust of a zone.
    let mut guarded = chain.to_vec();
    guarded[1]["require"] = json!({ "zone_trust": 9, "mfa": true });
    assert!(never(&guarded, &[], far(true)).is_err());
}

#[test]
fn t11_a_transitive_assertion_tries_strangers_and_those_without_an_svid() {
    let public = json!({ "name": "open", "from": "public", "to": "gateway", "ports": 443, "actions": ["GET /hello"], "anonymous": true });
    let inner = permit("inner", "gateway", "store", &["any"]);
    let apart = |from: &str| json!({ "from": from, "to": "store", "transitive": true });
    let rules = [public, inner.clone()];
    for from in ["public", "sensor"] {
        let error = never(&rules, &[], apart(from)).expect_err("a chain");
        assert!(
            error.contains("(permit `open`), `gateway` reaches `store`"),
            "{error}"
        );
    }
    let strangers = [
        permit(
            "kin",
            "spiffe://prod.example/agents/**",
            "gateway",
            &["any"],
        ),
        inner,
    ];
    let error = never(
        &strangers,
        &[],
        apart("spiffe://prod.example/agents/guests/**"),
    );
    assert!(
        error
            .expect_err("a chain")
            .contains("an undeclared workload such as")
    );
}
