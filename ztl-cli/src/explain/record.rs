//! The record of a decision in an audit log.

use std::io::{self, Read};
use std::path::Path;

use serde_json::{Value, json};
use ztl_core::policy::{Explanation, Query, Recorded};

use crate::exit::Failure;
use crate::lines::{Line, Lines};
use crate::policy_file::{STDIN, open};

/// Finds the record with this id; the last one where several have it, as a permit has that could not be kept.
pub(super) fn find(id: &str, log: &Path, policy: &Path) -> Result<Recorded, Failure> {
    match (log.as_os_str() == STDIN, policy.as_os_str() == STDIN) {
        (true, true) => Err(Failure::Usage(
            "the policy and the log cannot both be standard input".to_owned(),
        )),
        (true, false) => find_in(id, io::stdin().lock(), "standard input"),
        (false, _) => find_in(id, open(log)?, &format!("`{}`", log.display())),
    }
}

fn find_in(id: &str, input: impl Read, name: &str) -> Result<Recorded, Failure> {
    let mut lines = Lines::new(input);
    let mut found = None;
    while let Some((number, line)) = lines.next(&mut || Ok(()))? {
        // What is broken or too long is no record that could be meant.
        let Line::Text(text) = line else { continue };
        if text.contains(id) && is_record_of(text, id) {
            let recorded = Query::from_record(text).map_err(|error| {
                Failure::Usage(format!("line {number} of {name} cannot be read: {error}"))
            })?;
            found = Some(recorded);
        }
    }
    found.ok_or_else(|| {
        let id: String = id.escape_debug().take(64).collect();
        Failure::Usage(format!("no record in {name} has the id `{id}`"))
    })
}

fn is_record_of(text: &str, id: &str) -> bool {
    let record: Result<Value, _> = serde_json::from_str(text);
    record.is_ok_and(|record| record.get("id").and_then(Value::as_str) == Some(id))
}

/// Whether the policy that explains is the one that decided.
pub(super) fn is_same_policy(recorded: &Recorded, why: &Explanation) -> bool {
    *recorded.revision == why.revision.to_string()
}

/// Whether the explanation came to what was recorded.
pub(super) fn is_same_answer(recorded: &Recorded, why: &Explanation) -> bool {
    let decision = &why.decision;
    *recorded.verdict == *decision.verdict.as_str()
        && *recorded.reason == *decision.reason.code()
        && recorded.rule.as_deref() == decision.rule.as_deref()
}

/// The record, held against the explanation.
pub(super) fn json(recorded: &Recorded, why: &Explanation) -> Value {
    json!({
        "id": recorded.id,
        "verdict": recorded.verdict,
        "reason": recorded.reason,
        "rule": recorded.rule,
        "revision": recorded.revision,
        "same_revision": is_same_policy(recorded, why),
        "same_answer": is_same_answer(recorded, why),
        "missing": recorded.missing,
    })
}
