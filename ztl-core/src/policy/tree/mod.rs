//! A document as a tree whose every value knows where it stands: what TOML and JSON have in common.

mod json;
mod scan;
mod toml;

use thiserror::Error;

pub(crate) use self::json::parse_json;
pub(crate) use self::toml::parse_toml;

use super::document::{Span, Spanned};
use super::limits::{MAX_DEPTH, MAX_DOCUMENT_BYTES};

/// A value and where it stands. A table that a TOML header opens stands where the header does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Tree,
}

/// A table's entries, in the order of the text.
pub(crate) type Entries = [(Spanned<String>, Node)];

/// A value. Never deeper than [`MAX_DEPTH`], and no table has a key twice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    /// Finite.
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<(Spanned<String>, Node)>),
}

impl Node {
    /// What an error calls it.
    pub(crate) const fn kind(&self) -> &'static str {
        match self.value {
            Tree::Null => "null",
            Tree::Bool(_) => "true or false",
            Tree::Int(_) => "an integer",
            Tree::Float(_) => "a number with a fraction",
            Tree::Text(_) => "text",
            Tree::List(_) => "a list",
            Tree::Table(_) => "a table",
        }
    }

    /// From where it begins to where the last of its parts ends. In TOML a table's parts follow its header.
    pub(crate) fn extent(&self) -> Span {
        let end = match &self.value {
            Tree::List(items) => items.iter().map(|item| item.extent().end).max(),
            Tree::Table(entries) => entries.iter().map(|(_, item)| item.extent().end).max(),
            _ => None,
        };
        Span {
            start: self.span.start,
            end: end.unwrap_or_default().max(self.span.end),
        }
    }

    /// The same value without its place.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;

        match &self.value {
            Tree::Null => Value::Null,
            Tree::Bool(value) => Value::Bool(*value),
            Tree::Int(value) => Value::from(*value),
            Tree::Float(value) => Value::from(*value),
            Tree::Text(text) => Value::String(text.clone()),
            Tree::List(items) => items.iter().map(Self::to_json).collect(),
            Tree::Table(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, item)| (key.value.clone(), item.to_json()))
                    .collect(),
            ),
        }
    }
}

/// Why a text is no tree: it breaks the syntax, or a bound.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub(crate) struct SyntaxError {
    /// Where; `None` for the text as a whole.
    pub(crate) span: Option<Span>,
    pub(crate) message: String,
    pub(crate) help: Option<&'static str>,
}

impl SyntaxError {
    fn at(span: Span, message: impl Into<String>) -> Self {
        Self {
            span: Some(span),
            message: message.into(),
            help: None,
        }
    }

    const fn help(mut self, help: &'static str) -> Self {
        self.help = Some(help);
        self
    }
}

/// What holds before either syntax is looked at.
fn check_text(text: &str) -> Result<(), SyntaxError> {
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(SyntaxError {
            span: None,
            message: format!(
                "the document has {} bytes; at most {MAX_DOCUMENT_BYTES} are read",
                text.len()
            ),
            help: None,
        });
    }
    if text.starts_with('\u{feff}') {
        return Err(SyntaxError::at(
            Span { start: 0, end: 3 },
            "the document begins with a byte order mark",
        )
        .help("save it as UTF-8 without one"));
    }
    Ok(())
}

/// `depth` counts the tables and lists around and with this one.
fn check_depth(depth: usize, span: Span) -> Result<(), SyntaxError> {
    if depth > MAX_DEPTH {
        return Err(too_deep(span));
    }
    Ok(())
}

fn too_deep(span: Span) -> SyntaxError {
    SyntaxError::at(
        span,
        format!("tables and lists stand in each other more than {MAX_DEPTH} deep"),
    )
}

#[cfg(test)]
mod tests;
