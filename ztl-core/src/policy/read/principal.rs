//! Whom a rule speaks of: `from` and `to`.

use std::sync::Arc;

use super::table::{NO_NEGATION, is_negative};
use super::{name, network, value};
use crate::id::{IdError, IdPattern};
use crate::policy::diagnostic::{Report, quoted, suggest};
use crate::policy::document::{Principal, Spanned, Target};
use crate::policy::limits::MAX_LABEL_BYTES;
use crate::policy::tree::{Node, Tree};

const PREFIXES: [&str; 5] = ["label", "zone", "external", "trust-domain", "spiffe"];

/// One entry of `from`.
pub(super) fn principal(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<Principal>> {
    let principal = match word(key, node, report)? {
        Word::Workload(name) => Principal::Workload(name),
        Word::Id(pattern) => Principal::Id(pattern),
        Word::Label { key, value } => Principal::Label { key, value },
        Word::Zone(name) => Principal::Zone(name),
        Word::Public => Principal::Public,
        Word::Any => Principal::Any,
        Word::External(name) => {
            let message = format!("`external:{name}` is no caller: it can only stand in `to`");
            report.error(node.span, message);
            return None;
        }
    };
    Some(Spanned::new(principal, node.span))
}

/// One entry of `to`.
pub(super) fn target(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<Target>> {
    let target = match word(key, node, report)? {
        Word::Workload(name) => Target::Workload(name),
        Word::Id(pattern) => Target::Id(pattern),
        Word::Label { key, value } => Target::Label { key, value },
        Word::Zone(name) => Target::Zone(name),
        Word::External(name) => Target::External(name),
        Word::Any => Target::Any,
        Word::Public => {
            report.error_with_help(
                node.span,
                "`public` is no target: it is the caller without an SVID, and can only stand in `from`",
                "for every declared workload write `any`",
            );
            return None;
        }
    };
    Some(Spanned::new(target, node.span))
}

/// A label's key: what kinds of label there are is open, how they are written is not.
pub(super) fn check_label_key(text: &str) -> Result<(), &'static str> {
    let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-');
    if text.is_empty() {
        Err("has no label key")
    } else if text.len() > MAX_LABEL_BYTES {
        Err("has a label key of more than 128 bytes")
    } else if !text.bytes().all(known) {
        Err("has a label key with a character other than `a-z`, `0-9`, `.`, `_`, `/`, `-`")
    } else {
        Ok(())
    }
}

/// A label's value.
pub(super) fn check_label_value(text: &str) -> Result<(), &'static str> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if text.is_empty() {
        Err("has no label value")
    } else if text.len() > MAX_LABEL_BYTES {
        Err("has a label value of more than 128 bytes")
    } else if !text.bytes().all(known) {
        Err("has a label value with a character other than letters, digits, `.`, `_`, `-`")
    } else {
        Ok(())
    }
}

pub(super) enum Word {
    Workload(Arc<str>),
    Id(IdPattern),
    Label { key: Arc<str>, value: Arc<str> },
    Zone(Arc<str>),
    External(Arc<str>),
    Public,
    Any,
}

/// What is wrong with a word, and how to mend it.
struct Fault(String, Option<String>);

pub(super) fn word(key: &str, node: &Node, report: &mut Report) -> Option<Word> {
    if let Tree::Table(entries) = &node.value
        && entries.iter().any(|(key, _)| is_negative(&key.value))
    {
        let message = format!("`{key}` takes text, not {}", node.kind());
        report.error_with_help(node.span, message, NO_NEGATION);
        return None;
    }
    let text = value::text(key, node, report)?;
    match parse(text) {
        Ok(word) => Some(word),
        Err(Fault(fault, help)) => {
            let message = format!("{} {fault}", quoted(text));
            match help {
                Some(help) => report.error_with_help(node.span, message, help),
                None => report.error(node.span, message),
            }
            None
        }
    }
}

fn parse(text: &str) -> Result<Word, Fault> {
    match text {
        "any" => return Ok(Word::Any),
        "public" => return Ok(Word::Public),
        "*" | "**" => return Err(fault("means nothing here", "write `any`")),
        _ => {}
    }
    if text.starts_with('!') || text.starts_with("not ") || text.starts_with("not:") {
        return Err(fault("is a negative matcher", NO_NEGATION));
    }
    if text.starts_with("spiffe:") || text.contains("://") || text.starts_with("trust-domain:") {
        return IdPattern::parse(text).map(Word::Id).map_err(|error| {
            let help = match error {
                _ if text.contains('*') => Some(
                    "the ids below a path are written `spiffe://trust-domain/path/**`".to_owned(),
                ),
                IdError::NoPath => {
                    let domain = text.strip_prefix("spiffe://").unwrap_or_default();
                    Some(format!("for every id of it write `trust-domain:{domain}`"))
                }
                _ => Some(error.help().to_owned()),
            };
            Fault(error.to_string(), help)
        });
    }
    if network::is_network(text) {
        let help = "declare a zone with that network and write `zone:NAME`";
        return Err(fault("is an address, which proves nobody", help));
    }
    match text.split_once(':') {
        None => named(text).map(Word::Workload),
        Some(("zone", name)) => named(name).map(Word::Zone),
        Some(("external", name)) => named(name).map(Word::External),
        Some(("label", label)) => parse_label(label),
        Some(("issuer" | "user", _)) => Err(fault(
            "is whom a token names",
            "it can only stand in `subject` and `actors`",
        )),
        Some((prefix, _)) => {
            let help = suggest(prefix, PREFIXES).map_or_else(
                || "write a workload's name, `label:key=value`, `zone:NAME`, `external:NAME`, `spiffe://..`, `trust-domain:..` or `any`".to_owned(),
                |near| format!("did you mean `{near}:`?"),
            );
            Err(Fault(
                format!("begins with {}, which means nothing", quoted(prefix)),
                Some(help),
            ))
        }
    }
}

fn parse_label(label: &str) -> Result<Word, Fault> {
    let Some((key, value)) = label.split_once('=') else {
        return Err(fault("has no label value", "write `label:key=value`"));
    };
    check_label_key(key)
        .and_then(|()| check_label_value(value))
        .map_err(|error| Fault(error.to_owned(), None))?;
    Ok(Word::Label {
        key: key.into(),
        value: value.into(),
    })
}

fn named(text: &str) -> Result<Arc<str>, Fault> {
    name::check(text).map_err(|error| {
        let help = if text.contains('*') {
            Some("there are no patterns of names: give the workloads a label and write `label:key=value`".to_owned())
        } else {
            name::mended(text).map(|mended| format!("did you mean `{mended}`?"))
        };
        Fault(error.to_owned(), help)
    })?;
    Ok(text.into())
}

fn fault(fault: &str, help: &str) -> Fault {
    Fault(fault.to_owned(), Some(help.to_owned()))
}
