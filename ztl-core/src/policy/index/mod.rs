//! The index: whom a flow concerns is found without walking the rules.
//!
//! For each target there is a table for each class of callers that a rule about it names. A flow takes the tables of the
//! classes that its caller belongs to, a handful at most, and judging an action walks these and no more. So what a decision
//! costs depends on how much was written about that very edge, not on how long the document is.

mod class;
mod paths;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::authorizer::Reads;
use crate::id;
use crate::texts;
use crate::zone::ZoneMap;

use self::class::{ClassIdx, ClassList, Classes};
use self::table::{Draft, Table, TableIdx};
pub(crate) use self::table::{Kind, Line, Lines, PartyLines};
use super::Policy;
use super::along::Party;
use super::document::{Effect, Mode};
use super::external::{Aim, External};
use super::limits::{LEAST_STEPS, MAX_STEPS, MOST_AT_ONCE};
use super::rule::{Caller, Rule, RuleIdx, TargetRule, Who};
use super::workload::{Workload, WorkloadIdx};

/// How the maps of a policy are hashed. Their keys are the policy's own, so nobody else can make them collide.
pub(crate) type Hashed = foldhash::fast::RandomState;

/// A rule that names more callers than this is looked up in a set, instead of standing in the table of each.
pub(super) const FEW: usize = 16;

/// The rules of a policy by target and caller.
#[derive(Debug, Default)]
pub(crate) struct Index {
    classes: Classes,
    /// By workload: the classes that it belongs to as caller.
    callers: Vec<ClassList>,
    /// By workload, and behind them all by destination outside the mesh: the tables about it as target.
    targets: Vec<Target>,
    tables: Vec<Table>,
    /// What there is of a kind that a flow has no rules of.
    nothing: Lines,
}

/// The tables about one target.
#[derive(Debug, Default)]
struct Target {
    /// By class, in the order of their numbers.
    classes: Box<[(ClassIdx, TableIdx)]>,
    /// What has to be asked: labels that a forbid names, places, the public, and long lists.
    asked: Box<[(Speaker, TableIdx)]>,
    /// Forbids that name identities, which somebody who comes along with the caller may have.
    parties: Table,
    brief: Brief,
}

impl Target {
    #[inline]
    fn table_of(&self, class: ClassIdx) -> Option<TableIdx> {
        let found = if self.classes.len() <= 8 {
            self.classes.iter().find(|(other, _)| *other == class)
        } else {
            let at = self
                .classes
                .binary_search_by_key(&class, |(class, _)| *class);
            at.ok().and_then(|at| self.classes.get(at))
        };
        found.map(|(_, table)| *table)
    }
}

/// What the rules about one target have among them, so that nobody looks for what is not there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Brief {
    pub(crate) has_forbids: bool,
    pub(crate) has_shadow: bool,
    pub(crate) reads_token: bool,
    /// Evidence beside a token.
    pub(crate) reads: Reads,
    pub(crate) asks_heavy: bool,
    /// Whether there is no enforced rule but plain permits.
    pub(crate) is_plain: bool,
    /// How often a decision may ask a condition, at most.
    asks: Asks,
}

/// How often a decision may ask a condition: of the rules that decide, and of those in shadow, which take nothing from these.
#[derive(Clone, Copy, Debug, Default)]
struct Asks {
    enforced: u32,
    shadow: u32,
}

impl Asks {
    fn count(&mut self, kind: Kind, rule: &Rule) {
        let of = match kind {
            Kind::Forbid | Kind::Permit => &mut self.enforced,
            Kind::Shadow => &mut self.shadow,
        };
        *of = of.saturating_add(rule.asks());
    }

    /// Both together.
    const fn all(self) -> u32 {
        self.enforced.saturating_add(self.shadow)
    }

    /// The part of each, in steps.
    fn steps(self, mode: Mode) -> u32 {
        let asked = match mode {
            Mode::Shadow => self.shadow,
            Mode::Enforce | Mode::Off => self.enforced,
        };
        (MAX_STEPS / asked.max(1)).max(LEAST_STEPS)
    }
}

/// Whom a table speaks of, where that is not one class.
#[derive(Clone, Debug)]
enum Speaker {
    Who(Who),
    List(Arc<List>),
}

/// A long `from`.
#[derive(Debug, Default)]
struct List {
    /// In the order of their numbers.
    classes: Vec<ClassIdx>,
    others: Vec<Who>,
}

impl Index {
    /// Builds the index of resolved rules.
    pub(super) fn new(workloads: &[Workload], externals: &[External], rules: &[Rule]) -> Self {
        let mut index = Self::default();
        let mut lists = HashMap::new();
        let targets = workloads.iter().map(Aim::Workload);
        for aim in targets.chain(externals.iter().map(Aim::External)) {
            let target = index.target(aim, workloads, rules, &mut lists);
            index.targets.push(target);
        }
        index.callers = workloads
            .iter()
            .map(|workload| index.classes.of_workload(workload))
            .collect();
        index.tables.shrink_to_fit();
        index
    }

    fn target(
        &mut self,
        target: Aim<'_>,
        workloads: &[Workload],
        rules: &[Rule],
        lists: &mut HashMap<RuleIdx, Arc<List>>,
    ) -> Target {
        let mut drafts = Drafts::default();
        let of = |entry: &TargetRule| rules.get(usize::try_from(entry.rule.0).ok()?);
        for (kind, entries) in [
            (Kind::Forbid, target.forbids()),
            (Kind::Permit, target.permits()),
            (Kind::Shadow, target.shadow()),
        ] {
            for entry in entries {
                let Some(rule) = of(entry) else { continue };
                if rule.forbids_parties() {
                    drafts.parties.push(kind, entry, rule);
                }
                drafts.brief.reads_token |= rule.reads_token() || rule.forbids_parties();
                drafts.brief.reads = drafts.brief.reads.and(rule.reads());
                drafts.brief.asks_heavy |= rule.asks_heavy();
                drafts.brief.asks.count(kind, rule);
                if rule.from.len() > FEW {
                    let list = lists
                        .entry(entry.rule)
                        .or_insert_with(|| Arc::new(List::new(rule, workloads, &mut self.classes)));
                    let mut draft = Draft::default();
                    draft.push(kind, entry, rule);
                    drafts.lists.push((Arc::clone(list), draft));
                    continue;
                }
                for who in &rule.from {
                    let class = match kind {
                        Kind::Permit => self.classes.intern_for_permit(who, workloads),
                        Kind::Forbid | Kind::Shadow => self.classes.intern(who, workloads),
                    };
                    let draft = match class {
                        Some(class) => drafts.classes.entry(class).or_default(),
                        None => drafts.whos.entry(who.clone()).or_default(),
                    };
                    draft.push(kind, entry, rule);
                }
            }
        }
        drafts.brief.asks_heavy |= drafts.brief.asks.all() > MOST_AT_ONCE;
        drafts.brief.has_forbids = !target.forbids().is_empty();
        drafts.brief.has_shadow = !target.shadow().is_empty();
        drafts.brief.is_plain = target.forbids().is_empty();
        let mut keep = |draft: Draft| {
            let at = TableIdx(u32::try_from(self.tables.len()).unwrap_or(u32::MAX));
            let table = Table::new(draft, rules);
            drafts.brief.is_plain &= table.is_plain;
            self.tables.push(table);
            at
        };
        let classes = drafts.classes.into_iter();
        let classes = classes.map(|(class, draft)| (class, keep(draft))).collect();
        let whos = drafts.whos.into_iter();
        let mut asked: Vec<_> = whos
            .map(|(who, draft)| (Speaker::Who(who), keep(draft)))
            .collect();
        let lists = drafts.lists.into_iter();
        asked.extend(lists.map(|(list, draft)| (Speaker::List(list), keep(draft))));
        Target {
            classes,
            asked: asked.into(),
            parties: Table::new(drafts.parties, rules),
            brief: drafts.brief,
        }
    }

    /// Adds the tables that a flow from this caller to this target takes.
    #[inline]
    pub(crate) fn share(
        &self,
        target: WorkloadIdx,
        caller: &Caller<'_>,
        zones: &ZoneMap,
        shares: &mut Shares,
    ) {
        let Some(target) = self.target_at(target) else {
            return;
        };
        let computed;
        let known = caller.workload.and_then(|(index, _)| {
            let at = usize::try_from(index.0).ok()?;
            self.callers.get(at)
        });
        let classes: &[ClassIdx] = match (known, caller.id) {
            (Some(known), _) => known,
            (None, Some(id)) => {
                computed = self.classes.of(id);
                &computed
            }
            (None, None) => &[],
        };
        for class in classes {
            if let Some(table) = target.table_of(*class) {
                shares.push(Share {
                    table,
                    forbids: true,
                    permits: true,
                });
            }
        }
        for (speaker, table) in &target.asked {
            let counts = |effect| speaker.counts(classes, caller, effect, zones);
            let share = Share {
                table: *table,
                forbids: counts(Effect::Forbid),
                permits: counts(Effect::Permit),
            };
            if share.forbids || share.permits {
                shares.push(share);
            }
        }
    }

    /// Whether every permit that a share brings is plain.
    pub(crate) fn is_plain(&self, share: Share) -> bool {
        self.table_of(share).is_some_and(|table| table.is_plain)
    }

    fn table_of(&self, share: Share) -> Option<&Table> {
        self.tables.get(usize::try_from(share.table.0).ok()?)
    }

    /// The rules of one kind that a share brings.
    #[inline]
    pub(crate) fn lines(&self, share: Share, kind: Kind) -> &Lines {
        let counts = match kind {
            Kind::Forbid => share.forbids,
            Kind::Permit => share.permits,
            // Each by its own effect.
            Kind::Shadow => true,
        };
        let table = self.table_of(share).filter(|_| counts);
        table.map_or(&self.nothing, |table| table.lines(kind))
    }

    /// The enforced permits that a share brings, where they count.
    #[inline(always)]
    pub(crate) fn permits(&self, share: Share) -> Option<&Lines> {
        if !share.permits {
            return None;
        }
        Some(self.table_of(share)?.lines(Kind::Permit))
    }

    /// The rules of one kind about a target whose forbids speak of this one, who comes along with a caller (T12).
    pub(crate) fn about_party<'a>(
        &'a self,
        target: WorkloadIdx,
        kind: Kind,
        party: &Party<'_>,
        policy: &Policy,
    ) -> PartyLines<'a> {
        let mut lines = PartyLines::new();
        let (Some(target), Some(id)) = (self.target_at(target), party.id.as_deref()) else {
            return lines;
        };
        let Ok((domain, _)) = id::split(id) else {
            return lines;
        };
        let classes = self.classes.of_named(id, texts::hash(id), domain);
        let of_classes = classes.iter().filter_map(|class| target.table_of(*class));
        let asked = target.asked.iter();
        let asked = asked.filter(|(speaker, _)| speaker.names(&classes, party, policy));
        let tables = of_classes.chain(asked.map(|(_, table)| *table));
        let tables = tables.filter_map(|table| self.tables.get(usize::try_from(table.0).ok()?));
        lines.extend(tables.map(|table| table.lines(kind)));
        lines
    }

    /// The rules of one kind about a target that forbid somebody who may come along with a caller (T12).
    pub(crate) fn about_parties(&self, target: WorkloadIdx, kind: Kind) -> &Lines {
        self.target_at(target)
            .map_or(&self.nothing, |target| target.parties.lines(kind))
    }

    /// What there is about a target.
    pub(crate) fn brief(&self, target: WorkloadIdx) -> Brief {
        self.target_at(target)
            .map_or_else(Brief::default, |target| target.brief)
    }

    /// Whether the rules about some target could ask what takes long.
    pub(crate) fn could_ask_heavy(&self) -> bool {
        self.targets.iter().any(|target| target.brief.asks_heavy)
    }

    /// How many steps a condition may take whose rule is about a target.
    pub(crate) fn steps(&self, target: WorkloadIdx, mode: Mode) -> u32 {
        let target = self.target_at(target);
        target.map_or(LEAST_STEPS, |target| target.brief.asks.steps(mode))
    }

    fn target_at(&self, target: WorkloadIdx) -> Option<&Target> {
        self.targets.get(usize::try_from(target.0).ok()?)
    }
}

/// A table that a flow takes, and which of its rules count: what is unknown counts for a forbid alone (rule 8).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    table: TableIdx,
    forbids: bool,
    permits: bool,
}

impl Share {
    /// Whether rules of this effect count.
    pub(crate) const fn counts(self, effect: Effect) -> bool {
        match effect {
            Effect::Forbid => self.forbids,
            Effect::Permit => self.permits,
        }
    }
}

/// The tables of one flow. Most flows have few, which stand in the permit itself.
pub(crate) type Shares = SmallVec<[Share; 4]>;

impl Speaker {
    fn counts(
        &self,
        classes: &[ClassIdx],
        caller: &Caller<'_>,
        effect: Effect,
        zones: &ZoneMap,
    ) -> bool {
        let counts = |who: &Who| who.speaks_of(caller, effect, zones).counts_for(effect);
        match self {
            Self::Who(who) => counts(who),
            Self::List(list) => list.holds_any(classes) || list.others.iter().any(counts),
        }
    }
}

impl Speaker {
    /// Whether it names one who comes along, or cannot tell.
    fn names(&self, classes: &[ClassIdx], party: &Party<'_>, policy: &Policy) -> bool {
        let names = |who: &Who| {
            who.speaks_of_party(party, policy)
                .counts_for(Effect::Forbid)
        };
        match self {
            Self::Who(who) => names(who),
            Self::List(list) => list.holds_any(classes) || list.others.iter().any(names),
        }
    }
}

impl List {
    fn holds_any(&self, classes: &[ClassIdx]) -> bool {
        let mut classes = classes.iter();
        classes.any(|class| self.classes.binary_search(class).is_ok())
    }

    fn new(rule: &Rule, workloads: &[Workload], classes: &mut Classes) -> Self {
        let mut list = Self::default();
        for who in &rule.from {
            match classes.intern(who, workloads) {
                Some(class) => list.classes.push(class),
                None => list.others.push(who.clone()),
            }
        }
        list.classes.sort_unstable();
        list
    }
}

/// Tables of one target while they are filled.
#[derive(Default)]
struct Drafts {
    classes: BTreeMap<ClassIdx, Draft>,
    whos: BTreeMap<Who, Draft>,
    lists: Vec<(Arc<List>, Draft)>,
    parties: Draft,
    brief: Brief,
}
