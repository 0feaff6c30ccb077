//! Why a policy was refused.

use thiserror::Error;

use super::Refused;

/// A policy cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InterpreterError {
    /// It is no Rego, or not what a policy may be.
    #[error("{place}: {message}")]
    Source {
        /// File, line and column; the file alone where it is about all of it.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// It calls what it may not.
    #[error("{place}: the builtin `{name}` {why}", why = .refused.why())]
    Builtin {
        /// File, line and column of the call.
        place: String,
        /// The builtin.
        name: String,
        /// Why it may not be called.
        refused: Refused,
    },
    /// The entrypoint is none.
    #[error("the entrypoint `{entrypoint}` {message}")]
    Entrypoint {
        /// The entrypoint.
        entrypoint: String,
        /// What is wrong with it.
        message: String,
    },
    /// The data cannot be used.
    #[error("the data: {0}")]
    Data(String),
}

/// The path of an entrypoint as regorus has it.
pub(super) fn entrypoint(text: &str) -> Result<String, InterpreterError> {
    let fault = |message: &str| InterpreterError::Entrypoint {
        entrypoint: text.to_owned(),
        message: message.to_owned(),
    };
    let separator = if text.contains('/') { '/' } else { '.' };
    let mut parts: Vec<&str> = text.split(separator).collect();
    if parts.first() == Some(&"data") {
        parts.remove(0);
    }
    if parts.len() < 2 {
        return Err(fault(
            "names no rule: write `package/path/rule` or `package.path.rule`",
        ));
    }
    let mut path = "data".to_owned();
    for part in parts {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if part.is_empty() || !part.bytes().all(|byte| plain(byte) || byte == b'-') {
            return Err(fault("has a part that is no name"));
        }
        if part.bytes().all(plain) && !part.starts_with(|first: char| first.is_ascii_digit()) {
            path.push('.');
            path.push_str(part);
        } else {
            path.push_str("[\"");
            path.push_str(part);
            path.push_str("\"]");
        }
    }
    Ok(path)
}

/// What stands in a message of regorus: the place (`--> file:line:column`) and what is wrong there.
pub(super) fn place(told: &str) -> Option<(&str, &str)> {
    let (_, rest) = told.split_once("--> ")?;
    let place = rest.lines().next()?;
    let message = rest.lines().last()?;
    Some((place, message.strip_prefix("error: ").unwrap_or(message)))
}

pub(super) fn syntax(file: &str, told: &str) -> InterpreterError {
    let (place, message) = place(told).unwrap_or((file, told.trim()));
    InterpreterError::Source {
        place: place.to_owned(),
        message: message.to_owned(),
    }
}

pub(super) fn compile(entrypoint: &str, told: &str) -> InterpreterError {
    match place(told) {
        Some((place, message)) => InterpreterError::Source {
            place: place.to_owned(),
            message: message.to_owned(),
        },
        None if told.contains("not a valid rule path") => InterpreterError::Entrypoint {
            entrypoint: entrypoint.to_owned(),
            message: "is no rule of the policy".to_owned(),
        },
        None => InterpreterError::Source {
            place: "policy".to_owned(),
            message: told.trim().to_owned(),
        },
    }
}
