//! Lints: what looks like a mistake in a document that loads.
//!
//! A finding names its [`Lint`], says where it is, what it means and how to mend it. Each lint has a page in `docs/lints`, which
//! `ztl check --explain` prints. Nothing here changes a decision; a document with findings decides as it says.
//!
//! Rules are compared with each other by what they name, through an index, and the comparisons of one run are bounded: where
//! they would be too many the run says so ([`Lint::Incomplete`]) instead of taking for ever.
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
mod cover;
mod document_tests;
mod finding;
mod key;
mod kinds;
mod pairs;
mod pattern;
mod place;
mod reachable;
mod rules;
mod workloads;

use crate::policy::Policy;

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
    reachable::check(&keys, &mut found);
    workloads::check(&keys, &mut found);
    place::check(policy.document(), &mut found);
    audience::check(&keys, &mut found);
    document_tests::check(policy.document(), &mut found);
    pairs::check(&keys, &mut found);
    found.sorted()
}
