//! Where SVIDs, bundles and revocations come from.
//!
//! A source owns no timer and no thread: whoever embeds it calls `poll` now and then and puts what comes out into the holder,
//! [`IdentitySource`](crate::IdentitySource), [`Bundles`](crate::Bundles) or [`Revocation`](crate::Revocation). A host that gets its material elsewhere puts it
//! into the holders itself.

mod pem;
mod revocation;
mod steady;

pub use pem::{PemBundle, PemIdentity};
pub use revocation::{CrlFiles, DenyListFile};
