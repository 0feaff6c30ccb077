//! NetworkPolicy objects as permits: whom no policy selects may do anything, which has to be written.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde_json::Value;
use ztl_core::Direction;

use super::cluster::{Cluster, Pod, items};
use super::document::{Document, EVERY_PORT, Ports};
use super::selection::{Selection, ids};
use crate::text;

/// The document of one direction.
pub(crate) fn document<'a>(
    cluster: &'a Cluster,
    policies: &'a [Value],
    direction: Direction,
) -> Document<'a> {
    let speaking = || policies.iter().filter(|policy| speaks(policy, direction));
    let networks = speaking().flat_map(|policy| networks(policy, direction));
    let mut document = Document::new(cluster, direction, networks.collect());
    let mut isolated = BTreeSet::new();
    for policy in speaking() {
        let subjects = subjects(cluster, policy);
        isolated.extend(subjects.pods().iter().map(|pod| pod.id.as_str()));
        write(&mut document, cluster, policy, direction);
    }
    // Kubernetes lets pass whom no policy of this direction selects.
    let open = cluster.pods.iter();
    let open = ids(open.filter(|pod| !isolated.contains(pod.id.as_str())));
    document.permit(&open, &["any".to_owned()], &vec![EVERY_PORT]);
    document
}

/// Writes what one policy permits in this direction.
pub(crate) fn write(
    document: &mut Document<'_>,
    cluster: &Cluster,
    policy: &Value,
    direction: Direction,
) {
    let subjects = subjects(cluster, policy);
    for rule in rules(policy, direction) {
        let peers = peers(document, cluster, policy, rule, direction);
        let listed: Vec<_> = items(&rule["ports"]).collect();
        let numbered = numbered(&listed);
        document.permit(&subjects.principals(), &peers.principals, &numbered);
        // A named port is another number on another pod: each pod with its own.
        for name in listed.iter().filter(|port| is_tcp(port)) {
            let Some(name) = name["port"].as_str() else {
                continue;
            };
            let named = |pod: &Pod| pod.tcp_port(name).map(|port| vec![(port, port)]);
            match direction {
                Direction::Ingress => {
                    for pod in subjects.pods() {
                        let ports = named(pod).unwrap_or_default();
                        document.permit(&[pod.spiffe_id()], &peers.principals, &ports);
                    }
                }
                Direction::Egress => {
                    for pod in &peers.pods {
                        let ports = named(pod).unwrap_or_default();
                        document.permit(&subjects.principals(), &[pod.spiffe_id()], &ports);
                    }
                }
            }
        }
    }
}

/// The pods that a policy speaks of.
pub(crate) fn subjects<'a>(cluster: &'a Cluster, policy: &'a Value) -> Selection<'a> {
    let selector = &policy["spec"]["podSelector"];
    Selection::new(cluster, text(policy, "namespace"), None, selector)
}

/// Rule 32: ingress is implied, egress is where it is named or, where nothing is, where there are rules.
pub(crate) fn speaks(policy: &Value, direction: Direction) -> bool {
    let spec = &policy["spec"];
    let types: Vec<_> = items(&spec["policyTypes"]).collect();
    match direction {
        Direction::Ingress => types.is_empty() || types.iter().any(|kind| **kind == "Ingress"),
        Direction::Egress if types.is_empty() => items(&spec["egress"]).next().is_some(),
        Direction::Egress => types.iter().any(|kind| **kind == "Egress"),
    }
}

fn rules(policy: &Value, direction: Direction) -> impl Iterator<Item = &Value> {
    items(&policy["spec"][direction.as_str()])
}

struct Peers<'a> {
    principals: Vec<String>,
    pods: Vec<&'a Pod>,
}

fn entries_of(rule: &Value, direction: Direction) -> impl Iterator<Item = &Value> {
    items(
        &rule[match direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        }],
    )
}

fn peers<'a>(
    document: &Document<'_>,
    cluster: &'a Cluster,
    policy: &'a Value,
    rule: &Value,
    direction: Direction,
) -> Peers<'a> {
    let mut entries = entries_of(rule, direction).peekable();
    if entries.peek().is_none() {
        return Peers {
            principals: vec!["any".to_owned()],
            pods: cluster.pods.iter().collect(),
        };
    }
    let mut peers = Peers {
        principals: Vec::new(),
        pods: Vec::new(),
    };
    for entry in entries {
        if let Some((block, except)) = block(entry) {
            peers.principals.extend(document.zones(&block, &except));
            let within = |pod: &&Pod| {
                pod.ip.is_some_and(|ip| {
                    block.contains(&ip) && !except.iter().any(|except| except.contains(&ip))
                })
            };
            peers.pods.extend(cluster.pods.iter().filter(within));
            continue;
        }
        let home = text(policy, "namespace");
        let namespaces = entry.get("namespaceSelector");
        let namespaces = namespaces.filter(|selector| !selector.is_null());
        let selection = Selection::new(cluster, home, namespaces, &entry["podSelector"]);
        peers.principals.extend(selection.principals());
        peers.pods.extend(selection.pods());
    }
    peers
}

/// Rule 35: an address block and its exceptions.
fn block(entry: &Value) -> Option<(IpNet, Vec<IpNet>)> {
    let block = entry.get("ipBlock").filter(|block| !block.is_null())?;
    let network = |text: &str| text.parse::<IpNet>().expect("a network").trunc();
    let except = items(&block["except"]).map(|except| network(except.as_str().expect("a text")));
    Some((network(text(block, "cidr")), except.collect()))
}

fn networks(policy: &Value, direction: Direction) -> Vec<IpNet> {
    let entries = rules(policy, direction).flat_map(move |rule| entries_of(rule, direction));
    let blocks = entries.filter_map(block);
    blocks
        .flat_map(|(block, except)| except.into_iter().chain([block]))
        .collect()
}

fn is_tcp(port: &Value) -> bool {
    port["protocol"].as_str().unwrap_or("TCP") == "TCP"
}

/// Rule 36: the TCP ports that are numbers and ranges; every port where none is listed.
fn numbered(listed: &[&Value]) -> Ports {
    if listed.is_empty() {
        return vec![EVERY_PORT];
    }
    let number = |port: &Value| port.as_u64().and_then(|port| u16::try_from(port).ok());
    let ports = listed.iter().filter(|port| is_tcp(port));
    ports
        .filter_map(|port| match (&port["port"], &port["endPort"]) {
            (Value::Null, _) => Some(EVERY_PORT),
            (first, last) => {
                let first = number(first)?;
                Some((first, number(last).unwrap_or(first)))
            }
        })
        .collect()
}
