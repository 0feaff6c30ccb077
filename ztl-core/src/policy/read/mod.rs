//! The strict reader: a tree becomes a [`Document`], or a list of what is wrong with it.
//!
//! 1. Every key that nobody asked for is refused, wherever it stands.
//! 2. Every value is checked by itself; whether a name means anything is for the pass after this one.
//! 3. Where a list is expected, one value will do. An empty list or table of values is refused (law 5).
//! 4. There are no negative matchers.

mod host;
mod name;
mod network;
mod oblige;
mod place;
mod port;
mod principal;
mod require;
mod rule;
pub mod settings;
mod subject;
mod table;
mod test;
mod trust;
mod unit;
mod value;
mod workload;

use std::collections::BTreeSet;
use std::path::Path;

use self::table::{Place, Reader};
use super::diagnostic::Report;
use super::document::{Document, Effect, Spanned};
use super::limits::{MAX_ENTRIES, MAX_NETWORKS, MAX_NEVERS, MAX_RULES};
use super::tree::{Node, Tree, parse_json, parse_toml};
use super::{Revision, canonical};
use crate::id::TrustDomain;

/// The newest schema that this version reads.
const SCHEMA: i64 = 1;

/// The syntax of a policy document. Both say the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// TOML 1.1.
    #[default]
    Toml,
    /// JSON (RFC 8259), without comments.
    Json,
}

impl Format {
    /// By the file's extension: `.json` is JSON, everything else TOML.
    #[must_use]
    pub fn of_path(path: &Path) -> Self {
        let extension = path.extension().unwrap_or_default();
        if extension.eq_ignore_ascii_case("json") {
            Self::Json
        } else {
            Self::Toml
        }
    }
}

/// Reads a document.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(text: &str, format: Format) -> Result<Document, Report> {
    let root = match format {
        Format::Toml => parse_toml(text),
        Format::Json => parse_json(text),
    }?;
    let mut report = Report::default();
    read_document(&root, &mut report).ok_or(report)
}

/// Reads what a tree declares. `None` exactly where the report is not empty afterwards.
pub(crate) fn read_document(root: &Node, report: &mut Report) -> Option<Document> {
    let mut table = Reader::open(root, Place::Root, report)?;
    // Nothing else of a newer document is looked at: its keys are not ours to judge.
    schema(&mut table)?;
    let document = read_sections(&mut table, root);
    table.finish(|key| match key {
        "permits" | "allow" | "rules" => Some("write `[[permit]]`"),
        "forbids" | "deny" => Some("write `[[forbid]]`"),
        "require" => Some("write `[permit.require]` below its `[[permit]]`"),
        "limit" => Some("write `[limits.NAME]`, with one bracket on each side"),
        _ => None,
    });
    document.filter(|_| report.is_empty())
}

fn schema(table: &mut Reader<'_, '_>) -> Option<()> {
    let help = "write `schema = 1` on the first line";
    let Some(node) = table.need("schema", help) else {
        return Some(());
    };
    match node.value {
        Tree::Int(SCHEMA) => return Some(()),
        Tree::Int(newer) if newer > SCHEMA => table.report.error_with_help(
            node.span,
            format!("the document has schema {newer}, and this version of ztl reads {SCHEMA}"),
            "it needs a newer ztl",
        ),
        Tree::Int(other) => table.report.error_with_help(
            node.span,
            format!("there is no schema {other}"),
            "write `schema = 1`",
        ),
        _ => table.report.error_with_help(
            node.span,
            format!("`schema` takes the integer {SCHEMA}, not {}", node.kind()),
            "write `schema = 1`",
        ),
    }
    None
}

fn read_sections(table: &mut Reader<'_, '_>, root: &Node) -> Option<Document> {
    let serial = table.integer("serial", 0..=i64::MAX);
    let help = "write `trust_domain = \"example.org\"`, the name that your SPIFFE IDs begin with";
    let trust_domain = table.need("trust_domain", help);
    let trust_domain =
        trust_domain.and_then(|node| value::trust_domain("trust_domain", node, table.report));
    let aliases = table.each("trust_domain_aliases", MAX_ENTRIES, value::trust_domain);
    let relays = table.each("relays", MAX_NETWORKS, network::network);
    let zones = place::zones(table);
    let workloads = workload::workloads(table);
    let externals = place::externals(table);
    let issuers = place::issuers(table);
    let limits = oblige::limits(table);
    let authorizers = place::authorizers(table);
    let trust = trust::trust(table);

    let permits = table.tables("permit", MAX_RULES);
    let forbids = table.tables("forbid", MAX_RULES.saturating_sub(permits.len()));
    let nevers = table.tables("never", MAX_NEVERS);
    let mut names = name::Given::default();
    let mut rules = Vec::new();
    for (effect, nodes) in [(Effect::Permit, permits), (Effect::Forbid, forbids)] {
        for (at, node) in nodes.iter().enumerate() {
            if table.report.enough() {
                break;
            }
            let name = names.take(effect.as_str(), at, node);
            rules.extend(rule::rule(effect, name, node, table.report));
        }
    }
    rules.sort_by_key(|rule| rule.span.start);
    let mut read_nevers = Vec::new();
    for (at, node) in nevers.iter().enumerate() {
        if table.report.enough() {
            break;
        }
        let name = names.take("never", at, node);
        read_nevers.extend(rule::never(name, node, table.report));
    }
    names.refuse_doubles("rules", table.report);
    let tests = test::tests(table);
    let end_rules = end(table, permits.len() + forbids.len() + nevers.len());

    let trust_domain = trust_domain?;
    refuse_double_domains(&trust_domain, &aliases, table.report);
    Some(Document {
        revision: Revision(canonical::digest(root)),
        serial: serial.and_then(|serial| u64::try_from(serial.value).ok()),
        trust_domain,
        aliases,
        relays,
        zones,
        workloads,
        externals,
        issuers,
        limits,
        authorizers,
        trust,
        rules,
        nevers: read_nevers,
        tests,
        end_rules,
    })
}

fn refuse_double_domains(
    primary: &Spanned<TrustDomain>,
    aliases: &[Spanned<TrustDomain>],
    report: &mut Report,
) {
    let mut seen = BTreeSet::from([primary.value.as_str()]);
    for alias in aliases {
        if !seen.insert(alias.value.as_str()) {
            let message = format!("the trust domain `{}` is named twice", alias.value);
            report.error_with_help(alias.span, message, "remove one of the two");
        }
    }
}

/// `[end] rules = N`: a document that was cut short says another number than it holds (T6).
fn end(table: &mut Reader<'_, '_>, held: usize) -> Option<Spanned<u64>> {
    let node = table.take("end")?;
    let mut end = Reader::open(node, Place::Fixed("[end]"), table.report)?;
    let help = "write how many `[[permit]]`, `[[forbid]]` and `[[never]]` there are";
    let _ = end.required("rules", help);
    let rules = end.integer("rules", 0..=i64::MAX);
    end.finish(|_| None);
    let rules = rules?;
    let counted = u64::try_from(rules.value).ok()?;
    if usize::try_from(counted) != Ok(held) {
        table.report.error_with_help(
            rules.span,
            format!("`[end]` counts {counted} rules, and the document holds {held}"),
            "it was cut short or changed; if it is whole, correct the count of `[[permit]]`, `[[forbid]]` and `[[never]]`",
        );
    }
    Some(Spanned::new(counted, rules.span))
}

#[cfg(test)]
mod tests;
