//! A policy with conditions, and what it says: `cargo run -p ztl-authz --example cel --features cel`.

use std::error::Error;
use std::sync::Arc;

use ztl_authz::cel::Cel;
use ztl_core::Timestamp;
use ztl_core::policy::{Format, Loader, Query};

const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"

[workloads.gateway]
id = "spiffe://prod.example/gateway"
labels = { tier = "front" }

[workloads.models]
id = "spiffe://prod.example/models"
ports = [8443]

[[permit]]
name = "teams-infer-with-their-models"
from = "gateway"
to = "models"
actions = "POST /v1/models/{model}/infer"
require.when = 'params.model in token.claims.models && peer.labels.tier == "front"'

[[forbid]]
name = "the-suspended-do-nothing"
from = "any"
to = "models"
actions = "any"
when = "has(token.claims.suspended)"
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let loader = Loader::new().with_conditions(Arc::new(Cel::new()));
    let policy = loader.source("policy.toml").load(POLICY, Format::Toml)?;

    // Whoever enforces reads the clock; here it stands still.
    let now = Timestamp::from_unix_secs(1_790_000_000);
    for (what, claims) in [
        ("a model of theirs:", r#"{ "models": ["llama"] }"#),
        ("of others:        ", r#"{ "models": ["gpt"] }"#),
        ("none is named:    ", r#"{ "sub": "alice" }"#),
        (
            "suspended:        ",
            r#"{ "models": ["llama"], "suspended": true }"#,
        ),
    ] {
        let query = format!(
            r#"{{ "from": "gateway", "to": "models", "method": "POST", "path": "/v1/models/llama/infer", "claims": {claims} }}"#
        );
        let query = Query::from_json(&query)?;
        let explained = query.explain(&policy, now)?;
        let near = explained.rules.first().and_then(|rule| rule.failed());
        let near = near.map_or("", |clause| clause.got.as_str());
        println!("{what} {} {near}", explained.decision.reason.code());
    }

    let mistaken = POLICY.replace("token.claims.models", "token.claim.models");
    let loader = Loader::new().with_conditions(Arc::new(Cel::new()));
    match loader.source("policy.toml").load(&mistaken, Format::Toml) {
        Ok(_) => return Err("a field that is none was taken".into()),
        Err(error) => println!("\n{error}"),
    }
    Ok(())
}
