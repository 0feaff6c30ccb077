//! `audit`, `[audit_chain]`, `[audit_masks]`, `explain_denials` and `access_log`: what is written down of decisions.

use core::time::Duration;

use ztl_core::audit::chain::{ChainBuilder, ChainSink, SigningKey};
use ztl_core::audit::{Field, HashKey, Mask, Masks};
use ztl_core::settings::Table;

use super::Here;
use super::fetched::MAX_SECRET_BYTES;
use crate::guard::GuardBuilder;

/// Bytes of a queue; of a file.
const LEAST_QUEUED: i64 = 64 * 1024;
const MOST_QUEUED: i64 = 1 << 30;
const LEAST_IN_FILE: i64 = 4 * 1024;
const MOST_IN_FILE: i64 = 1 << 40;
/// Most files, and most records between two checkpoints.
const MOST: i64 = 1_000_000;
/// The other bound of a checkpoint where one is said: what [`ChainBuilder`] takes by itself.
const RECORDS: u64 = 1024;
const EVERY: Duration = Duration::from_secs(10);

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
        let queue = table.integer("queue_bytes", LEAST_QUEUED..=MOST_QUEUED);
        if let Some(bytes) = queue.and_then(|bytes| usize::try_from(bytes).ok()) {
            chain = chain.queue_bytes(bytes);
        }
        let records = table.integer("checkpoint_records", 1..=MOST);
        let every = table.duration("checkpoint_every");
        if records.is_some() || every.is_some() {
            let records = records.and_then(|records| u64::try_from(records).ok());
            let (records, every) = (records.unwrap_or(RECORDS), every.unwrap_or(EVERY));
            chain = chain.checkpoint_every(records, every);
        }
        let bytes = table.integer("rotate_at_bytes", LEAST_IN_FILE..=MOST_IN_FILE);
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
                hash_key(&self.line(path, MAX_SECRET_BYTES)?)
            });
            match key {
                Some(key) => masks.with_key(key),
                None => masks,
            }
        };
        table.table("audit_masks", "[audit_masks]", read)
    }
}

/// Of 32 bytes, as hexadecimal digits.
fn hash_key(text: &str) -> Result<HashKey, String> {
    let help =
        "a key for hashes is 32 bytes, as 64 hexadecimal digits; `openssl rand -hex 32` makes one";
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(help.to_owned());
    }
    let octet = |at: usize| {
        let digits = text.get(at.saturating_mul(2)..at.saturating_mul(2).saturating_add(2))?;
        u8::from_str_radix(digits, 16).ok()
    };
    let bytes: Option<Vec<u8>> = (0..32).map(octet).collect();
    HashKey::from_bytes(&bytes.ok_or(help)?).map_err(|error| error.to_string())
}
