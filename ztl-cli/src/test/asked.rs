//! What a test asks, in the parts that clauses speak of.

use core::net::IpAddr;

use serde_json::{Map, Value};
use ztl_core::policy::{
    Effect, External, Policy, PortRange, Principal, RuleDecl, Workload, WorkloadDecl,
};
use ztl_core::{Action, Arrival, HTTPS_PORT, IdPattern, SpiffeId};

/// Who is called.
#[derive(Clone, Copy)]
pub(super) enum Called<'a> {
    Workload(&'a WorkloadDecl, &'a Workload),
    /// A host outside the mesh.
    External(&'a External),
}

impl<'a> Called<'a> {
    /// What tells it from all others: a section's name is told from a workload's by where it stands.
    pub(super) fn key(self) -> (bool, &'a str) {
        match self {
            Self::Workload(_, workload) => (false, workload.name()),
            Self::External(external) => (true, external.name()),
        }
    }
}

/// A request of a test that got an answer.
pub(super) struct Asked<'a> {
    policy: &'a Policy,
    request: &'a Map<String, Value>,
    pub(super) called: Called<'a>,
    caller: Option<SpiffeId>,
    declared: Option<&'a WorkloadDecl>,
    place: Place,
    pub(super) port: u16,
}

/// Where the caller stands.
enum Place {
    /// As its target sees it.
    Arrival(Arrival),
    /// As it sees itself, where nobody else judges.
    Declared,
}

impl<'a> Asked<'a> {
    /// `None` where no rule was asked: the target is nothing that the policy names, or nobody could call it so.
    pub(super) fn of(request: &'a Map<String, Value>, policy: &'a Policy) -> Option<Self> {
        let text = |key: &str| request.get(key).and_then(Value::as_str);
        let find = |end: &str| match SpiffeId::parse(end) {
            Ok(id) => policy.workload_by_id(&id),
            Err(_) => policy.workload_by_name(end),
        };
        let declared = |workload: &Workload| {
            let mut all = policy.workloads().iter();
            let at = all.position(|one| core::ptr::eq(one, workload))?;
            policy.document().workloads.get(at)
        };
        let from = text("from");
        let calling = from.and_then(find);
        let caller = match calling {
            Some(workload) => Some(workload.id().clone()),
            None => from.and_then(|from| primary(&SpiffeId::parse(from).ok()?, policy)),
        };
        let stated = request.get("port").and_then(Value::as_u64);
        let stated = stated.and_then(|port| u16::try_from(port).ok());
        let addr = |key: &str| text(key).and_then(|addr| addr.parse::<IpAddr>().ok());
        let to = text("to")?;
        let (called, port, place) = match find(to) {
            Some(target) => {
                let default = match caller {
                    Some(_) => target.default_port(),
                    None => target.default_public_port(),
                };
                let mut listens = target.ports().iter().chain(target.public_ports());
                let port = stated.or(default).or_else(|| listens.next().copied());
                let arrival = addr("from_addr").map_or(Arrival::unknown(), Arrival::from_addr);
                let called = Called::Workload(declared(target)?, target);
                (called, port, Place::Arrival(arrival))
            }
            None => {
                let external = policy.external_by_host(to)?;
                // Only a workload calls there, and only an address that it may have.
                calling?;
                if addr("to_addr").is_some_and(|addr| !external.admits(addr)) {
                    return None;
                }
                (
                    Called::External(external),
                    stated.or(Some(HTTPS_PORT)),
                    Place::Declared,
                )
            }
        };
        Some(Self {
            policy,
            request,
            called,
            caller,
            declared: calling.and_then(declared),
            place,
            port: port.unwrap_or_default(),
        })
    }

    /// What is asked for beside the flow. `None` too for a target with two readings.
    pub(super) fn action(&self) -> Option<Action<'a>> {
        let text = |key: &str| self.request.get(key).and_then(Value::as_str);
        if text("action").is_some() {
            return Some(Action::Connect);
        }
        let action = Action::request(text("method")?, text("path")?).ok()?;
        let headers = self.request.get("headers").and_then(Value::as_object);
        let upgrade = headers
            .into_iter()
            .flatten()
            .find(|(name, _)| name.eq_ignore_ascii_case("upgrade"));
        let token = upgrade.and_then(|(_, value)| match value {
            Value::Array(values) => values.first().and_then(Value::as_str),
            value => value.as_str(),
        });
        Some(match token {
            Some(token) => action.with_upgrade(token),
            None => action,
        })
    }

    /// Whether an entry of `from` means the caller; in a forbid, what is not known counts as yes.
    pub(super) fn is_from(&self, from: &Principal, effect: Effect) -> bool {
        let forbid = effect == Effect::Forbid;
        match from {
            Principal::Workload(name) => self.declared.is_some_and(|decl| decl.name.value == *name),
            Principal::Id(pattern) => self
                .caller
                .as_ref()
                .is_some_and(|id| matches(pattern, id, self.policy)),
            Principal::Label { key, value } => {
                match self.declared.and_then(|decl| decl.labels.get(key)) {
                    Some(have) => have == value,
                    None => forbid,
                }
            }
            Principal::Zone(name) => match &self.place {
                Place::Declared => {
                    let zone = self.declared.and_then(|decl| decl.zone.as_ref());
                    zone.map_or(forbid, |zone| zone.value == *name)
                }
                Place::Arrival(arrival) if forbid => {
                    let zones = self.zones(arrival);
                    zones.is_none_or(|zones| zones.contains(&&**name))
                }
                Place::Arrival(arrival) => {
                    let zone = self.policy.zones().zone_of(arrival);
                    self.caller.is_some() && zone.is_some_and(|zone| zone.name() == &**name)
                }
            },
            Principal::Public => self.caller.is_none(),
            Principal::Any => self.caller.is_some(),
            _ => false,
        }
    }

    /// Every zone with a network that holds the caller's address; `None` where its place is unknown.
    fn zones(&self, arrival: &Arrival) -> Option<Vec<&str>> {
        self.policy.zones().zone_of(arrival)?;
        let addr = arrival.addr()?;
        let zones = self.policy.document().zones.iter();
        let holding =
            zones.filter(|zone| zone.networks.iter().any(|net| net.value.contains(&addr)));
        Some(holding.map(|zone| &*zone.name.value).collect())
    }

    /// Whether a rule speaks of the port by one of its `ports`, or where it has none.
    pub(super) fn speaks_of_port(&self, rule: &RuleDecl, range: Option<PortRange>) -> bool {
        let named = range.is_none_or(|range| range.contains(self.port));
        let of_public = |public: bool| {
            let mut from = rule.from.iter();
            from.any(|from| (from.value == Principal::Public) == public)
        };
        let default = |port: Option<u16>| port == Some(self.port);
        match self.called {
            _ if rule.effect == Effect::Forbid => named,
            // Of the section's ports alone.
            Called::External(external) => named && external.ports().contains(&self.port),
            Called::Workload(_, target) if range.is_none() => {
                of_public(false) && default(target.default_port())
                    || of_public(true) && default(target.default_public_port())
            }
            Called::Workload(..) => named,
        }
    }
}

/// Whether a pattern of the document means an id, which is in the primary trust domain (rule 28).
pub(super) fn matches(pattern: &IdPattern, id: &SpiffeId, policy: &Policy) -> bool {
    match pattern {
        IdPattern::Exact(exact) => primary(exact, policy).as_ref() == Some(id),
        IdPattern::Below(above) => {
            primary(above, policy).is_some_and(|above| IdPattern::Below(above).matches(id))
        }
        IdPattern::TrustDomain(domain) if is_alias(domain.as_str(), policy) => {
            id.trust_domain_name() == policy.trust_domain().as_str()
        }
        _ => pattern.matches(id),
    }
}

fn primary(id: &SpiffeId, policy: &Policy) -> Option<SpiffeId> {
    if is_alias(id.trust_domain_name(), policy) {
        id.with_trust_domain(policy.trust_domain()).ok()
    } else {
        Some(id.clone())
    }
}

fn is_alias(domain: &str, policy: &Policy) -> bool {
    let mut aliases = policy.document().aliases.iter();
    aliases.any(|alias| alias.value.as_str() == domain)
}
