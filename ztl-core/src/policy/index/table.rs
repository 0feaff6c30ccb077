//! The rules of one target and one class of callers, in document order.

use core::slice;

use smallvec::SmallVec;

use crate::action::Action;
use crate::path::CanonicalPath;
use crate::policy::document::{Effect, PortRange};
use crate::policy::kinds::Kinds;
use crate::policy::pattern::ActionPattern;
use crate::policy::rule::{Rule, RuleIdx, TargetRule};
use crate::policy::shape::Shape;
use crate::policy::template::Template;

use super::paths::{Paths, Places};

/// A list that is longer than this is looked up by the path of an action, instead of rule by rule.
const FEW: usize = 16;

/// A table's place in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableIdx(pub(super) u32);

/// Which list of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Enforced forbids.
    Forbid,
    /// Enforced permits.
    Permit,
    /// Rules in shadow mode, of either effect.
    Shadow,
}

/// The rules of one target and one class of callers. Most tables have rules of one kind only.
#[derive(Debug, Default)]
pub(super) struct Table {
    forbids: Lines,
    permits: Lines,
    shadow: Lines,
    /// Whether every enforced permit is plain.
    pub(super) is_plain: bool,
}

impl Table {
    pub(super) const fn lines(&self, kind: Kind) -> &Lines {
        match kind {
            Kind::Forbid => &self.forbids,
            Kind::Permit => &self.permits,
            Kind::Shadow => &self.shadow,
        }
    }
}

/// Rules of one kind, in document order.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    all: Box<[Line]>,
    /// Of many rules of one effect, which could name a path.
    paths: Option<Box<Paths>>,
}

impl Lines {
    fn new(all: Vec<Line>, effect: Effect, rules: &[Rule]) -> Self {
        let patterns = |line: &Line| {
            let rule = usize::try_from(line.rule.0)
                .ok()
                .and_then(|at| rules.get(at));
            rule.map_or(&[][..], |rule| &rule.actions)
        };
        let paths =
            (all.len() > FEW).then(|| Box::new(Paths::new(effect, all.iter().map(patterns))));
        Self {
            all: all.into(),
            paths,
        }
    }

    /// All of them.
    #[inline]
    pub(crate) fn iter(&self) -> slice::Iter<'_, Line> {
        self.all.iter()
    }

    /// Those that could name an action, and perhaps others.
    #[inline]
    pub(crate) fn about(&self, action: &Action<'_>) -> About<'_> {
        match (&self.paths, action.resource()) {
            (Some(paths), Some(resource)) => {
                About::Some(self, paths.about(resource.canonical()).into_iter())
            }
            _ => About::All(self.iter()),
        }
    }

    /// The first that is plain and permits what is of this shape and has this path, which has no escapes, on this port.
    #[inline(always)]
    pub(crate) fn first_plain(
        &self,
        shape: Shape,
        path: &CanonicalPath<'_>,
        port: u16,
    ) -> Option<&Line> {
        match &self.paths {
            None => {
                for line in &self.all {
                    if line.permits_plainly(shape, path, port) {
                        return Some(line);
                    }
                }
                None
            }
            Some(paths) => self.first_of_many(paths, shape, path, port),
        }
    }

    #[inline(never)]
    fn first_of_many(
        &self,
        paths: &Paths,
        shape: Shape,
        path: &CanonicalPath<'_>,
        port: u16,
    ) -> Option<&Line> {
        let places = paths.about(path);
        let mut lines = places.iter().filter_map(|place| self.at(*place));
        lines.find(|line| line.permits_plainly(shape, path, port))
    }

    fn at(&self, place: u32) -> Option<&Line> {
        self.all.get(usize::try_from(place).ok()?)
    }
}

/// Some rules of a list, in its order.
pub(crate) enum About<'a> {
    All(slice::Iter<'a, Line>),
    Some(&'a Lines, <Places as IntoIterator>::IntoIter),
}

impl<'a> Iterator for About<'a> {
    type Item = &'a Line;

    #[inline]
    fn next(&mut self) -> Option<&'a Line> {
        match self {
            Self::All(lines) => lines.next(),
            Self::Some(lines, places) => lines.at(places.next()?),
        }
    }
}

/// Lists of rules that a party brings, table by table.
pub(crate) type PartyLines<'a> = SmallVec<[&'a Lines; 4]>;

/// One rule on some ports of the target, with what nearly every decision asks of it at hand.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) rule: RuleIdx,
    pub(crate) effect: Effect,
    pub(crate) forbids_flow: bool,
    pub(crate) reads_token: bool,
    kinds: Kinds,
    ports: Ports,
    /// The path of a permit that names methods and one path and requires nothing, as most do. What is of its kinds and has
    /// such a path is permitted.
    pub(crate) plain: Option<Template>,
    /// What it could permit plainly; nothing where it is not plain.
    shape: Shape,
}

#[derive(Debug)]
enum Ports {
    /// All; only in a forbid.
    All,
    One(PortRange),
    Any(Box<[PortRange]>),
}

impl Line {
    pub(super) fn new(entry: &TargetRule, rule: &Rule) -> Self {
        let plain = match rule.actions.as_slice() {
            [ActionPattern::Http { path, .. }]
                if rule.effect == Effect::Permit && rule.require.is_empty() =>
            {
                Some(path.clone())
            }
            _ => None,
        };
        let kinds = Kinds::named_by(rule.effect, &rule.actions);
        Self {
            rule: entry.rule,
            effect: rule.effect,
            forbids_flow: rule.forbids_flow(),
            reads_token: rule.reads_token(),
            kinds,
            ports: match entry.ports.as_slice() {
                [] => Ports::All,
                [one] => Ports::One(*one),
                several => Ports::Any(several.into()),
            },
            shape: (plain.as_ref()).map_or(Shape::NONE, |path| Shape::new(kinds, path.slashes())),
            plain,
        }
    }

    #[inline]
    pub(crate) fn covers_port(&self, port: u16) -> bool {
        match &self.ports {
            Ports::All => true,
            Ports::One(range) => range.contains(port),
            Ports::Any(ranges) => ranges.iter().any(|range| range.contains(port)),
        }
    }

    /// Whether it is plain and permits what is of this shape and has this path, which has no escapes, on this port.
    #[inline(always)]
    pub(crate) fn permits_plainly(
        &self,
        shape: Shape,
        path: &CanonicalPath<'_>,
        port: u16,
    ) -> bool {
        self.shape.meets(shape)
            && (self.plain.as_ref()).is_some_and(|plain| plain.matches_plain(path))
            && self.covers_port(port)
    }

    /// Whether it is plain and has this path, which is of this shape where it has no escapes.
    #[inline]
    pub(crate) fn has_plain_path(&self, shape: Shape, path: &CanonicalPath<'_>) -> bool {
        (path.is_escaped() || self.shape.meets(shape))
            && (self.plain.as_ref()).is_some_and(|plain| plain.matches(*path))
    }

    /// Whether it could name something of this kind.
    #[inline]
    pub(crate) const fn names(&self, kind: Kinds) -> bool {
        self.kinds.meets(kind)
    }

    /// The same on this port.
    #[inline]
    pub(crate) fn could_name(&self, kind: Kinds, port: u16) -> bool {
        self.names(kind) && self.covers_port(port)
    }
}

/// A table while it is filled, rule by rule in document order.
#[derive(Debug, Default)]
pub(super) struct Draft {
    forbids: Vec<Line>,
    permits: Vec<Line>,
    shadow: Vec<Line>,
}

impl Draft {
    pub(super) fn push(&mut self, kind: Kind, entry: &TargetRule, rule: &Rule) {
        let lines = match kind {
            Kind::Forbid => &mut self.forbids,
            Kind::Permit => &mut self.permits,
            Kind::Shadow => &mut self.shadow,
        };
        // A rule that names one caller twice still stands there once.
        if lines.last().is_none_or(|last| last.rule != entry.rule) {
            lines.push(Line::new(entry, rule));
        }
    }
}

impl Table {
    pub(super) fn new(draft: Draft, rules: &[Rule]) -> Self {
        Self {
            is_plain: draft.permits.iter().all(|line| line.plain.is_some()),
            forbids: Lines::new(draft.forbids, Effect::Forbid, rules),
            permits: Lines::new(draft.permits, Effect::Permit, rules),
            // Of either effect, and for trials: few, and asked one by one.
            shadow: Lines {
                all: draft.shadow.into(),
                paths: None,
            },
        }
    }
}
