//! The strict reader refuses what it does not know, at the right line and column, and says how to mend it.

mod faults;
mod good;
mod hostile;
mod root;

use super::*;
use crate::policy::diagnostic::{Diagnostic, LoadError};

/// Two lines that most documents here begin with.
const HEAD: &str = "schema = 1\ntrust_domain = \"prod.example\"\n";

fn load(text: &str, format: Format) -> Result<Document, LoadError> {
    parse(text, format).map_err(|report| report.into_error(None, text))
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
    error.diagnostics().to_vec()
}

/// `line:column: message`, one line an error, its help on the next.
fn listing(faults: &[Diagnostic], lines_before: usize) -> String {
    let mut listing = String::new();
    for at in faults {
        assert!(at.line > 0 && at.column > 0);
        let line = at.line - lines_before.min(at.line - 1);
        listing += &format!("{line}:{}: {}\n", at.column, at.message);
        if let Some(help) = &at.help {
            listing += &format!("help: {help}\n");
        }
    }
    listing
}
