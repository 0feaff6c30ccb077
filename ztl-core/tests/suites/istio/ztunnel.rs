//! ztunnel's form of the same: a rule is an AND of ORs of matches, a match is an AND of fields.

use serde_json::Value;

use super::clause::{Clause, Part, Unsaid, all, other_ports, times};
use super::lower::Policies;
use super::operation::networks;
use super::policy::{Mesh, texts};
use crate::netpol::cluster::{entries, items};

impl Mesh<'_> {
    /// The policy, where it speaks of a workload in this namespace.
    pub(crate) fn ztunnel(&self, policy: &Value, namespace: Option<&str>) -> Option<Policies> {
        let scoped = policy["scope"] == "namespace";
        if scoped && namespace.is_some() && policy["namespace"].as_str() != namespace {
            return None;
        }
        let rules = items(&policy["rules"]);
        Some(Policies {
            denies: policy["action"] == "DENY",
            dry_run: policy["dry_run"] == true,
            alternatives: rules.flat_map(|rule| self.ztunnel_rule(rule)).collect(),
        })
    }

    fn ztunnel_rule(&self, rule: &Value) -> Vec<Part> {
        let mut alternatives = vec![Ok(Clause::default())];
        for clause in items(rule) {
            // Rule 3: an empty clause matches; an empty match among others is passed over.
            let matches = items(clause).filter(|fields| entries(fields).next().is_some());
            let matches: Vec<_> = matches
                .map(|fields| all(entries(fields).map(|field| self.ztunnel_field(field))))
                .collect();
            if items(clause).next().is_some() {
                alternatives = times(&alternatives, &matches);
            }
        }
        alternatives
    }

    fn ztunnel_field(&self, (field, values): (&String, &Value)) -> Part {
        let ports = || -> Result<Vec<u16>, Unsaid> {
            let port = |port: &Value| port.as_u64().and_then(|port| port.try_into().ok());
            items(values)
                .map(|value| port(value).ok_or_else(|| "a port".into()))
                .collect()
        };
        match field.as_str() {
            "source_ips" => networks(&texts(values)),
            "destination_ips" => self.is_target(&texts(values)),
            "not_destination_ips" => {
                let is = self.is_target(&texts(values))?;
                Ok(Clause::fact(is.never))
            }
            "destination_ports" => {
                let ports = ports()?.into_iter().map(|port| (port, port));
                Ok(Clause::ports(ports.collect()))
            }
            "not_destination_ports" => Ok(Clause::ports(other_ports(&ports()?))),
            _ => {
                let values: Vec<_> = texts(values).into_iter().map(spiffe).collect();
                let values: Vec<_> = values.iter().map(String::as_str).collect();
                let field = match field.as_str() {
                    "service_accounts" => "serviceAccounts",
                    field => field,
                };
                self.callers(field, &values)
            }
        }
    }
}

/// Some service accounts of the table have a `=`, which no SPIFFE ID has: it is written otherwise, so that no two ids are one.
pub(crate) fn spiffe(id: &str) -> String {
    id.replace('_', "_5f").replace('=', "_3d")
}

#[test]
fn two_ids_stay_two() {
    let ids = ["sa=alt", "sa-alt", "sa_alt", "sa_3dalt", "sa_5f3dalt"].map(spiffe);
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[..at].contains(id), "{id}");
        let parsed = ztl_core::SpiffeId::parse(&format!("spiffe://td/ns/n/sa/{id}"));
        assert!(parsed.is_ok(), "{id}");
    }
}
