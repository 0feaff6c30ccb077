//! What may become of what a guard reads again or fetches, as its counters say it.

/// Of a file that changed.
pub(crate) const OF_FILES: [&str; 2] = ["taken", "refused"];
/// Of what a source vouches for.
pub(crate) const OF_SOURCES: [&str; 3] = ["taken", "refused", "withdrawn"];
/// Of a bundle of policies in a file.
pub(crate) const OF_BUNDLE_FILES: [&str; 4] = ["taken", "refused", "withdrawn", "unknown"];
/// Of a fetch, and of what was fetched once it is too old.
pub(crate) const OF_FETCHES: [&str; 4] = ["changed", "unchanged", "failed", "withdrawn"];
/// The same of a bundle of policies.
pub(crate) const OF_PULLS: [&str; 5] = ["changed", "unchanged", "failed", "withdrawn", "unknown"];
