//! `[permit.oblige]`, a closed list, and `[limits.NAME]`, which it names.

use core::time::Duration;
use std::sync::Arc;

use super::rule::RULE_KEYS;
use super::table::{Place, Reader};
use super::{name, place, require, value};
use crate::obligation::{Limit, LimitBy};
use crate::policy::diagnostic::{Report, quoted};
use crate::policy::document::{LimitDecl, Oblige, Spanned};
use crate::policy::limits::{MAX_BODY_BYTES, MAX_ENTRIES, MAX_LIMITS};
use crate::policy::tree::{Node, Tree};

/// The keys of `[permit.oblige]`.
pub(super) const OBLIGATIONS: [&str; 4] = ["limit", "schema", "max_body", "log"];

const BY: [(&str, LimitBy); 3] = [
    ("peer", LimitBy::Peer),
    ("subject", LimitBy::Subject),
    ("address", LimitBy::Address),
];

/// Header fields that carry credentials, which no log may hold (law 7).
const SECRET: [&str; 4] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
];

const SIZES: [(&str, u64); 4] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("B", 1),
];

const DAY: u64 = 24 * 3600;
const TIMES: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", DAY)];

const LANDED: &str =
    "a key after `[permit.oblige]` lands in it; move it above, to the keys of its `[[permit]]`";

/// `[permit.oblige]`
pub(super) fn oblige(key: &str, node: &Node, report: &mut Report) -> Option<Oblige> {
    let mut table = Reader::open(node, Place::Fixed("[permit.oblige]"), report)?;
    require::refuse_empty(key, node, table.report);
    let oblige = Oblige {
        limit: table.one("limit", name::name),
        schema: table.one("schema", value::issuer),
        max_body: table.one("max_body", size),
        log: table.one("log", log),
    };
    table.finish(|key| match key {
        _ if RULE_KEYS.contains(&key) => Some(LANDED),
        _ if require::REQUIREMENTS.contains(&key) => Some("put it under `[permit.require]`"),
        _ => None,
    });
    Some(oblige)
}

/// Bytes, as an integer or with a unit.
fn size(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<u64>> {
    let bytes = match &node.value {
        Tree::Int(bytes) => u64::try_from(*bytes).ok(),
        Tree::Text(text) => with_unit(text, &SIZES),
        _ => None,
    };
    match bytes.filter(|bytes| *bytes <= MAX_BODY_BYTES) {
        Some(bytes) => Some(Spanned::new(bytes, node.span)),
        None => {
            let message = format!("`{key}` takes bytes, at most 1024GiB");
            report.error_with_help(
                node.span,
                message,
                "write `65536`, `\"64KiB\"` or `\"1MiB\"`",
            );
            None
        }
    }
}

/// `true`, or the header fields that are logged as well.
fn log(key: &str, node: &Node, report: &mut Report) -> Option<Vec<Arc<str>>> {
    match node.value {
        Tree::Bool(true) => Some(Vec::new()),
        Tree::Bool(false) => {
            let message = format!("`{key} = false` obliges to nothing");
            report.error_with_help(node.span, message, "remove it");
            None
        }
        _ => {
            let fields = value::each(key, node, MAX_ENTRIES, report, field);
            (!fields.is_empty()).then_some(fields)
        }
    }
}

fn field(key: &str, node: &Node, report: &mut Report) -> Option<Arc<str>> {
    let name = value::text(key, node, report)?;
    if !require::check_field_name(name, node.span, report) {
        return None;
    }
    if SECRET.contains(&name) {
        let message = format!("{} is a credential", quoted(name));
        report.error_with_help(node.span, message, "no log holds one; name other fields");
        return None;
    }
    Some(name.into())
}

/// `[limits.NAME]`
pub(super) fn limits(root: &mut Reader<'_, '_>) -> Vec<LimitDecl> {
    place::read_all(root, "limits", MAX_LIMITS, |name, table, _| {
        let _ = table.required(
            "requests",
            "write how many requests there may be, as in `requests = 100`",
        );
        let _ = table.required("per", "write in how long a time, as in `per = \"1m\"`");
        let requests = table.integer("requests", 1..=i64::from(u32::MAX));
        let per = table.one("per", time);
        let burst = table.integer("burst", 1..=i64::from(u32::MAX));
        let by = table.one("by", |key, node, report| {
            value::choice(key, node, &BY, report)
        });
        let name = name?;
        let limit = Limit {
            name: Arc::clone(&name.value),
            requests: u32::try_from(requests?.value).ok()?,
            per: per?,
            burst: burst.and_then(|burst| u32::try_from(burst.value).ok()),
            by: by.unwrap_or_default(),
        };
        Some(LimitDecl {
            name,
            limit: Arc::new(limit),
        })
    })
}

/// One second to one day, in seconds or with a unit.
fn time(key: &str, node: &Node, report: &mut Report) -> Option<Duration> {
    let seconds = match &node.value {
        Tree::Int(seconds) => u64::try_from(*seconds).ok(),
        Tree::Text(text) => with_unit(text, &TIMES),
        _ => None,
    };
    match seconds.filter(|seconds| (1..=DAY).contains(seconds)) {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => {
            let message = format!("`{key}` takes a time from one second to one day");
            report.error_with_help(
                node.span,
                message,
                "write `60`, `\"1m\"`, `\"1h\"` or `\"1d\"`",
            );
            None
        }
    }
}

/// Digits and a unit, with nothing before, between or behind.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, factor) = units
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|digits| (digits, factor)))?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}
