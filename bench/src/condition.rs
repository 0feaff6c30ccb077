//! Rules with a condition, and what they are asked; the same expressions in the `cel` crate by itself.

use std::hint::black_box;
use std::sync::Arc;

use cel::{Context, Program};
use serde_json::{Value, json};
use ztl_authz::cel::Cel;
use ztl_core::authorizer::{
    AuthorizerError, Condition, ConditionCompiler, ConditionError, Facts, Reads, Setting,
};
use ztl_core::policy::{Format, Input, Loader, Policy, decide};
use ztl_core::{Action, Arrival, Claims, Evidence, Flow, Peer, Proof, Reason, SpiffeId, Timestamp};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

/// A name, and a condition that holds: `native` is one comparison of a known field.
pub const CONDITIONS: [(&str, &str); 5] = [
    ("constant", "true"),
    ("native", "params.model == 'llama'"),
    (
        "compare",
        "params.model == 'llama' && request.method == 'POST'",
    ),
    (
        "claim",
        "params.model in token.claims.models && token.claims.level >= 3",
    ),
    (
        "loop",
        "token.claims.groups.exists(g, g.name == 'ml' && g.role in ['owner', 'editor'])",
    ),
];

/// The one that looks at each element of a list.
pub const LOOP: &str = "loop";

/// How often a condition is asked where one time is too short to be told from all around it.
pub const REPEATED: u32 = 101;

/// Compiles conditions that ask themselves so many times.
#[derive(Debug)]
struct Repeating(u32);

impl ConditionCompiler for Repeating {
    fn compile(
        &self,
        source: &str,
        setting: &Setting<'_>,
    ) -> Result<Arc<dyn Condition>, ConditionError> {
        let Self(times) = *self;
        let condition = Cel::new().compile(source, setting)?;
        Ok(Arc::new(Repeated { times, condition }))
    }
}

#[derive(Debug)]
struct Repeated {
    times: u32,
    condition: Arc<dyn Condition>,
}

impl Condition for Repeated {
    fn reads(&self) -> Reads {
        self.condition.reads()
    }

    fn holds(&self, facts: &Facts<'_>) -> Result<bool, AuthorizerError> {
        let mut holds = Ok(false);
        for _ in 0..self.times {
            holds = black_box(self.condition.holds(black_box(facts)));
        }
        holds
    }
}

fn claims() -> Value {
    let groups: Vec<Value> = (0..20)
        .map(|at| json!({ "name": if at == 19 { "ml" } else { "other" }, "role": "owner" }))
        .collect();
    json!({ "sub": "alice", "level": 3, "models": ["gpt", "mistral", "llama"], "groups": groups })
}

/// One rule, with a condition or without.
///
/// # Panics
/// Where the condition does not compile.
#[must_use]
pub fn policy(when: Option<&str>) -> Policy {
    loaded(when, Arc::new(Cel::new()))
}

/// One rule whose condition is asked [`REPEATED`] times a decision.
///
/// # Panics
/// Where the condition does not compile.
#[must_use]
pub fn repeated(when: &str) -> Policy {
    loaded(Some(when), Arc::new(Repeating(REPEATED)))
}

fn loaded(when: Option<&str>, compiler: Arc<dyn ConditionCompiler>) -> Policy {
    let mut rule = json!({ "name": "infers", "from": "router", "to": "models", "actions": ["POST /v1/{model}"] });
    if let Some(when) = when {
        rule["require"] = json!({ "when": when });
    }
    let document = json!({
        "schema": 1, "trust_domain": "prod.example",
        "workloads": {
            "router": { "id": "spiffe://prod.example/router" },
            "models": { "id": "spiffe://prod.example/models", "ports": [8443] },
        },
        "permit": [rule],
    });
    let loader = Loader::new().with_conditions(compiler);
    loader
        .load(&document.to_string(), Format::Json)
        .expect("loads")
}

/// A caller with a token, and what is asked of a policy.
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
        let id = SpiffeId::parse_workload("spiffe://prod.example/router").expect("id");
        let proof = Proof::X509 {
            id,
            leaf_sha256: [7; 32].into(),
            serial: Box::new([1]),
            not_after: Timestamp::MAX,
        };
        let map = claims().as_object().expect("an object").clone();
        Self {
            peer: Peer::assertion(proof, "made up for a bench"),
            claims: Claims::assertion(map, Timestamp::MAX, "made up for a bench"),
        }
    }

    /// Calls `with` with the question: whether the policy permits it.
    ///
    /// # Panics
    /// Where the policy denies.
    pub fn ask<T>(&self, policy: &Policy, with: impl FnOnce(&dyn Fn() -> Reason) -> T) -> T {
        let flow = Flow::ingress("models", 8443, Arrival::unknown(), Some(&self.peer));
        let input = Input::new(flow)
            .with_action(Action::request("POST", "/v1/llama"))
            .with_evidence(Evidence::none().with_claims(&self.claims));
        assert_eq!(decide(policy, &input, NOW).reason, Reason::Permitted);
        with(&|| decide(policy, &input, NOW).reason)
    }
}

impl Default for Asker {
    fn default() -> Self {
        Self::new()
    }
}

/// The `cel` crate used as its documentation shows: a program that is compiled once, and a context that is filled from the
/// request's claims for each evaluation.
///
/// # Panics
/// Where the expression does not hold.
pub fn plain_cel(when: &str) -> impl Fn() -> cel::Value {
    let program = Program::compile(when).expect("compiles");
    let object = claims();
    let evaluate = move || {
        let mut context = Context::default();
        let values = [
            ("token", json!({ "claims": object })),
            ("params", json!({ "model": "llama" })),
            ("request", json!({ "method": "POST" })),
        ];
        for (name, value) in values {
            context.add_variable(name, value).expect("a value");
        }
        program.execute(&context).expect("a truth")
    };
    assert_eq!(evaluate(), cel::Value::Bool(true), "{when}");
    evaluate
}
