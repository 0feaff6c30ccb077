//! Values by themselves: text, numbers, choices, and lists of them.
//!
//! Every function takes the key that the value stands under, for its errors.

use core::ops::RangeInclusive;
use core::slice;
use std::sync::Arc;

use crate::id::TrustDomain;
use crate::policy::diagnostic::{Report, quoted, suggest};
use crate::policy::document::Spanned;
use crate::policy::limits::{MAX_ISSUER_BYTES, MAX_TEXT_BYTES};
use crate::policy::pattern::ActionPattern;
use crate::policy::tree::{Node, Tree};

/// Says that a key takes something else.
pub(super) fn wrong_kind(key: &str, wanted: &str, node: &Node, report: &mut Report) {
    let message = format!("`{key}` takes {wanted}, not {}", node.kind());
    match &node.value {
        Tree::Text(text) if text.parse::<i64>().is_ok() || matches!(&**text, "true" | "false") => {
            report.error_with_help(node.span, message, format!("write {text} without quotes"));
        }
        _ => report.error(node.span, message),
    }
}

/// Text that is neither empty nor too long.
pub(super) fn text<'a>(key: &str, node: &'a Node, report: &mut Report) -> Option<&'a str> {
    let Tree::Text(text) = &node.value else {
        wrong_kind(key, "text", node, report);
        return None;
    };
    if text.is_empty() {
        report.error(node.span, format!("`{key}` is empty"));
        return None;
    }
    bounded(key, text, MAX_TEXT_BYTES, node, report)
}

/// Text within a bound of its own.
pub(super) fn bounded<'a>(
    key: &str,
    text: &'a str,
    max: usize,
    node: &Node,
    report: &mut Report,
) -> Option<&'a str> {
    if text.len() > max {
        report.error(node.span, format!("`{key}` is longer than {max} bytes"));
        return None;
    }
    Some(text)
}

/// Text that is kept.
pub(super) fn shared(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<Arc<str>>> {
    text(key, node, report).map(|text| Spanned::new(text.into(), node.span))
}

/// An issuer or audience: any text that a token could hold, without control characters.
pub(super) fn issuer(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<Arc<str>>> {
    let text = text(key, node, report)?;
    let text = bounded(key, text, MAX_ISSUER_BYTES, node, report)?;
    if text.chars().any(char::is_control) {
        report.error(node.span, format!("`{key}` has a control character"));
        return None;
    }
    Some(Spanned::new(text.into(), node.span))
}

/// An integer within bounds.
pub(super) fn integer(
    key: &str,
    node: &Node,
    range: RangeInclusive<i64>,
    report: &mut Report,
) -> Option<Spanned<i64>> {
    let wanted = if *range.end() == i64::MAX {
        format!("an integer from {}", range.start())
    } else {
        format!("an integer from {} to {}", range.start(), range.end())
    };
    match node.value {
        Tree::Int(value) if range.contains(&value) => Some(Spanned::new(value, node.span)),
        Tree::Int(value) => {
            let message = format!("`{key}` takes {wanted}, not {value}");
            report.error_with_help(node.span, message, format!("write {wanted}"));
            None
        }
        _ => {
            wrong_kind(key, &wanted, node, report);
            None
        }
    }
}

/// True or false.
pub(super) fn boolean(key: &str, node: &Node, report: &mut Report) -> Option<bool> {
    if let Tree::Bool(value) = node.value {
        return Some(value);
    }
    wrong_kind(key, "true or false", node, report);
    None
}

/// One of a closed list of words.
pub(super) fn choice<T: Copy>(
    key: &str,
    node: &Node,
    words: &[(&str, T)],
    report: &mut Report,
) -> Option<T> {
    let text = text(key, node, report)?;
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
        return Some(*meaning);
    }
    let known = words.iter().map(|(word, _)| *word);
    let message = format!("`{key}` does not take {}", quoted(text));
    let help = suggest(text, known.clone()).map_or_else(
        || format!("it takes {}", listed(known)),
        |near| format!("did you mean `{near}`?"),
    );
    report.error_with_help(node.span, message, help);
    None
}

/// Words in backticks, one after the other.
pub(super) fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// One value or a list of them. An empty list means nothing (law 5), so it is refused.
pub(super) fn each<'a, T>(
    key: &str,
    node: &'a Node,
    max: usize,
    report: &mut Report,
    mut read: impl FnMut(&str, &'a Node, &mut Report) -> Option<T>,
) -> Vec<T> {
    let items = match &node.value {
        Tree::List(items) => items.as_slice(),
        _ => slice::from_ref(node),
    };
    if items.is_empty() {
        let help = if matches!(key, "from" | "to" | "actions") {
            format!(
                "write what the rule's `{key}` speaks of, or remove it; for all of them write `any`"
            )
        } else {
            format!("write at least one value, or remove `{key}`")
        };
        report.error_with_help(
            node.span,
            format!("`{key}` is an empty list, which means nothing"),
            help,
        );
    }
    if let Some(first) = items.get(max) {
        report.error(first.span, format!("`{key}` has more than {max} entries"));
    }
    let items = items.get(..max).unwrap_or(items);
    // Most lists have one entry, and there are many of them.
    let mut values = Vec::with_capacity(items.len());
    values.extend(items.iter().filter_map(|item| read(key, item, report)));
    values
}

/// The name of a trust domain.
pub(super) fn trust_domain(
    key: &str,
    node: &Node,
    report: &mut Report,
) -> Option<Spanned<TrustDomain>> {
    let text = text(key, node, report)?;
    match TrustDomain::parse(text) {
        Ok(domain) => Some(Spanned::new(domain, node.span)),
        Err(error) => {
            let message = format!("{} {error}", quoted(text));
            let bare = text.strip_prefix("spiffe://").unwrap_or(text);
            let bare = bare.split('/').next().unwrap_or_default().to_lowercase();
            match TrustDomain::parse(&bare) {
                Ok(domain) => {
                    report.error_with_help(node.span, message, format!("write `{domain}`"));
                }
                Err(_) => report.error(node.span, message),
            }
            None
        }
    }
}

/// What a rule says may be asked, or may not.
pub(super) fn action(
    key: &str,
    node: &Node,
    report: &mut Report,
) -> Option<Spanned<ActionPattern>> {
    let text = text(key, node, report)?;
    match ActionPattern::parse(text) {
        Ok(pattern) => Some(Spanned::new(pattern, node.span)),
        Err(error) => {
            let message = format!("{} {error}", quoted(text));
            if text == "*" {
                report.error_with_help(node.span, message, "for every request write `any`");
            } else if text.starts_with('!') {
                report.error_with_help(node.span, message, super::table::NO_NEGATION);
            } else {
                report.error(node.span, message);
            }
            None
        }
    }
}
