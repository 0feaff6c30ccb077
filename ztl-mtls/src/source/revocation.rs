//! Revocation lists and deny lists in files that somebody else replaces.

use std::path::{Path, PathBuf};

use ztl_core::TrustDomain;

use super::steady::{Seen, Steady, content_of};
use crate::crl::{self, CrlError, CrlSet, MAX_CRL_BYTES, RevocationDepth, Taken, UnknownStatus};
use crate::file;
use crate::revocation::{DenyList, DenyListError, MAX_DENY_LIST_BYTES};

/// The revocation lists of one trust domain in files, each PEM or one list in DER. What they hold is one set.
///
/// While a file cannot be read or holds anything that is not taken, each [`poll`](Self::poll) is an error, and the set taken last
/// stays in force until its lists are overdue.
///
/// **No list goes back in time** (RFC 5280 §5.2.3): one with a lower crlNumber than was taken of the same issuer, key and
/// distribution point is [`CrlError::WentBack`], though its signature is good and its end ahead. So whoever serves an old list,
/// out of malice or of a cache, takes nothing back that was revoked since. A restart forgets the numbers.
#[derive(Debug)]
pub struct CrlFiles {
    trust_domain: TrustDomain,
    paths: Vec<PathBuf>,
    unknown: UnknownStatus,
    depth: RevocationDepth,
    steady: Steady,
    taken: Taken,
}

impl CrlFiles {
    /// Names the files; reads nothing yet. No file at all is a set without lists.
    #[must_use]
    pub fn new<P: Into<PathBuf>>(
        trust_domain: TrustDomain,
        paths: impl IntoIterator<Item = P>,
    ) -> Self {
        Self {
            trust_domain,
            paths: paths.into_iter().map(Into::into).collect(),
            unknown: UnknownStatus::default(),
            depth: RevocationDepth::default(),
            steady: Steady::default(),
            taken: Taken::default(),
        }
    }

    /// With another answer where the status is unknown, see [`CrlSet::with_unknown_status`].
    #[must_use]
    pub const fn with_unknown_status(mut self, unknown: UnknownStatus) -> Self {
        self.unknown = unknown;
        self
    }

    /// With another depth, see [`CrlSet::with_depth`].
    #[must_use]
    pub const fn with_depth(mut self, depth: RevocationDepth) -> Self {
        self.depth = depth;
        self
    }

    /// Whose lists these are.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Where they are.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Reads the files now.
    ///
    /// # Errors
    /// [`CrlError`], with the name of the file.
    pub fn load(&mut self) -> Result<CrlSet, CrlError> {
        let files = self.read()?;
        self.take(&files)
    }

    /// Reads the files again. Answers `None` while they are what was taken last, or changed but not yet seen twice in a row.
    ///
    /// # Errors
    /// [`CrlError`] as long as a file cannot be read, or holds what is not taken; the set taken last stays in force.
    pub fn poll(&mut self) -> Result<Option<CrlSet>, CrlError> {
        let files = self.read()?;
        match self.steady.observe(content(&files)) {
            Seen::Known | Seen::Unsettled => Ok(None),
            Seen::Settled => self.take(&files).map(Some),
        }
    }

    fn read(&self) -> Result<Vec<Vec<u8>>, CrlError> {
        let mut left = MAX_CRL_BYTES;
        let mut files = Vec::new();
        for path in &self.paths {
            let bytes = file::read_at_most(path, MAX_CRL_BYTES)?;
            left = left
                .checked_sub(bytes.len())
                .ok_or_else(|| CrlError::TooLong(self.trust_domain.clone()).in_file(path))?;
            files.push(bytes);
        }
        Ok(files)
    }

    fn take(&mut self, files: &[Vec<u8>]) -> Result<CrlSet, CrlError> {
        let mut lists = Vec::new();
        let mut by_file = Vec::new();
        for (path, bytes) in self.paths.iter().zip(files) {
            let in_file = |error: CrlError| error.in_file(path);
            let held = crl::in_pem_or_der(bytes).map_err(in_file)?;
            // Each by itself first, so that an error names its file.
            let set = CrlSet::from_der(self.trust_domain.clone(), held.iter().cloned());
            by_file.push((path, set.map_err(in_file)?));
            lists.extend(held);
        }
        let set = CrlSet::from_der(self.trust_domain.clone(), lists)?
            .with_unknown_status(self.unknown)
            .with_depth(self.depth);
        self.taken.take(&set).map_err(|back| {
            let mut files = by_file.iter();
            let file = files.find(|(_, set)| back.is_in(set));
            let error = CrlError::WentBack {
                trust_domain: self.trust_domain.clone(),
                held: back.held,
                found: back.found,
            };
            match file {
                Some((path, _)) => error.in_file(path),
                None => error,
            }
        })?;
        self.steady.take(content(files));
        Ok(set)
    }
}

fn content(files: &[Vec<u8>]) -> super::steady::Content {
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    content_of(&files)
}

/// A deny list in a file.
///
/// **A new list that is broken denies nobody new.** While the file cannot be read, is empty, or has a line that is not
/// understood, each [`poll`](Self::poll) is an error that is to be told loudly, and the list taken last stays in force: what was
/// denied stays denied. Nothing of a broken list is taken, as half of it may be the wrong half.
#[derive(Debug)]
pub struct DenyListFile {
    path: PathBuf,
    steady: Steady,
}

impl DenyListFile {
    /// Names the file; reads nothing yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            steady: Steady::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file now.
    ///
    /// # Errors
    /// [`DenyListError`], with the name of the file.
    pub fn load(&mut self) -> Result<DenyList, DenyListError> {
        let text = file::read_at_most(&self.path, MAX_DENY_LIST_BYTES)?;
        self.take(&text)
    }

    /// Reads the file again. Answers `None` while it is what was taken last, or changed but not yet seen twice in a row.
    ///
    /// # Errors
    /// [`DenyListError`] as long as the file cannot be read, or is no deny list; the list taken last stays in force.
    pub fn poll(&mut self) -> Result<Option<DenyList>, DenyListError> {
        let text = file::read_at_most(&self.path, MAX_DENY_LIST_BYTES)?;
        match self.steady.observe(content_of(&[&text])) {
            Seen::Known | Seen::Unsettled => Ok(None),
            Seen::Settled => self.take(&text).map(Some),
        }
    }

    fn take(&mut self, text: &[u8]) -> Result<DenyList, DenyListError> {
        let list = DenyList::parse(text).map_err(|error| error.in_file(&self.path))?;
        self.steady.take(content_of(&[text]));
        Ok(list)
    }
}
