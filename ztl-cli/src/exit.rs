//! How a verb ends: the exit codes, and what makes it end early.

use std::io::{self, Write};
use std::process::ExitCode;

use ztl_core::policy::LoadError;

/// The exit codes; scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: permitted, or nothing found.
    Fine,
    /// 1: denied, or something found.
    Finding,
    /// 2: wrong use, or a file that cannot be read or written.
    Usage,
    /// 3: the policy is invalid.
    InvalidPolicy,
    /// 4: it is too much to be answered exactly, so that there is no answer, or there may be more to it.
    Incomplete,
}

impl Exit {
    pub(crate) const fn fine_if(fine: bool) -> Self {
        if fine { Self::Fine } else { Self::Finding }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Finding => 1,
            Exit::Usage => 2,
            Exit::InvalidPolicy => 3,
            Exit::Incomplete => 4,
        })
    }
}

/// Why a verb could not go on.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The tool was used wrongly, or a file cannot be read or written.
    Usage(String),
    /// The policy was refused.
    Policy(Refusal),
    /// The question is too large for an exact answer.
    Incomplete(String),
    /// Whoever reads the output has gone away.
    OutputClosed,
}

/// Why a policy was refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// By the loader.
    Load(LoadError),
    /// Before it could be read as text; already in the loader's form.
    Unreadable {
        line: usize,
        column: usize,
        message: String,
        name: String,
    },
}

impl Failure {
    /// Tells the operator on stderr, and says with which code to end.
    pub(crate) fn report(&self) -> Exit {
        let (text, exit) = match self {
            Self::Usage(message) => (format!("error: {message}"), Exit::Usage),
            Self::Incomplete(message) => (format!("error: {message}"), Exit::Incomplete),
            Self::Policy(refusal) => (refusal.to_string(), Exit::InvalidPolicy),
            // Quietly, but not as if every line had been judged and found well.
            Self::OutputClosed => return Exit::Finding,
        };
        // Where stderr is gone as well there is nobody left to tell.
        let _ = writeln!(io::stderr(), "{text}");
        exit
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Load(error) => write!(f, "error: {error}"),
            Self::Unreadable {
                line,
                column,
                message,
                name,
            } => {
                write!(f, "error: {name}:{line}:{column}: {message}")
            }
        }
    }
}

/// An error of the output; those of an input are named where they occur.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Usage(format!("cannot write the output: {error}")),
        }
    }
}
