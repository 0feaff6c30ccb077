//! NetworkPolicy and ClusterNetworkPolicy of Kubernetes: who reaches whom (rules 12 and 32 to 36).

pub(crate) mod cluster;
mod cluster_policy;
pub(crate) mod document;
mod network_policy;
mod selection;

use serde_json::Value;
use ztl_core::Direction;

use self::cluster::{Cluster, entries, items};
use self::document::permits;
use crate::tally::{Counts, Stands, Tally, UNSAID};
use crate::{rows, text};

/// Rule 33: a pod reaches another if egress at the one and ingress at the other both permit it. Each end has a document of
/// its own, since NetworkPolicy says for each end apart what it permits.
#[test]
fn rules_32_to_36_network_policies() {
    let table: Value = serde_json::from_str(include_str!("cyclonus.json")).expect("a table");
    let clusters: Vec<_> = items(&table["clusters"]).map(Cluster::read).collect();
    let mut tally = Tally::new(include_str!("cyclonus.toml"));
    for case in items(&table["cases"]) {
        for (at, step) in items(&case["steps"]).enumerate() {
            let number = step["cluster"].as_u64().expect("a number");
            let cluster = &clusters[usize::try_from(number).expect("a number")];
            let policies: Vec<_> = items(&step["policies"]).cloned().collect();
            let load = |direction| network_policy::document(cluster, &policies, direction).load();
            let (egress, ingress) = (load(Direction::Egress), load(Direction::Ingress));
            for (port, matrix) in entries(&step["allowed"]) {
                let number = port.strip_prefix("TCP/").and_then(|port| port.parse().ok());
                let number = number.expect("a TCP port");
                for (from, row) in cluster.pods.iter().zip(items(matrix)) {
                    let row = row.as_str().expect("a row").bytes();
                    // `-`: nobody listens on the port.
                    let asked = cluster.pods.iter().zip(row);
                    for (to, expected) in asked.filter(|(_, expected)| *expected != b'-') {
                        let ours = permits(&egress, Direction::Egress, from, to, number)
                            && permits(&ingress, Direction::Ingress, from, to, number);
                        let id =
                            format!("{}/{at} {} to {} {port}", text(case, "id"), from.id, to.id);
                        compare(&mut tally, &id, expected == b'1', ours);
                    }
                }
            }
        }
    }
    let expected = Counts {
        agree: 16_562,
        ..Counts::default()
    };
    tally.finish("network policies", expected);
}

/// Rule 12: Admin is final, NetworkPolicy is final for whom it selects, Baseline comes last.
#[test]
fn rule_12_cluster_network_policies() {
    let table: Value = serde_json::from_str(include_str!("cnp_policy_sets.json")).expect("a table");
    let cluster = Cluster::read(&table["cluster"]);
    let mut tally = Tally::new(include_str!("cluster_policies.toml"));
    for probe in rows(include_str!("cnp_cases.json")) {
        let id = text(&probe, "id");
        let theirs = text(&probe, "expect");
        let protocol = text(&probe, "protocol");
        if protocol != "tcp" {
            let ours = format!("{UNSAID}{protocol}");
            tally.row(id, theirs, &ours, Stands::Stricter);
            continue;
        }
        let set: Vec<_> = items(&table["policy_sets"][text(&probe, "policy_set")])
            .cloned()
            .collect();
        let (from, to) = cluster_policy::ends(&cluster, &probe);
        let port = probe["port"].as_u64().and_then(|port| port.try_into().ok());
        let ask = |direction| -> Result<bool, &str> {
            let policy = cluster_policy::document(&cluster, &set, direction)?.load();
            Ok(permits(&policy, direction, from, to, port.expect("a port")))
        };
        match (ask(Direction::Egress), ask(Direction::Ingress)) {
            (Ok(egress), Ok(ingress)) => {
                compare(&mut tally, id, theirs == "allow", egress && ingress);
            }
            (Err(why), _) | (_, Err(why)) => {
                let ours = format!("{UNSAID}{why}");
                tally.row(id, theirs, &ours, Stands::Stricter);
            }
        }
    }
    let expected = Counts {
        agree: 37,
        unsaid: 51,
        ..Counts::default()
    };
    tally.finish("cluster network policies", expected);
}

fn compare(tally: &mut Tally, id: &str, theirs: bool, ours: bool) {
    let answer = |allowed| if allowed { "allow" } else { "deny" };
    let stands = if ours {
        Stands::Looser
    } else {
        Stands::Stricter
    };
    tally.row(id, answer(theirs), answer(ours), stands);
}
