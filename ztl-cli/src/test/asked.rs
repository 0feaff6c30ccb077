//! What a test asks, in the parts that clauses speak of.

use core::net::IpAddr;

use serde_json::{Map, Value};
use ztl_core::policy::{Effect, Policy, Principal, RuleDecl, Workload, WorkloadDecl};
use ztl_core::{Action, Arrival, IdPattern, SpiffeId};

/// A request of a test that got an answer.
pub(super) struct Asked<'a> {
    policy: &'a Policy,
    request: &'a Map<String, Value>,
    pub(super) target: usize,
    target_workload: &'a Workload,
    caller: Option<SpiffeId>,
    declared: Option<&'a WorkloadDecl>,
    arrival: Arrival,
    pub(super) port: u16,
}

impl<'a> Asked<'a> {
    /// `None` where the target is no workload of the policy.
    pub(super) fn of(request: &'a Map<String, Value>, policy: &'a Policy) -> Option<Self> {
        let text = |key: &str| request.get(key).and_then(Value::as_str);
        let find = |end: &str| match SpiffeId::parse(end) {
            Ok(id) => policy.workload_by_id(&id),
            Err(_) => policy.workload_by_name(end),
        };
        let at = |workload: &Workload| {
            let all = policy.workloads();
            all.iter().position(|one| core::ptr::eq(one, workload))
        };
        let target_workload = find(text("to")?)?;
        let from = text("from");
        let calling = from.and_then(find);
        let caller = match calling {
            Some(workload) => Some(workload.id().clone()),
            None => from.and_then(|from| primary(&SpiffeId::parse(from).ok()?, policy)),
        };
        let stated = request.get("port").and_then(Value::as_u64);
        let default = if caller.is_some() {
            target_workload.default_port()
        } else {
            target_workload.default_public_port()
        };
        let mut listens = target_workload
            .ports()
            .iter()
            .chain(target_workload.public_ports());
        let port = stated
            .and_then(|port| u16::try_from(port).ok())
            .or(default)
            .or_else(|| listens.next().copied());
        let addr = text("from_addr").and_then(|addr| addr.parse::<IpAddr>().ok());
        Some(Self {
            policy,
            request,
            target: at(target_workload)?,
            target_workload,
            caller,
            declared: calling
                .and_then(at)
                .and_then(|at| policy.document().workloads.get(at)),
            arrival: addr.map_or(Arrival::unknown(), Arrival::from_addr),
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
            Principal::Zone(name) if forbid => {
                self.zones().is_none_or(|zones| zones.contains(&&**name))
            }
            Principal::Zone(name) => {
                let zone = self.policy.zones().zone_of(&self.arrival);
                self.caller.is_some() && zone.is_some_and(|zone| zone.name() == &**name)
            }
            Principal::Public => self.caller.is_none(),
            Principal::Any => self.caller.is_some(),
            _ => false,
        }
    }

    /// Every zone with a network that holds the caller's address; `None` where its place is unknown.
    fn zones(&self) -> Option<Vec<&str>> {
        self.policy.zones().zone_of(&self.arrival)?;
        let addr = self.arrival.addr()?;
        let zones = self.policy.document().zones.iter();
        let holding =
            zones.filter(|zone| zone.networks.iter().any(|net| net.value.contains(&addr)));
        Some(holding.map(|zone| &*zone.name.value).collect())
    }

    /// Whether the port is one that a rule without `ports` speaks of.
    pub(super) fn is_default_port(&self, rule: &RuleDecl) -> bool {
        let names = |public: bool| {
            rule.from
                .iter()
                .any(|from| (from.value == Principal::Public) == public)
        };
        rule.effect == Effect::Forbid
            || names(false) && self.target_workload.default_port() == Some(self.port)
            || names(true) && self.target_workload.default_public_port() == Some(self.port)
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
