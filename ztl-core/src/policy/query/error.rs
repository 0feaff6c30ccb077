//! Why a query is no question that a policy can answer.

use core::fmt::Write as _;

use thiserror::Error;

use super::MAX_QUERY_BYTES;
use crate::policy::diagnostic::shown;
use crate::policy::tree::SyntaxError;

/// A query was refused. What it repeats of the query is escaped and cut to length, so that it may be shown on a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Longer than [`MAX_QUERY_BYTES`].
    #[error("the request has more than {MAX_QUERY_BYTES} bytes")]
    TooLong,
    /// Not JSON, or a key stands twice in an object, or objects stand in each other too deep.
    #[error("{message}{}", place(*.byte))]
    Syntax {
        /// What is wrong.
        message: String,
        /// At which byte of the text, counted from 1.
        byte: Option<usize>,
    },
    /// JSON, but no object.
    #[error("the request is no JSON object")]
    NotAnObject,
    /// A key that no query has.
    #[error("unknown key {key}{}", meant(.near.as_deref()))]
    UnknownKey {
        /// The key, in backticks.
        key: String,
        /// What may have been meant.
        near: Option<String>,
    },
    /// `to` is left out.
    #[error("the key `to` is missing: it names the workload that is called")]
    NoTarget,
    /// A key has a value that it cannot have, or stands beside a key that it excludes.
    #[error("`{key}` {message}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// `from` is a name that no workload has.
    #[error("`from` names the workload {name}, which the policy does not declare{}", meant(.near.as_deref()))]
    UnknownCaller {
        /// The name, in backticks.
        name: String,
        /// What may have been meant.
        near: Option<String>,
    },
    /// `port` is left out, and the workload listens on several.
    #[error("`port` is missing, and the workload `{to}` listens on {}", listed(.ports))]
    UnclearPort {
        /// The called workload.
        to: String,
        /// Its ports.
        ports: Vec<u16>,
    },
}

impl QueryError {
    pub(super) fn value(key: &'static str, message: impl Into<String>) -> Self {
        Self::Value {
            key,
            message: message.into(),
        }
    }
}

impl From<SyntaxError> for QueryError {
    fn from(error: SyntaxError) -> Self {
        let byte = error.span.map(|span| span.start.saturating_add(1));
        Self::Syntax {
            // A stray character is repeated as it stands.
            message: shown(&error.message),
            byte,
        }
    }
}

fn place(byte: Option<usize>) -> String {
    byte.map_or_else(String::new, |byte| format!(", at byte {byte}"))
}

fn meant(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

fn listed(ports: &[u16]) -> String {
    let mut list = String::new();
    for (at, port) in ports.iter().enumerate() {
        // Writing to a `String` cannot fail.
        let _ = write!(list, "{}{port}", if at == 0 { "" } else { ", " });
    }
    list
}
