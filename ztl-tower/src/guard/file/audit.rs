//! `audit`, `[audit_chain]`, `[audit_masks]`, `explain_denials` and `access_log`: what is written down of decisions.

use core::ops::RangeInclusive;

use ztl_core::audit::chain::{
    ChainBuilder, ChainSink, DEFAULT_CHECKPOINT_EVERY, DEFAULT_CHECKPOINT_RECORDS, MIN_FILE_BYTES,
    MIN_QUEUE_BYTES, SigningKey,
};
use ztl_core::audit::{Field, HashKey, Mask, Masks};
use ztl_core::settings::Table;

use super::Here;
use super::fetched::MAX_SECRET_BYTES;
use crate::guard::GuardBuilder;

/// Most bytes of a queue; of a file.
const MOST_QUEUED: i64 = 1 << 30;
const MOST_IN_FILE: i64 = 1 << 40;
/// Most files, and most records between two checkpoints.
const MOST: i64 = 1_000_000;

/// What is done when a record cannot be kept.
type Choose = fn(ChainBuilder) -> ChainBuilder;
const CHOICES: [(&str, Choose); 3] = [
    ("deny_when_full", ChainBuilder::deny_when_full),
    ("deny_unless_on_disk", ChainBuilder::deny_unless_on_disk),
    ("sync_records", ChainBuilder::sync_records),
];

impl Here<'_> {
    pub(super) fn audit(
        self,
        table: &mut Table<'_, '_>,
        mut builder: GuardBuilder,
    ) -> GuardBuilder {
        let plain = self.path(table, "audit");
        let read = |inner: &mut Table<'_, '_>| {
            inner.need("file", "write the path of the chain");
            (self.path(inner, "file"), self.chain(inner))
        };
        if let Some(path) = plain {
            builder = builder.audit_file(path);
            let message = "records go to one place: `audit` has them as lines";
            table.refuse("audit_chain", message, "remove it, or `audit`");
        } else if let Some((Some(path), chain)) = table.table("audit_chain", "[audit_chain]", read)
        {
            builder.audit.write_chain(chain, path);
        }
        builder.audit.masks = self.masks(table);
        if table.boolean("explain_denials") == Some(true) {
            builder = builder.explain_denials();
        }
        match self.path(table, "access_log") {
            Some(path) => builder.access_log_file(path),
            None => builder,
        }
    }

    /// How the chain is kept.
    fn chain(self, table: &mut Table<'_, '_>) -> ChainBuilder {
        let mut chain = ChainSink::builder();
        let key = table.parsed("key_file", |path| {
            let text = self.line(path, MAX_SECRET_BYTES)?;
            // The error says nothing of the key (law 7).
            SigningKey::from_hex(&text).map_err(|error| error.to_string())
        });
        if let Some(key) = key {
            chain = chain.key(key);
        }
        for (word, say) in CHOICES {
            if table.boolean(word) == Some(true) {
                chain = say(chain);
            }
        }
        let queue = table.integer("queue_bytes", from(MIN_QUEUE_BYTES, MOST_QUEUED));
        if let Some(bytes) = queue.and_then(|bytes| usize::try_from(bytes).ok()) {
            chain = chain.queue_bytes(bytes);
        }
        let records = table.integer("checkpoint_records", 1..=MOST);
        let every = table.duration("checkpoint_every");
        if records.is_some() || every.is_some() {
            let records = records.and_then(|records| u64::try_from(records).ok());
            // The other bound is what it is where neither is said.
            let records = records.unwrap_or(DEFAULT_CHECKPOINT_RECORDS);
            chain = chain.checkpoint_every(records, every.unwrap_or(DEFAULT_CHECKPOINT_EVERY));
        }
        let bytes = table.integer("rotate_at_bytes", from(MIN_FILE_BYTES, MOST_IN_FILE));
        if let Some(bytes) = bytes.and_then(|bytes| u64::try_from(bytes).ok()) {
            chain = chain.rotate_at_bytes(bytes);
        }
        if let Some(age) = table.duration("rotate_after") {
            chain = chain.rotate_after(age);
        }
        let files = table.integer("keep_files", 1..=MOST);
        match files.and_then(|files| usize::try_from(files).ok()) {
            Some(files) => chain.keep_files(files),
            None => chain,
        }
    }

    /// How fields are shown in lines and chains that we write; `None` where the file does not say.
    fn masks(self, table: &mut Table<'_, '_>) -> Option<Masks> {
        let read = |inner: &mut Table<'_, '_>| {
            let mut masks = Masks::none();
            for field in Field::ALL {
                let mask = inner.parsed(field.as_str(), |text| match text {
                    "keep" => Ok(Mask::Keep),
                    "hash" => Ok(Mask::Hash),
                    "drop" => Ok(Mask::Drop),
                    _ => Err("write `keep`, `hash` or `drop`".to_owned()),
                });
                masks = masks.with(*field, mask.unwrap_or_default());
            }
            let key = inner.parsed("key_file", |path| {
                let text = self.line(path, MAX_SECRET_BYTES)?;
                // The error says nothing of the key (law 7).
                HashKey::from_hex(&text).map_err(|error| error.to_string())
            });
            match key {
                Some(key) => masks.with_key(key),
                None => masks,
            }
        };
        table.table("audit_masks", "[audit_masks]", read)
    }
}

/// From what a chain takes at least.
fn from(least: impl TryInto<i64>, most: i64) -> RangeInclusive<i64> {
    least.try_into().unwrap_or(most)..=most
}
