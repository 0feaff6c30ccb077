//! The `cel` crate evaluates the same conditions: where ours tells something, it tells the same.

use cel::{Context, Env};
use proptest::prelude::*;

use super::*;

/// A whole number is an int here; the crate's own conversion makes some of them uints.
fn value(json: &Value) -> cel::Value {
    match json {
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => number.as_i64().expect("whole").into(),
        Value::String(text) => text.as_str().into(),
        Value::Array(list) => list.iter().map(value).collect::<Vec<_>>().into(),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, one)| (key.clone(), value(one)));
            entries.collect::<std::collections::HashMap<_, _>>().into()
        }
        Value::Null => cel::Value::Null,
    }
}

/// What the crate says of a condition about claims.
fn theirs(when: &str, claims: &Value) -> Option<bool> {
    let env = Arc::new(Env::stdlib());
    let program = env.compile(when).ok()?;
    let mut context = Context::with_env(env);
    context.add_variable_from_value("token", value(&json!({ "claims": claims })));
    context.add_variable_from_value("params", value(&json!({ "model": "llama" })));
    match program.execute(&context) {
        Ok(cel::Value::Bool(truth)) => Some(truth),
        _ => None,
    }
}

fn number() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (-3..9_i64).prop_map(|n| n.to_string()),
        Just("token.claims.n".to_owned()),
        Just("token.claims.list[0]".to_owned()),
        Just("token.claims.list.size()".to_owned()),
        Just("size(params.model)".to_owned()),
        Just("{'a': 1, 'llama': 2}[params.model]".to_owned()),
        Just("int('12')".to_owned()),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        let sign = prop::sample::select(vec!["+", "-", "*", "/", "%"]);
        prop_oneof![
            (inner.clone(), sign, inner.clone())
                .prop_map(|(a, sign, b)| format!("({a} {sign} {b})")),
            inner.prop_map(|a| format!("-({a})")),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "'a'",
        "''",
        "params.model",
        "token.claims.t",
        "'llama'",
        "string(7)",
        "token.claims.texts[0]",
    ]);
    (leaf.clone(), leaf)
        .prop_flat_map(|(a, b)| prop_oneof![Just(a.to_owned()), Just(format!("({a} + {b})"))])
}

fn truth() -> impl Strategy<Value = String> {
    let compare = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let test = prop::sample::select(vec!["startsWith", "endsWith", "contains"]);
    let leaf = prop_oneof![
        (number(), compare.clone(), number()).prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
        (text(), compare, text()).prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
        (text(), test, text()).prop_map(|(a, test, b)| format!("{a}.{test}({b})")),
        number().prop_map(|a| format!("{a} in token.claims.list")),
        number().prop_map(|a| format!("{a} in [1, 2, 3]")),
        text().prop_map(|a| format!("{a} in token.claims.texts")),
        number().prop_map(|a| format!("token.claims.list.exists(x, x > {a})")),
        number().prop_map(|a| format!("token.claims.list.all(x, x != {a})")),
        number().prop_map(|a| format!("token.claims.list.exists_one(x, x == {a})")),
        number().prop_map(|a| format!("token.claims.list.map(x, x + {a}) == token.claims.list")),
        number().prop_map(|a| format!("token.claims.list.filter(x, x < {a}).size() == 1")),
        Just("token.claims.grid.exists(row, row.all(x, x > 0) && row.size() > 1)".to_owned()),
        Just("token.claims.b".to_owned()),
    ];
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

fn claims() -> impl Strategy<Value = Value> {
    let list = prop::collection::vec(-2..4_i64, 0..4);
    let texts = prop::collection::vec(prop::sample::select(vec!["a", "llama", ""]), 0..3);
    let grid = prop::collection::vec(prop::collection::vec(-1..3_i64, 0..3), 0..3);
    (list, texts, grid, any::<bool>(), -2..5_i64).prop_map(|(list, texts, grid, b, n)| {
        json!({ "list": list, "texts": texts, "grid": grid, "b": b, "n": n, "t": "llama" })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_a_condition_tells_the_cel_crate_tells_as_well(when in truth(), claims in claims()) {
        let rule = json!({ "name": "asks", "from": "any", "to": "models", "actions": [ACTIONS], "require": { "when": when } });
        // A longer one may be beyond a bound.
        let Ok(policy) = load(json!([rule]), json!([])) else {
            return Ok(());
        };
        let ours = match ask(&policy, &json!({ "claims": claims })) {
            "permitted" => Some(true),
            "objected" => Some(false),
            _ => None,
        };
        if let Some(ours) = ours {
            prop_assert_eq!(Some(ours), theirs(&when, &claims), "{}", when);
        }
    }
}

#[test]
fn the_two_are_asked_the_same() {
    let claims =
        json!({ "list": [1, 2], "texts": ["a"], "grid": [], "b": true, "n": 1, "t": "llama" });
    for when in [
        "token.claims.n in token.claims.list",
        "params.model == token.claims.t && token.claims.b",
    ] {
        assert_eq!(theirs(when, &claims), Some(true), "{when}");
        assert!(holds(when, &json!({ "claims": claims })), "{when}");
    }
}
