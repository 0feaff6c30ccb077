//! Reading back what a record holds: the closed words of a decision, its id, the revision of its policy.

use thiserror::Error;

/// Why a text is none of the words, or the digits, that a record would hold in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not {expected}")]
pub struct WordError {
    expected: &'static str,
}

impl WordError {
    pub(crate) const fn new(expected: &'static str) -> Self {
        Self { expected }
    }
}

/// The one of them that is written so.
pub(crate) fn read<T: Copy>(
    text: &str,
    all: impl IntoIterator<Item = T>,
    written: impl Fn(T) -> &'static str,
    expected: &'static str,
) -> Result<T, WordError> {
    let found = all.into_iter().find(|one| written(*one) == text);
    found.ok_or(WordError::new(expected))
}
