//! Alternatives as a document about one target.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde_json::{Map, Value, json};
use ztl_core::policy::{Format, Loader, Policy};
use ztl_core::{IdPattern, Method};

use super::clause::{Clause, Part, Unsaid};
use super::negation::without_negations;

/// The target by its id: a rule that names ports it does not listen on is then no slip of the pen.
const TARGET: &str = "spiffe://cluster.local/ns/target/sa/target";

/// One policy: alternatives of which any will do.
pub(crate) struct Policies {
    pub(crate) denies: bool,
    pub(crate) dry_run: bool,
    pub(crate) alternatives: Vec<Part>,
}

/// A document, and what was left out of what it permits since no document can say it.
pub(crate) struct Lowered {
    pub(crate) policy: Policy,
    /// Enforced permits in it.
    pub(crate) permits: usize,
    pub(crate) without: BTreeSet<String>,
}

/// A set of policies about one target, as a document.
///
/// Where no policy allows anything, these systems let everything pass; a document has to say so.
pub(crate) fn load(policies: &[Policies]) -> Result<Lowered, Unsaid> {
    let mut without = BTreeSet::new();
    let mut rules = Vec::new();
    for policy in policies {
        for alternative in &policy.alternatives {
            match alternative {
                Ok(clause) if clause.never => {}
                Ok(clause) => rules.push((policy, clause.clone())),
                // A permit less permits less; a forbid less would permit more.
                Err(unsaid) if policy.denies => return Err(unsaid.clone()),
                Err(Unsaid(_)) if policy.dry_run => {}
                Err(Unsaid(what)) => {
                    without.insert(what.clone());
                }
            }
        }
    }
    let open = Policies {
        denies: false,
        dry_run: false,
        alternatives: Vec::new(),
    };
    if !policies
        .iter()
        .any(|policy| !policy.denies && !policy.dry_run)
    {
        rules.push((&open, Clause::default()));
    }
    let rules = without_negations(rules, &mut without)?;
    let networks = rules
        .iter()
        .flat_map(|(_, clause)| clause.networks.iter().flatten());
    let mut document = Document {
        networks: networks
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        callers: Map::new(),
        permits: Vec::new(),
        forbids: Vec::new(),
    };
    for (policy, clause) in &rules {
        match document.rule(policy.denies, clause) {
            Ok(Some(mut rule)) => {
                if policy.dry_run {
                    rule["mode"] = "shadow".into();
                }
                let rules = if policy.denies {
                    &mut document.forbids
                } else {
                    &mut document.permits
                };
                rules.push(rule);
            }
            Ok(None) => {}
            Err(unsaid) if policy.denies => return Err(unsaid),
            Err(Unsaid(_)) if policy.dry_run => {}
            Err(Unsaid(what)) => {
                without.insert(what);
            }
        }
        if !policy.dry_run {
            without.extend(clause.without.iter().cloned());
        }
    }
    let enforced = document.permits.iter();
    let permits = enforced.filter(|rule| rule["mode"].is_null()).count();
    let policy = document.load();
    Ok(Lowered {
        policy,
        permits,
        without,
    })
}

struct Document {
    networks: Vec<IpNet>,
    /// Callers that are bound to a zone.
    callers: Map<String, Value>,
    permits: Vec<Value>,
    forbids: Vec<Value>,
}

impl Document {
    /// The rule of an alternative; `None` where it can match nothing.
    fn rule(&mut self, denies: bool, clause: &Clause) -> Result<Option<Value>, Unsaid> {
        assert!(clause.not.is_none(), "no rule has a negation");
        let (from, actions) = (self.from(denies, clause)?, actions(denies, clause));
        let ports = clause.ports.clone().unwrap_or_else(|| vec![(1, 65535)]);
        if from.is_empty() || ports.is_empty() || actions.as_ref().is_some_and(Vec::is_empty) {
            return Ok(None);
        }
        let port = |(first, last): (u16, u16)| {
            if first == last {
                json!(first)
            } else {
                json!(format!("{first}-{last}"))
            }
        };
        let ports: Vec<_> = ports.into_iter().map(port).collect();
        let mut rule = json!({ "from": from, "to": TARGET, "ports": ports });
        if let Some(actions) = actions {
            rule["actions"] = actions.into();
        }
        let mut require = Map::new();
        require.extend(
            clause
                .token
                .clone()
                .map(|token| ("token".to_owned(), token.into())),
        );
        if !clause.headers.is_empty() {
            require.insert("headers".to_owned(), clause.headers.clone().into());
        }
        match (require.is_empty(), denies) {
            (true, _) => {}
            // A forbid asks for no evidence.
            (false, true) => return Err("evidence in what denies".into()),
            (false, false) => rule["require"] = require.into(),
        }
        Ok(Some(rule))
    }

    fn from(&mut self, denies: bool, clause: &Clause) -> Result<Vec<String>, Unsaid> {
        let names = |ids: &[IdPattern]| ids.iter().map(ToString::to_string).collect();
        match (&clause.ids, &clause.networks) {
            (None, None) => Ok(vec!["any".to_owned()]),
            (Some(ids), None) => Ok(names(ids)),
            (None, Some(blocks)) => Ok(self.zones(blocks)),
            // A rule names one kind of principal. An id that arrives from one zone only is a workload that is bound to it.
            (Some(ids), Some(blocks)) if !denies => self.bind(ids, &self.zones(blocks)),
            (Some(_), Some(_)) => Err("an id from an address in what denies".into()),
        }
    }

    /// The zones of the networks that are within one of these blocks.
    fn zones(&self, blocks: &[IpNet]) -> Vec<String> {
        let within = |network: &IpNet| blocks.iter().any(|block| block.contains(network));
        let zones = self.networks.iter().enumerate();
        let zones = zones.filter(|(_, network)| within(network));
        zones.map(|(at, _)| format!("zone:net-{at}")).collect()
    }

    fn bind(&mut self, ids: &[IdPattern], zones: &[String]) -> Result<Vec<String>, Unsaid> {
        let unsaid = "ids from several addresses";
        let [zone] = zones else {
            return Err(unsaid.into());
        };
        let zone = zone.strip_prefix("zone:").ok_or(unsaid)?;
        let mut from = Vec::new();
        for id in ids {
            let IdPattern::Exact(id) = id else {
                return Err("a pattern of ids from an address".into());
            };
            let caller = json!({ "id": id.as_str(), "zone": zone });
            let mut bound = self.callers.iter();
            let bound = bound.find(|(_, other)| other["id"] == caller["id"]);
            let name = match bound {
                Some((_, other)) if *other != caller => return Err(unsaid.into()),
                Some((name, _)) => name.clone(),
                None => format!("caller-{}", self.callers.len()),
            };
            self.callers.insert(name.clone(), caller);
            from.push(name);
        }
        Ok(from)
    }

    fn load(self) -> Policy {
        let mut document = json!({ "schema": 1, "trust_domain": "cluster.local" });
        let mut workloads = self.callers;
        let target = json!({ "id": TARGET, "ports": [1] });
        workloads.insert("target".to_owned(), target);
        document["workloads"] = workloads.into();
        if !self.networks.is_empty() {
            let zone = |(at, network): (usize, &IpNet)| {
                (
                    format!("net-{at}"),
                    json!({ "networks": network.to_string() }),
                )
            };
            let zones: Map<_, _> = self.networks.iter().enumerate().map(zone).collect();
            document["zones"] = zones.into();
        }
        for (key, rules) in [("permit", self.permits), ("forbid", self.forbids)] {
            if !rules.is_empty() {
                document[key] = rules.into();
            }
        }
        Loader::new()
            .load(&document.to_string(), Format::Json)
            .unwrap_or_else(|error| panic!("{error}\n{document:#}"))
    }
}

/// What a rule names; `None` where a forbid speaks of the whole flow.
fn actions(denies: bool, clause: &Clause) -> Option<Vec<String>> {
    let every_path = ["/".to_owned(), "/{*rest}".to_owned()];
    if clause.methods.is_none() && clause.paths.is_none() {
        let over = [
            "any".to_owned(),
            "connect".to_owned(),
            "HEAD /".to_owned(),
            "HEAD /{*rest}".to_owned(),
        ];
        return (!denies).then(|| over.into());
    }
    let methods = clause.methods.as_deref().unwrap_or(&Method::NAMED);
    if methods.is_empty() {
        return Some(Vec::new());
    }
    let methods: Vec<_> = methods.iter().map(|method| method.as_str()).collect();
    let paths = clause.paths.as_deref().unwrap_or(&every_path);
    let action = |path: &String| format!("{} {path}", methods.join(","));
    Some(paths.iter().map(action).collect())
}
