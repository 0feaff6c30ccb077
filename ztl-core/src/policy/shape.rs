//! Kinds of action and how many slashes their paths have, so that most rules that do not name an action are passed over at
//! one look.

use crate::path::CanonicalPath;

use super::kinds::Kinds;

/// Some pairs of a kind of action and a number of slashes: a byte of kinds for each number, the last one for all from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape(u64);

impl Shape {
    /// No action.
    pub(crate) const NONE: Self = Self(0);

    /// Actions of these kinds on paths with so many slashes, or at least as many.
    pub(crate) fn new(kinds: Kinds, (slashes, or_more): (usize, bool)) -> Self {
        let least = slashes.min(Self::MOST);
        let most = if or_more { Self::MOST } else { least };
        let shapes = (least..=most).map(|slashes| Self::with(kinds, slashes).0);
        Self(shapes.fold(0, |one, other| one | other))
    }

    /// That of an action of this kind on this path.
    #[inline]
    pub(crate) fn of(kind: Kinds, path: &CanonicalPath<'_>) -> Self {
        Self::with(kind, path.slashes())
    }

    /// Whether a pair is in both.
    #[inline]
    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// From so many slashes on they are not told apart.
    const MOST: usize = 7;

    #[inline]
    fn with(kinds: Kinds, slashes: usize) -> Self {
        Self(u64::from(kinds.bits()) << (8 * slashes.min(Self::MOST)))
    }
}
