//! Which calls there are for the rules of a document, found by trying one of each kind that the rules tell apart.
//!
//! Callers, places, ports and actions that no rule tells apart are answered alike, so that one of each is enough
//! (`analysis::caller`, `analysis::place`, `analysis::asked`). What is no fact of the document is free: a requirement may be met,
//! and a forbid that has a condition, or speaks of somebody who comes along, may not fire (T10); only where a permit asks for
//! the very condition that a forbid fires on can the two never both pass.
//!
//! What a target's end judges is tried where it listens, and what is outside the mesh at the caller's end. How much may be tried
//! is bounded; of what was not tried to the end nothing is said.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use crate::analysis::edge::Seen;
use crate::analysis::outward::{Exit, Outward};
use crate::analysis::{caller, place};
use crate::id::IdPattern;
use crate::policy::{
    Effect, External, Mode, Policy, Requirement, Rule, RuleIdx, TargetRule, Who, Workload,
    WorkloadIdx, calling,
};
use crate::zone::{Arrival, ZoneIdx};

use super::finding::Found;
use super::left::{At, Outcome, left};

/// What is known of one rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Matched {
    /// A target listens on a port that it speaks of.
    listens: bool,
    /// For each entry of `from`, whether somebody of whom it speaks comes to a target. Of a forbid only the first that does is
    /// looked for.
    pub(super) from: Vec<bool>,
    /// Something that it permits is left by the forbids.
    pub(super) left: bool,
    /// The forbids that took away what was tried.
    pub(super) by: BTreeSet<RuleIdx>,
    /// Not all of it was tried.
    is_open: bool,
}

/// What is known of every rule and workload.
#[derive(Debug, Default)]
pub(super) struct Calls {
    rules: Vec<Matched>,
    /// By workload.
    reached: Vec<Reached>,
}

/// What is known of a workload that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// Somebody may ask something of it.
    BySomebody,
    ByNobody,
    /// Not all of it was tried.
    Open,
}

impl Calls {
    pub(super) fn of(policy: &Policy, found: &mut Found) -> Self {
        let rules = policy.rules().map(|rule| Matched {
            from: vec![false; rule.from.len()],
            ..Matched::default()
        });
        let mut calls = Self {
            rules: rules.collect(),
            reached: vec![Reached::ByNobody; policy.workloads().len()],
        };
        match Trial::new(policy) {
            Some(mut trial) => {
                trial.inside(&mut calls, found);
                trial.outside(&mut calls, found);
            }
            None => calls.open_all(),
        }
        calls
    }

    /// Whether one of its targets listens on a port that a rule speaks of; that needs no trying.
    pub(super) fn listens(&self, index: usize) -> bool {
        self.rules.get(index).is_some_and(|rule| rule.listens)
    }

    /// None where not all of it was tried.
    pub(super) fn rule(&self, index: usize) -> Option<&Matched> {
        self.rules.get(index).filter(|rule| !rule.is_open)
    }

    pub(super) fn reached(&self, workload: usize) -> Reached {
        self.reached.get(workload).copied().unwrap_or(Reached::Open)
    }

    fn at(&mut self, index: RuleIdx) -> Option<&mut Matched> {
        self.rules.get_mut(usize::try_from(index.0).ok()?)
    }

    /// Says nothing of a rule.
    fn open(&mut self, index: RuleIdx) {
        if let Some(rule) = self.at(index) {
            rule.is_open = true;
        }
    }

    fn open_all(&mut self) {
        self.rules.iter_mut().for_each(|rule| rule.is_open = true);
        self.reached.fill(Reached::Open);
    }
}

/// A caller, and from where it comes.
struct Comes<'a> {
    seen: Seen<'a>,
    /// The zone that it is bound to.
    bound: Option<ZoneIdx>,
}

/// Everyone and everywhere that the rules tell apart.
struct Trial<'a> {
    policy: &'a Policy,
    /// The declared workloads in the order of the document, then strangers, then somebody who proves nothing.
    callers: Vec<Comes<'a>>,
    places: Vec<Arrival>,
    /// Those in each zone.
    by_zone: HashMap<ZoneIdx, Vec<Arrival>>,
    /// Few principals stand in many rules.
    known: HashMap<String, Rc<[usize]>>,
}

impl<'a> Trial<'a> {
    /// None where an id is too long for another below it.
    fn new(policy: &'a Policy) -> Option<Self> {
        let declared = policy.workloads().iter().zip((0_u32..).map(WorkloadIdx));
        let declared = declared.map(|(workload, index)| Comes {
            seen: Seen {
                id: Some(workload.id().clone()),
                workload: Some((index, workload)),
            },
            bound: workload.zone,
        });
        let strangers = caller::undeclared(&[policy], &[])?;
        let strangers = strangers.iter().filter_map(|id| Seen::of(policy, Some(id)));
        // An alias of a declared one is that one.
        let strangers = strangers.filter(|seen| seen.workload.is_none());
        let nobody = Seen::of(policy, None);
        let others = strangers.chain(nobody);
        let others = others.map(|seen| Comes { seen, bound: None });
        let places = place::arrivals(&[policy]);
        let mut by_zone: HashMap<_, Vec<_>> = HashMap::new();
        for arrival in &places {
            if let Some(zone) = policy.zones().index_of(arrival) {
                by_zone.entry(zone).or_default().push(*arrival);
            }
        }
        Some(Self {
            policy,
            callers: declared.chain(others).collect(),
            places,
            by_zone,
            known: HashMap::new(),
        })
    }

    /// From where somebody comes, if at all.
    fn places_of(&self, comes: &Comes<'_>) -> &[Arrival] {
        match comes.bound {
            None => &self.places,
            Some(zone) => self.by_zone.get(&zone).map_or(&[], Vec::as_slice),
        }
    }

    /// The callers of whom a principal could speak, wherever they come from.
    fn named(&mut self, who: &Who, found: &mut Found) -> Option<Rc<[usize]>> {
        let (policy, callers) = (self.policy, &self.callers);
        let declared = match who {
            Who::Workload(index) => Some(*index),
            Who::Id(IdPattern::Exact(id)) => policy.workload_with_id(id).map(|(index, _)| index),
            _ => None,
        };
        if let Some(index) = declared {
            return Some(usize::try_from(index.0).into_iter().collect());
        }
        let key = format!("{who:?}");
        if let Some(named) = self.known.get(&key) {
            return Some(Rc::clone(named));
        }
        // To look at one is less than to try a call.
        if !found.may_try(callers.len() / 16 + 1) {
            return None;
        }
        let could = |comes: &Comes<'_>| match who {
            Who::Zone(zone) => {
                comes.seen.id.is_some() && comes.bound.is_none_or(|bound| bound == *zone)
            }
            who => who
                .speaks_of(&comes.seen.from(&UNKNOWN), Effect::Permit, policy.zones())
                .counts_for(Effect::Permit),
        };
        let all = callers.iter().enumerate();
        let meant = all.filter(|(_, comes)| could(comes));
        let named: Rc<[usize]> = meant.map(|(at, _)| at).collect();
        self.known.insert(key, Rc::clone(&named));
        Some(named)
    }

    /// What is judged at the targets' ends.
    fn inside(&mut self, calls: &mut Calls, found: &mut Found) {
        for (at, target) in self.policy.workloads().iter().enumerate() {
            let mut about = At::new(self.policy, target);
            for entry in target.rules() {
                let Some(rule) = self.policy.rule(entry.rule) else {
                    continue;
                };
                let done = match rule.effect {
                    Effect::Permit => self.permit(&mut about, (at, entry, rule), calls, found),
                    Effect::Forbid => self.forbid(target, (entry, rule), calls, found),
                };
                if done.is_none() {
                    calls.open(entry.rule);
                }
            }
        }
    }

    /// Who of those that a permit names comes to this target, and what of it is left there. None where there was too much to
    /// try.
    fn permit(
        &mut self,
        about: &mut At<'a>,
        (at, entry, rule): (usize, &TargetRule, &'a Rule),
        calls: &mut Calls,
        found: &mut Found,
    ) -> Option<()> {
        let ports = listened(about.target, entry);
        let enforced = rule.mode == Mode::Enforce;
        let trust = rule.require.iter().find_map(|one| match one {
            Requirement::ZoneTrust(least) => Some(*least),
            _ => None,
        });
        let mut matched = core::mem::take(calls.at(entry.rule)?);
        let mut reached = calls.reached(at) == Reached::BySomebody;
        matched.listens |= !ports.is_empty();
        let mut complete = Some(());
        'entries: for (entry_of, who) in rule.from.iter().enumerate() {
            let settled = |matched: &Matched, reached: bool| {
                let is_matched = matched.from.get(entry_of) == Some(&true);
                is_matched && (!enforced || matched.left && reached)
            };
            if settled(&matched, reached) || ports.is_empty() {
                continue;
            }
            let Some(named) = self.named(who, found) else {
                complete = None;
                break;
            };
            for caller in named.iter().copied() {
                let Some(comes) = self.callers.get(caller) else {
                    continue;
                };
                // Also one that comes from nowhere.
                if !found.may_try(1) {
                    complete = None;
                    break 'entries;
                }
                for arrival in self.places_of(comes) {
                    for port in &ports {
                        if !found.may_try(1 + about.forbids.len()) {
                            complete = None;
                            break 'entries;
                        }
                        let from = comes.seen.from(arrival);
                        let zones = self.policy.zones();
                        let speaks = who
                            .speaks_of(&from, Effect::Permit, zones)
                            .counts_for(Effect::Permit);
                        let trusted = || {
                            let zone = zones.index_of(arrival).and_then(|zone| zones.get(zone));
                            trust.is_none_or(|least| zone.is_some_and(|zone| zone.trust() >= least))
                        };
                        if !speaks
                            || !comes.to(self.policy, about.target, *port, arrival)
                            || !trusted()
                        {
                            continue;
                        }
                        if let Some(entry) = matched.from.get_mut(entry_of) {
                            *entry = true;
                        }
                        if enforced && !(matched.left && reached) {
                            let tried = about.outcome(
                                self.policy,
                                &comes.seen.from(arrival),
                                (entry.rule, rule),
                                *port,
                                found,
                            );
                            match tried {
                                Outcome::Passes => (matched.left, reached) = (true, true),
                                Outcome::Taken(by) => matched.by.extend(by),
                                Outcome::Unclear => complete = None,
                            }
                        }
                        if settled(&matched, reached) {
                            continue 'entries;
                        }
                    }
                }
            }
        }
        if let Some(known) = calls.reached.get_mut(at) {
            if reached {
                *known = Reached::BySomebody;
            } else if complete.is_none() {
                *known = Reached::Open;
            }
        }
        *calls.at(entry.rule)? = matched;
        complete
    }

    /// Whether somebody of whom a forbid speaks comes to this target. None where there was too much to try.
    fn forbid(
        &self,
        target: &Workload,
        (entry, rule): (&TargetRule, &Rule),
        calls: &mut Calls,
        found: &mut Found,
    ) -> Option<()> {
        let ports = listened(target, entry);
        let matched = calls.at(entry.rule)?;
        matched.listens |= !ports.is_empty();
        if ports.is_empty() || matched.from.contains(&true) {
            return Some(());
        }
        let mut comes = || {
            // Whoever has such an identity may come along with somebody else.
            if rule.forbids_parties() {
                return Some(true);
            }
            for comes in &self.callers {
                if !found.may_try(1) {
                    return None;
                }
                for arrival in self.places_of(comes) {
                    if !found.may_try(ports.len()) {
                        return None;
                    }
                    let to = |port: &u16| comes.to(self.policy, target, *port, arrival);
                    let from = comes.seen.from(arrival);
                    if rule.speaks_of(&from, self.policy.zones()) && ports.iter().any(to) {
                        return Some(true);
                    }
                }
            }
            Some(false)
        };
        if comes()? {
            matched.from.fill(true);
        }
        Some(())
    }

    /// What is judged at the callers' ends alone. That rules name ports there are is seen to when they are read.
    fn outside(&self, calls: &mut Calls, found: &mut Found) {
        for external in self.policy.externals() {
            let permits = external.permits.iter().chain(&external.shadow);
            for entry in permits.chain(&external.forbids) {
                if self.exits(external, entry.rule, calls, found).is_none() {
                    calls.open(entry.rule);
                }
            }
        }
    }

    /// Which workloads of whom a rule speaks call outside, and what is left of a permit there. None where there was too much to
    /// try.
    fn exits(
        &self,
        external: &'a External,
        index: RuleIdx,
        calls: &mut Calls,
        found: &mut Found,
    ) -> Option<()> {
        let rule = self.policy.rule(index)?;
        let zones = self.policy.zones();
        let without = HashSet::new();
        let counts = (rule.effect, rule.mode) == (Effect::Permit, Mode::Enforce);
        let about = external.permits.len() + external.forbids.len();
        let tries = about.saturating_mul(external.ports.len());
        let matched = calls.at(index)?;
        matched.listens = true;
        for (entry, who) in rule.from.iter().enumerate() {
            for comes in &self.callers {
                let known = matched.from.get(entry) == Some(&true);
                if known && (matched.left || !counts) {
                    break;
                }
                let Some(me) = comes.seen.workload else {
                    continue;
                };
                if !found.may_try(1) {
                    return None;
                }
                let caller = calling(me);
                let speaks = who.speaks_of(&caller, rule.effect, zones);
                if !speaks.counts_for(rule.effect) {
                    continue;
                }
                if let Some(entry) = matched.from.get_mut(entry) {
                    *entry = true;
                }
                if !counts || matched.left {
                    continue;
                }
                if !found.may_try(tries) {
                    return None;
                }
                let outward = Outward {
                    policy: self.policy,
                    external,
                    me,
                    without: &without,
                };
                for Exit { edge, .. } in outward.exits() {
                    match left(self.policy, index, &edge, found) {
                        Outcome::Passes => matched.left = true,
                        Outcome::Taken(by) => matched.by.extend(by),
                        Outcome::Unclear => return None,
                    }
                }
                let forbids = external.forbids.iter().map(|entry| entry.rule);
                matched.by.extend(forbids.filter(|index| {
                    let forbid = self.policy.rule(*index);
                    forbid.is_some_and(|one| one.forbids_flow() && one.speaks_of(&caller, zones))
                }));
            }
        }
        Some(())
    }
}

static UNKNOWN: Arrival = Arrival::unknown();

impl Comes<'_> {
    /// Whether it comes as far as to the rules about a target.
    fn to(&self, policy: &Policy, target: &Workload, port: u16, arrival: &Arrival) -> bool {
        let zone = policy.zones().index_of(arrival);
        let proved = self.seen.id.is_some() || target.public_ports().contains(&port);
        let known = zone.is_some() || (self.bound.is_none() && target.zone.is_none());
        proved && known && self.bound.is_none_or(|bound| zone == Some(bound))
    }
}

/// The ports on which a target listens that a rule speaks of.
fn listened(target: &Workload, entry: &TargetRule) -> Vec<u16> {
    let mut ports: Vec<u16> = target.ports().to_vec();
    ports.extend(target.public_ports());
    ports.retain(|port| entry.covers_port(*port));
    ports.sort_unstable();
    ports.dedup();
    ports
}
