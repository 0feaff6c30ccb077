//! Bundles: policies and data in the format of Open Policy Agent, so that a fleet is served by whatever serves OPA today.
//!
//! 1. A bundle is a gzip'ed tar archive within [`Limits`]: files and folders, no links, each path once.
//! 2. Where a key is configured, nothing is read of a bundle that none of the keys signed, whatever key it names, and every file
//!    is covered (rule 57). [`Verification`] has the rules.
//! 3. [`Manifest`], data, Rego and WebAssembly modules are read whole and have to fit together: strict JSON, nothing outside the
//!    roots, no value in the place of another, no member of the manifest that is not known. A delta bundle is refused.
//! 4. A revision never goes back ([`RevisionOrder`]).
//! 5. [`BundlePull`] is OPA's protocol of pulling bundles over HTTP, without I/O. `ztl-tower` drives it. [`BundleTaker`] takes what
//!    comes by another way, such as a file.
//!
//! Nothing here knows of an engine: a [`BundleConsumer`] is one.

mod consumer;
mod data;
mod digest;
mod error;
mod key;
mod limits;
mod manifest;
mod module;
mod path;
mod pull;
mod read;
mod revision;
mod roots;
mod signature;
mod taker;
mod unpack;

pub use consumer::{BundleConsumer, BundleFault};
pub use error::{BundleError, ManifestError, PathFault};
pub use key::{SigningAlgorithm, VerificationKey, VerificationKeyError};
pub use limits::{
    Limits, MAX_DATA_DEPTH, MAX_MANIFEST_BYTES, MAX_NAMED, MAX_PATH_BYTES, MAX_PATH_FOLDERS,
    MAX_REVISION_BYTES, MAX_SIGNATURES_BYTES,
};
pub use manifest::{Manifest, RegoVersion, WasmResolver};
pub use pull::{
    BundlePull, DEFAULT_MAX_AGE, DEFAULT_MAX_DELAY, DEFAULT_MIN_DELAY, PullAnswer, PullDue,
    PullError, PullFetch, Pulled,
};
pub use read::{Bundle, BundleReader, RegoFile, WasmFile};
pub use revision::{RevisionError, RevisionMark, RevisionOrder};
pub use roots::Roots;
pub use signature::{MAX_VERIFICATION_KEYS, SignatureError, Verification};
pub use taker::{BundleTaker, TakeError};
