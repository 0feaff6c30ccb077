//! What is told of a policy: what refuses it, or what was found in it.

use serde_json::{Map, Value, json};
use ztl_core::analysis::lint::{Finding, Severity};
use ztl_core::policy::LoadError;

use crate::exit::Refusal;
use crate::output::Colour;
use crate::places::{Place, Places};

/// What a policy that does not load is told under, beside the lints' slugs.
pub(super) const INVALID: &str = "invalid-policy";

/// How much an item matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Error,
    Warning,
    Note,
}

impl Level {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }

    pub(super) const fn colour(self) -> Colour {
        match self {
            Self::Error => Colour::Red,
            Self::Warning => Colour::Yellow,
            Self::Note => Colour::Blue,
        }
    }
}

/// One thing to tell.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) level: Level,
    /// A lint's slug, or [`INVALID`].
    pub(super) slug: &'static str,
    pub(super) start: Place,
    pub(super) end: Option<Place>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Item {
    pub(super) fn of_finding(finding: Finding, places: &Places<'_>) -> Self {
        let (start, end) = places.ends(finding.span);
        Self {
            level: match finding.lint.severity() {
                Severity::Note => Level::Note,
                _ => Level::Warning,
            },
            slug: finding.lint.slug(),
            start,
            end: (end > start).then_some(end),
            message: finding.message,
            help: Some(finding.help),
        }
    }

    pub(super) fn of_refusal(refusal: &Refusal) -> Vec<Self> {
        let item = |line, column, message: &str, help: Option<&str>| Self {
            level: Level::Error,
            slug: INVALID,
            start: Place { line, column },
            end: None,
            message: message.to_owned(),
            help: help.map(str::to_owned),
        };
        match refusal {
            Refusal::Load(error) => LoadError::diagnostics(error)
                .iter()
                .map(|one| item(one.line, one.column, &one.message, one.help.as_deref()))
                .collect(),
            Refusal::Unreadable {
                line,
                column,
                message,
                ..
            } => vec![item(*line, *column, message, None)],
        }
    }

    pub(super) fn json(&self) -> Value {
        let mut object = Map::new();
        if self.level != Level::Error {
            object.insert("level".to_owned(), self.level.as_str().into());
            object.insert("code".to_owned(), self.slug.into());
        }
        object.insert("line".to_owned(), self.start.line.into());
        object.insert("column".to_owned(), self.start.column.into());
        if let Some(end) = self.end {
            object.insert("end_line".to_owned(), end.line.into());
            object.insert("end_column".to_owned(), end.column.into());
        }
        object.insert("message".to_owned(), self.message.as_str().into());
        object.insert("help".to_owned(), json!(self.help));
        Value::Object(object)
    }
}
