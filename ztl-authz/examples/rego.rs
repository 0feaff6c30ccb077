//! A policy that asks another one in Rego, and what they say: `cargo run -p ztl-authz --example rego --features rego`.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use ztl_authz::rego::RegoKind;
use ztl_core::Timestamp;
use ztl_core::policy::{Format, Loader, Query, decision_json};

const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"

[workloads.gateway]
id = "spiffe://prod.example/gateway"
labels = { tier = "front" }

[workloads.models]
id = "spiffe://prod.example/models"
ports = [8443]

[authorizers.teams]
kind = "rego"
policy = "teams.rego"
data = "teams.json"
entrypoint = "teams/answer"
reads = ["token"]

[[permit]]
name = "teams-infer-with-their-models"
from = "gateway"
to = "models"
actions = "POST /v1/models/{model}/infer"
require.authorizer = "teams"
oblige.max_body = "1MiB"
"#;

const TEAMS: &str = r#"
package teams

default answer := {"allow": false, "reason_code": "no_such_team"}

answer := {"allow": allow, "obligations": {"max_body": team.max_body}, "reason_code": "model_of_others"} if {
    team := data.teams[input.claims.team]
    models := team.models
    model := input.params.model
    allow := model in models
}
"#;

const DATA: &str = r#"{ "teams": { "search": { "models": ["llama"], "max_body": 65536 } } }"#;

fn main() -> Result<(), Box<dyn Error>> {
    // A program that has files uses `Folder`; here they are at hand.
    let files = [("teams.rego", TEAMS), ("teams.json", DATA)];
    let files = files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    let files: BTreeMap<String, Vec<u8>> = files.into_iter().collect();
    let loader = |files: BTreeMap<String, Vec<u8>>| {
        let kind = RegoKind::interpreter(Arc::new(files));
        Loader::new()
            .authorizer_kind("rego", Arc::new(kind))
            .source("policy.toml")
    };
    let policy = loader(files.clone()).load(POLICY, Format::Toml)?;

    // Whoever enforces reads the clock; here it stands still.
    let now = Timestamp::from_unix_secs(1_790_000_000);
    for (what, model, team) in [
        ("a model of theirs:", "llama", "search"),
        ("of others:        ", "gpt", "search"),
        ("of no team:       ", "llama", "sales"),
    ] {
        let query = format!(
            r#"{{ "from": "gateway", "to": "models", "method": "POST", "path": "/v1/models/{model}/infer", "claims": {{ "team": "{team}" }} }}"#
        );
        let explained = Query::from_json(&query)?.explain(&policy, now)?;
        println!("{what} {}", decision_json(&explained.decision));
        let near = explained.rules.first().and_then(|rule| rule.failed());
        near.into_iter()
            .for_each(|clause| println!("    {}", clause.got));
    }

    let mut mistaken = files;
    let calls = TEAMS.replace("data.teams[", "http.send({})[");
    mistaken.insert("teams.rego".to_owned(), calls.into_bytes());
    match loader(mistaken).load(POLICY, Format::Toml) {
        Ok(_) => return Err("a policy that reaches the network was taken".into()),
        Err(error) => println!("\n{error}"),
    }
    Ok(())
}
