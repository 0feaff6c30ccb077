//! How large a bundle may be.

/// Bounds on a bundle. What goes beyond one refuses the whole bundle.
///
/// ```
/// use ztl_authz::bundle::Limits;
///
/// let mut limits = Limits::default();
/// limits.json_bytes = 32 * 1024 * 1024;
/// assert_eq!(limits.files, 4096);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes as they come, compressed. 16 MiB.
    pub compressed_bytes: usize,
    /// Bytes of the archive, unpacked: its files and their headers. 64 MiB.
    pub unpacked_bytes: usize,
    /// How many times longer the archive may be than what came. Counts from 1 MiB on, since a small archive is mostly blanks. 200.
    pub ratio: usize,
    /// Entries of the archive, folders among them. 4096.
    pub files: usize,
    /// Bytes of all JSON documents together: in memory they take a multiple of that. 16 MiB.
    pub json_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            compressed_bytes: 16 * MIB,
            unpacked_bytes: 64 * MIB,
            ratio: 200,
            files: 4096,
            json_bytes: 16 * MIB,
        }
    }
}

const MIB: usize = 1024 * 1024;

/// Below this the ratio does not count.
const RATIO_FROM: usize = MIB;

impl Limits {
    /// The most that this many compressed bytes may unpack to, and whether it is the ratio that says so.
    pub(super) fn unpacked(&self, compressed: usize) -> (usize, bool) {
        let by_ratio = compressed.saturating_mul(self.ratio).max(RATIO_FROM);
        if by_ratio < self.unpacked_bytes {
            (by_ratio, true)
        } else {
            (self.unpacked_bytes, false)
        }
    }
}

/// How many objects and lists may stand inside one another in a document of a bundle.
pub const MAX_DATA_DEPTH: usize = crate::data::MAX_DEPTH;
/// The longest path of a file.
pub const MAX_PATH_BYTES: usize = 512;
/// The most folders that a file may stand in.
pub const MAX_PATH_FOLDERS: usize = 32;
/// The longest `.signatures.json`.
pub const MAX_SIGNATURES_BYTES: usize = 2 * MIB;
/// The longest `.manifest`.
pub const MAX_MANIFEST_BYTES: usize = MIB;
/// The longest `revision` of a manifest: it stands in the record of each decision that the bundle makes.
pub const MAX_REVISION_BYTES: usize = 1024;
/// The most roots, and the most entrypoints, that a manifest may name.
pub const MAX_NAMED: usize = 1024;
