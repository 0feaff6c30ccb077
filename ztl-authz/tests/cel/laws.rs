//! Law 4: a condition can only object.

use proptest::prelude::*;

use super::*;

/// Conditions that are true, false or neither of what is asked here.
fn condition() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(vec![
        "true",
        "false",
        "1 / 0 == 1",
        "token.claims.a == 1",
        "token.claims.b",
        "!token.claims.b",
        "trust_score > 50",
        "params.model == 'llama'",
        "peer.workload == 'router'",
        "zone == 'office'",
        "peer.labels.tier == 'front'",
        "'x' in token.claims.list",
        "!('x' in token.claims.list)",
        "posture.managed",
        "context.owner == token.subject",
        "token.claims.list.exists(x, x == 'y')",
        "token.claims.list.all(x, x != 'x')",
        "now.getHours() < 12",
    ]);
    let leaf = atom.prop_map(str::to_owned);
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

fn evidence() -> impl Strategy<Value = Value> {
    let maybe = |value: Value| prop_oneof![Just(Value::Null), Just(value)];
    (
        prop_oneof![
            Just(Value::Null),
            (
                0..3_i64,
                any::<bool>(),
                prop::collection::vec(
                    prop_oneof![Just(json!("x")), Just(json!("y")), Just(json!(1))],
                    0..3
                )
            )
                .prop_map(|(a, b, list)| json!({ "a": a, "b": b, "list": list, "sub": "alice" })),
            Just(json!({ "a": "text" })),
        ],
        prop_oneof![Just(Value::Null), (0..100_u8).prop_map(Value::from)],
        maybe(json!({ "managed": true })),
        maybe(json!({ "owner": "alice" })),
        prop_oneof![Just("10.1.2.3"), Just("192.0.2.1")],
    )
        .prop_map(|(claims, score, posture, context, addr)| {
            let mut all = json!({ "from_addr": addr });
            for (name, value) in [
                ("claims", claims),
                ("trust_score", score),
                ("posture", posture),
                ("context", context),
            ] {
                if !value.is_null() {
                    all[name] = value;
                }
            }
            all
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn law_4_a_when_can_only_object(when in condition(), known in evidence()) {
        let open = json!({ "name": "open", "from": "router", "to": "models", "actions": [ACTIONS] });
        let bare = load(json!([open]), json!([])).expect("loads");
        let without = ask(&bare, &known);
        // A requirement, and a forbid, added to a rule that permits: never more than before.
        let (permit, forbid) = (permit(&when), forbid(&when));
        for policy in [&permit, &forbid] {
            let with = ask(policy, &known);
            prop_assert!(with != "permitted" || without == "permitted", "{when}");
        }
        // Of the two, a permit and a forbid with one condition, never both let through what the condition cannot tell.
        let (held, forbidden) = (ask(&permit, &known), ask(&forbid, &known));
        match held {
            "permitted" => prop_assert_eq!(forbidden, "forbidden"),
            "objected" => prop_assert_eq!(forbidden, without),
            _ => prop_assert_eq!(forbidden, "forbidden"),
        }
    }

    #[test]
    fn law_4_evidence_taken_away_never_widens(when in condition(), known in evidence(), key in prop::sample::select(vec!["claims", "trust_score", "posture", "context"])) {
        let policies = [permit(&when), forbid(&when)];
        let before = policies.each_ref().map(|policy| ask(policy, &known));
        let mut poorer = vec![known.clone()];
        poorer[0].as_object_mut().expect("an object").remove(key);
        // A claim of the token as well.
        for claim in ["a", "b", "list", "sub"] {
            let mut less = known.clone();
            if let Some(claims) = less.get_mut("claims").and_then(Value::as_object_mut) {
                claims.remove(claim);
            }
            poorer.push(less);
        }
        for less in &poorer {
            for (policy, before) in policies.iter().zip(before) {
                prop_assert!(ask(policy, less) != "permitted" || before == "permitted", "{}", when);
            }
        }
    }

    #[test]
    fn law_4_an_error_in_a_part_never_widens(when in condition(), known in evidence()) {
        for sound in ["true", "false", "zone == 'office'"] {
            let broken = when.replacen(sound, "1 / 0 == 1", 1);
            for (before, after) in [(permit(&when), permit(&broken)), (forbid(&when), forbid(&broken))] {
                prop_assert!(ask(&after, &known) != "permitted" || ask(&before, &known) == "permitted", "{}", when);
            }
        }
    }
}
