//! Why a policy came to nothing.

use thiserror::Error;
use ztl_core::authorizer::AuthorizerError;

/// An evaluation failed, so that the permit that asked does not hold (rule 7). The text stands in the audit record and holds no
/// value that was looked at (law 7).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegoError {
    /// It took longer than it may.
    #[error("the policy took longer than it may")]
    Timeout,
    /// It took more memory than it may.
    #[error("the policy took more memory than it may")]
    Memory,
    /// It was ended by its own doing, as this says.
    #[error("the policy failed: {0}")]
    Trapped(String),
    /// It called what is not there, or what failed.
    #[error("the builtin `{name}` failed: {why}")]
    Builtin {
        /// The builtin.
        name: String,
        /// Why, without what it was given.
        why: String,
    },
    /// What it came to is no answer.
    #[error("the policy's answer is none: {0}")]
    Answer(String),
    /// The input is longer than [`MAX_INPUT_BYTES`](super::input::MAX_INPUT_BYTES).
    #[error("the input of {bytes} bytes is longer than {max} bytes", max = super::input::MAX_INPUT_BYTES)]
    Input {
        /// How long it is.
        bytes: usize,
    },
    /// Its bundle is not in force, or not yet.
    #[error("no bundle with the policy is in force")]
    NotInForce,
    /// Nothing is free to evaluate it.
    #[error("too many policies are being evaluated")]
    Busy,
}

impl From<RegoError> for AuthorizerError {
    fn from(error: RegoError) -> Self {
        Self(error.to_string())
    }
}
