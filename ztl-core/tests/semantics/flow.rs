//! Who, from where, to which port: rules 28 to 40.

use super::*;

#[test]
fn rules_28_and_t13_an_alias_is_the_same_workload() {
    let alias = "spiffe://old.example/agents/router";
    let policy = load(&document(&[router_reads()], &[]));
    let ask = Question::get(alias, "gateway", 8443, "/v1/a").at("10.10.0.5");
    assert_eq!(reason(&ask, &policy), "permitted");
    // T13: and it is as forbidden.
    let policy = load(&document(
        &[router_reads()],
        &[json!({ "from": "spiffe://prod.example/agents/**", "to": "gateway" })],
    ));
    assert_eq!(reason(&ask, &policy), "forbidden");
    // An unknown domain is left as it is.
    let other = Question::get(
        "spiffe://new.example/agents/router",
        "gateway",
        8443,
        "/v1/a",
    )
    .at("10.10.0.5");
    assert_eq!(reason(&other, &policy), "no_flow_permitted");
    let mut twice = document(&[], &[]);
    twice["workloads"]["twin"] = json!({ "id": alias });
    assert!(refusal(&twice).contains("one id"));
}

#[test]
fn rule_33_both_ends_judge_the_same_edge() {
    use ztl_core::{
        Action, Flow,
        policy::{Input, decide},
    };
    let policy = permit(router_reads());
    let target = peer(GATEWAY);
    let egress = |me, action: &'static str| {
        let input = Input::new(Flow::egress(me, 8443, &target))
            .with_action(Action::request(action, "/v1/a"));
        decide(&policy, &input, NOW).reason.code()
    };
    assert_eq!(egress("router", "GET"), "permitted");
    assert_eq!(egress("router", "PUT"), "no_action_permitted");
    assert_eq!(egress("retriever", "GET"), "no_flow_permitted");
}

#[test]
fn rule_35_addresses_in_all_their_forms() {
    let policy = permit(json!({ "from": "zone:production", "to": "gateway", "actions": ["any"] }));
    let from = |addr| {
        reason(
            &Question::get(ROUTER, "gateway", 8443, "/").at(addr),
            &policy,
        )
    };
    assert_eq!(from("10.10.0.5"), "permitted");
    assert_eq!(from("::ffff:10.10.0.5"), "permitted");
    assert_eq!(from("64:ff9b::a0a:5"), "permitted");
    assert_eq!(from("fd00:10::5"), "permitted");
    assert_eq!(from("10.20.0.5"), "zone_mismatch");
    assert_eq!(
        from("10.10.7.5"),
        "zone_mismatch",
        "the longest prefix is another zone"
    );
    assert_eq!(from("192.0.2.1"), "zone_unknown");
    assert_eq!(from("10.10.0.99"), "zone_unknown", "a relay is in no zone");
}

#[test]
fn rule_36_port_ranges_are_inclusive() {
    let policy = permit(
        json!({ "from": "router", "to": "retriever", "ports": "9000-9001", "actions": ["any"] }),
    );
    assert_eq!(
        reason(&Question::get(ROUTER, "retriever", 9000, "/"), &policy),
        "permitted"
    );
    assert_eq!(
        reason(&Question::get(ROUTER, "retriever", 8443, "/"), &policy),
        "no_flow_permitted"
    );
    let none = json!({ "from": "router", "to": "retriever", "ports": 1234, "actions": ["any"] });
    assert!(refusal(&document(&[none], &[])).contains("listens on none of these ports"));
    let several = json!({ "from": "router", "to": "retriever", "actions": ["any"] });
    assert!(refusal(&document(&[several], &[])).contains("ports = [..]"));
}

/// Those who show an SVID mean a port of `ports`, those who do not one of `public_ports`: the one is not missed for the other.
#[test]
fn rule_36_a_permit_without_ports_covers_a_port_for_either() {
    let open = |ports: Value, public_ports: Value| {
        let permit = json!({ "from": ["public", "router"], "to": ["label:tier=edge", "label:tier=data"], "actions": ["any"], "anonymous": true });
        let mut document = document(&[permit], &[]);
        document["workloads"]["gateway"]["ports"] = ports;
        document["workloads"]["gateway"]["public_ports"] = public_ports;
        for key in ["ports", "public_ports"] {
            let gateway = document["workloads"]["gateway"].as_object_mut();
            gateway
                .expect("a table")
                .retain(|name, ports| name != key || *ports != json!([]));
        }
        document
    };
    for (ports, public_ports, covered) in [
        (json!([]), json!([443]), &[443][..]),
        (json!([8443]), json!([443]), &[443, 8443]),
        (json!([443]), json!([443]), &[443]),
        (json!([443, 8443]), json!([443]), &[443, 8443]),
    ] {
        let policy = load(&open(ports, public_ports));
        for port in [80, 443, 8443] {
            let proved = Question::get(ROUTER, "gateway", port, "/");
            let (said, meant) = proved.ask_both(&policy, false);
            assert_eq!(said, meant, "{proved:?}");
            let wanted = covered.contains(&port);
            assert_eq!(said.verdict == Verdict::Permit, wanted, "{proved:?}");
            let unproved = Question::anonymous("gateway", port, "/");
            let (said, meant) = unproved.ask_both(&policy, false);
            assert_eq!(said, meant, "{unproved:?}");
            assert_eq!(said.verdict == Verdict::Permit, port == 443, "{unproved:?}");
        }
    }
    // Where several could be meant, none is.
    for (ports, public_ports) in [
        (json!([8443]), json!([80, 443])),
        (json!([]), json!([80, 443])),
        (json!([8443, 9443]), json!([443])),
    ] {
        let refused = refusal(&open(ports, public_ports));
        assert!(refused.contains("names no port"), "{refused}");
        assert!(refused.contains("ports = [..]"), "{refused}");
    }
}

#[test]
fn rule_40_nothing_is_permitted_because_it_is_local_or_a_probe() {
    let policy = permit(router_reads());
    for target in ["/healthz", "/metrics", "/livez"] {
        assert_eq!(
            reason(
                &Question::anonymous("gateway", 8443, target).at("127.0.0.1"),
                &policy
            ),
            "identity_unproven"
        );
        assert_eq!(
            reason(
                &Question::get(GATEWAY, "gateway", 8443, target).at("10.10.0.5"),
                &policy
            ),
            "no_flow_permitted"
        );
    }
}
