//! What obliges whom: the first permit in document order that grants an action, so that the order of permits, and one that
//! covers the same as another, decide about obligations and not about verdicts.

use std::sync::Arc;

use super::document::DocumentChange;
use super::same::rule_text;
use crate::analysis::need::{obligation_key, obligations};
use crate::policy::{Policy, Workload};

/// Most permits that are named of one document.
const MAX_NAMED: usize = 16;

/// A permit about one target, in its place among the others.
struct Ordered {
    text: String,
    /// What it obliges to, for a comparison.
    key: Option<String>,
    /// The permit, for a person.
    shown: String,
}

/// Targets at which an obligation could be lost, though the same is permitted.
pub(super) fn changes(old: &Policy, new: &Policy) -> Vec<DocumentChange> {
    let mut found = Vec::new();
    for target in old.workloads().iter().filter(|one| obliges(old, one)) {
        let Some(other) = new.workload_by_name(target.name()) else {
            continue;
        };
        let (was, is) = (permits(old, target), permits(new, other));
        if loses(&was, &is) {
            found.push(DocumentChange {
                kind: "obligations",
                name: target.shared_name(),
                how: format!(
                    "the first permit that grants obliges: in order they were {}, are {}",
                    shown(&was),
                    shown(&is)
                ),
            });
        }
    }
    found
}

fn obliges(policy: &Policy, target: &Workload) -> bool {
    target.permits.iter().any(|entry| {
        let at = usize::try_from(entry.rule.0).ok();
        let decl = at.and_then(|at| policy.document().rules.get(at));
        decl.is_some_and(|decl| obligation_key(&decl.oblige).is_some())
    })
}

/// The enforced permits, in document order.
fn permits(policy: &Policy, target: &Workload) -> Vec<Ordered> {
    let permits = target.permits.iter().filter_map(|entry| {
        let at = usize::try_from(entry.rule.0).ok()?;
        let decl = policy.document().rules.get(at)?;
        let name: &Arc<str> = &decl.name.value;
        Some(Ordered {
            text: rule_text(policy, entry)?,
            key: obligation_key(&decl.oblige),
            shown: match obligations(&decl.oblige) {
                Some(obliged) => format!("`{name}` ({})", obliged.escape_debug()),
                None => format!("`{name}`"),
            },
        })
    });
    permits.collect()
}

/// Whether somebody could be obliged to less. Nobody is where all permits that oblige stand as they stood, with nothing new
/// before the last of them; or where every permit that is left obliges to what every one did that obliged.
fn loses(was: &[Ordered], is: &[Ordered]) -> bool {
    let mut obliging = was.iter().filter_map(|one| one.key.as_deref());
    let Some(first) = obliging.next() else {
        return false;
    };
    let alike = |one: &Ordered| one.key.as_deref() == Some(first);
    if is.iter().all(alike) && obliging.all(|key| key == first) {
        return false;
    }
    let mut left = is.iter().peekable();
    let last = was.iter().rposition(|one| one.key.is_some());
    for one in was.iter().take(last.map_or(0, |last| last + 1)) {
        // A permit that obliged to nothing may go: what it granted is granted by a later one, or denied.
        if left.next_if(|other| other.text == one.text).is_none() && one.key.is_some() {
            return true;
        }
    }
    false
}

fn shown(permits: &[Ordered]) -> String {
    let named = permits.iter().take(MAX_NAMED);
    let mut names: Vec<_> = named.map(|one| one.shown.as_str()).collect();
    match permits.len() {
        0 => return "none".to_owned(),
        all if all > MAX_NAMED => names.push("…"),
        _ => {}
    }
    names.join(", ")
}
