//! How long the paths of a template are and how many slashes they have, so that most others are passed over at once.

use crate::path::CanonicalPath;

/// Bounds of the paths, without escapes, that a template matches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    bytes: Within,
    slashes: Within,
}

/// At least so many, and at most so many more.
#[derive(Clone, Copy, Debug)]
struct Within {
    least: u16,
    more: u16,
}

impl Size {
    /// Every path.
    pub(crate) const ANY: Self = Self {
        bytes: Within::ANY,
        slashes: Within::ANY,
    };

    /// At least so many bytes and slashes, and more of either only where that is said.
    pub(super) fn new((bytes, longer): (usize, bool), (slashes, more): (usize, bool)) -> Self {
        Self {
            bytes: Within::new(bytes, longer),
            slashes: Within::new(slashes, more),
        }
    }

    /// Whether a path without escapes is within.
    #[inline]
    pub(crate) fn fits(self, path: &CanonicalPath<'_>) -> bool {
        self.slashes.holds(path.slashes()) && self.bytes.holds(path.as_str().len())
    }
}

impl Within {
    const ANY: Self = Self {
        least: 0,
        more: u16::MAX,
    };

    fn new(least: usize, more: bool) -> Self {
        Self {
            // No path is as long as that (`MAX_TARGET_BYTES`).
            least: u16::try_from(least).unwrap_or(u16::MAX),
            more: if more { u16::MAX } else { 0 },
        }
    }

    #[inline]
    fn holds(self, count: usize) -> bool {
        let more = count.checked_sub(usize::from(self.least));
        more.is_some_and(|more| more <= usize::from(self.more))
    }
}
