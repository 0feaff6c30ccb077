//! The document that is made of policies for one direction, and what it says about a probe.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde_json::{Map, Value, json};
use ztl_core::policy::{Format, Input, Loader, Policy, decide};
use ztl_core::{Action, Arrival, Direction, Flow, Peer, Proof, SpiffeId, Timestamp, Verdict};

use super::cluster::{Cluster, Pod};

/// First and last port.
pub(crate) type Ports = Vec<(u16, u16)>;

pub(crate) const EVERY_PORT: (u16, u16) = (1, 65535);

/// Rules about one direction of a cluster.
pub(crate) struct Document<'a> {
    cluster: &'a Cluster,
    direction: Direction,
    networks: Vec<IpNet>,
    permits: Vec<Value>,
    forbids: Vec<Value>,
}

impl<'a> Document<'a> {
    /// With a zone for each of these networks, so that an address is in the zone of the smallest that holds it.
    pub(crate) fn new(
        cluster: &'a Cluster,
        direction: Direction,
        networks: BTreeSet<IpNet>,
    ) -> Self {
        Self {
            cluster,
            direction,
            networks: networks.into_iter().collect(),
            permits: Vec::new(),
            forbids: Vec::new(),
        }
    }

    /// The zones that an address block means: those of the networks in it and in none of its exceptions. As target a zone is
    /// named only where a pod stands in it: a `to` that means nobody is refused.
    pub(crate) fn zones(&self, block: &IpNet, except: &[IpNet]) -> Vec<String> {
        let meant = |(at, network): &(usize, &IpNet)| {
            let mut pods = self.cluster.pods.iter();
            block.contains(*network)
                && !except.iter().any(|except| except.contains(*network))
                && (self.direction == Direction::Ingress
                    || pods.any(|pod| self.standing(pod) == Some(*at)))
        };
        let zones = self.networks.iter().enumerate().filter(meant);
        zones.map(|(at, _)| format!("zone:net-{at}")).collect()
    }

    /// The smallest network that a pod stands in.
    fn standing(&self, pod: &Pod) -> Option<usize> {
        let ip = pod.ip?;
        let networks = self.networks.iter().enumerate();
        let holding = networks.filter(|(_, network)| network.contains(&ip));
        let smallest = holding.max_by_key(|(_, network)| network.prefix_len());
        smallest.map(|(at, _)| at)
    }

    /// Permits raw bytes between those that policies select and their peers.
    pub(crate) fn permit(&mut self, subjects: &[String], peers: &[String], ports: &Ports) {
        if let Some(mut rule) = self.rule(subjects, peers, ports) {
            rule["actions"] = "connect".into();
            self.permits.push(rule);
        }
    }

    /// Forbids the flow.
    pub(crate) fn forbid(&mut self, subjects: &[String], peers: &[String], ports: &Ports) {
        self.forbids.extend(self.rule(subjects, peers, ports));
    }

    fn rule(&self, subjects: &[String], peers: &[String], ports: &Ports) -> Option<Value> {
        // Who selects nobody permits nothing; there is no empty list.
        if subjects.is_empty() || peers.is_empty() || ports.is_empty() {
            return None;
        }
        let (from, to) = match self.direction {
            Direction::Ingress => (peers, subjects),
            Direction::Egress => (subjects, peers),
        };
        let port = |(first, last): &(u16, u16)| {
            if first == last {
                json!(first)
            } else {
                json!(format!("{first}-{last}"))
            }
        };
        let ports: Vec<_> = ports.iter().map(port).collect();
        Some(json!({ "from": from, "to": to, "ports": ports }))
    }

    pub(crate) fn load(&self) -> Policy {
        let mut document = json!({ "schema": 1, "trust_domain": "cluster.local" });
        let workloads: Map<_, _> = self
            .cluster
            .pods
            .iter()
            .map(|pod| (pod.name(), self.workload(pod)))
            .collect();
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
        if !self.permits.is_empty() {
            document["permit"] = self.permits.clone().into();
        }
        if !self.forbids.is_empty() {
            document["forbid"] = self.forbids.clone().into();
        }
        Loader::new()
            .load(&document.to_string(), Format::Json)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn workload(&self, pod: &Pod) -> Value {
        let ports: BTreeSet<_> = pod.tcp_ports().collect();
        let mut workload = json!({ "id": pod.spiffe_id(), "ports": ports });
        let kinds = [("pod", &pod.labels), ("ns", &pod.namespace_labels)];
        let labels: Map<_, _> = kinds
            .into_iter()
            .flat_map(|(kind, labels)| {
                labels
                    .iter()
                    .map(move |(key, value)| (format!("{kind}.{key}"), value.as_str().into()))
            })
            .collect();
        if !labels.is_empty() {
            workload["labels"] = labels.into();
        }
        // Where it stands is what `to = zone:..` speaks of; from where it arrives is asked at the other end.
        if let (Direction::Egress, Some(at)) = (self.direction, self.standing(pod)) {
            workload["zone"] = format!("net-{at}").into();
        }
        workload
    }
}

/// Whether the end that judges this direction lets one pod reach the other.
pub(crate) fn permits(
    policy: &Policy,
    direction: Direction,
    from: &Pod,
    to: &Pod,
    port: u16,
) -> bool {
    let (me, other) = match direction {
        Direction::Ingress => (to, from),
        Direction::Egress => (from, to),
    };
    let (me, peer) = (me.name(), peer(&other.spiffe_id()));
    let arrival = from.ip.map_or_else(Arrival::unknown, Arrival::from_addr);
    let flow = match direction {
        Direction::Ingress => Flow::ingress(&me, port, arrival, Some(&peer)),
        Direction::Egress => Flow::egress(&me, port, &peer),
    };
    let input = Input::new(flow).with_action(Ok(Action::Connect));
    let now = Timestamp::from_unix_secs(1_790_000_000);
    decide(policy, &input, now).verdict == Verdict::Permit
}

#[expect(clippy::disallowed_methods, reason = "tests vouch for their own peers")]
pub(crate) fn peer(id: &str) -> Peer {
    Peer::assertion(
        Proof::X509 {
            id: SpiffeId::parse(id).expect("an id"),
            leaf_sha256: [7; 32].into(),
            serial: Box::new([1]),
            not_after: Timestamp::MAX,
        },
        "test",
    )
}
