//! The edges of one target after the other, under both documents.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::TooLarge;
use super::change::{Caller, Change, Otherwise};
use super::same::{port_classes, requires, rules_text, world, zone_name};
use crate::analysis::asked::{ActionSpace, Asked};
use crate::analysis::compare::{Cell, key_of_grant, key_of_veto};
use crate::analysis::edge::{Edge, Grant, Question, Seen};
use crate::analysis::facts::{self, MadeUp, NOW};
use crate::analysis::{caller, place};
use crate::id::SpiffeId;
use crate::policy::{Effect, Mode, Policy, Query, RuleIdx, Who, Workload};
use crate::reason::{Reason, Verdict};
use crate::zone::Arrival;

/// Two documents, and everyone and everywhere they tell apart.
pub(super) struct Comparer<'a> {
    pub(super) sides: [&'a Policy; 2],
    callers: Vec<Shown<'a>>,
    arrivals: Vec<Arrival>,
    /// Zones, relays and trust domains are the same, so that only callers that changed need be asked about unchanged targets.
    same_world: bool,
    pub(super) beside: String,
    pub(super) none: HashSet<RuleIdx>,
    /// How many edges, and how many actions, may still be tried.
    edges_left: usize,
    left: usize,
}

/// A caller, as it shows itself and as each document sees it.
struct Shown<'a> {
    id: Option<SpiffeId>,
    seen: [Option<Seen<'a>>; 2],
    /// The documents declare it differently.
    changed: bool,
}

/// Edges that are alike under both documents.
struct Group<'g, 'a> {
    to: &'g str,
    ports: &'g [u16],
    callers: Vec<&'g Shown<'a>>,
    arrivals: Vec<Arrival>,
    edges: [Option<Edge<'a>>; 2],
}

/// Changes found, by what tells them apart.
type Found = BTreeMap<Kind, Change>;

/// The permit and its pattern, and in short why the other document denies.
type Kind = (
    Option<(RuleIdx, String)>,
    (bool, Option<RuleIdx>, Option<RuleIdx>),
);

impl<'a> Comparer<'a> {
    pub(super) fn new(old: &'a Policy, new: &'a Policy) -> Result<Self, TooLarge> {
        let sides = [old, new];
        let ids = caller::callers(&sides).ok_or_else(|| {
            TooLarge::new("an id is too long for another below it, or in an alias")
        })?;
        let callers = ids.into_iter().map(|id| {
            let seen = sides.map(|policy| Seen::of(policy, id.as_ref()));
            let facts = |at: usize| {
                let seen = seen.get(at)?.as_ref()?;
                let (_, workload) = seen.workload?;
                Some((zone_name(sides.get(at)?, workload), &workload.labels))
            };
            let changed = facts(0) != facts(1);
            Shown { id, seen, changed }
        });
        let callers = callers.collect();
        Ok(Self {
            sides,
            callers,
            arrivals: place::arrivals(&sides),
            same_world: world(old) == world(new),
            beside: facts::beside(&sides),
            none: HashSet::new(),
            edges_left: super::MAX_EDGES,
            left: super::MAX_COMPARED_ACTIONS,
        })
    }

    /// What became permitted, and what denied.
    pub(super) fn compare(mut self) -> Result<(Vec<Change>, Vec<Change>), TooLarge> {
        let [old, new] = self.sides;
        let (mut permitted, mut denied) = (Vec::new(), Vec::new());
        let gone = old.workloads().iter().map(Workload::name);
        let gone = gone.filter(|name| new.workload_by_name(name).is_none());
        for name in new.workloads().iter().map(Workload::name).chain(gone) {
            let targets = self.sides.map(|policy| policy.workload_by_name(name));
            let same =
                self.same_world && rules_text(old, targets[0]) == rules_text(new, targets[1]);
            if same && !self.callers.iter().any(|caller| caller.changed) {
                continue;
            }
            self.target(name, targets, same, &mut permitted, &mut denied)?;
        }
        Ok((permitted, denied))
    }

    fn target(
        &mut self,
        name: &str,
        targets: [Option<&'a Workload>; 2],
        same: bool,
        permitted: &mut Vec<Change>,
        denied: &mut Vec<Change>,
    ) -> Result<(), TooLarge> {
        let classes = self.classes(targets, same);
        let arrivals = self.places(targets);
        for ports in port_classes(targets) {
            let Some(port) = ports.first().copied() else {
                continue;
            };
            // Edges on which the same rules speak are alike.
            type Key = [Option<Vec<(RuleIdx, bool)>>; 2];
            let mut alike: HashMap<Key, BTreeMap<usize, Vec<usize>>> = HashMap::new();
            for (class, callers) in classes.iter().enumerate() {
                let Some(caller) = callers.first().and_then(|at| self.callers.get(*at)) else {
                    continue;
                };
                for (place, arrival) in arrivals.iter().enumerate() {
                    spend(&mut self.edges_left, 1, name)?;
                    let key = edges(&self.sides, targets, port, caller, *arrival, &self.none).map(
                        |edge| {
                            edge.map(|edge| {
                                let forbids =
                                    edge.forbids.iter().map(|one| (one.rule, one.of_peer));
                                let rules =
                                    forbids.chain(edge.permits.iter().map(|one| (one.rule, true)));
                                rules.collect::<Vec<_>>()
                            })
                        },
                    );
                    let places = alike.entry(key).or_default().entry(class).or_default();
                    places.push(place);
                }
            }
            // Classes of callers that come from the same places are told of together.
            let mut groups: BTreeMap<(Key, Vec<usize>), Vec<usize>> = BTreeMap::new();
            for (key, by_class) in alike {
                for (class, places) in by_class {
                    groups
                        .entry((key.clone(), places))
                        .or_default()
                        .extend(classes.get(class).into_iter().flatten().copied());
                }
            }
            for ((_, places), mut callers) in groups {
                callers.sort_unstable();
                let callers: Vec<_> = callers
                    .iter()
                    .filter_map(|at| self.callers.get(*at))
                    .collect();
                let arrivals: Vec<_> = places
                    .iter()
                    .filter_map(|at| arrivals.get(*at).copied())
                    .collect();
                let (Some(caller), Some(arrival)) = (callers.first(), arrivals.first()) else {
                    continue;
                };
                let edges = edges(&self.sides, targets, port, caller, *arrival, &self.none);
                let group = Group {
                    to: name,
                    ports: &ports,
                    callers,
                    arrivals,
                    edges,
                };
                let mut found = [Found::new(), Found::new()];
                group.compare(self.sides, &self.beside, &mut self.left, &mut found)?;
                let [less, more] = found;
                denied.extend(less.into_values());
                permitted.extend(more.into_values());
            }
        }
        Ok(())
    }

    /// Callers that no rule about the target tells apart.
    fn classes(&self, targets: [Option<&'a Workload>; 2], same: bool) -> Vec<Vec<usize>> {
        let whos = [0, 1].map(|at| {
            let mut whos: Vec<&Who> = Vec::new();
            for (_, rule) in self.rules(at, targets) {
                for who in &rule.from {
                    if !matches!(who, Who::Zone(_)) && !whos.contains(&who) {
                        whos.push(who);
                    }
                }
            }
            whos
        });
        let mut classes: BTreeMap<Vec<u16>, Vec<usize>> = BTreeMap::new();
        for (index, caller) in self.callers.iter().enumerate() {
            if same && !caller.changed {
                continue;
            }
            let mut key = vec![u16::from(caller.id.is_some())];
            for ((policy, seen), whos) in self.sides.iter().zip(&caller.seen).zip(&whos) {
                let Some(seen) = seen else {
                    key.push(u16::MAX);
                    continue;
                };
                let bound = seen.workload.and_then(|(_, workload)| workload.zone);
                key.push(bound.map_or(0, |zone| zone.0.saturating_add(1)));
                let caller = seen.from(&const { Arrival::unknown() });
                for who in whos {
                    // Not of a zone, and so the same for a permit and a forbid but in what an unknown label counts.
                    let says = who.speaks_of(&caller, Effect::Forbid, policy.zones());
                    let counts =
                        [Effect::Permit, Effect::Forbid].map(|effect| says.counts_for(effect));
                    key.push(
                        counts
                            .iter()
                            .fold(0, |key, counts| key * 2 + u16::from(*counts)),
                    );
                }
            }
            classes.entry(key).or_default().push(index);
        }
        classes.into_values().collect()
    }

    /// Places that no rule about the target, and no caller's own zone, tells apart.
    fn places(&self, targets: [Option<&'a Workload>; 2]) -> Vec<Arrival> {
        let zones = [0, 1].map(|at| {
            let mut zones = BTreeSet::new();
            for (_, rule) in self.rules(at, targets) {
                zones.extend(rule.from.iter().filter_map(|who| match who {
                    Who::Zone(zone) => Some(*zone),
                    _ => None,
                }));
            }
            zones
        });
        let mut kept = BTreeSet::new();
        let is_new = |arrival: &&Arrival| {
            let mut key = Vec::new();
            for (policy, named) in self.sides.iter().zip(&zones) {
                let zone = policy.zones().index_of(arrival);
                // One whose zone is nobody's own and that no rule names could be told apart by its trust alone; keeping
                // it apart costs little.
                key.push(zone.map(|zone| u32::from(zone.0)));
                for zone in named {
                    let held = policy.zones().any_holds(*zone, arrival);
                    key.push(held.map(u32::from));
                }
            }
            kept.insert(key)
        };
        self.arrivals.iter().filter(is_new).copied().collect()
    }

    fn rules(
        &self,
        side: usize,
        targets: [Option<&'a Workload>; 2],
    ) -> impl Iterator<Item = (RuleIdx, &'a crate::policy::Rule)> {
        let policy = self.sides.get(side).copied();
        let target = targets.get(side).copied().flatten();
        let entries = target.into_iter().flat_map(Workload::rules);
        entries
            .filter_map(move |entry| Some((entry.rule, policy?.rule(entry.rule)?)))
            .filter(|(_, rule)| rule.mode == Mode::Enforce)
    }
}

fn spend(left: &mut usize, much: usize, target: &str) -> Result<(), TooLarge> {
    *left = left.checked_sub(much).ok_or_else(|| too_many(target))?;
    Ok(())
}

fn too_many(target: &str) -> TooLarge {
    TooLarge::new(format!(
        "at `{target}` more is told apart than {} actions on one edge, {} in all, or {} edges",
        super::MAX_ACTIONS_OF_EDGE,
        super::MAX_COMPARED_ACTIONS,
        super::MAX_EDGES
    ))
}

/// The edge under each document.
fn edges<'a>(
    sides: &[&'a Policy; 2],
    targets: [Option<&'a Workload>; 2],
    port: u16,
    caller: &Shown<'a>,
    arrival: Arrival,
    without: &HashSet<RuleIdx>,
) -> [Option<Edge<'a>>; 2] {
    let edge = |at: usize| {
        Question {
            policy: sides.get(at)?,
            target: (*targets.get(at)?)?,
            port,
            caller: caller.seen.get(at)?.as_ref()?,
            arrival,
            without,
        }
        .edge()
    };
    [edge(0), edge(1)]
}

impl<'a> Group<'_, 'a> {
    fn compare(
        &self,
        sides: [&'a Policy; 2],
        beside: &str,
        left: &mut usize,
        found: &mut [Found; 2],
    ) -> Result<(), TooLarge> {
        for asked in self
            .differing((*left).min(super::MAX_ACTIONS_OF_EDGE))
            .map_err(|_| too_many(self.to))?
        {
            spend(left, 1, self.to)?;
            let Some(action) = asked.action() else {
                continue;
            };
            let ([was, is], [old, new]) = (self.edges.each_ref(), sides);
            let old = Cell::of(old, was.as_ref(), &action);
            let new = Cell::of(new, is.as_ref(), &action);
            for (permitting, (one, other)) in [(&old, &new), (&new, &old)].into_iter().enumerate() {
                if let Some((grant, evidence)) = one.beyond(other, beside) {
                    let kind = (
                        Some((grant.rule, grant.pattern.to_string())),
                        other.shortfall(),
                    );
                    self.record(
                        sides,
                        permitting,
                        &asked,
                        (kind, Some(grant)),
                        evidence,
                        found,
                    );
                }
            }
        }
        // A flow on which nothing can be asked is told of only where nothing else tells of it.
        for (one, other) in [(0, 1), (1, 0)] {
            let open = |at: usize| self.edges.get(at).is_some_and(Option::is_some);
            let silent = found.get(one).is_some_and(Found::is_empty);
            if open(one) && !open(other) && silent {
                let kind = (None, (true, None, None));
                self.record(sides, one, &Asked::Flow, (kind, None), None, found);
            }
        }
        Ok(())
    }

    /// The actions that rules speak of which are not the same under both documents.
    fn differing(&self, most: usize) -> Result<Vec<Asked>, crate::policy::TooMany> {
        let [old, new] = self.edges.each_ref().map(|edge| {
            let edge = edge.iter();
            let grants = edge
                .clone()
                .flat_map(|edge| edge.permits.iter().map(key_of_grant));
            let vetoes = edge.flat_map(|edge| edge.forbids.iter().map(key_of_veto));
            let keys: [HashSet<String>; 2] = [grants.collect(), vetoes.collect()];
            keys
        });
        let [grants, vetoes] = [0, 1].map(|at| match (old.get(at), new.get(at)) {
            (Some(old), Some(new)) => old.symmetric_difference(new).collect::<HashSet<_>>(),
            _ => HashSet::new(),
        });
        let mut space = ActionSpace::default();
        for edge in self.edges.iter().flatten() {
            for grant in &edge.permits {
                space.add(Some(grant.pattern), grants.contains(&key_of_grant(grant)));
            }
            for veto in &edge.forbids {
                space.add(veto.pattern, vetoes.contains(&key_of_veto(veto)));
            }
        }
        space.actions(most)
    }

    fn record(
        &self,
        sides: [&Policy; 2],
        permitting: usize,
        asked: &Asked,
        (kind, grant): (Kind, Option<&Grant<'_>>),
        evidence: Option<MadeUp>,
        found: &mut [Found; 2],
    ) {
        let (Some(policy), Some(other), Some(found)) = (
            sides.get(permitting),
            sides.get(1 - permitting.min(1)),
            found.get_mut(permitting),
        ) else {
            return;
        };
        if found.get(&kind).is_some_and(|known| known.confirmed) {
            return;
        }
        let mut witness = self.request(asked);
        if let Some(evidence) = &evidence {
            evidence.write(&mut witness);
        }
        let decide =
            |policy: &Policy| Query::from_map(&witness).and_then(|query| query.decide(policy, NOW));
        let (here, there) = (decide(policy).ok(), decide(other).ok());
        let confirmed = here
            .as_ref()
            .is_some_and(|one| one.verdict == Verdict::Permit)
            && there
                .as_ref()
                .is_some_and(|one| one.verdict == Verdict::Deny);
        let rule = match grant {
            Some(grant) => policy.rule(grant.rule).map(|rule| Arc::clone(&rule.name)),
            None => here.and_then(|here| here.rule),
        };
        // What the other document permits as it stands differs in a condition that this request does not bring out.
        let (reason, nearest) = match there {
            Some(there) => (there.reason, there.rule),
            None => (Reason::AuthorizerFailed, None),
        };
        let change = Change {
            callers: self
                .callers
                .iter()
                .filter_map(|caller| name_of(sides, caller))
                .collect(),
            places: self.places(policy),
            to: self.to.into(),
            ports: self.ports.to_vec(),
            action: grant.map(|grant| grant.pattern.to_string()),
            rule: rule.unwrap_or_else(|| "".into()),
            requires: grant.map(|grant| grant.need.texts()).unwrap_or_default(),
            otherwise: Otherwise {
                reason,
                requires: nearest
                    .as_deref()
                    .map(|name| requires(other, name))
                    .unwrap_or_default(),
                rule: nearest,
            },
            witness,
            confirmed,
        };
        if confirmed || !found.contains_key(&kind) {
            found.insert(kind, change);
        }
    }

    fn request(&self, asked: &Asked) -> Map<String, Value> {
        let mut request = Map::new();
        let from = self.callers.first().and_then(|caller| caller.id.as_ref());
        request.insert("from".to_owned(), from.map(SpiffeId::as_str).into());
        if let Some(addr) = self.arrivals.first().and_then(Arrival::addr) {
            request.insert("from_addr".to_owned(), addr.to_string().into());
        }
        request.insert("to".to_owned(), self.to.into());
        request.insert("port".to_owned(), self.ports.first().copied().into());
        asked.write(&mut request);
        request
    }

    fn places(&self, policy: &Policy) -> Vec<Option<Arc<str>>> {
        let mut places = Vec::new();
        for arrival in &self.arrivals {
            let zone = policy
                .zones()
                .zone_of(arrival)
                .map(|zone| Arc::from(zone.name()));
            if !places.contains(&zone) {
                places.push(zone);
            }
        }
        places
    }
}

fn name_of(sides: [&Policy; 2], caller: &Shown<'_>) -> Option<Caller> {
    let Some(id) = &caller.id else {
        return Some(Caller::Public);
    };
    let declared = sides
        .iter()
        .rev()
        .find_map(|policy| policy.workload_by_id(id));
    Some(match declared {
        Some(workload) if workload.id() == id => Caller::Workload(workload.shared_name()),
        _ => Caller::Undeclared(id.clone()),
    })
}
