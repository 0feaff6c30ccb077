//! `[permit.require]`, a closed list.

use std::sync::Arc;

use super::rule::RULE_KEYS;
use super::table::{Place, Reader};
use super::{name, value};
use crate::obligation::is_field_byte;
use crate::policy::diagnostic::{Report, quoted};
pub(super) use crate::policy::document::Require;
use crate::policy::document::{HeaderRequire, Mfa, Span, Spanned, TokenRequire};
use crate::policy::limits::{MAX_CLAIM_DEPTH, MAX_ENTRIES, MAX_FIELD_BYTES, MAX_TEXT_BYTES};
use crate::policy::tree::{Entries, Node, Tree};

/// The keys of `[permit.require]`.
pub(super) const REQUIREMENTS: [&str; 7] = [
    "trust_score",
    "zone_trust",
    "token",
    "mfa",
    "headers",
    "when",
    "authorizer",
];

const LANDED: &str =
    "a key after `[permit.require]` lands in it; move it above, to the keys of its `[[permit]]`";

/// `[permit.require]`
pub(super) fn require(key: &str, node: &Node, report: &mut Report) -> Option<Require> {
    let mut table = Reader::open(node, Place::Fixed("[permit.require]"), report)?;
    refuse_empty(key, node, table.report);
    let require = Require {
        trust_score: small(&mut table, "trust_score", 100),
        zone_trust: small(&mut table, "zone_trust", 255),
        token: table.one("token", token),
        mfa: table.one("mfa", mfa),
        headers: table.one("headers", headers).unwrap_or_default(),
        when: table.text("when"),
        authorizer: table.each("authorizer", MAX_ENTRIES, name::name),
    };
    table.finish(|key| RULE_KEYS.contains(&key).then_some(LANDED));
    Some(require)
}

fn small(table: &mut Reader<'_, '_>, key: &'static str, max: i64) -> Option<Spanned<u8>> {
    let value = table.integer(key, 0..=max)?;
    let small = u8::try_from(value.value).ok()?;
    Some(Spanned::new(small, value.span))
}

fn mfa(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<Mfa>> {
    let mfa = match &node.value {
        Tree::Bool(true) => Mfa::Any,
        Tree::Text(text) if text == "phishing-resistant" => Mfa::PhishingResistant,
        Tree::Bool(false) => {
            let message = format!("`{key} = false` requires nothing");
            report.error_with_help(node.span, message, "remove it");
            return None;
        }
        _ => {
            let message = format!("`{key}` takes true or \"phishing-resistant\"");
            report.error(node.span, message);
            return None;
        }
    };
    Some(Spanned::new(mfa, node.span))
}

/// `token = { issuer, audience, scopes, claims }`; `{}` is any verified token.
fn token(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<TokenRequire>> {
    if !matches!(node.value, Tree::Table(_)) {
        let message = format!("`{key}` takes a table, not {}", node.kind());
        report.error_with_help(
            node.span,
            message,
            "for any verified token write `token = {}`",
        );
        return None;
    }
    let mut table = Reader::open(node, Place::Fixed("[permit.require.token]"), report)?;
    let token = TokenRequire {
        issuer: table.one("issuer", value::issuer),
        audience: table
            .one("audience", value::issuer)
            .map(|audience| audience.value),
        scopes: table.each("scopes", MAX_ENTRIES, scope),
        claims: table.one("claims", claims).unwrap_or_default(),
    };
    table.finish(|key| {
        let elsewhere = RULE_KEYS.contains(&key) || REQUIREMENTS.contains(&key);
        elsewhere.then_some(
            "it is not the token's; in TOML a key lands in the table whose header stands above it",
        )
    });
    Some(Spanned::new(token, node.span))
}

/// A scope token (RFC 6749 §3.3): no space, quote, backslash or control character.
fn scope(key: &str, node: &Node, report: &mut Report) -> Option<Arc<str>> {
    let text = value::text(key, node, report)?;
    let known = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if !text.bytes().all(known) {
        let message = format!("{} is no scope (RFC 6749 §3.3)", quoted(text));
        if text.contains(' ') {
            report.error_with_help(node.span, message, "write several scopes as a list");
        } else {
            report.error(node.span, message);
        }
        return None;
    }
    Some(text.into())
}

fn claims(
    key: &str,
    node: &Node,
    report: &mut Report,
) -> Option<Vec<(Arc<str>, serde_json::Value)>> {
    let mut claims = Vec::new();
    for (claim, item) in fields(key, node, report)? {
        if is_claim(&claim.value, item, MAX_CLAIM_DEPTH, report) {
            claims.push((claim.value.as_str().into(), item.to_json()));
        }
    }
    Some(claims)
}

/// Whether this is what a claim can be compared with: a plain value, or a table of such for what is inside an object.
fn is_claim(name: &str, item: &Node, left: usize, report: &mut Report) -> bool {
    match &item.value {
        Tree::Text(text) if text.len() > MAX_TEXT_BYTES => {
            let message = format!("{} is longer than {MAX_TEXT_BYTES} bytes", quoted(name));
            report.error(item.span, message);
            false
        }
        Tree::Text(_) | Tree::Int(_) | Tree::Bool(_) => true,
        Tree::Table(_) => {
            let Some(left) = left.checked_sub(1) else {
                let message = format!("`claims` has tables more than {MAX_CLAIM_DEPTH} deep");
                report.error(item.span, message);
                return false;
            };
            let Some(entries) = fields(name, item, report) else {
                return false;
            };
            // All of them are looked at, so that each fault is told.
            entries.iter().fold(true, |good, (inner, item)| {
                is_claim(&inner.value, item, left, report) && good
            })
        }
        _ => {
            let message = format!(
                "the claim {} is compared with text, an integer, true, false or a table of such, not {}",
                quoted(name),
                item.kind()
            );
            let help =
                "a list in the token matches where it holds the value; for more write `when`";
            report.error_with_help(item.span, message, help);
            false
        }
    }
}

/// `headers = { x-tenant = ["a", "b"] }`: field names in lower case (rule 43), since they are compared in that form.
fn headers(key: &str, node: &Node, report: &mut Report) -> Option<Vec<HeaderRequire>> {
    let mut headers = Vec::new();
    for (field, item) in fields(key, node, report)? {
        let name = &field.value;
        let _ = check_field_name(name, field.span, report);
        let values = value::each(name, item, MAX_ENTRIES, report, value::shared);
        let values = values.into_iter().map(|value| value.value).collect();
        let name = Spanned::new(name.as_str().into(), field.span);
        headers.push(HeaderRequire { name, values });
    }
    Some(headers)
}

/// Whether a text is a header field's name, in lower case. RFC 9110 §5.1: it is a token.
pub(super) fn check_field_name(name: &str, span: Span, report: &mut Report) -> bool {
    if !name.bytes().all(is_field_byte) {
        let message = format!("{} is no header field's name (RFC 9110 §5.1)", quoted(name));
        report.error(span, message);
    } else if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let message = format!("the header field {} has an upper-case letter", quoted(name));
        let help = format!("write `{}`", name.to_ascii_lowercase());
        report.error_with_help(span, message, help);
    } else {
        return true;
    }
    false
}

/// The entries of an open table of values: not empty, with names that are neither empty nor long.
fn fields<'a>(key: &str, node: &'a Node, report: &mut Report) -> Option<&'a Entries> {
    let Tree::Table(entries) = &node.value else {
        value::wrong_kind(key, "a table", node, report);
        return None;
    };
    refuse_empty(key, node, report);
    if let Some((first, _)) = entries.get(MAX_ENTRIES) {
        report.error(
            first.span,
            format!("`{key}` has more than {MAX_ENTRIES} entries"),
        );
        return None;
    }
    for (name, _) in entries {
        if name.value.is_empty() || name.value.len() > MAX_FIELD_BYTES {
            let message = format!("a name in `{key}` has 1 to {MAX_FIELD_BYTES} bytes");
            report.error(name.span, message);
        }
    }
    Some(entries)
}

pub(super) fn refuse_empty(key: &str, node: &Node, report: &mut Report) {
    if matches!(&node.value, Tree::Table(entries) if entries.is_empty()) {
        report.error_with_help(
            node.span,
            format!("`{key}` is an empty table, which requires nothing"),
            "write what it requires, or remove it",
        );
    }
}
