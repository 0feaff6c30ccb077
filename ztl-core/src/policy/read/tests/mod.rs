//! The strict reader refuses what it does not know, at the right line and column, and says how to mend it.

mod good;
mod hostile;
mod places;
mod root;
mod rules;

use super::*;
use crate::policy::diagnostic::{Diagnostic, LoadError};

/// Two lines that every document begins with.
const HEAD: &str = "schema = 1\ntrust_domain = \"prod.example\"\n";

fn load(text: &str, format: Format) -> Result<Document, LoadError> {
    match parse(text, format) {
        Ok((_, document)) => Ok(document),
        Err(report) => Err(report.into_error(None, text)),
    }
}

/// Reads a document in TOML below [`HEAD`].
fn read(text: &str) -> Document {
    match load(&format!("{HEAD}{text}"), Format::Toml) {
        Ok(document) => document,
        Err(error) => panic!("{error}"),
    }
}

/// What is wrong with a document.
fn faults(text: &str) -> Vec<Diagnostic> {
    let error = load(text, Format::Toml).expect_err(text);
    assert!(!error.diagnostics().is_empty(), "{text}");
    assert!(
        error
            .diagnostics()
            .iter()
            .all(|at| at.line > 0 && at.column > 0)
    );
    error.diagnostics().to_vec()
}

/// A document below [`HEAD`], and the one thing that is wrong with it: line (counted below the head), column, message, help.
type Case<'a> = (&'a str, usize, usize, &'a str, &'a str);

#[track_caller]
fn check(cases: &[Case<'_>]) {
    for (text, line, column, message, help) in cases {
        let faults = faults(&format!("{HEAD}{text}"));
        let found: Vec<_> = faults
            .iter()
            .map(|at| {
                let help = at.help.as_deref().unwrap_or_default();
                (at.line, at.column, at.message.as_str(), help)
            })
            .collect();
        assert_eq!(found, [(line + 2, *column, *message, *help)], "{text}");
    }
}
