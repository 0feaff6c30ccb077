//! A rule that asks for a trust score, a caller of whom six things are known, and an audit that is watched.

use core::time::Duration;
use std::sync::Arc;

use serde_json::{Value, json};
use ztl_authz::trust::{About, Behaviour, Measure, SignalTable, Signals, Whom};
use ztl_core::audit::Sink;
use ztl_core::policy::{Format, Loader, Policy};
use ztl_core::trust::Of;
use ztl_core::{
    Action, Arrival, Claims, Engine, Evidence, Flow, FlowPermit, Peer, Proof, Reason, SpiffeId,
    Timestamp, TrustScore,
};

use crate::engine::Void;

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);
const CALLER: &str = "spiffe://prod.example/router";
const ISSUER: &str = "https://idp.example";
const USER: &str = "alice";

/// A signal: its name, what `[trust.signals]` says of it, what it says itself, and how many seconds ago.
type Weighed = (&'static str, Value, u8, u64);

/// Weights for and against, two that fade, two floors, and a veto.
fn weighed() -> [Weighed; 6] {
    [
        (
            "device",
            json!({ "weight": 30, "max_age": "1h", "fades_after": "10m" }),
            90,
            1_200,
        ),
        (
            "mfa",
            json!({ "of": "subject", "weight": 20, "max_age": "8h" }),
            100,
            3_600,
        ),
        ("calm", json!({ "weight": 20, "max_age": "1m" }), 100, 1),
        (
            "patched",
            json!({ "weight": 20, "floor": 30, "max_age": "24h", "fades_after": "12h" }),
            95,
            600,
        ),
        (
            "anomalies",
            json!({ "weight": -30, "max_age": "10m" }),
            5,
            30,
        ),
        (
            "threat-intelligence",
            json!({ "veto": 80, "floor": 5, "max_age": "10m" }),
            10,
            60,
        ),
    ]
}

/// An audit that keeps nothing, and the same watched by a source of signals.
pub const WATCHED: [(&str, bool); 2] = [("alone", false), ("watched", true)];

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// The rule asks for no score, and none is made.
    Nothing,
    /// The rule asks for one that was made before.
    Given,
    /// One is made of six signals, for each decision.
    Six,
    /// The same where those that only add are too old: they add nothing.
    SomeStale,
    /// The same where what could lower the score is too old: there is none, and the decision is a denial.
    VetoStale,
    /// One is made where nothing is known of the caller.
    NothingKnown,
}

impl Asked {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Nothing,
        Self::Given,
        Self::Six,
        Self::SomeStale,
        Self::VetoStale,
        Self::NothingKnown,
    ];

    /// What it is called where figures are shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Given => "given",
            Self::Six => "six",
            Self::SomeStale => "six, some stale",
            Self::VetoStale => "six, veto stale",
            Self::NothingKnown => "six, none known",
        }
    }

    fn is_stale(self, name: &str) -> bool {
        match self {
            Self::SomeStale => matches!(name, "calm" | "mfa"),
            Self::VetoStale => name == "threat-intelligence",
            _ => false,
        }
    }

    /// The score that it makes, by hand.
    const fn score(self) -> u8 {
        match self {
            // Of `device` 27 points fade for 600 of 3 000 s.
            Self::Nothing | Self::Given | Self::Six => 10 + 21 + 20 + 20 + 19 - 2,
            Self::SomeStale => 10 + 21 + 19 - 2,
            Self::VetoStale | Self::NothingKnown => 0,
        }
    }
}

/// One rule, with a score that it asks for or without.
fn policy(required: Option<u8>) -> Policy {
    let mut rule = json!({ "name": "infers", "from": "router", "to": "models", "actions": ["POST /v1/{model}"] });
    if let Some(score) = required {
        rule["require"] = json!({ "trust_score": score });
    }
    let weighed = weighed().map(|(name, says, ..)| (name.to_owned(), says));
    let document = json!({
        "schema": 1, "trust_domain": "prod.example",
        "trust": { "base": 10, "signals": Value::Object(weighed.into_iter().collect()) },
        "workloads": {
            "router": { "id": CALLER },
            "models": { "id": "spiffe://prod.example/models", "ports": [8443] },
        },
        "permit": [rule],
    });
    let loaded = Loader::new().load(&document.to_string(), Format::Json);
    loaded.unwrap_or_else(|error| panic!("{error}"))
}

/// What is known of the caller and its user, and of another.
fn signals(policy: &Policy, asked: Asked) -> Signals {
    let scorer = policy.scorer().expect("it has `[trust]`");
    let mut entries = Vec::new();
    for (name, _, value, age) in weighed() {
        let age = if asked.is_stale(name) { 100_000 } else { age };
        let observed = NOW.as_unix_secs() - age;
        let mut weighed = scorer.signals();
        let of = weighed
            .find(|one| one.name() == name)
            .expect("it is weighed")
            .of();
        let (peer, user) = if asked == Asked::NothingKnown {
            ("spiffe://prod.example/other", "bob")
        } else {
            (CALLER, USER)
        };
        entries.push(match of {
            Of::Subject => json!({ "name": name, "value": value, "observed_at": observed, "issuer": ISSUER, "subject": user }),
            _ => json!({ "name": name, "value": value, "observed_at": observed, "peer": peer }),
        });
    }
    let table = json!({ "source": "bench", "signals": entries });
    let table = SignalTable::from_json(table.to_string().as_bytes()).expect("a table");
    let table = Arc::new(table);
    let signals = weighed()
        .into_iter()
        .fold(Signals::none(), |signals, (name, ..)| {
            signals.with(name, Arc::clone(&table))
        });
    signals.check(policy).expect("all are given");
    signals
}

/// A caller with a token.
#[derive(Debug)]
pub struct Asker {
    peer: Peer,
    claims: Claims,
}

impl Asker {
    /// Makes it up.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn new() -> Self {
        let proof = Proof::X509 {
            id: SpiffeId::parse_workload(CALLER).expect("an ID"),
            leaf_sha256: [7; 32].into(),
            serial: Box::new([1]),
            not_after: Timestamp::MAX,
        };
        let map = json!({ "iss": ISSUER, "sub": USER });
        let map = map.as_object().expect("an object").clone();
        Self {
            peer: Peer::assertion(proof, "made up for a bench"),
            claims: Claims::assertion(map, Timestamp::MAX, "made up for a bench"),
        }
    }

    /// Calls `with` with the question: a score is made, where one is, and the action is authorized with it.
    ///
    /// # Panics
    /// Where score or decision is another than it has to be.
    pub fn ask<T>(&self, asked: Asked, with: impl FnOnce(&dyn Fn() -> Reason) -> T) -> T {
        let (required, wanted) = match asked {
            Asked::Nothing => (None, Reason::Permitted),
            Asked::VetoStale | Asked::NothingKnown => (Some(70), Reason::RequirementUnmet),
            Asked::SomeStale => (Some(40), Reason::Permitted),
            Asked::Given | Asked::Six => (Some(70), Reason::Permitted),
        };
        let policy = policy(required);
        let signals = signals(&policy, asked);
        let engine = Engine::new(policy, Void).expect("random bits");
        let policy = engine.policy();
        let flow = self.flow(&engine);
        let scorer = policy.scorer().expect("it has `[trust]`");
        let whom = Whom::peer(self.peer.id()).with_claims(&self.claims);
        let score = || signals.score(scorer, whom, NOW);
        let scored = signals.explain(scorer, whom, NOW);
        assert_eq!(score().value(), asked.score(), "{scored:?}");
        let made = score();
        let authorize = |score: Option<TrustScore>| {
            let mut evidence = Evidence::none().with_claims(&self.claims);
            if let Some(score) = score {
                evidence = evidence.with_trust_score(score);
            }
            authorized(&engine, &flow, &evidence)
        };
        let question: &dyn Fn() -> Reason = match asked {
            Asked::Nothing => &|| authorize(None),
            Asked::Given => &|| authorize(Some(made)),
            _ => &|| authorize(Some(score())),
        };
        assert_eq!(question(), wanted);
        with(question)
    }

    /// The same with a rule that asks for no score, and an audit that is watched or not.
    ///
    /// # Panics
    /// Where what is asked for is denied, or the watched audit saw nothing.
    pub fn ask_watched<T>(&self, watched: bool, with: impl FnOnce(&dyn Fn() -> Reason) -> T) -> T {
        let behaviour = Behaviour::new(Duration::from_secs(600), 1_200);
        let sink: Box<dyn Sink> = if watched {
            Box::new(behaviour.watching(Void))
        } else {
            Box::new(Void)
        };
        let engine = Engine::new(policy(None), sink).expect("random bits");
        let flow = self.flow(&engine);
        let evidence = Evidence::none().with_claims(&self.claims);
        let question = || authorized(&engine, &flow, &evidence);
        assert_eq!(question(), Reason::Permitted);
        // No rule reads the token, so that the workload answers for what it asks.
        let seen = behaviour.value(Measure::Rate, About::Peer(self.peer.id()), NOW);
        assert_eq!(seen.is_some(), watched, "{seen:?}");
        with(&question)
    }

    fn flow(&self, engine: &Engine) -> FlowPermit {
        let flow = Flow::ingress("models", 8443, Arrival::unknown(), Some(&self.peer));
        engine.permit_flow(&flow, NOW).expect("permitted")
    }
}

impl Default for Asker {
    fn default() -> Self {
        Self::new()
    }
}

fn authorized(engine: &Engine, flow: &FlowPermit, evidence: &Evidence<'_>) -> Reason {
    let action = Action::request("POST", "/v1/llama").expect("an action");
    match engine.authorize(flow, &action, evidence, NOW) {
        Ok(_) => Reason::Permitted,
        Err(denial) => denial.reason(),
    }
}
