//! What a chain tells its host loudly.

use core::fmt;
use std::sync::Arc;

/// Something that an operator should know at once. It is told when it begins and when it ends, not once a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// Records cannot be written; they are kept in the queue, and writing is tried again.
    Failing(String),
    /// Records are written again.
    Resumed,
    /// The queue was full; these were dropped and only counted. The chain says so as well.
    Dropped {
        /// Permits.
        permits: u64,
        /// Denials of proved callers.
        denials: u64,
    },
    /// The file could not be rotated; it goes on growing.
    NotRotated(String),
    /// The system could not put these lines on disk. They are in the file, but may be gone after a loss of power. The chain says so
    /// as well.
    NotOnDisk {
        /// The number of the first.
        first: u64,
        /// The number of the last.
        last: u64,
    },
    /// The file was rotated, but its new name may be gone after a loss of power.
    NamesNotOnDisk(String),
    /// The sink was closed and these lines could not be written.
    Lost {
        /// How many.
        lines: u64,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failing(error) => write!(f, "audit records cannot be written: {error}"),
            Self::Resumed => f.write_str("audit records are written again"),
            Self::Dropped { permits, denials } => write!(
                f,
                "the audit queue was full: the records of {permits} permits and {denials} denials were dropped"
            ),
            Self::NotRotated(error) => write!(f, "the audit file could not be rotated: {error}"),
            Self::NotOnDisk { first, last } => write!(
                f,
                "audit lines {first} to {last} may not be on disk: the system could not write them there"
            ),
            Self::NamesNotOnDisk(error) => write!(
                f,
                "the names of the rotated audit files may not be on disk: {error}"
            ),
            Self::Lost { lines } => {
                write!(
                    f,
                    "the audit was closed with {lines} lines that could not be written"
                )
            }
        }
    }
}

/// Who is told.
#[derive(Clone)]
pub(super) struct Tell(Arc<dyn Fn(&Trouble) + Send + Sync>);

impl Tell {
    pub(super) fn to(listener: impl Fn(&Trouble) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    pub(super) fn tell(&self, trouble: &Trouble) {
        (self.0)(trouble);
    }
}

impl Default for Tell {
    /// Standard error, so that nobody has to ask for it.
    fn default() -> Self {
        Self::to(|trouble| {
            use std::io::Write as _;
            // Where standard error is gone as well there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "ztl: {trouble}");
        })
    }
}

impl fmt::Debug for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tell")
    }
}
