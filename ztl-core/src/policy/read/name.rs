//! Names: of zones, workloads, rules and the rest.

use std::collections::HashMap;
use std::sync::Arc;

use super::value;
use crate::policy::diagnostic::{Report, quoted};
use crate::policy::document::{Span, Spanned};
use crate::policy::limits::MAX_NAME_BYTES;
use crate::policy::tree::{Node, Tree};

/// Why a text is no name, if it is none: 1 to 64 bytes of `a-z 0-9 -`, and neither `any` nor `public`.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.len() > MAX_NAME_BYTES {
        return Err("is longer than the 64 bytes of a name");
    }
    if !text
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    {
        return Err("is no name: it has a character other than `a-z`, `0-9`, `-`");
    }
    if matches!(text, "any" | "public") {
        return Err("is a reserved word and no name");
    }
    Ok(())
}

/// The name that a text was probably meant to be.
pub(super) fn mended(text: &str) -> Option<String> {
    let folded = text
        .trim()
        .to_lowercase()
        .replace([' ', '_', '.', '/'], "-");
    (folded != text && check(&folded).is_ok()).then_some(folded)
}

/// A name at a place; anything else is an error.
pub(super) fn checked(text: &str, span: Span, report: &mut Report) -> Option<Spanned<Arc<str>>> {
    let Err(error) = check(text) else {
        return Some(Spanned::new(text.into(), span));
    };
    let message = format!("{} {error}", quoted(text));
    match mended(text) {
        Some(mended) => report.error_with_help(span, message, format!("write `{mended}`")),
        None => report.error(span, message),
    }
    None
}

/// A value that is a name.
pub(super) fn name(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<Arc<str>>> {
    let text = value::text(key, node, report)?;
    checked(text, node.span, report)
}

/// The names of rules or tests, given or made, until it is known that no two are the same.
#[derive(Default)]
pub(super) struct Given(Vec<(Spanned<Arc<str>>, Option<&'static str>)>);

impl Given {
    /// The name that a table states, else `kind-N` with N from 1. What is no name is read again, and refused, by
    /// whoever reads the table.
    pub(super) fn take(&mut self, kind: &'static str, at: usize, node: &Node) -> Spanned<Arc<str>> {
        let stated = match &node.value {
            Tree::Table(entries) => entries.iter().find(|(key, _)| key.value == "name"),
            _ => None,
        };
        let (name, made) = match stated {
            Some((
                _,
                Node {
                    span,
                    value: Tree::Text(text),
                },
            )) => (Spanned::new(text.as_str().into(), *span), None),
            _ => (
                Spanned::new(format!("{kind}-{}", at + 1).into(), node.span),
                Some(kind),
            ),
        };
        self.0.push((name.clone(), made));
        name
    }

    /// Refuses two of one name.
    pub(super) fn refuse_doubles(mut self, things: &str, report: &mut Report) {
        // A made name is never the one at fault.
        self.0
            .sort_by_key(|(name, made)| (made.is_none(), name.span.start));
        let mut seen: HashMap<Arc<str>, Option<&'static str>> = HashMap::new();
        for (name, made) in self.0 {
            match seen.get(&name.value) {
                Some(Some(kind)) => report.error_with_help(
                    name.span,
                    format!(
                        "{} is the name that an unnamed `[[{kind}]]` has by its place",
                        quoted(&name.value)
                    ),
                    "write another name, or give that one a name of its own",
                ),
                Some(None) => report.error_with_help(
                    name.span,
                    format!("two {things} are called {}", quoted(&name.value)),
                    "names are unique over the document; write another one",
                ),
                None => {
                    seen.insert(name.value, made);
                }
            }
        }
    }
}
