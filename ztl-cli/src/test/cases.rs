//! Where tests come from: the document, and files of JSON lines.

use std::borrow::Cow;
use std::path::Path;

use serde_json::{Map, Value};
use ztl_core::policy::{Format, Loader, TestDecl};

use crate::exit::Failure;
use crate::lines::{Line, Lines};
use crate::places::Places;
use crate::policy_file::{PolicyFile, open};

/// A test, and where it stands.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) test: Cow<'a, TestDecl>,
}

impl<'a> Case<'a> {
    /// The `[[test]]`s of a document.
    pub(super) fn of_document(file: &'a PolicyFile, places: &Places<'_>) -> Vec<Self> {
        let tests = file.policy.document().tests.iter();
        tests
            .map(|test| Self {
                name: test.name.to_string(),
                file: file.name.clone(),
                line: places.of(test.span.start).line,
                test: Cow::Borrowed(test),
            })
            .collect()
    }

    /// The tests of a file, one a line. A line that is none is wrong use: a test that is passed over tests nothing.
    pub(super) fn of_file(path: &Path) -> Result<Vec<Self>, Failure> {
        let file = path.display().to_string();
        let mut lines = Lines::new(open(path)?);
        let mut cases = Vec::new();
        while let Some((number, line)) = lines.next(&mut || Ok(()))? {
            let read = match line {
                Line::Text(text) if text.trim_ascii().is_empty() => continue,
                Line::Text(text) => read(text),
                Line::TooLong => Err("the line is too long".to_owned()),
                Line::NotUtf8 => Err("the line is not UTF-8".to_owned()),
            };
            let (name, test) =
                read.map_err(|why| Failure::Usage(format!("`{file}`, line {number}: {why}")))?;
            cases.push(Self {
                name: name.unwrap_or_else(|| format!("{file}:{number}")),
                file: file.clone(),
                line: usize::try_from(number).unwrap_or(usize::MAX),
                test: Cow::Owned(test),
            });
        }
        Ok(cases)
    }
}

/// A line means what the same object means in `test` of a document, and is read by the same reader.
fn read(line: &str) -> Result<(Option<String>, TestDecl), String> {
    // That it is one object makes it safe to put into the text, where the document's own reader finds what is doubled.
    let object: Map<String, Value> =
        serde_json::from_str(line).map_err(|error| format!("it is no JSON object: {error}"))?;
    let name = object
        .get("name")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let document = format!(r#"{{"schema":1,"trust_domain":"case.invalid","test":[{line}]}}"#);
    let policy = Loader::new()
        .load(&document, Format::Json)
        .map_err(|error| {
            let messages = error.diagnostics().iter().map(|one| match &one.help {
                Some(help) => format!("{}; {help}", one.message),
                None => one.message.clone(),
            });
            messages.collect::<Vec<_>>().join("; ")
        })?;
    let test = policy.document().tests.first().cloned();
    test.map(|test| (name, test))
        .ok_or_else(|| "it is no test".to_owned())
}
