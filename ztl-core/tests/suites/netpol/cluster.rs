//! Pods and namespaces, and the selectors that speak of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use crate::text;

pub(crate) type Labels = BTreeMap<String, String>;

pub(crate) struct Pod {
    /// `namespace/name`
    pub(crate) id: String,
    pub(crate) namespace: String,
    pub(crate) labels: Labels,
    pub(crate) namespace_labels: Labels,
    pub(crate) ip: Option<IpAddr>,
    /// Name to port and protocol.
    ports: BTreeMap<String, (u16, String)>,
}

impl Pod {
    /// Its SPIFFE ID, as Istio would make it with a service account of the pod's name.
    pub(crate) fn spiffe_id(&self) -> String {
        let name = self.id.rsplit('/').next().expect("a name");
        format!("spiffe://cluster.local/ns/{}/sa/{name}", self.namespace)
    }

    /// Its name as a workload.
    pub(crate) fn name(&self) -> String {
        self.id.replace('/', "-")
    }

    /// The TCP port of this name.
    pub(crate) fn tcp_port(&self, name: &str) -> Option<u16> {
        let (port, protocol) = self.ports.get(name)?;
        (protocol == "TCP").then_some(*port)
    }

    pub(crate) fn tcp_ports(&self) -> impl Iterator<Item = u16> {
        let tcp = self
            .ports
            .values()
            .filter(|(_, protocol)| protocol == "TCP");
        tcp.map(|(port, _)| *port)
    }
}

pub(crate) struct Cluster {
    pub(crate) pods: Vec<Pod>,
}

impl Cluster {
    pub(crate) fn read(value: &Value) -> Self {
        let pod = |pod: &Value| {
            let id = text(pod, "id").to_owned();
            let namespace = id.split('/').next().expect("a namespace").to_owned();
            let port = |(name, port): (&String, &Value)| {
                let number = port[0].as_u64().expect("a port");
                let protocol = port[1].as_str().expect("a protocol").to_owned();
                (name.clone(), (number.try_into().expect("a port"), protocol))
            };
            Pod {
                labels: labels(&pod["labels"]),
                namespace_labels: labels(&value["namespaces"][&namespace]),
                ip: pod["ip"].as_str().map(|ip| ip.parse().expect("an address")),
                ports: entries(&pod["ports"]).map(port).collect(),
                id,
                namespace,
            }
        };
        let pods = value["pods"].as_array().expect("pods");
        Self {
            pods: pods.iter().map(pod).collect(),
        }
    }
}

pub(crate) fn labels(value: &Value) -> Labels {
    let label = |(key, value): (&String, &Value)| {
        (key.clone(), value.as_str().expect("a label").to_owned())
    };
    entries(value).map(label).collect()
}

/// The entries of a table; none where it is absent.
pub(crate) fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The items of a list; none where it is absent.
pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A label selector (LabelSelector of Kubernetes): all of its requirements.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector(Vec<Requirement>);

#[derive(Clone, Debug)]
pub(crate) struct Requirement {
    pub(crate) key: String,
    operator: String,
    pub(crate) values: Vec<String>,
}

impl Selector {
    pub(crate) fn read(value: &Value) -> Self {
        let equals = labels(&value["matchLabels"])
            .into_iter()
            .map(|(key, value)| Requirement {
                key,
                operator: "In".to_owned(),
                values: vec![value],
            });
        let expression = |expression: &Value| Requirement {
            key: text(expression, "key").to_owned(),
            operator: text(expression, "operator").to_owned(),
            values: items(&expression["values"])
                .map(|value| value.as_str().expect("a value").to_owned())
                .collect(),
        };
        Self(
            equals
                .chain(items(&value["matchExpressions"]).map(expression))
                .collect(),
        )
    }

    /// An empty selector selects everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The requirement, where it is one that a label of one of some values meets.
    pub(crate) fn one_label(&self) -> Option<&Requirement> {
        match self.0.as_slice() {
            [one] if one.operator == "In" => Some(one),
            _ => None,
        }
    }

    pub(crate) fn selects(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            let within = value.is_some_and(|value| requirement.values.contains(value));
            match requirement.operator.as_str() {
                "In" => within,
                "NotIn" => !within,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                operator => panic!("the operator `{operator}` is new"),
            }
        })
    }
}
