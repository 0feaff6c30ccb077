//! ClusterNetworkPolicy: tiers and priorities, written without either.
//!
//! A document has no order: a forbid beats a permit. So of each rule of a tier that is kept which no earlier Accept or Pass
//! took from it, pods and ports apart; what is left of a Deny becomes a forbid, of an Accept a permit. An earlier Deny need
//! not be taken away: it is a forbid and wins by itself. Rules that name peers by address, domain or node are not sayable.

use std::collections::BTreeSet;

use serde_json::Value;
use ztl_core::Direction;

use super::cluster::{Cluster, Pod, items};
use super::document::{Document, EVERY_PORT, Ports};
use super::network_policy;
use super::selection::{Selection, ids};
use crate::text;

/// Pods, by their place in the cluster, and ports of theirs.
#[derive(Clone, Debug)]
struct Region {
    pods: BTreeSet<usize>,
    ports: Ports,
}

impl Region {
    /// What is left of it beside another: its other pods with every port of it, and the common ones with its other ports.
    fn without(&self, other: &Self) -> Vec<Self> {
        let apart = Self {
            pods: self.pods.difference(&other.pods).copied().collect(),
            ports: self.ports.clone(),
        };
        let common = Self {
            pods: self.pods.intersection(&other.pods).copied().collect(),
            ports: ports_without(&self.ports, &other.ports),
        };
        let left = [apart, common].into_iter();
        left.filter(|region| !region.pods.is_empty() && !region.ports.is_empty())
            .collect()
    }

    fn without_all(self, others: &[Self]) -> Vec<Self> {
        others.iter().fold(vec![self], |left, other| {
            left.iter()
                .flat_map(|region| region.without(other))
                .collect()
        })
    }
}

fn ports_without(ports: &Ports, taken: &Ports) -> Ports {
    let mut left = ports.clone();
    for (first, last) in taken {
        left = left
            .into_iter()
            .flat_map(|(from, to)| {
                let below = (from, to.min(first.saturating_sub(1)));
                let above = (from.max(last.saturating_add(1)), to);
                let above = if *last == u16::MAX { (1, 0) } else { above };
                [below, above]
            })
            .filter(|(from, to)| from <= to)
            .collect();
    }
    left
}

/// The document of one direction; `Err` where a rule is not sayable, and why.
pub(crate) fn document<'a>(
    cluster: &'a Cluster,
    policies: &'a [Value],
    direction: Direction,
) -> Result<Document<'a>, &'static str> {
    let mut document = Document::new(cluster, direction, BTreeSet::new());
    let of_kind = |kind: &'static str| policies.iter().filter(move |policy| policy["kind"] == kind);
    let network: Vec<_> = of_kind("NetworkPolicy")
        .filter(|policy| network_policy::speaks(policy, direction))
        .collect();
    for policy in &network {
        network_policy::write(&mut document, cluster, policy, direction);
    }
    let mut tiers: Vec<_> = of_kind("ClusterNetworkPolicy").collect();
    tiers.sort_by_key(|policy| policy["spec"]["priority"].as_i64());
    for subject in &cluster.pods {
        let isolated = network.iter().any(|policy| {
            let selected = network_policy::subjects(cluster, policy).pods();
            selected.iter().any(|pod| pod.id == subject.id)
        });
        let rules = |tier: &'static str| -> Result<Vec<(&Value, Region)>, &'static str> {
            let speaking = tiers.iter().filter(|policy| policy["spec"]["tier"] == tier);
            let speaking = speaking.filter(|policy| is_subject(cluster, policy, subject));
            let rules = speaking.flat_map(|policy| items(&policy["spec"][direction.as_str()]));
            rules
                .map(|rule| Ok((&rule["action"], region(cluster, rule, direction)?)))
                .collect()
        };
        let mut written = Subject {
            document: &mut document,
            cluster,
            id: [subject.spiffe_id()],
            accepted: Vec::new(),
        };
        written.tier(&rules("Admin")?)?;
        // NetworkPolicy is final for whom it selects; the last step of Kubernetes is to let pass.
        if !isolated {
            written.tier(&rules("Baseline")?)?;
            let anyone = ["any".to_owned()];
            let id = written.id;
            document.permit(&id, &anyone, &vec![EVERY_PORT]);
        }
    }
    Ok(document)
}

struct Subject<'a, 'b> {
    document: &'a mut Document<'b>,
    cluster: &'b Cluster,
    id: [String; 1],
    /// What an earlier tier accepted: no later one denies it.
    accepted: Vec<Region>,
}

impl Subject<'_, '_> {
    fn tier(&mut self, rules: &[(&Value, Region)]) -> Result<(), &'static str> {
        let mut taken = self.accepted.clone();
        for (action, region) in rules {
            let left = region.clone().without_all(&taken);
            match action.as_str() {
                Some("Deny") => {
                    for region in left {
                        let peers = self.peers(&region);
                        self.document.forbid(&self.id, &peers, &region.ports);
                    }
                    continue;
                }
                Some("Accept") => {
                    for region in left {
                        let peers = self.peers(&region);
                        self.document.permit(&self.id, &peers, &region.ports);
                        self.accepted.push(region);
                    }
                }
                Some("Pass") => {}
                _ => return Err("an action"),
            }
            taken.push(region.clone());
        }
        Ok(())
    }

    fn peers(&self, region: &Region) -> Vec<String> {
        ids(region.pods.iter().map(|at| &self.cluster.pods[*at]))
    }
}

fn is_subject(cluster: &Cluster, policy: &Value, pod: &Pod) -> bool {
    let selected = selected(cluster, &policy["spec"]["subject"]);
    let selected = selected.expect("a subject is namespaces or pods");
    selected.iter().any(|at| cluster.pods[*at].id == pod.id)
}

/// The pods of a subject or a peer: those of namespaces, or pods of namespaces.
fn selected(cluster: &Cluster, entry: &Value) -> Result<BTreeSet<usize>, &'static str> {
    let (namespaces, pods) = match (entry.get("namespaces"), entry.get("pods")) {
        (Some(namespaces), None) => (namespaces, &Value::Null),
        (None, Some(pods)) => (&pods["namespaceSelector"], &pods["podSelector"]),
        _ => return Err("a peer that is no pod"),
    };
    let selected = Selection::new(cluster, "", Some(namespaces), pods).pods();
    let is_selected = |pod: &Pod| selected.iter().any(|one| one.id == pod.id);
    let places = cluster.pods.iter().enumerate();
    let selected = places.filter(|(_, pod)| is_selected(pod));
    Ok(selected.map(|(at, _)| at).collect())
}

fn region(cluster: &Cluster, rule: &Value, direction: Direction) -> Result<Region, &'static str> {
    let key = match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    let mut pods = BTreeSet::new();
    for entry in items(&rule[key]) {
        pods.extend(selected(cluster, entry)?);
    }
    let listed: Vec<_> = items(&rule["protocols"]).collect();
    if listed.is_empty() {
        let ports = vec![EVERY_PORT];
        return Ok(Region { pods, ports });
    }
    let mut ports = Ports::new();
    for protocol in listed {
        let Some(tcp) = protocol.get("tcp") else {
            // UDP and SCTP are no flows here; a named port would need a rule a pod.
            if protocol.get("udp").or(protocol.get("sctp")).is_some() {
                continue;
            }
            return Err("a named port");
        };
        let number = |value: &Value| {
            let port = value.as_u64().and_then(|port| u16::try_from(port).ok());
            port.ok_or("a port that is none")
        };
        let port = &tcp["destinationPort"];
        ports.push(match (number(&port["number"]), &port["range"]) {
            (Ok(port), _) => (port, port),
            (Err(_), Value::Null) if port.is_null() => EVERY_PORT,
            (Err(_), range) => (number(&range["start"])?, number(&range["end"])?),
        });
    }
    Ok(Region { pods, ports })
}

/// A probe of the table: both of its ends, where they are pods of the cluster.
pub(crate) fn ends<'a>(cluster: &'a Cluster, probe: &Value) -> (&'a Pod, &'a Pod) {
    let pod = |key| {
        let mut pods = cluster.pods.iter();
        pods.find(|pod| pod.id == text(probe, key)).expect("a pod")
    };
    (pod("from"), pod("to"))
}
