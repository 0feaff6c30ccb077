//! A random document that loads.

use serde_json::{Map, Value, json};
use ztl_core::policy::{Format, Policy};

use super::super::toys::loader;
use super::{CORP, Choices, id_of, rule};

/// A document, and the policy that it is.
pub(crate) struct World {
    /// All but its rules.
    head: Value,
    /// The rules that load beside each other, each with its effect.
    pub(crate) rules: Vec<(&'static str, Value)>,
    pub(crate) policy: Policy,
}

impl World {
    /// Rules that would refuse the document are left out.
    pub(crate) fn of(choices: &mut Choices<'_>) -> Self {
        let head = head(choices);
        let rules = rule::rules(choices);
        let mut kept = Vec::new();
        keep(&head, &mut kept, &rules);
        let policy = policy(&head, &kept).expect("what was kept loads");
        Self {
            head,
            rules: kept,
            policy,
        }
    }

    /// The same with other rules; none where they do not load.
    pub(crate) fn with(&self, rules: &[(&'static str, Value)]) -> Option<Policy> {
        policy(&self.head, rules)
    }

    /// The same without one rule.
    pub(crate) fn without(&self, at: usize) -> Option<Policy> {
        let mut rules = self.rules.clone();
        rules.remove(at);
        self.with(&rules)
    }

    /// The rule of this name, as it is counted within its kind.
    pub(crate) fn rule(&self, name: &str) -> Option<&(&'static str, Value)> {
        let (kind, at) = name.split_once('-')?;
        let at: usize = at.parse().ok()?;
        let mut of_kind = self.rules.iter().filter(|(effect, _)| *effect == kind);
        of_kind.nth(at.checked_sub(1)?)
    }

    /// The document's text, for whoever looks into a failure.
    pub(crate) fn text(&self) -> String {
        format!("{:#}", document(&self.head, &self.rules))
    }

    /// The ports that a declared workload listens on.
    pub(crate) fn ports(&self, workload: &str) -> Vec<u16> {
        let decl = &self.head["workloads"][workload];
        let listed = ["ports", "public_ports"].map(|key| decl[key].as_array().cloned());
        let listed = listed.into_iter().flatten().flatten();
        let ports = listed.filter_map(|port| port.as_u64());
        ports.filter_map(|port| u16::try_from(port).ok()).collect()
    }
}

/// Adds those of the rules that load beside what is kept.
fn keep(head: &Value, kept: &mut Vec<(&'static str, Value)>, more: &[(&'static str, Value)]) {
    if more.is_empty() {
        return;
    }
    let before = kept.len();
    kept.extend(more.iter().cloned());
    if policy(head, kept).is_some() {
        return;
    }
    kept.truncate(before);
    if more.len() > 1 {
        let (one, other) = more.split_at(more.len() / 2);
        keep(head, kept, one);
        keep(head, kept, other);
    }
}

fn policy(head: &Value, rules: &[(&'static str, Value)]) -> Option<Policy> {
    let text = document(head, rules).to_string();
    loader().load(&text, Format::Json).ok()
}

fn document(head: &Value, rules: &[(&'static str, Value)]) -> Value {
    let mut document = head.clone();
    for effect in ["permit", "forbid"] {
        let of = rules.iter().filter(|(kind, _)| *kind == effect);
        let of: Vec<_> = of.map(|(_, rule)| rule.clone()).collect();
        if !of.is_empty() {
            document[effect] = of.into();
        }
    }
    document
}

/// Zones, workloads and all else that rules name.
fn head(choices: &mut Choices<'_>) -> Value {
    let aliases = [vec!["old.example"], vec!["old.example", "older.example"]];
    let mut head = json!({
        "schema": 1,
        "trust_domain": "prod.example",
        "zones": {
            "production": { "trust": 3, "networks": ["10.10.0.0/16", "fd00:10::/64"] },
            "vault": { "trust": 9, "networks": ["10.10.7.0/24"] },
            "iot": { "trust": 1, "networks": ["10.20.0.0/16", "fd00:20::/64"] },
        },
        "issuers": {
            "corp": { "issuer": CORP },
            "partner": { "issuer": "https://partner.example", "audience": "model-api" },
        },
        "limits": {
            "slow": { "requests": 10, "per": "1m" },
            "fair": {
                "requests": 10, "per": 1, "burst": 3, "by": "subject",
                "total": { "requests": 100, "per": "1h" },
                "overrides": { "router": { "requests": 9, "per": "1m" } },
            },
        },
        "authorizers": { "configured": { "kind": "fixed", "objects": false } },
        "external": {
            "hub": { "hosts": ["hub.example.org", "mirror.example.org"], "ports": [443, 8443] },
            "inner": { "hosts": "inner.example.org", "networks": "10.30.0.0/16" },
        },
    });
    if !choices.once_in(6) {
        head["trust_domain_aliases"] = choices.one(&aliases).into();
    }
    if !choices.once_in(4) {
        head["relays"] = json!(["10.10.0.99/32"]);
    }
    if choices.once_in(5) {
        head["zones"]["world"] = json!({ "networks": ["0.0.0.0/0", "::/0"] });
    }
    let tiers = ["edge", "agent", "agent", "thing", "data"];
    let zones = ["production", "production", "production", "iot", "vault"];
    let mut workloads = Map::new();
    for (at, (name, ..)) in super::WORKLOADS.iter().enumerate() {
        let mut decl = json!({ "id": id_of(name), "labels": { "tier": tiers[at] } });
        // One that stands anywhere; no forbid can then speak of where targets stand.
        if *name != "retriever" || !choices.once_in(5) {
            decl["zone"] = zones[at].into();
        }
        workloads.insert((*name).to_owned(), decl);
    }
    let listening = [
        (vec![8443], vec![443]),
        (vec![8443, 9000], vec![443]),
        (vec![8443], vec![8443]),
        (vec![443, 8443], vec![443]),
        (vec![8443], vec![443, 8080]),
    ];
    let (ports, public) = choices.one(&listening);
    workloads["gateway"]["ports"] = ports.into();
    workloads["gateway"]["public_ports"] = public.into();
    workloads["gateway"]["labels"]["team"] = "net".into();
    workloads["gateway"]["hosts"] = json!(["api.example.org"]);
    workloads["router"]["ports"] = json!([8443]);
    workloads["retriever"]["ports"] = choices.one(&[json!([8443]), json!([8443, 9000])]);
    workloads["sensor"]["ports"] = json!([1883]);
    workloads["sensor"]["labels"]["team"] = "field".into();
    workloads["store"]["ports"] = json!([6333]);
    for name in ["gateway", "store"] {
        workloads[name]["asserted_by"] = json!(["front-proxy"]);
    }
    let forwards = [
        json!(["retriever", "label:tier=thing", "spiffe://other.example/**"]),
        json!("any"),
        json!(["trust-domain:old.example"]),
        json!("spiffe://old.example/agents/retriever"),
    ];
    for name in ["router", "gateway"] {
        if !choices.once_in(4) {
            workloads[name]["forwards"] = choices.one(&forwards);
            if choices.once_in(2) {
                workloads[name]["forwards_in"] = choices.one(&["xfcc", "forwarded"]).into();
            }
        }
    }
    head["workloads"] = workloads.into();
    head
}
