//! Something in a policy that its author should look at.

use core::fmt;

use serde_json::{Value, json};

use crate::output::Colour;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Most likely not what is meant.
    Warning,
    /// Worth knowing.
    Note,
}

impl Level {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }

    pub(super) const fn colour(self) -> Colour {
        match self {
            Self::Warning => Colour::Yellow,
            Self::Note => Colour::Blue,
        }
    }
}

/// A finding.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// Stable, for programs.
    pub(super) code: &'static str,
    /// Line and column.
    pub(super) place: (usize, usize),
    pub(super) message: String,
    pub(super) help: &'static str,
}

impl Finding {
    pub(super) fn json(&self) -> Value {
        let (line, column) = self.place;
        json!({
            "level": self.level.as_str(),
            "code": self.code,
            "line": line,
            "column": column,
            "message": self.message,
            "help": self.help,
        })
    }
}

impl fmt::Display for Finding {
    /// `line:column: message [code]`, and the help on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.place;
        write!(
            f,
            "{line}:{column}: {} [{}]\n  = help: {}",
            self.message, self.code, self.help
        )
    }
}
