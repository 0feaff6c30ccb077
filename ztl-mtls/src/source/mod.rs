//! Where SVIDs, bundles and revocations come from.
//!
//! A source owns no timer and no thread: whoever embeds it calls `poll` now and then and puts what comes out into the holder,
//! [`IdentitySource`](crate::IdentitySource), [`Bundles`](crate::Bundles) or [`Revocation`](crate::Revocation). A host that gets its material elsewhere puts it
//! into the holders itself.

#[cfg(feature = "federation")]
mod endpoint;
mod pem;
mod revocation;
mod steady;

#[cfg(feature = "federation")]
pub use endpoint::{
    BundleEndpoint, DEFAULT_REFRESH, Due, EndpointError, EndpointTls, EndpointUrl, Fetch,
    LONGEST_REFRESH, MAX_REDIRECTS, MAX_URL_BYTES, Received, SHORTEST_REFRESH, UrlError, WebRoots,
    WebRootsError,
};
pub use pem::{PemBundle, PemIdentity};
pub use revocation::{CrlFiles, DenyListFile};
