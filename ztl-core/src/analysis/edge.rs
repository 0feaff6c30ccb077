//! One caller at one port of one target: the enforced rules that speak there, each with what else it asks.

use std::collections::HashSet;

use crate::action::Action;
use crate::authorizer::Reads;
use crate::id::SpiffeId;
use crate::policy::{
    ActionPattern, Aim, Caller, Effect, Named, Place, Policy, Require, Requirement, Rule, RuleDecl,
    RuleIdx, Workload, WorkloadIdx,
};
use crate::zone::Arrival;

use super::among::Among;
use super::need::obligation_key;

/// A caller as one policy sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen<'a> {
    /// In the primary trust domain; none for a caller that proves nothing.
    pub(crate) id: Option<SpiffeId>,
    pub(crate) workload: Option<(WorkloadIdx, &'a Workload)>,
}

impl<'a> Seen<'a> {
    /// None for an id that fits in no primary trust domain, which nothing lets in.
    pub(crate) fn of(policy: &'a Policy, shown: Option<&SpiffeId>) -> Option<Self> {
        let Some(shown) = shown else {
            return Some(Self {
                id: None,
                workload: None,
            });
        };
        let id = policy.primary_id(shown)?.into_owned();
        let workload = policy.workload_with_id(&id);
        Some(Self {
            id: Some(id),
            workload,
        })
    }

    pub(crate) fn from<'s>(&'s self, arrival: &'s Arrival) -> Caller<'s> {
        Caller {
            id: self.id.as_ref(),
            workload: self.workload,
            place: Place::Arrival(arrival),
        }
    }
}

/// What is asked of a policy: may this caller, from there, reach this port, and what may it do there.
#[derive(Clone, Copy)]
pub(crate) struct Question<'q, 'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) target: &'a Workload,
    pub(crate) port: u16,
    pub(crate) caller: &'q Seen<'a>,
    pub(crate) arrival: Arrival,
    /// Rules that are taken as absent.
    pub(crate) without: &'q HashSet<RuleIdx>,
}

/// The rules that speak, where the flow is permitted.
#[derive(Debug, Default)]
pub(crate) struct Edge<'a> {
    pub(crate) forbids: Vec<Veto<'a>>,
    pub(crate) permits: Vec<Grant<'a>>,
}

/// A forbid that is narrowed to actions, by a condition, or both.
#[derive(Clone, Debug)]
pub(crate) struct Veto<'a> {
    pub(crate) rule: RuleIdx,
    /// None: every action.
    pub(crate) pattern: Option<&'a ActionPattern>,
    pub(crate) when: Option<When<'a>>,
    /// It speaks of the peer; else it fires only on somebody who comes along (T12).
    pub(crate) of_peer: bool,
    pub(super) policy: &'a Policy,
    pub(super) of: &'a Rule,
}

/// A condition, and what it reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct When<'a> {
    pub(crate) text: &'a str,
    pub(crate) reads: Reads,
}

/// One action pattern of a permit, and what the permit requires.
#[derive(Clone, Debug)]
pub(crate) struct Grant<'a> {
    pub(crate) rule: RuleIdx,
    pub(crate) pattern: &'a ActionPattern,
    pub(crate) need: Need<'a>,
}

/// What a permit requires beside caller, place and action. That its zone is trusted enough is known here already.
#[derive(Clone, Debug)]
pub(crate) struct Need<'a> {
    pub(crate) decl: &'a Require,
    pub(super) rule: &'a RuleDecl,
    pub(super) policy: &'a Policy,
    pub(super) subject: &'a [Named],
    pub(super) actors: &'a [Named],
    /// What the decision itself asks, without conditions and authorizers.
    pub(crate) native: Vec<&'a Requirement>,
    pub(crate) when: Option<When<'a>>,
    pub(crate) authorizers: Vec<&'a str>,
    pub(crate) reads: Reads,
    pub(crate) issuer: Option<&'a str>,
}

impl<'a> Question<'_, 'a> {
    /// The edge; none where the flow is denied.
    pub(crate) fn edge(&self) -> Option<Edge<'a>> {
        self.edge_counting(true)
    }

    /// The same; where `trust` is not counted, also what the caller's zone is not trusted enough for.
    pub(crate) fn edge_counting(&self, trust: bool) -> Option<Edge<'a>> {
        let counted = trust;
        if self.caller.id.is_none() && !self.target.public_ports().contains(&self.port) {
            return None;
        }
        let caller = self.caller.from(&self.arrival);
        let zone = caller.place.zone(self.policy.zones());
        let bound = self.caller.workload.and_then(|(_, workload)| workload.zone);
        if (zone.is_none() && (bound.is_some() || self.target.zone.is_some()))
            || bound.is_some_and(|bound| zone != Some(bound))
        {
            return None;
        }
        let speaking = |effect| self.speaking(&caller, effect);
        let permits: Vec<_> = speaking(Effect::Permit).collect();
        if permits.is_empty() || speaking(Effect::Forbid).any(|(_, rule, _)| rule.forbids_flow()) {
            return None;
        }
        let trust = zone
            .and_then(|zone| self.policy.zones().get(zone))
            .map(crate::zone::Zone::trust);
        let mut edge = Edge::default();
        for (index, rule, decl, of_peer) in self.forbidding(&caller) {
            (edge.forbids).extend(Veto::of(self.policy, (index, rule, decl), of_peer));
        }
        for (index, rule, decl) in permits {
            let trusted = |one: &Requirement| match one {
                Requirement::ZoneTrust(least) => trust.is_some_and(|trust| trust >= *least),
                _ => true,
            };
            if counted && !rule.require.iter().all(trusted) {
                continue;
            }
            let need = Need::of(self.policy, rule, decl);
            edge.permits.extend(Grant::of(index, rule, &need));
        }
        Some(edge)
    }

    fn speaking<'s>(
        &'s self,
        caller: &'s Caller<'s>,
        effect: Effect,
    ) -> impl Iterator<Item = (RuleIdx, &'a Rule, &'a RuleDecl)> + 's {
        let zones = self.policy.zones();
        self.rules()
            .filter(move |(_, rule, _)| rule.effect == effect && rule.speaks_of(caller, zones))
    }

    /// The forbids that speak of the peer, and those that could fire on somebody who comes along with it (T12).
    fn forbidding<'s>(
        &'s self,
        caller: &'s Caller<'s>,
    ) -> impl Iterator<Item = (RuleIdx, &'a Rule, &'a RuleDecl, bool)> + 's {
        let zones = self.policy.zones();
        self.rules()
            .filter(|(_, rule, _)| rule.effect == Effect::Forbid)
            .map(move |(index, rule, decl)| (index, rule, decl, rule.speaks_of(caller, zones)))
            .filter(|(_, rule, _, of_peer)| *of_peer || rule.forbids_parties())
    }

    /// The enforced rules about the target on this port.
    fn rules(&self) -> impl Iterator<Item = (RuleIdx, &'a Rule, &'a RuleDecl)> {
        let without = self.without;
        Aim::Workload(self.target)
            .enforced(self.policy, self.port)
            .filter(move |(index, _, _)| !without.contains(index))
    }
}

impl<'a> Veto<'a> {
    /// A forbid that does not forbid the flow, once for each of its patterns.
    pub(crate) fn of(
        policy: &'a Policy,
        (index, rule, decl): (RuleIdx, &'a Rule, &'a RuleDecl),
        of_peer: bool,
    ) -> impl Iterator<Item = Self> {
        let when = decl.when.as_ref().zip(rule.when.as_ref());
        let when = when.map(|(text, condition)| When {
            text: &text.value,
            reads: condition.reads(),
        });
        let whole = rule.actions.is_empty().then_some(None);
        let patterns = whole.into_iter().chain(rule.actions.iter().map(Some));
        patterns.map(move |pattern| Self {
            rule: index,
            pattern,
            when,
            of_peer,
            policy,
            of: rule,
        })
    }
}

impl Veto<'_> {
    /// Whether it covers the action in some view.
    pub(crate) fn covers(&self, action: &Action<'_>) -> bool {
        self.pattern.is_none_or(|pattern| pattern.forbids(action))
    }

    /// Whether it may not fire: it has a condition, or speaks of somebody who comes along.
    pub(crate) fn is_conditional(&self) -> bool {
        !self.of_peer || self.when.is_some() || self.is_by_party()
    }

    fn is_by_party(&self) -> bool {
        !self.of.subject.is_empty() || !self.of.actors.is_empty()
    }

    /// All that it asks beside the action.
    pub(crate) fn variable(&self) -> Variable {
        let [subject, actors] =
            [&self.of.subject, &self.of.actors].map(|list| Among::named(self.policy, list));
        let text = self.when.map(|when| when.text);
        let template = template_text(self.pattern);
        // Whom it speaks of matters where that is not the peer.
        let from = (!self.of_peer).then(|| Among::from(self.policy, &self.of.from));
        Variable::Text(format!(
            "{:?}",
            ("forbid", from, subject, actors, text, template)
        ))
    }

    /// What has to be untrue for the action to pass, and what that is read from; none where it is forbidden whatever the
    /// facts are.
    pub(crate) fn condition(&self, action: &Action<'_>) -> Option<(Variable, Reads)> {
        if !self.of_peer {
            return Some((self.variable(), Reads::nothing()));
        }
        // On a raw stream a conditional forbid fires.
        let path = action.resource()?.path();
        if self.is_by_party() {
            return Some((self.variable(), Reads::nothing().with_token()));
        }
        // So it does where a parameter cannot be told.
        let when = self.when?;
        let template = self.pattern.and_then(ActionPattern::template);
        if template.is_some_and(|template| !template.matches(path)) {
            return None;
        }
        Some((Variable::when(when.text, self.pattern), when.reads))
    }
}

impl<'a> Grant<'a> {
    /// A permit, once for each of its patterns.
    pub(crate) fn of<'n>(
        index: RuleIdx,
        rule: &'a Rule,
        need: &'n Need<'a>,
    ) -> impl Iterator<Item = Self> + use<'a, 'n> {
        rule.actions.iter().map(move |pattern| Self {
            rule: index,
            pattern,
            need: need.clone(),
        })
    }
}

impl Grant<'_> {
    /// What has to be true beside what a decision itself asks of evidence.
    pub(crate) fn variables(&self) -> Vec<Variable> {
        let mut all = Vec::new();
        let when = self.need.when;
        all.extend(when.map(|when| Variable::when(when.text, Some(self.pattern))));
        let template = template_text(Some(self.pattern));
        let authorizers = self.need.authorizers.iter();
        all.extend(
            authorizers
                .map(|name| Variable::Text(format!("{:?}", ("authorizer", name, &template)))),
        );
        let RuleDecl {
            subject: _,
            actors: _,
            oblige,
            effect: _,
            name: _,
            mode: _,
            from: _,
            to: _,
            ports: _,
            actions: _,
            anonymous: _,
            require: _,
            when: _,
            why: _,
            controls: _,
            span: _,
        } = self.need.rule;
        for (what, list) in [("subject", self.need.subject), ("actors", self.need.actors)] {
            if !list.is_empty() {
                all.push(Variable::OneOf(what, Among::named(self.need.policy, list)));
            }
        }
        let obliged = obligation_key(oblige);
        all.extend(obliged.map(|key| Variable::Text(format!("{:?}", ("oblige", key)))));
        all
    }
}

/// Something of which nothing is known but that the same has the same answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Variable {
    /// A text, asked with the same parameters.
    Text(String),
    /// That all who come along as such are among these.
    OneOf(&'static str, Among),
}

impl Variable {
    fn when(text: &str, pattern: Option<&ActionPattern>) -> Self {
        Self::Text(format!("{:?}", ("when", text, template_text(pattern))))
    }

    /// Whether it is true wherever the other is.
    pub(crate) fn follows_from(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::OneOf(what, wider), Self::OneOf(other, narrower)) => {
                what == other && narrower.is_within(wider)
            }
            (one, other) => one == other,
        }
    }
}

/// What names the parameters.
fn template_text(pattern: Option<&ActionPattern>) -> String {
    let template = pattern.and_then(ActionPattern::template);
    template.map(ToString::to_string).unwrap_or_default()
}
