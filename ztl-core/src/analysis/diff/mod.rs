//! What a change of the document changes: what becomes permitted, what becomes denied.
//!
//! 1. Callers, places, ports and actions that neither document tells apart are answered alike, so that one of each kind is
//!    tried: every declared workload, an undeclared id for every pattern, a caller without an SVID; one address for every
//!    place that the zones of either document tell apart, and an unknown one; a path for every way in which templates can
//!    agree and differ.
//! 2. Evidence, conditions and authorizers are free. A difference is reported if *some* evidence is let in by one document
//!    and not by the other; where the documents ask for the same there is none.
//! 3. Only edges whose rules differ are looked at, and on them only what rules that differ speak of.
//! 4. What is counted is what the target decides ([`decide`](crate::policy::decide) on ingress). A caller's own check before
//!    it calls can only deny more, and whoever has taken over a caller skips it.
//! 5. Changes of what stands around the rules, such as a zone's networks or a removed `[[never]]`, are listed by themselves
//!    and count as newly permitted, whether or not they change a decision (T10).

mod change;
mod document;
mod obliged;
mod outward;
mod replay;
mod same;
mod target;

use core::fmt;

use thiserror::Error;

pub use self::change::{Caller, Change, Otherwise};
pub use self::document::DocumentChange;
pub use self::replay::{ReplayError, Replayed, replay};

use self::target::Comparer;
use crate::policy::Policy;

/// Most actions that are compared, over all edges. Past it the answer is [`TooLarge`], never a part of the whole.
pub const MAX_COMPARED_ACTIONS: usize = 1_000_000;
/// Most actions that are told apart on one edge; past it as above.
pub const MAX_ACTIONS_OF_EDGE: usize = 100_000;
/// Most edges that are looked at; past it as above.
const MAX_EDGES: usize = 10_000_000;

/// The documents tell more apart than can be tried one by one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the documents are too large to compare exactly: {what}")]
pub struct TooLarge {
    what: String,
}

impl TooLarge {
    pub(crate) fn new(what: impl fmt::Display) -> Self {
        Self {
            what: what.to_string(),
        }
    }
}

/// What a change of the document changes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Diff {
    /// Denied under the old document, permitted under the new one.
    pub newly_permitted: Vec<Change>,
    /// Permitted under the old document, denied under the new one.
    pub newly_denied: Vec<Change>,
    /// What else changed in the document, which counts as newly permitted (T10).
    pub document: Vec<DocumentChange>,
}

impl Diff {
    /// Whether anything is permitted that was not, or must be taken to be (T10).
    #[must_use]
    pub fn permits_more(&self) -> bool {
        !self.newly_permitted.is_empty() || !self.document.is_empty()
    }

    /// Whether anything is denied that was permitted.
    #[must_use]
    pub fn denies_more(&self) -> bool {
        !self.newly_denied.is_empty()
    }

    /// Whether nothing changed that could change a decision.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.permits_more() && !self.denies_more()
    }
}

/// Compares two documents exactly.
///
/// ```
/// use ztl_core::{Timestamp, Verdict, analysis, policy::{Policy, Query}};
///
/// let workloads = "schema = 1\ntrust_domain = 'prod.example'\n\
///     [workloads.web]\nid = 'spiffe://prod.example/web'\n\
///     [workloads.db]\nid = 'spiffe://prod.example/db'\nports = [5432]\n";
/// let permit = "[[permit]]\nname = 'web-reads'\nfrom = 'web'\nto = 'db'\nactions = 'GET /rows/{id}'\n";
/// let old = Policy::from_toml(&format!("{workloads}{permit}[permit.require]\ntrust_score = 70\n"))?;
/// let new = Policy::from_toml(&format!("{workloads}{permit}[permit.require]\ntrust_score = 10\n"))?;
///
/// let diff = analysis::diff(&old, &new)?;
/// assert!(diff.permits_more() && !diff.denies_more());
/// let change = &diff.newly_permitted[0];
/// assert_eq!((&*change.to, change.action.as_deref()), ("db", Some("GET /rows/{id}")));
///
/// // The witness is a decide request: denied before, permitted now.
/// let query = Query::from_map(&change.witness)?;
/// let now = Timestamp::from_unix_secs(1_790_000_000);
/// assert_eq!(query.decide(&old, now)?.verdict, Verdict::Deny);
/// assert_eq!(query.decide(&new, now)?.verdict, Verdict::Permit);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TooLarge`] where more would have to be tried than [`MAX_COMPARED_ACTIONS`], or [`MAX_ACTIONS_OF_EDGE`] on one edge, or an id is so long that none fits below it.
pub fn diff(old: &Policy, new: &Policy) -> Result<Diff, TooLarge> {
    let (newly_permitted, newly_denied) = Comparer::new(old, new)?.compare()?;
    Ok(Diff {
        newly_permitted,
        newly_denied,
        document: document::changes(old, new),
    })
}
