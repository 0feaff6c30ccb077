//! Time of a condition: a decision with a `when` in it, the same without one, and the `cel` crate alone, used as its
//! documentation shows: a program compiled once, and a context filled from the request's claims for each evaluation.

use core::time::Duration;
use std::hint::black_box;
use std::sync::Arc;

use cel::{Context, Program};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use ztl_authz::cel::Cel;
use ztl_bench::cpu::ThreadCpu;
use ztl_core::policy::{Format, Input, Loader, Policy, decide};
use ztl_core::{Action, Arrival, Claims, Evidence, Flow, Peer, Proof, Reason, SpiffeId, Timestamp};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

/// A name, and a condition that holds.
const CONDITIONS: [(&str, &str); 4] = [
    ("constant", "true"),
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

fn claims() -> Value {
    let groups: Vec<Value> = (0..20)
        .map(|at| json!({ "name": if at == 19 { "ml" } else { "other" }, "role": "owner" }))
        .collect();
    json!({ "sub": "alice", "level": 3, "models": ["gpt", "mistral", "llama"], "groups": groups })
}

fn policy(when: Option<&str>) -> Policy {
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
    let loader = Loader::new().with_conditions(Arc::new(Cel::new()));
    loader
        .load(&document.to_string(), Format::Json)
        .expect("loads")
}

fn condition(criterion: &mut Criterion<ThreadCpu>) {
    let id = SpiffeId::parse_workload("spiffe://prod.example/router").expect("id");
    let proof = Proof::X509 {
        id,
        leaf_sha256: [7; 32],
        serial: Box::new([1]),
        not_after: Timestamp::MAX,
    };
    let peer = Peer::assertion(proof, "made up for a bench");
    let object = claims();
    let map = object.as_object().expect("an object").clone();
    let verified = Claims::assertion(map, Timestamp::MAX, "made up for a bench");
    let flow = Flow::ingress("models", 8443, Arrival::unknown(), Some(&peer));
    let action = Action::request("POST", "/v1/llama");
    let input = Input::new(flow)
        .with_action(action)
        .with_evidence(Evidence::none().with_claims(&verified));
    let mut ask = |group: &str, name: &str, policy: &Policy| {
        assert_eq!(
            decide(policy, &input, NOW).reason,
            Reason::Permitted,
            "{name}"
        );
        let mut group = criterion.benchmark_group(group);
        group.bench_function(name, |bencher| {
            bencher.iter(|| decide(black_box(policy), &input, NOW).reason);
        });
        group.finish();
    };
    ask("condition-ztl", "none", &policy(None));
    for (name, when) in CONDITIONS {
        ask("condition-ztl", name, &policy(Some(when)));
    }
    for (name, when) in CONDITIONS {
        let program = Program::compile(when).expect("compiles");
        let evaluate = || {
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
        assert_eq!(evaluate(), cel::Value::Bool(true), "{name}");
        let mut group = criterion.benchmark_group("condition-cel");
        group.bench_function(name, |bencher| bencher.iter(evaluate));
        group.finish();
    }
}

criterion_group! {
    name = group;
    config = Criterion::default()
        .with_measurement(ThreadCpu)
        .without_plots()
        .sample_size(25)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(800));
    targets = condition
}
criterion_main!(group);
