//! An audit that can be proved: records as JSON lines, each tied to the one before it by a hash (T32).
//!
//! 1. Every line holds its number, the SHA-256 of the line before it, and its own: changing, adding, removing or moving a line
//!    breaks the chain from there on.
//! 2. A process writes one *segment*, which begins by saying so and ends with `close`. Another process on the same file is refused.
//! 3. Checkpoints are signed where there is a key, and are on disk before the writer goes on.
//! 4. The chain goes on over rotation, over a crash in the middle of a line, and over a full disk.
//! 5. Records wait in a bounded queue. What is dropped is counted, and the count is a line of the chain; denials of callers that
//!    proved nothing are counted by network and reason (T31).
//!
//! What it does not do: an intruder with the key can write a chain of their own, and without a [`Head`] kept elsewhere nobody can
//! tell that the last lines were cut off. `docs/audit.md` has the format to the byte, and how to verify it without ztl.
//!
//! ```
//! use ztl_core::audit::ChainSink;
//! use ztl_core::audit::chain::Verifier;
//! use ztl_core::{Arrival, Engine, Flow, Timestamp, policy::Policy};
//!
//! # let folder = std::env::temp_dir().join(format!("ztl-audit-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("audit.jsonl");
//! # let _ = std::fs::remove_file(&path);
//! let now = Timestamp::from_unix_secs(1_790_000_000);
//! let audit = ChainSink::builder().deny_when_full().open(&path, now)?;
//! let policy = Policy::from_toml("schema = 1\ntrust_domain = 'prod.example'\n\
//!     [workloads.db]\nid = 'spiffe://prod.example/db'\nports = [5432]\n")?;
//! let engine = Engine::new(policy, audit)?;
//! assert!(engine.permit_flow(&Flow::ingress("db", 5432, Arrival::unknown(), None), now).is_err());
//! drop(engine); // closes the chain
//!
//! let mut verifier = Verifier::new();
//! verifier.read("audit.jsonl", std::fs::File::open(&path)?)?;
//! let report = verifier.finish()?;
//! assert_eq!((report.decisions, report.is_whole()), (1, true));
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod files;
mod flood;
mod key;
mod link;
mod out;
mod queue;
mod thread;
mod trouble;
mod verify;

use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::{AuditError, Record, Sink};

pub use builder::{
    ChainBuilder, DEFAULT_CHECKPOINT_EVERY, DEFAULT_CHECKPOINT_RECORDS, MIN_FILE_BYTES,
    MIN_QUEUE_BYTES,
};
pub use key::{KeyError, SigningKey};
pub use link::{ChainHash, HashError, Head, MAX_LINE_BYTES, seq_of};
pub use queue::Health;
pub use trouble::Trouble;
pub use verify::{Broken, End, Report, Start, Verifier, VerifyError};

use queue::Queue;

/// Records in a hash chain, written by a thread of its own. Dropping it writes what waits and closes the chain.
pub struct ChainSink {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl ChainSink {
    /// With every default.
    pub fn builder() -> ChainBuilder {
        ChainBuilder::default()
    }

    fn new(queue: Arc<Queue>, thread: JoinHandle<()>) -> Self {
        Self {
            queue,
            thread: Mutex::new(Some(thread)),
        }
    }

    /// Writes all that was recorded so far and a checkpoint, and returns the head: what to keep elsewhere. Blocks until it is on
    /// disk.
    ///
    /// # Errors
    /// [`AuditError`] where it cannot be written at present. What waits is kept.
    pub fn flush(&self) -> Result<Head, AuditError> {
        self.queue.flush()
    }

    /// The last line that was written, where there is one.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.queue.head()
    }

    /// How the audit does: for a metric or a health probe.
    #[must_use]
    pub fn health(&self) -> Health {
        self.queue.health()
    }

    /// Writes what waits, closes the chain and returns its last head. From here on nothing is recorded, and every permit denied.
    ///
    /// # Errors
    /// [`AuditError`] where it cannot be written.
    pub fn close(&self) -> Result<Head, AuditError> {
        self.queue.close();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // A writer that panicked is told of by its health.
        let _ = thread.map(JoinHandle::join);
        match (self.health().failing, self.head()) {
            (None, Some(head)) => Ok(head),
            (error, _) => Err(AuditError(
                error.unwrap_or_else(|| "nothing was written".to_owned()),
            )),
        }
    }
}

impl Sink for ChainSink {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        self.queue.record(record)
    }
}

impl Drop for ChainSink {
    fn drop(&mut self) {
        // Trouble was told while it happened.
        let _ = self.close();
    }
}

impl fmt::Debug for ChainSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainSink")
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}
