//! The audit log of one workload, as the walk reads it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;
use ztl_core::audit::{AuditError, MemorySink, Record, Sink};

/// More records than a walk makes.
const CAPACITY: usize = 4096;
/// How long a record may take to appear after its answer did.
const PATIENCE: Duration = Duration::from_secs(2);

/// Every record of a workload.
pub(crate) enum Ledger {
    /// Of one in this process.
    Here(Arc<Kept>),
    /// Of one in another process: its audit file.
    There(PathBuf),
}

/// Keeps every record, and tells whoever waits for one.
#[derive(Debug)]
pub(crate) struct Kept {
    memory: MemorySink,
    news: watch::Sender<()>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            memory: MemorySink::new(CAPACITY),
            news: watch::Sender::new(()),
        }
    }
}

impl Ledger {
    /// How many records there are.
    pub(crate) fn count(&self) -> usize {
        self.lines().len()
    }

    fn lines(&self) -> Vec<String> {
        match self {
            Self::Here(kept) => kept.memory.lines(),
            Self::There(path) => {
                let text = fs::read_to_string(path).unwrap_or_default();
                text.lines().map(str::to_owned).collect()
            }
        }
    }

    /// The first record after the `since` first ones that is wanted, as soon as it is there.
    pub(crate) async fn find(
        &self,
        since: usize,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Option<Entry> {
        let look = || {
            let lines = self.lines();
            let mut entries = lines
                .iter()
                .skip(since)
                .filter_map(|line| Entry::read(line));
            entries.find(&wanted)
        };
        let Self::Here(kept) = self else {
            // It was written before the answer was.
            return look();
        };
        let mut news = kept.news.subscribe();
        let found = async {
            loop {
                news.mark_unchanged();
                if let Some(entry) = look() {
                    return Some(entry);
                }
                news.changed().await.ok()?;
            }
        };
        timeout(PATIENCE, found).await.ok().flatten()
    }
}

impl Sink for Kept {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        self.memory.record(record)?;
        self.news.send_replace(());
        Ok(())
    }
}

/// What the walk reads of one record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) verdict: String,
    pub(crate) stage: String,
    pub(crate) reason: String,
    pub(crate) rule: Option<String>,
    pub(crate) direction: String,
    pub(crate) peer: Option<String>,
    pub(crate) action: Option<String>,
    /// Rules in shadow, and what each would have said.
    pub(crate) shadow: Vec<(String, String)>,
}

impl Entry {
    fn read(line: &str) -> Option<Self> {
        let record: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| record.get(key).and_then(Value::as_str).map(str::to_owned);
        let shadow = record.get("shadow").and_then(Value::as_array);
        let pair = |entry: &Value| {
            let text = |key| entry.get(key).and_then(Value::as_str).map(str::to_owned);
            Some((text("rule")?, text("would")?))
        };
        Some(Self {
            verdict: text("verdict")?,
            stage: text("stage")?,
            reason: text("reason")?,
            rule: text("rule"),
            direction: text("direction")?,
            peer: text("peer"),
            action: text("action"),
            shadow: shadow.into_iter().flatten().filter_map(pair).collect(),
        })
    }

    /// Whether it ended the matter: a denial at any stage, or a judged action.
    pub(crate) fn decides(&self) -> bool {
        self.verdict == "deny" || self.stage == "action"
    }

    pub(crate) fn is_ingress(&self) -> bool {
        self.direction == "ingress"
    }
}
