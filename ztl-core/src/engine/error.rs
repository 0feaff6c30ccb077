//! What goes wrong with an engine itself.

use thiserror::Error;

/// Why an engine could not be made, or a policy not be taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The operating system gave no random bits.
    #[error("the operating system gave no random bits: {0}")]
    Random(String),
    /// The new policy's `serial` is lower than that of the policy in force, or is missing (T6).
    #[error("the policy's serial goes back from {current} to {offered}; an old policy is not taken", offered = offered.map_or_else(|| "none".to_owned(), |serial| serial.to_string()))]
    SerialWentBack {
        /// Of the policy in force.
        current: u64,
        /// Of the policy that was offered.
        offered: Option<u64>,
    },
}
