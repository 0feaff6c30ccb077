//! A small universe: five workloads, three zones, a few paths; and documents, questions and toy conditions over them.
#![allow(dead_code, reason = "each test file uses another part")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests vouch for their own peers and claims"
)]

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use ztl_core::authorizer::{
    Authorizer, AuthorizerError, AuthorizerFactory, Condition, ConditionCompiler, Facts, Reads,
};
use ztl_core::policy::{Format, Input, Loader, Policy, decide};
use ztl_core::{
    Action, Arrival, Claims, Decision, Evidence, Flow, HeaderPairs, Peer, Proof, SpiffeId,
    Timestamp, TrustScore,
};

pub(crate) const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

/// A document with these rules. Every workload states a zone and the label `tier`, so that any forbid may speak of them.
pub(crate) fn document(permits: &[Value], forbids: &[Value]) -> Value {
    let mut document = json!({
        "schema": 1,
        "trust_domain": "prod.example",
        "trust_domain_aliases": ["old.example"],
        "relays": ["10.10.0.99/32"],
        "zones": {
            "production": { "trust": 3, "networks": ["10.10.0.0/16", "fd00:10::/64"] },
            "vault": { "trust": 9, "networks": ["10.10.7.0/24"] },
            "iot": { "trust": 1, "networks": ["10.20.0.0/16"] },
        },
        "workloads": {
            "gateway": { "id": "spiffe://prod.example/edge/gateway", "zone": "production", "labels": { "tier": "edge" }, "ports": [8443], "public_ports": [443] },
            "router": { "id": "spiffe://prod.example/agents/router", "zone": "production", "labels": { "tier": "agent" }, "ports": [8443], "forwards": ["retriever", "label:tier=thing", "spiffe://other.example/**"] },
            "retriever": { "id": "spiffe://prod.example/agents/retriever", "zone": "production", "labels": { "tier": "agent" }, "ports": [8443, 9000] },
            "sensor": { "id": "spiffe://prod.example/things/sensor", "zone": "iot", "labels": { "tier": "thing" }, "ports": [1883] },
            "store": { "id": "spiffe://prod.example/data/store", "zone": "vault", "labels": { "tier": "data" }, "ports": [6333], "asserted_by": ["front-proxy"] },
        },
        "issuers": { "corp": { "issuer": CORP } },
        "limits": { "slow": { "requests": 10, "per": "1m" } },
        "authorizers": { "configured": { "kind": "fixed", "objects": false } },
    });
    if !permits.is_empty() {
        document["permit"] = permits.into();
    }
    if !forbids.is_empty() {
        document["forbid"] = forbids.into();
    }
    document
}

pub(crate) fn load(document: &Value) -> Policy {
    try_load(document).unwrap_or_else(|error| panic!("{error}\n{document:#}"))
}

pub(crate) fn try_load(document: &Value) -> Result<Policy, ztl_core::policy::LoadError> {
    let text = serde_json::to_string_pretty(document).expect("json");
    loader().load(&text, Format::Json)
}

pub(crate) fn loader() -> Loader {
    Loader::new()
        .with_conditions(Arc::new(Toy))
        .with_authorizer("objector", Arc::new(Fixed(Ok(true))))
        .with_authorizer(
            "broken",
            Arc::new(Fixed(Err(AuthorizerError("broken".into())))),
        )
        .with_authorizer("agreeable", Arc::new(Fixed(Ok(false))))
        .authorizer_kind("fixed", Arc::new(FixedKind))
}

/// Conditions for tests: `true`, `false`, `error`, `token` (true, and reads the token), `score` (true, and reads the score), `name-is-admin`
/// (the parameter `name`).
#[derive(Debug)]
pub(crate) struct Toy;

#[derive(Debug)]
struct ToyCondition(String);

impl ConditionCompiler for Toy {
    fn compile(&self, source: &str) -> Result<Arc<dyn Condition>, String> {
        match source {
            "true" | "false" | "error" | "token" | "score" | "name-is-admin" => {
                Ok(Arc::new(ToyCondition(source.to_owned())))
            }
            _ => Err(format!("`{source}` is no condition")),
        }
    }
}

impl Condition for ToyCondition {
    fn reads(&self) -> Reads {
        match self.0.as_str() {
            "token" => Reads::nothing().with_token(),
            "score" => Reads::nothing().with_trust_score(),
            _ => Reads::nothing(),
        }
    }

    fn holds(&self, facts: &Facts<'_>) -> Result<bool, AuthorizerError> {
        // T7: what is not declared is not passed.
        assert!(self.reads().token || facts.claims.is_none());
        assert!(self.reads().trust_score || facts.trust_score.is_none());
        match self.0.as_str() {
            "false" => Ok(false),
            "name-is-admin" => Ok(facts
                .params
                .iter()
                .any(|(name, value)| &**name == "name" && value == "admin")),
            "error" => Err(AuthorizerError("error".into())),
            _ => Ok(true),
        }
    }
}

#[derive(Debug)]
struct Fixed(Result<bool, AuthorizerError>);

impl Authorizer for Fixed {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn objects(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        self.0.clone()
    }
}

/// Builds authorizers that say `objects`.
#[derive(Debug)]
struct FixedKind;

impl AuthorizerFactory for FixedKind {
    fn build(&self, _: &str, settings: &Map<String, Value>) -> Result<Arc<dyn Authorizer>, String> {
        match settings.get("objects") {
            Some(Value::Bool(objects)) if settings.len() == 1 => Ok(Arc::new(Fixed(Ok(*objects)))),
            _ => Err("takes `objects`, true or false".to_owned()),
        }
    }
}

/// A question, owned.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) from: Option<&'static str>,
    pub(crate) addr: Option<&'static str>,
    pub(crate) to: &'static str,
    pub(crate) port: u16,
    /// Method and target, `Some(None)` for raw bytes, `None` for the flow alone.
    pub(crate) action: Option<Option<(&'static str, &'static str)>>,
    pub(crate) upgrade: Option<&'static str>,
    pub(crate) claims: Option<Value>,
    /// The token has expired.
    pub(crate) stale: bool,
    pub(crate) forwarded: Option<&'static str>,
    pub(crate) score: Option<u8>,
    pub(crate) headers: Vec<(&'static str, &'static [u8])>,
}

impl Question {
    pub(crate) fn get(
        from: &'static str,
        to: &'static str,
        port: u16,
        target: &'static str,
    ) -> Self {
        Self {
            from: Some(from),
            addr: home(from),
            to,
            port,
            action: Some(Some(("GET", target))),
            upgrade: None,
            claims: None,
            stale: false,
            forwarded: None,
            score: None,
            headers: Vec::new(),
        }
    }

    pub(crate) fn flow(from: &'static str, to: &'static str, port: u16) -> Self {
        Self {
            action: None,
            ..Self::get(from, to, port, "/")
        }
    }

    pub(crate) fn anonymous(to: &'static str, port: u16, target: &'static str) -> Self {
        Self {
            from: None,
            addr: Some("10.10.0.1"),
            ..Self::get("", to, port, target)
        }
    }

    pub(crate) fn method(mut self, method: &'static str) -> Self {
        if let Some(Some((name, _))) = &mut self.action {
            *name = method;
        }
        self
    }

    pub(crate) fn at(mut self, addr: &'static str) -> Self {
        self.addr = Some(addr);
        self
    }

    /// With a token that was verified.
    pub(crate) fn token(mut self, claims: Value) -> Self {
        self.claims = Some(claims);
        self
    }

    /// With an id that the peer passes on.
    pub(crate) fn forwards(mut self, id: &'static str) -> Self {
        self.forwarded = Some(id);
        self
    }

    pub(crate) fn ask(&self, policy: &Policy) -> Decision {
        self.ask_at(policy, NOW)
    }

    pub(crate) fn ask_at(&self, policy: &Policy, now: Timestamp) -> Decision {
        let peer = self.from.map(peer);
        let arrival = self.arrival();
        let claims = self.claims();
        let headers = HeaderPairs(&self.headers);
        let forwarded = self.passed_on();
        let mut input = Input::new(Flow::ingress(self.to, self.port, arrival, peer.as_ref()))
            .with_evidence(self.evidence(claims.as_ref(), &headers, forwarded.as_ref()));
        if let Some(action) = self.named() {
            input = input.with_action(action);
        }
        decide(policy, &input, now)
    }

    /// What the engine and the reference interpreter say.
    pub(crate) fn ask_both(&self, policy: &Policy, egress: bool) -> (Decision, Decision) {
        let peer = self.from.map(peer);
        let claims = self.claims();
        let headers = HeaderPairs(&self.headers);
        let flow = match &peer {
            Some(peer) if egress => Flow::egress(self.to, self.port, peer),
            peer => Flow::ingress(self.to, self.port, self.arrival(), peer.as_ref()),
        };
        let forwarded = self.passed_on();
        let evidence = self.evidence(claims.as_ref(), &headers, forwarded.as_ref());
        let mut input = Input::new(flow).with_evidence(evidence);
        if let Some(action) = self.named() {
            input = input.with_action(action);
        }
        let meant = ztl_core::policy::reference::decide(policy.document(), &loader(), &input, NOW);
        (decide(policy, &input, NOW), meant)
    }

    pub(crate) fn arrival(&self) -> Arrival {
        self.addr.map_or_else(Arrival::unknown, |addr| {
            Arrival::from_addr(addr.parse().expect("address"))
        })
    }

    pub(crate) fn claims(&self) -> Option<Claims> {
        self.claims.as_ref().map(|claims| {
            Claims::assertion(
                claims.as_object().expect("object").clone(),
                if self.stale { NOW } else { Timestamp::MAX },
                "test",
            )
        })
    }

    pub(crate) fn passed_on(&self) -> Option<SpiffeId> {
        self.forwarded.map(|id| SpiffeId::parse(id).expect("id"))
    }

    pub(crate) fn named(&self) -> Option<Result<Action<'static>, ztl_core::PathError>> {
        self.action.map(|action| match action {
            None => Ok(Action::Connect),
            Some((method, target)) => {
                Action::request(method, target).map(|action| match self.upgrade {
                    Some(token) => action.with_upgrade(token),
                    None => action,
                })
            }
        })
    }

    pub(crate) fn evidence<'a>(
        &self,
        claims: Option<&'a Claims>,
        headers: &'a HeaderPairs<'a>,
        forwarded: Option<&'a SpiffeId>,
    ) -> Evidence<'a> {
        let mut evidence = Evidence::none().with_headers(headers);
        if let Some(claims) = claims {
            evidence = evidence.with_claims(claims);
        }
        evidence.forwarded = forwarded;
        if let Some(score) = self.score {
            evidence = evidence
                .with_trust_score(TrustScore::new(score, NOW, Timestamp::MAX).expect("score"));
        }
        evidence
    }
}

pub(crate) fn peer(id: &str) -> Peer {
    peer_until(id, Timestamp::MAX)
}

pub(crate) fn peer_until(id: &str, not_after: Timestamp) -> Peer {
    let id = SpiffeId::parse(id).expect("id");
    Peer::assertion(
        Proof::X509 {
            id,
            leaf_sha256: [7; 32],
            serial: Box::new([1]),
            not_after,
        },
        "test",
    )
}

/// The `iss` of the issuer `corp`.
pub(crate) const CORP: &str = "https://idp.example";
pub(crate) const GATEWAY: &str = "spiffe://prod.example/edge/gateway";
pub(crate) const ROUTER: &str = "spiffe://prod.example/agents/router";
pub(crate) const RETRIEVER: &str = "spiffe://prod.example/agents/retriever";
pub(crate) const SENSOR: &str = "spiffe://prod.example/things/sensor";
pub(crate) const STORE: &str = "spiffe://prod.example/data/store";
pub(crate) const STRANGER: &str = "spiffe://prod.example/agents/stranger";

/// An address in the zone where a workload stands.
pub(crate) fn home(id: &str) -> Option<&'static str> {
    match id {
        SENSOR => Some("10.20.0.5"),
        STORE => Some("10.10.7.5"),
        "" => None,
        _ => Some("10.10.0.5"),
    }
}

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
        json!({ "authorizer": ["agreeable", "configured"] }),
        json!({ "authorizer": "objector" }),
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
            if !oblige.is_null() {
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
        prop::sample::select(vec!["", "true", "false", "error", "token", "name-is-admin"]),
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
                forwarded,
                score,
                headers,
            },
        )
}
