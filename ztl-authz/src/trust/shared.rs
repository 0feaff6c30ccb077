//! A table that is replaced while it is asked.

use core::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use ztl_core::trust::Signal;
use ztl_core::{Attributes, Timestamp};

use super::endpoint::SignalEndpointError;
use super::posture::{PostureError, PostureSource, PostureTable};
use super::source::{About, SignalSource, Whom};
use super::table::SignalTable;

/// Signals that are replaced as a whole while they are asked for.
pub type SharedTable = Shared<SignalTable>;
/// Postures that are replaced as a whole while they are asked for.
pub type SharedPostures = Shared<PostureTable>;

/// A table that is replaced as a whole while it is asked. Clones share it.
pub struct Shared<T>(Arc<Held<T>>);

struct Held<T> {
    table: ArcSwap<T>,
    generation: AtomicU64,
    /// From when on nothing of it is known, in milliseconds.
    ends: AtomicU64,
}

impl<T: Default> Shared<T> {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Held {
            table: ArcSwap::default(),
            generation: AtomicU64::new(0),
            ends: AtomicU64::new(u64::MAX),
        }))
    }
}

impl<T> Shared<T> {
    /// From now on this is known, and nothing else.
    pub fn swap(&self, table: T) {
        self.0.table.store(Arc::new(table));
        // Counted after the change: who counts before asking and again after has an answer of what is in force (T5).
        self.0.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// The same where it may come after what is held. Where another came in between, that is what it is compared with.
    fn swap_where<E>(&self, table: T, may: impl Fn(&T, &T) -> Result<(), E>) -> Result<(), E> {
        let table = Arc::new(table);
        loop {
            let held = self.table();
            may(&table, &held)?;
            let before = self.0.table.compare_and_swap(&held, Arc::clone(&table));
            if Arc::ptr_eq(&before, &held) {
                self.0.generation.fetch_add(1, Ordering::AcqRel);
                return Ok(());
            }
        }
    }

    /// What is in it is known until then.
    pub(super) fn until(&self, end: Timestamp) {
        self.0.ends.store(end.as_unix_millis(), Ordering::Release);
    }

    fn ends(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.ends.load(Ordering::Acquire))
    }

    pub(super) fn table(&self) -> Arc<T> {
        self.0.table.load_full()
    }

    fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }
}

impl SharedTable {
    /// As [`swap`](Self::swap), where the table does not go back in time: no signal of it is older than the one that is held of the same
    /// (rule 57).
    ///
    /// # Errors
    /// [`SignalEndpointError::GoesBack`] where a signal of it was observed before the one that is held of the same. What is held stays.
    pub fn follow(&self, table: SignalTable, now: Timestamp) -> Result<(), SignalEndpointError> {
        self.swap_where(table, |table, held| follows(table, held, now))
    }

    pub(super) fn admits(
        &self,
        table: &SignalTable,
        now: Timestamp,
    ) -> Result<(), SignalEndpointError> {
        follows(table, &self.table(), now)
    }
}

impl SharedPostures {
    /// As [`swap`](Self::swap), where the table does not go back in time: no posture of it is older than the one that is held of the same
    /// device (rule 57).
    ///
    /// ```
    /// use ztl_authz::trust::{PostureError, PostureTable, SharedPostures};
    /// use ztl_core::Timestamp;
    ///
    /// let observed = |at: u64| {
    ///     let ends = at + 3600;
    ///     PostureTable::from_json(format!(r#"{{"of": "peer", "postures": [{{
    ///         "peer": "spiffe://prod.example/laptop", "attributes": {{}},
    ///         "observed_at": {at}, "expires_at": {ends}}}]}}"#).as_bytes())
    /// };
    /// let (held, now) = (SharedPostures::new(), Timestamp::from_unix_secs(1_790_000_120));
    /// held.follow(observed(1_790_000_060)?, now)?;
    /// assert_eq!(held.follow(observed(1_790_000_000)?, now), Err(PostureError::GoesBack));
    /// # Ok::<(), PostureError>(())
    /// ```
    ///
    /// # Errors
    /// [`PostureError::GoesBack`]. What is held stays.
    pub fn follow(&self, table: PostureTable, now: Timestamp) -> Result<(), PostureError> {
        self.swap_where(table, |table, held| {
            if table.goes_back(held, now) {
                return Err(PostureError::GoesBack);
            }
            Ok(())
        })
    }
}

/// Whether a table may come after the one that is held.
fn follows(
    table: &SignalTable,
    held: &SignalTable,
    now: Timestamp,
) -> Result<(), SignalEndpointError> {
    match table.goes_back(held, now) {
        Some(name) => Err(SignalEndpointError::GoesBack { name: name.into() }),
        None => Ok(()),
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}

impl<T: SignalSource> SignalSource for Shared<T> {
    fn signal(&self, name: &str, about: About<'_>, now: Timestamp) -> Option<Signal> {
        let ends = self.ends();
        let signal = (now < ends).then(|| self.0.table.load().signal(name, about, now));
        signal.flatten().map(|signal| signal.until(ends))
    }

    fn generation(&self) -> u64 {
        self.generation()
    }
}

impl<T: PostureSource> PostureSource for Shared<T> {
    fn posture(&self, whom: Whom<'_>, now: Timestamp) -> Option<Attributes> {
        self.0.table.load().posture(whom, now)
    }

    fn generation(&self) -> u64 {
        self.generation()
    }
}
