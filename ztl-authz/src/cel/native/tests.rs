//! What is told natively the interpreter tells as well, whatever is asked and whatever is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use proptest::prelude::*;
use serde_json::{Value, json};
use ztl_core::Timestamp;
use ztl_core::authorizer::{
    AuthorizerError, Condition, ConditionCompiler, ConditionError, Facts, Reads, Setting,
};
use ztl_core::policy::{Format, Loader, Query};

use crate::cel::{Cel, CelCondition};

const NOW: Timestamp = Timestamp::from_unix_secs(1_795_339_815);

/// Asks both, and counts who told.
#[derive(Clone, Debug, Default)]
struct Both(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    native: AtomicUsize,
    left: AtomicUsize,
}

#[derive(Debug)]
struct Pair(CelCondition, Both);

impl ConditionCompiler for Both {
    fn compile(
        &self,
        source: &str,
        setting: &Setting<'_>,
    ) -> Result<Arc<dyn Condition>, ConditionError> {
        let condition = Cel::new().condition(source, setting)?;
        Ok(Arc::new(Pair(condition, self.clone())))
    }
}

impl Condition for Pair {
    fn reads(&self) -> Reads {
        self.0.reads()
    }

    fn holds(&self, facts: &Facts<'_>) -> Result<bool, AuthorizerError> {
        let walked = self.0.walked(facts);
        let counted = match self.0.natively(facts) {
            Some(native) => {
                assert_eq!(walked, Ok(native), "{}", self.0.source());
                &self.1.0.native
            }
            None => &self.1.0.left,
        };
        counted.fetch_add(1, SeqCst);
        assert_eq!(self.0.holds(facts), walked, "{}", self.0.source());
        walked
    }
}

impl Both {
    /// Asks a forbid, which may read what is not there, of a request. Whether it could be asked.
    fn ask(&self, when: &str, more: &Value) -> bool {
        let all = "POST /v1/{model}";
        let document = json!({
            "schema": 1,
            "trust_domain": "prod.example",
            "zones": { "office": { "networks": ["10.1.0.0/16"] } },
            "workloads": {
                "router": { "id": "spiffe://prod.example/edge/router", "labels": { "tier": "front" } },
                "models": { "id": "spiffe://prod.example/models", "ports": [8443] },
            },
            "permit": [{ "name": "open", "from": "any", "to": "models", "actions": [all] }],
            "forbid": [{ "name": "asks", "from": "any", "to": "models", "actions": [all], "when": when }],
        });
        let loader = Loader::new().with_conditions(Arc::new(self.clone()));
        // A longer one may be beyond a bound, and what cannot be of one type is refused.
        let Ok(policy) = loader.load(&document.to_string(), Format::Json) else {
            return false;
        };
        let mut query =
            json!({ "from": "router", "to": "models", "method": "POST", "path": "/v1/llama" });
        for (key, value) in more.as_object().expect("an object") {
            query[key] = value.clone();
        }
        let query = Query::from_json(&query.to_string()).expect("a query");
        query.decide(&policy, NOW).expect("a decision");
        true
    }

    fn counts(&self) -> (usize, usize) {
        (self.0.native.load(SeqCst), self.0.left.load(SeqCst))
    }
}

/// Anything that could be compared: known fields, claims that are there or not and of any kind, literals.
fn operand() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "params.model",
        "request.method",
        "request.path",
        "request.kind",
        "request.target",
        "request.upgrade",
        "peer.id",
        "peer.path",
        "peer.trust_domain",
        "peer.workload",
        "peer.labels.tier",
        "peer.labels.none",
        "zone",
        "trust_score",
        "token.issuer",
        "token.subject",
        "token.claims.a",
        "token.claims.b",
        "token.claims['a']",
        "token.claims.deep.a",
        "'llama'",
        "'office'",
        "'front'",
        "'a'",
        "''",
        "'/v1'",
        "'POST'",
        "3",
        "-1",
        "70",
        "true",
        "2.0",
        "3u",
        "null",
    ])
}

fn list() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "token.scopes",
        "token.audience",
        "token.claims.a",
        "token.claims.list",
        "token.claims.deep.list",
        "['llama', 'a']",
        "[]",
        "[1, 2, 3]",
        "[true]",
        "[1.5, 2.0]",
    ])
}

fn truth() -> impl Strategy<Value = String> {
    let compare = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let test = prop::sample::select(vec!["startsWith", "endsWith", "contains"]);
    let leaf = prop_oneof![
        4 => (operand(), compare, operand()).prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
        2 => (operand(), test, operand()).prop_map(|(a, test, b)| format!("{a}.{test}({b})")),
        3 => (operand(), list()).prop_map(|(a, list)| format!("{a} in {list}")),
        1 => Just("token.claims.b".to_owned()),
        1 => Just("true".to_owned()),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

/// A claim of any kind, or a list of some.
fn claim() -> impl Strategy<Value = Value> {
    let scalar = prop::sample::select(vec![
        json!("a"),
        json!("llama"),
        json!(""),
        json!(3),
        json!(-1),
        json!(true),
        json!(null),
        json!(2.0),
        json!({ "a": 1 }),
        json!("x".repeat(9_000)),
    ]);
    let list = prop::collection::vec(scalar.clone(), 0..4).prop_map(Value::from);
    let texts = prop::collection::vec(prop::sample::select(vec!["a", "llama"]), 0..4);
    prop_oneof![3 => scalar, 1 => list, 1 => texts.prop_map(|texts| json!(texts))]
}

fn facts() -> impl Strategy<Value = Value> {
    let claims = prop::collection::btree_map(
        prop::sample::select(vec!["a", "b", "list", "scope", "aud", "iss", "sub"]),
        claim(),
        0..6,
    );
    let deep = (claim(), claim()).prop_map(|(a, list)| json!({ "a": a, "list": list }));
    let more = (
        prop::option::weighted(0.9, (claims, prop::option::of(deep))),
        prop::option::of(0..=100_u8),
        any::<bool>(),
    );
    more.prop_map(|(claims, score, at_home)| {
        let mut facts = json!({ "from_addr": if at_home { "10.1.2.3" } else { "192.0.2.1" } });
        if let Some((claims, deep)) = claims {
            facts["claims"] = json!(claims);
            if let Some(deep) = deep {
                facts["claims"]["deep"] = deep;
            }
        }
        if let Some(score) = score {
            facts["trust_score"] = json!(score);
        }
        facts
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_told_natively_the_interpreter_tells_as_well(when in truth(), facts in facts()) {
        Both::default().ask(&when, &facts);
    }
}

#[test]
fn common_comparisons_are_told_natively() {
    let facts = json!({
        "from_addr": "10.1.2.3",
        "trust_score": 80,
        "claims": { "iss": "https://login.example", "sub": "alice", "aud": ["models"], "scope": "infer read",
                    "level": 3, "admin": false, "models": ["gpt", "llama"], "org": { "team": "search" } },
    });
    for when in [
        "params.model == 'llama'",
        "request.method != 'GET' && request.path.startsWith('/v1/')",
        "zone == 'office' || peer.labels.tier == 'front'",
        "trust_score >= 70",
        "'infer' in token.scopes && 'models' in token.audience",
        "params.model in token.claims.models && token.claims.level > 2",
        "params.model in ['gpt', 'llama']",
        "!token.claims.admin",
        "token.claims.org.team == 'search' && peer.workload == 'router'",
        "peer.id.endsWith('/router') && peer.path.contains('edge')",
    ] {
        let both = Both::default();
        assert!(both.ask(when, &facts), "{when}");
        assert_eq!(both.counts(), (1, 0), "{when}");
    }
    // T7: what is not there, or is of another kind, is the interpreter's to say.
    for when in [
        "token.claims.none == 'a'",
        "token.claims.level == 'three'",
        "params.model in token.claims.level",
        "peer.labels.none == 'a'",
        "token.claims.org.team.name == 'search'",
        "now > token.expires_at",
        "token.claims.models.exists(m, m == 'gpt')",
    ] {
        let both = Both::default();
        assert!(both.ask(when, &facts), "{when}");
        assert_eq!(both.counts(), (0, 1), "{when}");
    }
}
