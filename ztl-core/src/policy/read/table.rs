//! A table's reader, which remembers what was asked for and refuses the rest.

use core::fmt;
use core::ops::RangeInclusive;
use std::sync::Arc;

use super::value;
use crate::policy::diagnostic::{Report, quoted, suggest};
use crate::policy::document::{Span, Spanned};
use crate::policy::tree::{Entries, Node, Tree};

/// The keys of the document itself, which TOML lets fall into the table above them.
const ROOT_KEYS: [&str; 5] = [
    "schema",
    "serial",
    "trust_domain",
    "trust_domain_aliases",
    "relays",
];

/// Which table an error speaks of.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// The document itself.
    Root,
    /// A table whose header is this text.
    Fixed(&'static str),
    /// `[section.name]`
    Named(&'static str, &'a str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("the document"),
            Self::Fixed(header) => f.write_str(header),
            Self::Named(section, name) => {
                write!(f, "[{section}.{}]", quoted(name).trim_matches('`'))
            }
        }
    }
}

/// Reads one table. Whoever opens it has to [`finish`](Self::finish) it, or unknown keys pass.
pub(super) struct Reader<'a, 'r> {
    pub(super) report: &'r mut Report,
    entries: &'a Entries,
    taken: Vec<bool>,
    asked: Vec<&'static str>,
    place: Place<'a>,
    /// Where an error about the table as a whole points: its header, or its first character.
    span: Span,
}

impl<'a, 'r> Reader<'a, 'r> {
    /// Opens a table; anything else is an error.
    pub(super) fn open(node: &'a Node, place: Place<'a>, report: &'r mut Report) -> Option<Self> {
        let Tree::Table(entries) = &node.value else {
            report.error(
                node.span,
                format!("{place} is a table, not {}", node.kind()),
            );
            return None;
        };
        let span = match place {
            Place::Root => Span {
                start: node.span.start,
                end: node.span.start,
            },
            Place::Fixed(_) | Place::Named(..) => node.span,
        };
        Some(Self {
            report,
            entries,
            taken: vec![false; entries.len()],
            asked: Vec::new(),
            place,
            span,
        })
    }

    /// Asks for a key.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        let at = self.entries.iter().position(|(name, _)| {
            #[cfg(test)]
            STEPS.set(STEPS.get() + 1);
            name.value == key
        })?;
        if let Some(taken) = self.taken.get_mut(at) {
            *taken = true;
        }
        self.entries.get(at).map(|(_, node)| node)
    }

    /// Asks for a key that must be there.
    pub(super) fn need(&mut self, key: &'static str, help: &str) -> Option<&'a Node> {
        let node = self.take(key);
        if node.is_none() {
            let message = format!("missing `{key}` in {}", self.place);
            self.report.error_with_help(self.span, message, help);
        }
        node
    }

    /// A key that must be there, and will be read by another call.
    pub(super) fn required(&mut self, key: &'static str, help: &str) -> bool {
        self.need(key, help).is_some()
    }

    /// A value that one of the functions in [`value`] reads.
    pub(super) fn one<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&str, &'a Node, &mut Report) -> Option<T>,
    ) -> Option<T> {
        let node = self.take(key)?;
        read(key, node, self.report)
    }

    /// One value or a list of them; empty where the key is absent.
    pub(super) fn each<T>(
        &mut self,
        key: &'static str,
        max: usize,
        read: impl FnMut(&str, &'a Node, &mut Report) -> Option<T>,
    ) -> Vec<T> {
        self.take(key).map_or_else(Vec::new, |node| {
            value::each(key, node, max, self.report, read)
        })
    }

    /// Text that is not empty.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Spanned<Arc<str>>> {
        self.one(key, value::shared)
    }

    /// An integer within bounds.
    pub(super) fn integer(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
    ) -> Option<Spanned<i64>> {
        self.one(key, |key, node, report| {
            value::integer(key, node, range, report)
        })
    }

    /// The tables of `[[key]]`; those past the bound are an error and not read.
    pub(super) fn tables(&mut self, key: &'static str, max: usize) -> &'a [Node] {
        let Some(node) = self.take(key) else {
            return &[];
        };
        let Tree::List(items) = &node.value else {
            self.report.error_with_help(
                node.span,
                format!("`{key}` is a list of tables, not {}", node.kind()),
                format!("write `[[{key}]]`, with two brackets on each side"),
            );
            return &[];
        };
        if let Some(first) = items.get(max) {
            self.report.error(
                first.span,
                format!("there are more `[[{key}]]` than a document may hold ({max})"),
            );
        }
        items.get(..max).unwrap_or(items)
    }

    /// The entries of `[key.NAME]`; those past the bound are an error and not read.
    pub(super) fn named(&mut self, key: &'static str, max: usize) -> &'a Entries {
        let Some(node) = self.take(key) else {
            return &[];
        };
        let Tree::Table(entries) = &node.value else {
            self.report.error_with_help(
                node.span,
                format!("`{key}` is a table of tables, not {}", node.kind()),
                format!("write `[{key}.NAME]`, with one bracket on each side"),
            );
            return &[];
        };
        if let Some((first, _)) = entries.get(max) {
            self.report.error(
                first.span,
                format!("there are more `[{key}.NAME]` than a document may hold ({max})"),
            );
        }
        entries.get(..max).unwrap_or(entries)
    }

    /// All that nobody asked for, which is then for another one to check.
    pub(super) fn rest(&mut self) -> serde_json::Map<String, serde_json::Value> {
        let mut rest = serde_json::Map::new();
        for ((key, node), taken) in self.entries.iter().zip(&mut self.taken) {
            if !core::mem::replace(taken, true) {
                rest.insert(key.value.clone(), node.to_json());
            }
        }
        rest
    }

    /// Refuses the keys that nobody asked for. `misplaced` knows what to do with keys that belong elsewhere.
    pub(super) fn finish(self, misplaced: impl Fn(&str) -> Option<&'static str>) {
        let unknown = self
            .entries
            .iter()
            .zip(&self.taken)
            .filter(|(_, taken)| !**taken);
        for ((key, _), _) in unknown {
            if self.report.enough() {
                return;
            }
            let message = format!("unknown key {} in {}", quoted(&key.value), self.place);
            let help = misplaced(&key.value)
                .map(str::to_owned)
                .or_else(|| self.help_for(&key.value));
            match help {
                Some(help) => self.report.error_with_help(key.span, message, help),
                None => self.report.error(key.span, message),
            }
        }
    }

    fn help_for(&self, key: &str) -> Option<String> {
        if is_negative(key) {
            return Some(NO_NEGATION.to_owned());
        }
        if ROOT_KEYS.contains(&key) {
            return Some(format!(
                "`{key}` belongs to the document itself: write it above the first table, since in TOML a key falls into the table above it"
            ));
        }
        suggest(key, self.asked.iter().copied()).map(|near| format!("did you mean `{near}`?"))
    }
}

/// What to do instead of a negative matcher (law 5).
pub(super) const NO_NEGATION: &str = "there are no negative matchers: name what is meant, or write a `[[forbid]]` beside a wider permit";

/// Whether a key asks for everything but something.
pub(super) fn is_negative(key: &str) -> bool {
    matches!(key, "not" | "except" | "unless" | "exclude")
        || ["not_", "not-", "except_", "exclude_"]
            .iter()
            .any(|prefix| key.starts_with(prefix))
}

#[cfg(test)]
std::thread_local! {
    static STEPS: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}

/// How many entries of tables this thread has looked at.
#[cfg(test)]
pub(super) fn steps() -> usize {
    STEPS.get()
}
