//! A small universe in which everything can be tried, and pairs of random documents about it.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{
    self, GATEWAY, Question, ROUTER, SENSOR, STRANGER, document, forbid, permit, try_load,
};
use ztl_core::policy::Policy;

pub(crate) const FROM: [Option<&str>; 6] = [
    Some(GATEWAY),
    Some(ROUTER),
    Some(SENSOR),
    Some(STRANGER),
    Some("spiffe://other.example/x"),
    None,
];
pub(crate) const ADDRS: [Option<&str>; 4] = [
    Some("10.10.0.5"),
    Some("10.10.7.5"),
    Some("10.20.0.5"),
    None,
];
pub(crate) const PORTS: [(&str, u16); 4] = [
    ("gateway", 8443),
    ("gateway", 443),
    ("router", 8443),
    ("store", 6333),
];

const METHODS: [&str; 3] = ["GET", "HEAD", "POST"];
const PATHS: [&str; 7] = [
    "/v1/a",
    "/v1/admin",
    "/v1/7",
    "/v1/a/b",
    "/v1/a/",
    "/pkg.Svc/Do",
    "/",
];

/// Method and target, none for raw bytes; and an upgrade.
type Asked = (Option<(&'static str, &'static str)>, Option<&'static str>);

/// Every action: method and target, raw bytes, an upgrade.
pub(crate) fn actions() -> Vec<Asked> {
    let mut all = vec![(None, None)];
    for path in PATHS {
        all.extend(METHODS.map(|method| (Some((method, path)), None)));
    }
    all.push((Some(("PUT", "/v1/7")), None));
    all.push((Some(("GET", "/v1/a")), Some("websocket")));
    all
}

/// Kinds of evidence: claims, score, headers.
pub(crate) fn evidence(question: &Question) -> Vec<Question> {
    let one =
        |claims: Option<Value>, score: Option<u8>, tenant: &'static [&'static [u8]]| Question {
            claims,
            score,
            headers: tenant.iter().map(|value| ("x-tenant", *value)).collect(),
            ..question.clone()
        };
    let strong = json!({ "iss": "https://idp.example", "sub": "spiffe://prod.example/things/sensor", "scope": "read write", "amr": ["mfa"] });
    vec![
        one(None, None, &[]),
        one(Some(strong.clone()), Some(60), &[b"a"]),
        one(Some(strong), Some(49), &[b"a", b"b"]),
        one(Some(json!({ "scope": "read" })), Some(90), &[]),
        one(None, Some(100), &[b"b"]),
    ]
}

/// Every flow.
pub(crate) fn flows() -> Vec<Question> {
    let mut all = Vec::new();
    for from in FROM {
        for addr in ADDRS {
            for (to, port) in PORTS {
                let flow = Question::flow("", to, port);
                all.push(Question { from, addr, ..flow });
            }
        }
    }
    all
}

/// Every question on a flow.
pub(crate) fn questions(flow: &Question, reads_evidence: bool) -> Vec<Question> {
    let mut all = vec![flow.clone()];
    for (action, upgrade) in actions() {
        let asked = Question {
            action: Some(action),
            upgrade,
            ..flow.clone()
        };
        if reads_evidence {
            all.extend(evidence(&asked));
        } else {
            all.push(asked);
        }
    }
    all
}

/// Rules and a few facts: a document.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    permits: Vec<Value>,
    forbids: Vec<Value>,
    pub(crate) world: u8,
}

impl Draft {
    pub(crate) fn load(&self) -> Option<Policy> {
        try_load(&self.document()).ok()
    }

    pub(crate) fn document(&self) -> Value {
        let mut document = document(&self.permits, &self.forbids);
        match self.world {
            1 => document["zones"]["iot"]["networks"] = json!(["10.20.0.0/16", "10.10.7.0/25"]),
            2 => document["zones"]["production"]["trust"] = json!(2),
            3 => document["workloads"]["router"]["zone"] = json!("vault"),
            4 => document["workloads"]["router"]["labels"]["tier"] = json!("thing"),
            5 => document["relays"] = json!(["10.20.0.99/32"]),
            6 => document["trust_domain_aliases"] = json!(["older.example"]),
            _ => {}
        }
        document
    }
}

/// Documents that load; `public` and requirements of every kind among them.
pub(crate) fn draft() -> impl Strategy<Value = Draft> {
    let public = json!({ "from": "public", "to": "gateway", "ports": 443, "actions": ["GET /v1/{id}"], "anonymous": true });
    let shapes = || {
        prop::sample::select(vec![
            json!({ "headers": { "x-tenant": ["a"] } }),
            json!({ "headers": { "x-tenant": ["a", "b"] }, "trust_score": 50 }),
            json!({ "token": { "scopes": ["read", "write"] } }),
            json!({ "token": { "claims": { "scope": "read" } }, "mfa": "phishing-resistant" }),
            json!({ "zone_trust": 9 }),
        ])
        .prop_map(|require| json!({ "from": "any", "to": "any", "ports": "1-65535", "actions": ["any", "GET /v1/{id}", "connect"], "require": require }))
    };
    (
        prop::collection::vec(
            prop_oneof![4 => permit(), 1 => shapes(), 1 => Just(public)],
            0..4,
        ),
        prop::collection::vec(forbid(), 0..3),
        prop_oneof![3 => Just(0_u8), 1 => 1..7_u8],
    )
        .prop_map(|(permits, forbids, world)| Draft {
            permits,
            forbids,
            world,
        })
}

/// A document and what an edit made of it.
pub(crate) fn edited() -> impl Strategy<Value = (Draft, Draft)> {
    (draft(), draft(), 0..6_u8, any::<prop::sample::Index>()).prop_map(|(old, other, how, at)| {
        let mut new = old.clone();
        match how {
            0 => new = other,
            1 => new.permits.extend(other.permits.into_iter().next()),
            2 => new.forbids.extend(other.forbids.into_iter().next()),
            3 => new.world = other.world,
            4 if !new.permits.is_empty() => {
                let at = at.index(new.permits.len());
                new.permits.remove(at);
            }
            _ if !new.permits.is_empty() => {
                let at = at.index(new.permits.len());
                let rule = &mut new.permits[at];
                let require = other.permits.first().and_then(|rule| rule.get("require"));
                if let Some(require) = require {
                    rule["require"] = require.clone();
                } else if let Some(rule) = rule.as_object_mut() {
                    rule.remove("require");
                }
            }
            _ => {}
        }
        (old, new)
    })
}

pub(crate) fn peer_name(question: &Question) -> Option<&'static str> {
    match question.from? {
        GATEWAY => Some("gateway"),
        ROUTER => Some("router"),
        SENSOR => Some("sensor"),
        support::RETRIEVER => Some("retriever"),
        support::STORE => Some("store"),
        _ => None,
    }
}
