//! The reference interpreter: the meaning of a document as a short, slow program to be read beside docs/semantics.md. Where a
//! comment ends with a number (§4), the function is that section of the page, or that sentence.
//!
//! It reads the document itself, resolves every name each time it is met, tries every rule, and takes patterns apart as text.
//! The engine has to agree with it on verdict, stage, reason, rule, lack, shadow and obligations; property tests compare the
//! two.

mod actions;
mod along;
mod ids;
mod oblige;
mod outward;
mod require;

use std::sync::Arc;

use crate::action::{Action, Resource};
use crate::decision::{Decision, Lack, ShadowOutcome};
use crate::flow::Direction;
use crate::id::SpiffeId;
use crate::obligation::Obligations;
use crate::peer::{Peer, Proof};
use crate::reason::{Reason, Stage, Verdict};
use crate::time::Timestamp;
use crate::web_host::Outside;

use self::actions::{forbids, permits};
use self::outward::covers_outside;
use super::decide::Input;
use super::document::{
    Document, Effect, ExternalDecl, Mode, Principal, RuleDecl, Target, WorkloadDecl, ZoneDecl,
};
use super::load::Loader;

/// Decides as [`decide`](super::decide) does, from a document that loads.
#[must_use]
pub fn decide(document: &Document, loader: &Loader, input: &Input<'_>, now: Timestamp) -> Decision {
    Asked {
        document,
        loader,
        input,
        now,
    }
    .decide()
}

/// Whether a forbid is narrowed by what only the target knows.
fn is_conditional(rule: &RuleDecl) -> bool {
    rule.when.is_some() || !rule.subject.is_empty() || !rule.actors.is_empty()
}

/// §4.3
fn forbids_flow(rule: &RuleDecl) -> bool {
    rule.effect == Effect::Forbid && rule.actions.is_empty() && !is_conditional(rule)
}

/// Stage, reason, rule and lack of an outcome.
type Outcome = (Stage, Reason, Option<Arc<str>>, Option<Lack>);
/// An outcome, and what a permit of an action obliges to.
type Judged = (Outcome, Option<Obligations>);

struct Asked<'a> {
    document: &'a Document,
    loader: &'a Loader,
    input: &'a Input<'a>,
    now: Timestamp,
}

/// Who is called.
#[derive(Clone, Copy)]
enum Called<'a> {
    Workload(&'a WorkloadDecl),
    External(&'a ExternalDecl),
}

/// The two ends as rules see them.
struct Ends<'a> {
    /// The caller's id in the primary trust domain; none where it proved nothing.
    caller: Option<SpiffeId>,
    declared: Option<&'a WorkloadDecl>,
    target: Called<'a>,
    /// The zones that hold the caller, the longest prefix first; none where its place is unknown.
    zones: Option<Vec<&'a ZoneDecl>>,
}

impl<'a> Asked<'a> {
    fn decide(&self) -> Decision {
        let ((outcome, obliged), shadow) = match self.ends() {
            Err((stage, reason)) => (((stage, reason, None, None), None), Vec::new()),
            Ok(ends) => self.judge(&ends),
        };
        let (stage, reason, rule, lack) = outcome;
        let verdict = if reason == Reason::Permitted {
            Verdict::Permit
        } else {
            Verdict::Deny
        };
        let obligations = obliged.unwrap_or_default();
        Decision {
            verdict,
            stage,
            reason,
            rule,
            shadow,
            lack,
            obligations,
            near: None,
        }
    }

    /// Stage one: who is at either end (§2).
    fn ends(&self) -> Result<Ends<'a>, (Stage, Reason)> {
        let flow = &self.input.flow;
        let peer = flow.peer;
        let me = self
            .document
            .workloads
            .iter()
            .find(|decl| *decl.name.value == *flow.me);
        let me = me.ok_or((Stage::Flow, Reason::NoFlowPermitted))?;
        let host = flow.outside.and_then(Outside::proved);
        if peer.is_some_and(|peer| peer.expires_at() <= self.now)
            || host.is_some_and(|host| host.expires_at() <= self.now)
        {
            return Err((Stage::Identity, Reason::IdentityExpired));
        }
        if let Some(outside) = flow.outside {
            return self.outward(me, outside);
        }
        let id = peer.map(|peer| {
            self.primary(peer.id())
                .ok_or((Stage::Identity, Reason::IdentityUnproven))
        });
        let id = id.transpose()?;
        let declared = id.as_ref().and_then(|id| {
            self.document
                .workloads
                .iter()
                .find(|decl| self.primary(&decl.id.value).as_ref() == Some(id))
        });
        let certified = matches!(peer.map(Peer::proof), Some(Proof::X509 { .. }));
        if flow.direction == Direction::Egress {
            let target = declared.ok_or((Stage::Flow, Reason::NoFlowPermitted))?;
            if !certified {
                return Err((Stage::Identity, Reason::IdentityUnproven));
            }
            let zones = self.home(me);
            return Ok(Ends {
                caller: self.primary(&me.id.value),
                declared: Some(me),
                target: Called::Workload(target),
                zones,
            });
        }
        let enough = match peer.map(Peer::proof) {
            Some(Proof::X509 { .. }) => true,
            Some(Proof::Asserted { by, .. }) => {
                me.asserted_by.iter().any(|party| *party.value == **by)
            }
            None => me.public_ports.iter().any(|port| port.value == flow.port),
        };
        if !enough {
            return Err((Stage::Identity, Reason::IdentityUnproven));
        }
        Ok(Ends {
            caller: id,
            declared,
            target: Called::Workload(me),
            zones: flow.arrival.addr().and_then(|addr| self.zones_of(addr)),
        })
    }

    /// Stages two and three, and what rules in shadow would say (§5.1, §10).
    fn judge(&self, ends: &Ends<'_>) -> (Judged, Vec<ShadowOutcome>) {
        let enforced: Vec<_> = self.covering(ends, Mode::Enforce).collect();
        let mut outcome = self.flow(ends, &enforced);
        let mut shadowed: Vec<_> = self.covering(ends, Mode::Shadow).collect();
        let action = match &self.input.action {
            None => None,
            Some(Ok(action)) => Some(action),
            Some(Err(_)) => {
                if outcome.1 == Reason::Permitted {
                    outcome = (Stage::Action, Reason::PathAmbiguous, None, None);
                }
                shadowed.clear();
                None
            }
        };
        let mut obliged = None;
        if let (Some(action), Reason::Permitted) = (action, outcome.1) {
            (outcome, obliged) = self.action(ends, &enforced, action);
        }
        shadowed
            .retain(|rule| self.speaks(ends, rule) || action.is_some() && self.forbids_along(rule));
        let shadow = shadowed.into_iter().filter_map(|rule| {
            let would = match (rule.effect, action) {
                (Effect::Permit, None) => Some(Verdict::Permit),
                (Effect::Permit, Some(action)) => {
                    matches!(self.permit(ends, rule, action), Some(Ok(_)))
                        .then_some(Verdict::Permit)
                }
                (Effect::Forbid, None) => forbids_flow(rule).then_some(Verdict::Deny),
                (Effect::Forbid, Some(action)) => {
                    self.forbid(ends, rule, action).then_some(Verdict::Deny)
                }
            };
            would.map(|would| ShadowOutcome {
                rule: Arc::clone(&rule.name.value),
                would,
            })
        });
        ((outcome, obliged), shadow.collect())
    }

    /// Stage two (§4).
    fn flow(&self, ends: &Ends<'_>, rules: &[&RuleDecl]) -> Outcome {
        if self.input.flow.direction == Direction::Ingress {
            let zone = ends.zones.as_ref().and_then(|zones| zones.first());
            let bound = ends.declared.and_then(|decl| decl.zone.as_ref());
            match zone {
                None if bound.is_some() || ends.target.zone().is_some() => {
                    return (Stage::Flow, Reason::ZoneUnknown, None, None);
                }
                Some(zone) if bound.is_some_and(|bound| bound.value != zone.name.value) => {
                    return (Stage::Flow, Reason::ZoneMismatch, None, None);
                }
                _ => {}
            }
        }
        let named = |rule: &&&RuleDecl| Some(Arc::clone(&rule.name.value));
        let forbids = |rule: &&&RuleDecl| forbids_flow(rule) && self.speaks(ends, rule);
        if let Some(rule) = rules.iter().find(forbids) {
            return (Stage::Flow, Reason::Forbidden, named(&rule), None);
        }
        let permits = |rule: &&&RuleDecl| rule.effect == Effect::Permit && self.speaks(ends, rule);
        match rules.iter().find(permits) {
            Some(rule) => (Stage::Flow, Reason::Permitted, named(&rule), None),
            None => (Stage::Flow, Reason::NoFlowPermitted, None, None),
        }
    }

    /// Stage three (§5).
    fn action(&self, ends: &Ends<'_>, rules: &[&RuleDecl], action: &Action<'_>) -> Judged {
        if self.forwards_untrusted(ends) {
            return (
                (Stage::Action, Reason::ForwardedUntrusted, None, None),
                None,
            );
        }
        for rule in rules.iter().filter(|rule| rule.effect == Effect::Forbid) {
            let speaks = self.speaks(ends, rule) || self.forbids_along(rule);
            if speaks && self.forbid(ends, rule, action) {
                let rule = Some(Arc::clone(&rule.name.value));
                return ((Stage::Action, Reason::Forbidden, rule, None), None);
            }
        }
        let mut nearest = (Stage::Action, Reason::NoActionPermitted, None, None);
        let permits = |rule: &&&RuleDecl| rule.effect == Effect::Permit && self.speaks(ends, rule);
        for rule in rules.iter().filter(permits) {
            let name = Some(Arc::clone(&rule.name.value));
            match self.permit(ends, rule, action) {
                Some(Ok(obliged)) => {
                    return (
                        (Stage::Action, Reason::Permitted, name, None),
                        Some(obliged),
                    );
                }
                Some(Err((reason, lack))) if nearest.2.is_none() => {
                    nearest = (Stage::Action, reason, name, Some(lack))
                }
                _ => {}
            }
        }
        (nearest, None)
    }

    /// Whether a forbid that speaks of these ends forbids the action (§6).
    fn forbid(&self, ends: &Ends<'_>, rule: &RuleDecl, action: &Action<'_>) -> bool {
        let Action::Request(resource) = action else {
            return true;
        };
        let covering: Vec<_> = rule
            .actions
            .iter()
            .filter(|pattern| forbids(&pattern.value.to_string(), resource))
            .collect();
        let covered = rule.actions.is_empty() || !covering.is_empty();
        if !covered || !is_conditional(rule) {
            return covered;
        }
        if self.input.flow.direction == Direction::Egress || !self.forbids_parties(rule) {
            return false;
        }
        let Some(when) = &rule.when else {
            return true;
        };
        let fires =
            |params: &[_]| self.condition(ends, rule, &when.value, action, params) != Ok(false);
        if rule.actions.is_empty() {
            return fires(&[]);
        }
        covering
            .into_iter()
            .any(|pattern| match pattern.value.template() {
                None => fires(&[]),
                Some(template) => match template.params(resource.path()) {
                    Some(params) => fires(&params),
                    None => true,
                },
            })
    }

    /// Whether a permit that speaks of these ends names the action, and if so, what it obliges to (§11) or the first requirement
    /// that does not hold (§7.1–4).
    fn permit(
        &self,
        ends: &Ends<'_>,
        rule: &RuleDecl,
        action: &Action<'_>,
    ) -> Option<Result<Obligations, (Reason, Lack)>> {
        let mut nearest = None;
        for pattern in &rule.actions {
            let text = pattern.value.to_string();
            let named = match action {
                Action::Connect => text == "connect",
                Action::Request(resource) => permits(&text, resource),
            };
            if !named {
                continue;
            }
            if self.input.flow.direction == Direction::Egress {
                return Some(Ok(Obligations::none()));
            }
            let path = action.resource().map(Resource::path);
            let params = pattern
                .value
                .template()
                .zip(path)
                .and_then(|(template, path)| template.params(path));
            let holds = self.parties(rule);
            match holds.and_then(|()| self.require(ends, rule, action, &params.unwrap_or_default()))
            {
                Ok(obliged) => return Some(Ok(obliged)),
                unmet => nearest = nearest.or(Some(unmet)),
            }
        }
        nearest
    }

    /// The rules of a mode that cover this target and port, in document order (§3.1, §3.6).
    fn covering<'b>(
        &'b self,
        ends: &'b Ends<'_>,
        mode: Mode,
    ) -> impl Iterator<Item = &'a RuleDecl> + 'b {
        self.document.rules.iter().filter(move |rule| {
            rule.mode == mode
                && rule
                    .to
                    .iter()
                    .any(|to| self.is_target(&to.value, rule, ends.target))
                && self.covers_port(rule, ends.target)
        })
    }

    /// Whether a rule speaks of the caller (§3.5).
    fn speaks(&self, ends: &Ends<'_>, rule: &RuleDecl) -> bool {
        rule.from
            .iter()
            .any(|from| self.is_caller(&from.value, ends, rule.effect))
    }

    /// §3.3, §3.4
    fn covers_port(&self, rule: &RuleDecl, target: Called<'_>) -> bool {
        let port = self.input.flow.port;
        let target = match target {
            Called::Workload(target) => target,
            Called::External(external) => return covers_outside(rule, external, port),
        };
        if !rule.ports.is_empty() {
            return rule.ports.iter().any(|range| range.value.contains(port));
        }
        if rule.effect == Effect::Forbid {
            return true;
        }
        let only = |ports: Vec<u16>| {
            if let [port] = ports.as_slice() {
                Some(*port)
            } else {
                None
            }
        };
        let public: Vec<_> = target.public_ports.iter().map(|port| port.value).collect();
        let all: Vec<_> = target.ports.iter().map(|port| port.value).collect();
        let private = all
            .iter()
            .copied()
            .filter(|port| !public.contains(port))
            .collect();
        let names_public = rule.from.iter().any(|from| from.value == Principal::Public);
        let names_others = rule.from.iter().any(|from| from.value != Principal::Public);
        (names_others && only(private).or_else(|| only(all)) == Some(port))
            || (names_public && only(public) == Some(port))
    }

    /// Whether a rule speaks of the caller; in a forbid, what is not known counts as yes (§3.5).
    fn is_caller(&self, from: &Principal, ends: &Ends<'_>, effect: Effect) -> bool {
        let forbid = effect == Effect::Forbid;
        match from {
            Principal::Workload(name) => ends.declared.is_some_and(|decl| decl.name.value == *name),
            Principal::Id(pattern) => ends
                .caller
                .as_ref()
                .is_some_and(|id| self.matches(pattern, id)),
            Principal::Label { key, value } => {
                match ends.declared.and_then(|decl| decl.labels.get(key)) {
                    Some(have) => have == value,
                    None => forbid,
                }
            }
            Principal::Zone(name) if forbid => ends
                .zones
                .as_ref()
                .is_none_or(|zones| zones.iter().any(|zone| zone.name.value == *name)),
            Principal::Zone(name) => {
                let zone = ends.zones.as_ref().and_then(|zones| zones.first());
                ends.caller.is_some() && zone.is_some_and(|zone| zone.name.value == *name)
            }
            Principal::Public => ends.caller.is_none(),
            Principal::Any => ends.caller.is_some(),
        }
    }

    /// §3.2
    fn is_target(&self, to: &Target, rule: &RuleDecl, target: Called<'_>) -> bool {
        let target = match target {
            Called::Workload(target) => target,
            Called::External(external) => {
                return match to {
                    Target::External(name) => external.name.value == *name,
                    Target::Any => rule.effect == Effect::Forbid && !is_conditional(rule),
                    _ => false,
                };
            }
        };
        match to {
            Target::Workload(name) => target.name.value == *name,
            Target::Id(pattern) => self
                .primary(&target.id.value)
                .is_some_and(|id| self.matches(pattern, &id)),
            Target::Label { key, value } => target.labels.get(key) == Some(value),
            Target::Zone(name) => target.zone.as_ref().is_some_and(|zone| zone.value == *name),
            Target::External(_) => false,
            Target::Any => true,
        }
    }
}
