//! Bundles that come by another way than HTTP.

use super::consumer::{BundleConsumer, BundleFault};
use super::pull::PullError;
use super::read::BundleReader;
use super::revision::{RevisionMark, RevisionOrder};

/// Takes bundles that come by another way than [`BundlePull`](super::BundlePull)'s, such as a file: reads and verifies them as that does,
/// and lets no revision go back (T24). It owns no file, and asks nobody.
///
/// ```
/// use ztl_authz::bundle::{Bundle, BundleFault, BundleReader, BundleTaker, TakeError};
///
/// let mut taker = BundleTaker::new(BundleReader::unsigned());
/// let engine = |_: Option<Bundle>| -> Result<(), BundleFault> { Ok(()) };
/// assert!(matches!(taker.take(b"no gzip", &engine), Err(TakeError::Bundle(_))));
/// assert!(taker.mark().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct BundleTaker {
    reader: BundleReader,
    order: RevisionOrder,
    mark: Option<RevisionMark>,
}

/// Why a bundle was not taken. The one before stays in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeError {
    /// It was refused, or goes back.
    #[error(transparent)]
    Bundle(#[from] PullError),
    /// It is good, and could not be put in force: it does not compile, for one.
    #[error("the bundle could not be put in force: {0}")]
    NotInForce(BundleFault),
}

impl BundleTaker {
    /// Takes what this reader takes.
    #[must_use]
    pub const fn new(reader: BundleReader) -> Self {
        Self {
            reader,
            order: RevisionOrder::Found,
            mark: None,
        }
    }

    /// What order revisions have to be in.
    #[must_use]
    pub const fn revision_order(mut self, order: RevisionOrder) -> Self {
        self.order = order;
        self
    }

    /// Begins with the mark of an earlier run, so that no older bundle is taken after a restart (T24).
    #[must_use]
    pub fn with_mark(mut self, mark: RevisionMark) -> Self {
        self.mark = Some(mark);
        self
    }

    /// The newest revision that was in force, now or in an earlier run: to be stored.
    #[must_use]
    pub const fn mark(&self) -> Option<&RevisionMark> {
        self.mark.as_ref()
    }

    /// How many bytes a bundle may have as it comes.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        self.reader.max_bytes()
    }

    /// Reads a bundle and puts it in force.
    ///
    /// # Errors
    /// [`TakeError`]: the one before stays in force, and its revision counts.
    pub fn take(&mut self, bytes: &[u8], consumer: &dyn BundleConsumer) -> Result<(), TakeError> {
        let bundle = self.reader.read(bytes).map_err(PullError::from)?;
        let mark = RevisionMark::of(&bundle.manifest);
        let follows = mark.follows(self.mark.as_ref(), self.order);
        follows.map_err(PullError::from)?;
        consumer
            .put_in_force(bundle)
            .map_err(TakeError::NotInForce)?;
        self.mark = Some(mark);
        Ok(())
    }
}
