//! The mesh as a policy document.

use core::fmt::Write;

use serde_json::{Value, json};

use crate::mesh::{Caller, Mesh, Rule, TRUST_DOMAIN};

/// The port that every workload listens on where nothing else is said.
pub const PORT: u16 = 8443;

/// As TOML, with every workload listening on `port`.
#[must_use]
pub fn toml(mesh: &Mesh, port: u16) -> String {
    let mut text = format!("schema = 1\ntrust_domain = \"{TRUST_DOMAIN}\"\n");
    for workload in &mesh.workloads {
        let (name, id) = (&workload.name, &workload.id);
        let _ = write!(
            text,
            "\n[workloads.{name}]\nid = \"{id}\"\nports = [{port}]\n"
        );
    }
    for (at, rule) in mesh.rules.iter().enumerate() {
        let to = &mesh.workloads[rule.target].name;
        let _ = write!(
            text,
            "\n[[permit]]\nname = \"rule-{at}\"\nfrom = \"{}\"\nto = \"{to}\"\nactions = [\"{}\"]\n",
            from(mesh, at, rule),
            action(rule)
        );
    }
    text
}

/// As JSON.
#[must_use]
pub fn json(mesh: &Mesh) -> String {
    let workloads: serde_json::Map<String, Value> = mesh
        .workloads
        .iter()
        .map(|workload| {
            let value = json!({ "id": workload.id, "ports": [PORT] });
            (workload.name.clone(), value)
        })
        .collect();
    let permits: Vec<_> = mesh
        .rules
        .iter()
        .enumerate()
        .map(|(at, rule)| {
            json!({
                "name": format!("rule-{at}"),
                "from": from(mesh, at, rule),
                "to": mesh.workloads[rule.target].name,
                "actions": [action(rule)],
            })
        })
        .collect();
    json!({ "schema": 1, "trust_domain": TRUST_DOMAIN, "workloads": workloads, "permit": permits })
        .to_string()
}

/// Half of the single callers are named as workloads, half by their SPIFFE IDs.
fn from(mesh: &Mesh, at: usize, rule: &Rule) -> String {
    match &rule.caller {
        Caller::One(caller) if at.is_multiple_of(2) => mesh.workloads[*caller].name.clone(),
        Caller::One(caller) => mesh.workloads[*caller].id.clone(),
        Caller::Namespace(namespace) => format!("spiffe://{TRUST_DOMAIN}/ns/{namespace}/**"),
    }
}

fn action(rule: &Rule) -> String {
    let methods: Vec<_> = rule.method_names().collect();
    format!("{} {}", methods.join(","), rule.path.text())
}
