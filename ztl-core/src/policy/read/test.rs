//! `[[test]]`: a request, and what must come of it.

use serde_json::Map;

use super::name::{self, Given};
use super::table::{Place, Reader};
use super::value;
use crate::policy::diagnostic::Report;
use crate::policy::document::{Spanned, TestDecl};
use crate::policy::limits::MAX_TESTS;
use crate::policy::query::Query;
use crate::policy::tree::{Node, Tree};
use crate::reason::{Reason, Verdict};

const VERDICTS: [(&str, Verdict); 2] = [("permit", Verdict::Permit), ("deny", Verdict::Deny)];

/// What a key of a request takes. That it makes sense is judged where the test is run.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    Number,
    Caller,
    Table,
}

/// The keys of a decide request.
const REQUEST: [(&str, Kind); 16] = [
    ("from", Kind::Caller),
    ("from_addr", Kind::Text),
    ("to", Kind::Text),
    ("to_addr", Kind::Text),
    ("port", Kind::Int),
    ("method", Kind::Text),
    ("path", Kind::Text),
    ("action", Kind::Text),
    ("headers", Kind::Table),
    ("forwarded", Kind::Text),
    ("claims", Kind::Table),
    ("trust_score", Kind::Int),
    ("signals", Kind::Table),
    ("posture", Kind::Table),
    ("context", Kind::Table),
    ("now", Kind::Number),
];

/// Every `[[test]]`.
pub(super) fn tests(root: &mut Reader<'_, '_>) -> Vec<TestDecl> {
    let mut names = Given::default();
    let mut tests = Vec::new();
    for (at, node) in root.tables("test", MAX_TESTS).iter().enumerate() {
        if root.report.enough() {
            break;
        }
        let name = names.take("test", at, node);
        tests.extend(test(name, node, root.report));
    }
    names.refuse_doubles("tests", root.report);
    tests
}

fn test(name: Spanned<std::sync::Arc<str>>, node: &Node, report: &mut Report) -> Option<TestDecl> {
    let mut table = Reader::open(node, Place::Fixed("[[test]]"), report)?;
    let _ = table.one("name", name::name);
    let _ = table.required("to", "write which workload is asked");
    let mut request = Map::new();
    for (key, kind) in REQUEST {
        if let Some(value) = table.take(key)
            && fits(key, kind, value, table.report)
        {
            request.insert(key.to_owned(), value.to_json());
        }
    }
    if let Err(error) = Query::from_map(&request)
        && table.report.is_empty()
    {
        table.report.error(
            node.extent(),
            format!("the request cannot be asked: {error}"),
        );
    }
    let _ = table.required(
        "expect",
        "write `expect = \"permit\"` or `expect = \"deny\"`",
    );
    let expect = table.one("expect", |key, node, report| {
        value::choice(key, node, &VERDICTS, report)
    });
    let reason = table.one("reason", |key, node, report| {
        let codes: Vec<_> = Reason::ALL
            .iter()
            .map(|reason| (reason.code(), *reason))
            .collect();
        value::choice(key, node, &codes, report)
    });
    let rule = table.one("rule", name::name);
    table.finish(|_| None);
    Some(TestDecl {
        name: name.value,
        request,
        expect: expect?,
        reason: reason.map(|reason| reason.code().into()),
        rule: rule.map(|rule| rule.value),
        span: node.extent(),
    })
}

fn fits(key: &str, kind: Kind, node: &Node, report: &mut Report) -> bool {
    let (fits, wanted) = match kind {
        Kind::Text => (matches!(node.value, Tree::Text(_)), "text"),
        Kind::Int => (matches!(node.value, Tree::Int(_)), "an integer"),
        Kind::Number => (
            matches!(node.value, Tree::Int(_) | Tree::Float(_)),
            "a number",
        ),
        Kind::Caller => (
            matches!(node.value, Tree::Text(_) | Tree::Null),
            "text, or null in JSON",
        ),
        Kind::Table => (matches!(node.value, Tree::Table(_)), "a table"),
    };
    if !fits {
        value::wrong_kind(key, wanted, node, report);
    }
    fits
}
