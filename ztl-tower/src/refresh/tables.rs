//! What is known of callers, in files: signals, and postures of devices.

use std::path::PathBuf;

use super::Looked;
use super::kept::Kept;
use super::parsed::{Error, ParsedFile, ParsedFiles};
use crate::guard::Guard;
use crate::watch::reloaded;

/// A table in a file, under what it is; how many entries it has is what comes of reading it.
pub(crate) type TableFile = ParsedFile<&'static str, usize>;

/// All of a guard.
pub(crate) type TableFiles = ParsedFiles<&'static str, usize>;

impl TableFile {
    /// `take` puts the table in force.
    pub(crate) fn of(
        path: PathBuf,
        limit: usize,
        what: &'static str,
        take: impl Fn(&[u8]) -> Result<usize, Error> + Send + 'static,
    ) -> Self {
        Self::new(what, path, limit, Box::new(take))
    }
}

impl Looked for Kept<TableFiles> {
    const WHAT: &'static str = "what is known of callers";

    async fn look(&self, guard: &Guard) {
        let changed = self.changed(guard, Self::WHAT).await;
        // Before any of it is told: whoever hears of it may panic.
        if changed.iter().any(|(_, polled)| polled.is_ok()) {
            guard.evidence_changed();
        }
        for (what, polled) in changed {
            match polled {
                Ok(entries) => {
                    reloaded(guard, what, "taken");
                    tracing::info!(target: "ztl", workload = guard.name(), what, entries, "a table about callers was reloaded");
                }
                Err(error) => {
                    reloaded(guard, what, "refused");
                    tracing::error!(target: "ztl", workload = guard.name(), what, %error, "a table about callers was not reloaded; the last good one stays until its entries are too old");
                }
            }
        }
    }
}
