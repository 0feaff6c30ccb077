//! Why a document was refused: what is wrong, where, and how to mend it.

mod excerpt;
mod report;
mod suggest;

use core::fmt;

pub(crate) use self::report::{Report, diagnostic, shown};
pub(crate) use self::suggest::quoted;
pub use self::suggest::suggest;

use super::document::Span;

/// A policy document was refused. Holds at least one [`Diagnostic`], and at most 20.
///
/// `Display` shows each of them with the line it speaks of, the second and those after it behind `error: `, so that whoever prints
/// that word before the first has it before each:
///
/// ```text
/// policy.toml:12:1: unknown key `form` in [[permit]]
///    |
/// 12 | form = "retriever"
///    | ^^^^
///    = help: did you mean `from`?
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    source: Option<String>,
    diagnostics: Vec<Diagnostic>,
    omitted: bool,
}

impl LoadError {
    /// What is wrong, in the order of the text.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The name of the document: mostly its file.
    #[must_use]
    pub fn source_name(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// Whether more may be wrong than the diagnostics say: only the first 20 are kept.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.omitted
    }
}

impl std::error::Error for LoadError {}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, diagnostic) in self.diagnostics.iter().enumerate() {
            if at > 0 {
                f.write_str("\n\nerror: ")?;
            }
            if let Some(source) = &self.source {
                write!(f, "{source}:")?;
            }
            write!(f, "{diagnostic}")?;
        }
        if self.omitted {
            f.write_str("\n\nerror: there may be more; mend these first")?;
        }
        Ok(())
    }
}

/// One thing that is wrong with a document.
///
/// Everything in it may be shown on a terminal: what the document says is escaped and cut to length.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Where it stands; `None` for the document as a whole.
    pub span: Option<Span>,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// The line of the document, or as much of it as there is room for. Empty for the document as a whole.
    pub source_line: String,
    caret_at: usize,
    caret_width: usize,
}

/// `line:column: message`, the line with its caret, and the help.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        let gutter = self.line.to_string().len();
        if self.span.is_some() {
            let carets = "^".repeat(self.caret_width);
            write!(f, "\n{:gutter$} |", "")?;
            write!(f, "\n{} | {}", self.line, self.source_line)?;
            write!(f, "\n{:gutter$} | {:2$}{carets}", "", "", self.caret_at)?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{:gutter$} = help: {help}", "")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
