//! `[permit.oblige]`, a closed list, and `[limits.NAME]`, which it names.

use std::sync::Arc;

use super::rule::RULE_KEYS;
use super::table::{Place, Reader};
use super::unit::{size, time};
use super::{name, place, require, value};
use crate::limit::{Limit, LimitBy, Rate};
use crate::obligation::CREDENTIALS;
use crate::policy::diagnostic::{Report, quoted};
use crate::policy::document::{LimitDecl, Oblige, Spanned};
use crate::policy::limits::{MAX_ENTRIES, MAX_FIELD_BYTES, MAX_LIMITS};
use crate::policy::tree::{Node, Tree};

/// The keys of `[permit.oblige]`.
pub(super) const OBLIGATIONS: [&str; 4] = ["limit", "schema", "max_body", "log"];

const BY: [(&str, LimitBy); 3] = [
    ("peer", LimitBy::Peer),
    ("subject", LimitBy::Subject),
    ("address", LimitBy::Address),
];

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
        made_from: None,
    };
    table.finish(|key| match key {
        _ if RULE_KEYS.contains(&key) => Some(LANDED),
        _ if require::REQUIREMENTS.contains(&key) => Some("put it under `[permit.require]`"),
        _ => None,
    });
    Some(oblige)
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
    if name.len() > MAX_FIELD_BYTES {
        let message = format!("a name in `{key}` has 1 to {MAX_FIELD_BYTES} bytes");
        report.error(node.span, message);
        return None;
    }
    if !require::check_field_name(name, node.span, report) {
        return None;
    }
    if CREDENTIALS.contains(&name) {
        let message = format!("{} is a credential", quoted(name));
        report.error_with_help(node.span, message, "no log holds one; name other fields");
        return None;
    }
    Some(name.into())
}

/// `[limits.NAME]`
pub(super) fn limits(root: &mut Reader<'_, '_>) -> Vec<LimitDecl> {
    place::read_all(root, "limits", MAX_LIMITS, |name, table, _| {
        let each = rate(table);
        let by = table.one("by", |key, node, report| {
            value::choice(key, node, &BY, report)
        });
        let total = table.one("total", |_, node, report| {
            let mut total = Reader::open(node, Place::Fixed("`total`"), report)?;
            let read = rate(&mut total);
            total.finish(|_| None);
            read
        });
        let (overrides, rates): (Vec<_>, Vec<_>) = overrides(table).into_iter().unzip();
        let name = name?;
        let limit = Limit {
            name: Arc::clone(&name.value),
            each: each?,
            by: by.unwrap_or_default(),
            total,
            overrides: (overrides.iter().map(|name| Arc::clone(&name.value)))
                .zip(rates)
                .collect(),
        };
        Some(LimitDecl {
            name,
            limit: Arc::new(limit),
            overrides,
        })
    })
}

/// `requests`, `per` and `burst`.
fn rate(table: &mut Reader<'_, '_>) -> Option<Rate> {
    let _ = table.required(
        "requests",
        "write how many requests there may be, as in `requests = 100`",
    );
    let _ = table.required("per", "write in how long a time, as in `per = \"1m\"`");
    let requests = table.integer("requests", 1..=i64::from(u32::MAX));
    let per = table.one("per", time);
    let burst = table.integer("burst", 1..=i64::from(u32::MAX));
    let burst = burst.and_then(|burst| u32::try_from(burst.value).ok());
    Some(Rate::new(u32::try_from(requests?.value).ok()?, per?, burst))
}

/// `[limits.NAME.overrides.WORKLOAD]`
fn overrides(table: &mut Reader<'_, '_>) -> Vec<(Spanned<Arc<str>>, Rate)> {
    let mut read = Vec::new();
    for (key, node) in table.named("overrides", MAX_ENTRIES) {
        let name = name::checked(&key.value, key.span, table.report);
        let place = Place::Named("overrides", &key.value);
        let Some(mut one) = Reader::open(node, place, table.report) else {
            continue;
        };
        let rate = rate(&mut one);
        one.finish(|_| None);
        read.extend(name.zip(rate));
    }
    read
}
