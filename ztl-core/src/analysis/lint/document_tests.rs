//! The document's own tests.

use crate::policy::{Document, Span};

use super::finding::Found;
use super::kinds::Lint;

pub(super) fn check(document: &Document, found: &mut Found) {
    if document.tests.is_empty() {
        found.add(
            Lint::NoTests,
            Span::default(),
            "the document has no `[[test]]`",
            "say in tests what must be permitted and what must not; `ztl test` runs them",
        );
    }
    for test in &document.tests {
        let expires = test
            .request
            .get("claims")
            .is_some_and(|claims| claims.get("exp").is_some());
        if expires && !test.request.contains_key("now") {
            let name = &test.name;
            found.add(
                Lint::TestReadsTheClock,
                test.span,
                format!("the test `{name}` has a token that expires, and states no `now`"),
                "write `now = ..`, or its outcome changes when the token expires",
            );
        }
    }
}
