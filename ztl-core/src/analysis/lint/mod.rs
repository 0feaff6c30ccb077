//! Lints: what looks like a mistake in a document that loads.
//!
//! A finding names its [`Lint`], says where it is, what it means and how to mend it. Each lint has a page in `docs/lints`, which
//! `ztl check --explain` prints. Nothing here changes a decision; a document with findings decides as it says.
//!
//! Rules are compared with each other by what they name, through an index; and whether there is a call that a rule matches,
//! that forbids leave of a permit, or that reaches a workload, is found by trying one call of each kind that the rules tell
//! apart. Both are bounded: where it would be too much the run says so ([`Lint::Incomplete`]) instead of taking for ever.
//!
//! ```
//! use ztl_core::analysis::lint::{Lint, lint};
//! use ztl_core::policy::Policy;
//!
//! let policy = Policy::from_toml(r#"
//!     schema = 1
//!     trust_domain = "prod.example"
//!     [workloads.db]
//!     id = "spiffe://prod.example/db"
//!     ports = [5432]
//!     [[permit]]
//!     name = "open"
//!     from = "any"
//!     to = "any"
//!     actions = "connect"
//! "#)?;
//! let found = lint(&policy);
//! let open = found.iter().find(|one| one.lint == Lint::PermitAnyToAny).expect("a finding");
//! assert_eq!(open.lint.slug(), "permit-any-to-any");
//! # Ok::<(), ztl_core::policy::LoadError>(())
//! ```

mod audience;
mod calls;
mod cover;
mod document_tests;
mod exits;
mod finding;
mod key;
mod kinds;
mod left;
mod pairs;
mod pattern;
mod place;
mod reachable;
mod rules;
mod trial;
mod workloads;

use crate::policy::Policy;

use self::calls::Calls;
use self::finding::Found;
use self::key::Keys;

pub use self::finding::Finding;
pub use self::kinds::{Lint, Severity};

/// Everything found in a document: warnings first, and each kind in the order of the text.
#[must_use]
pub fn lint(policy: &Policy) -> Vec<Finding> {
    let mut found = Found::default();
    let keys = Keys::of(policy);
    rules::check(policy, &mut found);
    let calls = Calls::of(policy, &mut found);
    reachable::check(&keys, &calls, &mut found);
    workloads::check(&keys, &calls, &mut found);
    place::check(policy.document(), &mut found);
    audience::check(&keys, &mut found);
    document_tests::check(policy.document(), &mut found);
    pairs::check(&keys, &calls, &mut found);
    found.sorted()
}
