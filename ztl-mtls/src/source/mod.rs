//! Where SVIDs and bundles come from.
//!
//! A source owns no timer and no thread: whoever embeds it calls `poll` now and then and puts what comes out into the holder,
//! [`IdentitySource`](crate::IdentitySource) or [`Bundles`](crate::Bundles). A host that gets its material elsewhere puts it
//! into the holders itself.

mod pem;
mod steady;

pub use pem::{PemBundle, PemIdentity};
