//! Random rules and questions over the small universe, near the edges of what they name.

use super::*;

const FROM: [&str; 12] = [
    "gateway",
    "router",
    "retriever",
    "sensor",
    "spiffe://prod.example/agents/**",
    ROUTER,
    "label:tier=agent",
    "label:tier=thing",
    "zone:production",
    "zone:iot",
    "trust-domain:prod.example",
    "any",
];
const TO: [&str; 7] = [
    "gateway",
    "router",
    "store",
    "label:tier=agent",
    "zone:production",
    "spiffe://prod.example/data/**",
    "any",
];
const SUBJECTS: [&str; 10] = [
    "router",
    "sensor",
    "retriever",
    "spiffe://prod.example/agents/**",
    "label:tier=agent",
    "trust-domain:old.example",
    "issuer:corp",
    "issuer:https://evil.example",
    "user:corp/alice",
    "any",
];
const ACTIONS: [&str; 12] = [
    "GET /{v}/{name}",
    "GET,HEAD /{name}/{v}",
    "GET /v1/{id}",
    "GET,HEAD /v1/{id}",
    "POST /v1/{id}",
    "GET /v1/{*rest}",
    "GET /v1/a",
    "PUT /v1/{n:int}",
    "grpc pkg.Svc/Do",
    "websocket /v1/{id}",
    "connect",
    "any",
];

fn some_of(all: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::sample::subsequence(all, 1..=2).prop_map(|some| json!(some))
}

fn require() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!({ "trust_score": 50 }),
        json!({ "zone_trust": 3 }),
        json!({ "token": { "scopes": ["read"] } }),
        json!({ "mfa": true }),
        json!({ "headers": { "x-tenant": ["a", "b"] } }),
        json!({ "when": "token" }),
        json!({ "when": "error" }),
        json!({ "when": "name-is-admin" }),
        json!({ "when": "dear" }),
        json!({ "authorizer": ["agreeable", "configured"] }),
        json!({ "authorizer": "objector" }),
        json!({ "authorizer": ["careful", "limiting"] }),
        json!({ "authorizer": ["shaping", "careful", "objector"] }),
        json!({ "authorizer": "shaping" }),
        json!({ "authorizer": ["limiting", "nosy"] }),
        json!({ "authorizer": "lost" }),
    ])
}

pub(crate) fn permit() -> impl Strategy<Value = Value> {
    (
        some_of(&FROM),
        some_of(&TO),
        some_of(&ACTIONS),
        require(),
        clauses(0.3),
        oblige(),
        0..5_u8,
    )
        .prop_map(|(from, to, actions, require, clauses, oblige, mode)| {
            let mut rule =
                json!({ "from": from, "to": to, "actions": actions, "ports": "1-65535" });
            if !require.is_null() {
                rule["require"] = require;
            }
            // Nobody discharges an obligation for raw bytes: such a document does not load.
            let raw = actions
                .as_array()
                .is_some_and(|all| all.contains(&json!("connect")));
            if !oblige.is_null() && !raw {
                rule["oblige"] = oblige;
            }
            with_mode(with_clauses(rule, clauses), mode)
        })
}

pub(crate) fn forbid() -> impl Strategy<Value = Value> {
    (
        some_of(&FROM),
        some_of(&TO),
        prop::option::of(some_of(&ACTIONS)),
        prop::sample::select(vec![
            "",
            "true",
            "false",
            "error",
            "token",
            "not-token",
            "not-score",
            "name-is-admin",
            "dear",
        ]),
        clauses(0.25),
        0..5_u8,
    )
        .prop_map(|(from, to, actions, when, clauses, mode)| {
            let mut rule = json!({ "from": from, "to": to });
            if let Some(actions) = actions {
                rule["actions"] = actions;
            }
            if !when.is_empty() {
                rule["when"] = when.into();
            }
            with_mode(with_clauses(rule, clauses), mode)
        })
}

/// `subject` and `actors`.
pub(crate) type Clauses = [Option<Value>; 2];

pub(crate) fn clauses(weight: f64) -> impl Strategy<Value = Clauses> {
    let clause = || prop::option::weighted(weight, some_of(&SUBJECTS));
    [clause(), clause()]
}

pub(crate) fn with_clauses(mut rule: Value, clauses: Clauses) -> Value {
    for (key, clause) in ["subject", "actors"].into_iter().zip(clauses) {
        if let Some(clause) = clause {
            rule[key] = clause;
        }
    }
    rule
}

pub(crate) fn oblige() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(null),
        json!({ "limit": "slow" }),
        json!({ "schema": "infer.json", "max_body": "64KiB" }),
        json!({ "log": ["x-tenant"] }),
    ])
}

fn with_mode(mut rule: Value, mode: u8) -> Value {
    match mode {
        0 => rule["mode"] = "shadow".into(),
        1 => rule["mode"] = "off".into(),
        _ => {}
    }
    rule
}

/// Ids that a peer may pass on, or may not, or nobody may.
const PASSED_ON: [&str; 6] = [
    RETRIEVER,
    SENSOR,
    "spiffe://old.example/agents/retriever",
    STRANGER,
    "spiffe://other.example/x",
    "spiffe://other.example",
];

/// Claims of users and workloads, with actors and without, and some that nobody can read.
pub(crate) fn tokens() -> Vec<Value> {
    vec![
        json!({ "iss": CORP, "sub": "alice", "scope": "read", "amr": ["mfa"] }),
        json!({ "iss": CORP, "sub": "alice", "scope": "read", "act": { "sub": RETRIEVER } }),
        json!({ "iss": CORP, "sub": "alice", "act": { "sub": "alice", "iss": "https://evil.example" } }),
        json!({ "iss": CORP, "sub": ROUTER, "scope": "read", "act": { "sub": ROUTER, "act": { "sub": SENSOR } } }),
        json!({ "iss": CORP, "sub": "spiffe://old.example/agents/router", "act": { "sub": "bob" } }),
        json!({ "iss": "https://evil.example", "sub": "alice", "amr": ["mfa"] }),
        json!({ "iss": CORP, "sub": STRANGER }),
        json!({ "sub": SENSOR }),
        json!({ "sub": "alice" }),
        json!({ "iss": 7, "sub": ROUTER }),
        json!({ "iss": CORP, "sub": "SPIFFE://prod.example/agents/router" }),
        json!({ "iss": CORP, "sub": "alice", "act": "router" }),
        json!({ "iss": CORP, "sub": "alice", "act": actors(9) }),
        json!({ "scope": "write" }),
    ]
}

/// A chain of this many actors.
pub(crate) fn actors(count: usize) -> Value {
    (0..count).fold(Value::Null, |inner, _| {
        let mut act = json!({ "sub": ROUTER });
        if !inner.is_null() {
            act["act"] = inner;
        }
        act
    })
}

pub(crate) fn question() -> impl Strategy<Value = Question> {
    let ids = [
        Some(GATEWAY),
        Some(ROUTER),
        Some(RETRIEVER),
        Some(SENSOR),
        Some(STRANGER),
        Some("spiffe://old.example/agents/router"),
        Some("spiffe://other.example/x"),
        None,
    ];
    let addrs = [
        Some("10.10.0.5"),
        Some("10.10.7.5"),
        Some("10.20.0.5"),
        Some("192.0.2.1"),
        Some("10.10.0.99"),
        None,
    ];
    let targets = ["gateway", "router", "store", "nobody"];
    let ports = [8443, 6333, 443, 1];
    let methods = ["GET", "HEAD", "POST", "PUT", "get", "CONNECT"];
    let paths = [
        "/v1/a",
        "/v1/admin",
        "/admin/a",
        "/v1/7",
        "/v1/a/b",
        "/v1/",
        "/v1",
        "/v1/%2e",
        "/pkg.Svc/Do",
        "/",
    ];
    let action = prop::option::weighted(
        0.9,
        prop::option::weighted(
            0.9,
            (
                prop::sample::select(methods.to_vec()),
                prop::sample::select(paths.to_vec()),
            ),
        ),
    );
    let evidence = (
        prop::option::weighted(0.7, prop::sample::select(tokens())),
        prop::bool::weighted(0.1),
        prop::option::weighted(0.3, prop::sample::select(PASSED_ON.to_vec())),
        prop::option::of(0..=100_u8),
        prop::sample::select(vec![
            vec![],
            vec![("x-tenant", &b"a"[..])],
            vec![("x-tenant", &b"a"[..]), ("x-tenant", &b"z"[..])],
        ]),
    );
    let flow = (
        prop::sample::select(ids.to_vec()),
        prop::sample::select(addrs.to_vec()),
        prop::sample::select(targets.to_vec()),
        prop::sample::select(ports.to_vec()),
    );
    (
        flow,
        action,
        prop::option::weighted(0.1, Just("websocket")),
        evidence,
    )
        .prop_map(
            |(
                (from, addr, to, port),
                action,
                upgrade,
                (claims, stale, forwarded, score, headers),
            )| Question {
                from,
                addr,
                to,
                port,
                action,
                upgrade,
                claims,
                stale,
                until: [Timestamp::MAX; 2],
                forwarded,
                score,
                headers,
            },
        )
}
