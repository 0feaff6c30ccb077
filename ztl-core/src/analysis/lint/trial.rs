//! Everyone and everywhere that the rules tell apart, each tried where a target listens.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::analysis::edge::Seen;
use crate::analysis::{caller, place};
use crate::id::IdPattern;
use crate::policy::{
    Effect, Mode, Policy, Requirement, Rule, TargetRule, Who, Workload, WorkloadIdx,
};
use crate::zone::{Arrival, ZoneIdx};

use super::calls::{Calls, Matched, Reached};
use super::finding::Found;
use super::left::{At, Outcome};

/// Why nothing is tried where an id is that long.
const LONG: (&str, &str) = (
    "an id in a `from` is so long that no caller below it can be made up, and no call is tried",
    "shorten the id: with that of a workload behind it, it is longer than an SVID may have",
);

/// A caller, and from where it comes.
pub(super) struct Comes<'a> {
    pub(super) seen: Seen<'a>,
    /// The zone that it is bound to.
    bound: Option<ZoneIdx>,
}

/// A place, and the zone that it is in.
#[derive(Clone, Copy)]
struct Spot {
    arrival: Arrival,
    zone: Option<ZoneIdx>,
}

/// Everyone and everywhere that the rules tell apart.
pub(super) struct Trial<'a> {
    pub(super) policy: &'a Policy,
    /// The declared workloads in the order of the document, then strangers, then somebody who proves nothing.
    pub(super) callers: Vec<Comes<'a>>,
    places: Vec<Spot>,
    /// Those in each zone.
    by_zone: HashMap<ZoneIdx, Vec<Spot>>,
    /// How much more than one try it is to look up a zone, of which each network is looked at.
    networks: usize,
    /// Few principals stand in many rules.
    known: BTreeMap<&'a Who, Rc<[usize]>>,
}

impl<'a> Trial<'a> {
    /// None where an id is too long for another below it, or there is too much to try; that is said.
    pub(super) fn new(policy: &'a Policy, found: &mut Found) -> Option<Self> {
        let declared = policy.workloads().iter().zip((0_u32..).map(WorkloadIdx));
        let declared = declared.map(|(workload, index)| Comes {
            seen: Seen {
                id: Some(workload.id().clone()),
                workload: Some((index, workload)),
            },
            bound: workload.zone,
        });
        let Some(strangers) = caller::undeclared(&[policy], &[]) else {
            found.cut(LONG);
            return None;
        };
        let strangers = strangers.iter().filter_map(|id| Seen::of(policy, Some(id)));
        // An alias of a declared one is that one.
        let strangers = strangers.filter(|seen| seen.workload.is_none());
        let nobody = Seen::of(policy, None);
        let others = strangers.chain(nobody);
        let others = others.map(|seen| Comes { seen, bound: None });
        let document = policy.document();
        let networks = document.zones.iter().map(|zone| zone.networks.len());
        let networks = (networks.sum::<usize>() + document.relays.len()) / 32;
        let arrivals = place::arrivals(&[policy]);
        if !found.may_try(arrivals.len().saturating_mul(1 + networks)) {
            return None;
        }
        let mut places = Vec::new();
        let mut by_zone: HashMap<_, Vec<_>> = HashMap::new();
        for arrival in arrivals {
            let zone = policy.zones().index_of(&arrival);
            let spot = Spot { arrival, zone };
            places.push(spot);
            if let Some(zone) = zone {
                by_zone.entry(zone).or_default().push(spot);
            }
        }
        Some(Self {
            policy,
            callers: declared.chain(others).collect(),
            places,
            by_zone,
            networks,
            known: BTreeMap::new(),
        })
    }

    /// The zones that somebody is seen to arrive from.
    pub(super) fn zones(&self) -> impl Iterator<Item = ZoneIdx> {
        self.by_zone.keys().copied()
    }

    /// How much more than one try it is to see whether these speak of somebody.
    fn weight(&self, from: &[Who]) -> usize {
        let zones = from.iter().filter(|who| matches!(who, Who::Zone(_)));
        from.len() / 8 + zones.count().saturating_mul(self.networks)
    }

    /// From where somebody comes, if at all.
    fn places_of(&self, comes: &Comes<'_>) -> &[Spot] {
        match comes.bound {
            None => &self.places,
            Some(zone) => self.by_zone.get(&zone).map_or(&[], Vec::as_slice),
        }
    }

    /// The callers of whom a principal could speak, wherever they come from.
    fn named(&mut self, who: &'a Who, found: &mut Found) -> Option<Rc<[usize]>> {
        let (policy, callers) = (self.policy, &self.callers);
        let declared = match who {
            Who::Workload(index) => Some(*index),
            Who::Id(IdPattern::Exact(id)) => policy.workload_with_id(id).map(|(index, _)| index),
            _ => None,
        };
        if let Some(index) = declared {
            return Some(usize::try_from(index.0).into_iter().collect());
        }
        if let Some(named) = self.known.get(who) {
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
        self.known.insert(who, Rc::clone(&named));
        Some(named)
    }

    /// What is judged at the targets' ends.
    pub(super) fn inside(&mut self, calls: &mut Calls, found: &mut Found) {
        let rules = self.policy.rules();
        let weights: Vec<usize> = rules.map(|rule| 1 + self.weight(&rule.from)).collect();
        for (at, target) in self.policy.workloads().iter().enumerate() {
            let mut about = At::new(self.policy, target, &weights);
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
                    if rule.effect == Effect::Permit {
                        calls.reach(at, Reached::Open);
                    }
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
        let ports = listened(about.target, entry, found)?;
        let enforced = rule.mode == Mode::Enforce;
        let trust = rule.require.iter().find_map(|one| match one {
            Requirement::ZoneTrust(least) => Some(*least),
            _ => None,
        });
        let mut matched = core::mem::take(calls.at(entry.rule)?);
        let mut reached = calls.reached(at) == Reached::BySomebody;
        matched.listens |= !ports.is_empty();
        let public = about.target.public_ports();
        matched.is_public |= ports.iter().any(|port| public.contains(port));
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
            let once = 1 + self.weight(core::slice::from_ref(who));
            for caller in named.iter().copied() {
                let Some(comes) = self.callers.get(caller) else {
                    continue;
                };
                // Also one that comes from nowhere.
                if !found.may_try(1) {
                    complete = None;
                    break 'entries;
                }
                for spot in self.places_of(comes) {
                    for port in &ports {
                        if !found.may_try(once) {
                            complete = None;
                            break 'entries;
                        }
                        let from = comes.seen.from(&spot.arrival);
                        let zones = self.policy.zones();
                        let speaks = who
                            .speaks_of(&from, Effect::Permit, zones)
                            .counts_for(Effect::Permit);
                        let trusted = || {
                            let zone = spot.zone.and_then(|zone| zones.get(zone));
                            trust.is_none_or(|least| zone.is_some_and(|zone| zone.trust() >= least))
                        };
                        if !speaks || !comes.to(about.target, *port, spot) || !trusted() {
                            continue;
                        }
                        if let Some(entry) = matched.from.get_mut(entry_of) {
                            *entry = true;
                        }
                        if enforced && !(matched.left && reached) {
                            let tried =
                                about.outcome(self.policy, &from, (entry.rule, rule), *port, found);
                            match tried {
                                Outcome::Passes => (matched.left, reached) = (true, true),
                                Outcome::Taken(by) => matched.by.extend(by),
                                // Whatever else came of it, the rule is open.
                                Outcome::Unclear => {
                                    complete = None;
                                    break 'entries;
                                }
                            }
                        }
                        if settled(&matched, reached) {
                            continue 'entries;
                        }
                    }
                }
            }
        }
        if reached {
            calls.reach(at, Reached::BySomebody);
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
        let ports = listened(target, entry, found)?;
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
            let once = ports.len() + self.weight(&rule.from);
            for comes in &self.callers {
                if !found.may_try(1) {
                    return None;
                }
                for spot in self.places_of(comes) {
                    if !found.may_try(once) {
                        return None;
                    }
                    let to = |port: &u16| comes.to(target, *port, spot);
                    let from = comes.seen.from(&spot.arrival);
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
}

static UNKNOWN: Arrival = Arrival::unknown();

impl Comes<'_> {
    /// Whether it comes as far as to the rules about a target.
    fn to(&self, target: &Workload, port: u16, spot: &Spot) -> bool {
        let proved = self.seen.id.is_some() || target.public_ports().contains(&port);
        let known = spot.zone.is_some() || (self.bound.is_none() && target.zone.is_none());
        proved && known && self.bound.is_none_or(|bound| spot.zone == Some(bound))
    }
}

/// The ports on which a target listens that a rule speaks of. None where there was too much to look at.
fn listened(target: &Workload, entry: &TargetRule, found: &mut Found) -> Option<Vec<u16>> {
    let declared = target.ports().len() + target.public_ports().len();
    if !found.may_try(declared.saturating_mul(entry.ports.len()) / 64) {
        return None;
    }
    let mut ports: Vec<u16> = target.ports().to_vec();
    ports.extend(target.public_ports());
    ports.retain(|port| entry.covers_port(*port));
    ports.sort_unstable();
    ports.dedup();
    Some(ports)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// Whether a forbid, `[[forbid]] from = FROM`, is tried to the end beside so many networks, in so many tries.
    fn is_tried(networks: usize, from: &str, tries: usize) -> bool {
        let listed: Vec<_> = (0..networks)
            .map(|at| format!("'10.1.{}.{}/32'", at / 200, at % 200))
            .collect();
        let mut text = format!(
            "schema = 1\ntrust_domain = 't'\nrelays = ['10.9.0.0/24']\n\
            [zones.far]\nnetworks = ['10.9.0.0/25']\n[zones.near]\nnetworks = [{}]\n",
            listed.join(", ")
        );
        for at in 0..10 {
            let _ = writeln!(text, "[workloads.w{at}]\nid = 'spiffe://t/w{at}'");
        }
        text.push_str("[workloads.db]\nid = 'spiffe://t/db'\nzone = 'near'\nports = [1]\n");
        let _ = writeln!(text, "[[forbid]]\nname = 'f'\nfrom = {from}\nto = 'db'");
        let policy = Policy::from_toml(&text).unwrap_or_else(|error| panic!("{error}"));
        let mut found = Found::with_tries(tries);
        let calls = Calls::of(&policy, &mut found);
        calls.rule(0).is_some()
    }

    #[test]
    fn a_try_beside_many_networks_counts_as_several() {
        assert!(is_tried(1, "'zone:far'", 150));
        assert!(!is_tried(640, "'zone:far'", 150));
        assert!(is_tried(640, "'zone:far'", 1_500));
    }
}
