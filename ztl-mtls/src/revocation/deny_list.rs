//! The deny list: whom nobody needs to be asked about.

use core::fmt;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use ztl_core::SpiffeId;

use super::denied::{Denied, DeniedError, IssuedSerial, Named};
use crate::file::{self, FileError};
use crate::fingerprint::Fingerprint;

/// Most entries of a deny list.
pub const MAX_DENIED: usize = 100_000;

/// Most bytes of the text of a deny list.
pub const MAX_DENY_LIST_BYTES: usize = 16 * 1024 * 1024;

/// Workloads, keys and certificates that prove nothing, whoever vouches for them. Immutable, cheap to clone.
///
/// As text, one entry a line. `#` begins a comment, empty lines are read past, an entry twice counts once:
///
/// ```text
/// # stolen laptop, 2026-11-20
/// id spiffe://prod.example/ns/agents/sa/router
/// key sha256:5e8c…                                   # SHA-256 of the SubjectPublicKeyInfo in DER
/// serial 01:8f:3a issuer sha256:77af…                # serial number, SHA-256 of the issuer's name in DER
/// end 3
/// ```
///
/// The last line says how many entry lines there are before it. It may be left out, but then a text that was cut off between two
/// lines passes for a whole one. A text without entries must have it: `end 0` denies nobody, and an empty file is refused, as it
/// is what a failed write leaves behind.
///
/// A line that is not understood refuses the whole text.
#[derive(Clone, Default)]
pub struct DenyList(Arc<Entries>);

#[derive(Clone, Default)]
struct Entries {
    ids: HashSet<SpiffeId>,
    keys: HashSet<Fingerprint>,
    serials: HashSet<IssuedSerial>,
}

/// Why a text is no deny list.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DenyListError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file was read, but is no deny list.
    #[error("`{}`: {error}", path.display())]
    InFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<DenyListError>,
    },
    /// There are more than [`MAX_DENY_LIST_BYTES`].
    #[error("the deny list is longer than 16 MiB")]
    TooLong,
    /// There are more than [`MAX_DENIED`] entries.
    #[error("the deny list has more than 100000 entries")]
    TooMany,
    /// It is not text.
    #[error("line {line} of the deny list is not UTF-8")]
    NotUtf8 {
        /// Its number, from 1.
        line: usize,
    },
    /// A line is none that is known.
    #[error("line {line} of the deny list {error}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        error: DeniedError,
    },
    /// The last line counts other entries than there are: some are missing, or were added below it.
    #[error("line {line} of the deny list ends it after {said} entries, but there are {found}")]
    Count {
        /// Its number, from 1.
        line: usize,
        /// How many it says.
        said: usize,
        /// How many there are.
        found: usize,
    },
    /// There is something after the last line.
    #[error("line {line} of the deny list comes after its end")]
    AfterEnd {
        /// Its number, from 1.
        line: usize,
    },
    /// There is nothing in it.
    #[error("the deny list is empty: to deny nobody, write the line `end 0`")]
    Empty,
}

impl DenyList {
    /// Reads a text, as above.
    ///
    /// # Errors
    /// [`DenyListError`], with the number of the line.
    pub fn parse(text: &[u8]) -> Result<Self, DenyListError> {
        if text.len() > MAX_DENY_LIST_BYTES {
            return Err(DenyListError::TooLong);
        }
        let mut entries = Entries::default();
        let mut found = 0_usize;
        let mut end = None;
        for (line, bytes) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let whole = core::str::from_utf8(bytes).map_err(|_| DenyListError::NotUtf8 { line })?;
            let entry = whole.split('#').next().unwrap_or_default().trim_ascii();
            if entry.is_empty() {
                continue;
            }
            if end.is_some() {
                return Err(DenyListError::AfterEnd { line });
            }
            if let Some(said) = end_of(entry) {
                if said != found {
                    return Err(DenyListError::Count { line, said, found });
                }
                end = Some(said);
                continue;
            }
            found = found.saturating_add(1);
            if found > MAX_DENIED {
                return Err(DenyListError::TooMany);
            }
            let denied = entry
                .parse()
                .map_err(|error| DenyListError::Line { line, error })?;
            entries.insert(denied);
        }
        if found == 0 && end.is_none() {
            return Err(DenyListError::Empty);
        }
        Ok(Self(Arc::new(entries)))
    }

    /// Reads a file, as above.
    ///
    /// # Errors
    /// [`DenyListError`], with the name of the file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, DenyListError> {
        let path = path.as_ref();
        let text = file::read_at_most(path, MAX_DENY_LIST_BYTES)?;
        Self::parse(&text).map_err(|error| error.in_file(path))
    }

    /// With one entry more.
    #[must_use]
    pub fn with(&self, denied: Denied) -> Self {
        let mut entries = Entries::clone(&self.0);
        entries.insert(denied);
        Self(Arc::new(entries))
    }

    /// With one entry less.
    #[must_use]
    pub fn without(&self, denied: &Denied) -> Self {
        let mut entries = Entries::clone(&self.0);
        match denied {
            Denied::Id(id) => entries.ids.remove(id),
            Denied::Key(key) => entries.keys.remove(key),
            Denied::Serial(serial) => entries.serials.remove(serial),
        };
        Self(Arc::new(entries))
    }

    /// Whether it names exactly this.
    #[must_use]
    pub fn contains(&self, denied: &Denied) -> bool {
        match denied {
            Denied::Id(id) => self.0.ids.contains(id),
            Denied::Key(key) => self.0.keys.contains(key),
            Denied::Serial(serial) => self.0.serials.contains(serial),
        }
    }

    /// How many entries there are, each counted once.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.ids.len() + self.0.keys.len() + self.0.serials.len()
    }

    /// Whether nobody is denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Denied> {
        let ids = self.0.ids.iter().cloned().map(Denied::Id);
        let keys = self.0.keys.iter().copied().map(Denied::Key);
        let serials = self.0.serials.iter().cloned().map(Denied::Serial);
        ids.chain(keys).chain(serials)
    }

    pub(crate) fn denies_id(&self, id: &SpiffeId) -> bool {
        self.0.ids.contains(id)
    }

    /// Whether certificates are to be looked at, beside ids.
    pub(crate) fn names_certificates(&self) -> bool {
        !(self.0.keys.is_empty() && self.0.serials.is_empty())
    }

    /// The entry that names a certificate by its key or its number.
    pub(crate) fn entry_of(&self, named: &Named) -> Option<Denied> {
        if self.0.keys.contains(&named.key) {
            Some(Denied::Key(named.key))
        } else if self.0.serials.contains(&named.serial) {
            Some(Denied::Serial(named.serial.clone()))
        } else {
            None
        }
    }
}

impl FromIterator<Denied> for DenyList {
    fn from_iter<I: IntoIterator<Item = Denied>>(denied: I) -> Self {
        let mut entries = Entries::default();
        denied.into_iter().for_each(|denied| entries.insert(denied));
        Self(Arc::new(entries))
    }
}

impl Entries {
    fn insert(&mut self, denied: Denied) {
        match denied {
            Denied::Id(id) => self.ids.insert(id),
            Denied::Key(key) => self.keys.insert(key),
            Denied::Serial(serial) => self.serials.insert(serial),
        };
    }
}

/// As text, in order, with its last line.
impl fmt::Display for DenyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entries: Vec<Denied> = self.iter().collect();
        entries.sort_unstable();
        entries
            .iter()
            .try_for_each(|denied| writeln!(f, "{denied}"))?;
        writeln!(f, "end {}", entries.len())
    }
}

impl fmt::Debug for DenyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenyList")
            .field("entries", &self.len())
            .finish_non_exhaustive()
    }
}

impl DenyListError {
    pub(crate) fn in_file(self, path: &Path) -> Self {
        Self::InFile {
            path: path.to_owned(),
            error: Box::new(self),
        }
    }
}

fn end_of(entry: &str) -> Option<usize> {
    let (word, count) = entry.split_once(|c: char| c.is_ascii_whitespace())?;
    (word == "end").then(|| count.trim_ascii().parse().ok())?
}
