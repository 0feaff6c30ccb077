//! The policy document of a run: the text that every workload loads.

use core::fmt;
use std::error::Error;
use std::path::Path;

use ztl_core::policy::{Format, Loader, Policy, Span, WorkloadDecl};

const BUILT_IN: &str = include_str!("../policy.toml");

/// A policy document, and what errors call it.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    text: String,
    source: String,
    format: Format,
}

impl Document {
    /// The one of `--policy`, else the built-in one.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let Some(path) = path else {
            return Ok(Self {
                text: BUILT_IN.to_owned(),
                source: "policy.toml".to_owned(),
                format: Format::Toml,
            });
        };
        let source = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| DocumentError::Unreadable(format!("`{source}`: {error}")))?;
        Ok(Self {
            text,
            source,
            format: Format::of_path(path),
        })
    }

    /// The document itself.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Reads it as a workload does: strictly, and all of it.
    pub(crate) fn load(&self) -> Result<Policy, Box<dyn Error>> {
        Ok(Loader::new()
            .source(&self.source)
            .load(&self.text, self.format)?)
    }

    /// The same document with other values in some places.
    pub(crate) fn with(&self, mut edits: Vec<(Span, String)>) -> Self {
        edits.sort_by_key(|(span, _)| span.start);
        let (mut text, mut at) = (String::new(), 0);
        for (span, value) in edits {
            text.push_str(self.text.get(at..span.start).unwrap_or_default());
            text.push_str(&value);
            at = span.end;
        }
        text.push_str(self.text.get(at..).unwrap_or_default());
        Self {
            text,
            ..self.clone()
        }
    }
}

/// A workload as the document declares it.
pub(crate) fn declared<'a>(
    policy: &'a Policy,
    name: &str,
) -> Result<&'a WorkloadDecl, DocumentError> {
    let mut workloads = policy.document().workloads.iter();
    workloads
        .find(|workload| &*workload.name.value == name)
        .ok_or_else(|| DocumentError::Unfit(format!("it declares no workload `{name}`")))
}

/// Why a document is not walked under.
#[derive(Debug)]
pub(crate) enum DocumentError {
    /// The file could not be read.
    Unreadable(String),
    /// It is a good policy, and not one of these five workloads.
    Unfit(String),
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "the policy cannot be read: {why}"),
            Self::Unfit(why) => write!(f, "the policy does not fit this example: {why}"),
        }
    }
}

impl Error for DocumentError {}
