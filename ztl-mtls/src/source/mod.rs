//! Where SVIDs and bundles come from.
//!
//! Every place is a [`Source`]: files ([`PemIdentity`], [`PemBundle`]), memory ([`MemorySource`]), a development authority
//! that rotates (`DevSource`, feature `dev-ca`) and the SPIFFE Workload API (`WorkloadApi`, feature `workload-api`).
//!
//! A source is asked, now and then, what it says; where it learns of news by itself it wakes whoever asks. It owns no timer.
//! A [`Supply`] holds a source and decides what its answers mean: new material is taken, a failure is reported once and the
//! last good material stays, and where a source has not vouched for it for a whole **grace** it is withdrawn, so that what
//! was good once is not trusted for ever (rule 30). What a supply says goes into the holders
//! [`IdentitySource`](crate::IdentitySource) and [`Bundles`](crate::Bundles).
//!
//! Revocations come from files of their own, [`CrlFiles`] and [`DenyListFile`], whose `poll` is called now and then and whose
//! answer is put into [`Revocation`](crate::Revocation). They have no grace: a list that is overdue says so itself.

#[cfg(feature = "dev-ca")]
mod dev;
#[cfg(feature = "federation")]
mod endpoint;
mod memory;
mod pem;
mod polled;
mod revocation;
mod steady;
mod supply;
#[cfg(feature = "workload-api")]
mod workload_api;

use core::task::Waker;
use core::time::Duration;

use ztl_core::Timestamp;

#[cfg(feature = "dev-ca")]
pub use dev::DevSource;
#[cfg(feature = "federation")]
pub use endpoint::{
    BundleEndpoint, DEFAULT_MAX_AGE, DEFAULT_REFRESH, Due, EndpointError, EndpointTls, EndpointUrl,
    Fetch, LONGEST_REFRESH, MAX_REDIRECTS, MAX_URL_BYTES, Received, SHORTEST_REFRESH, UrlError,
    WebRoots, WebRootsError,
};
pub use memory::MemorySource;
pub use pem::{PemBundle, PemIdentity};
pub use polled::{Part, Polled, SourceError};
pub use revocation::{CrlFiles, DenyListFile};
pub use supply::{DEFAULT_GRACE, Step, Steps, Supply};
#[cfg(feature = "workload-api")]
pub use workload_api::WorkloadApi;

/// A place where an SVID, bundles, or both come from.
///
/// ```
/// use ztl_mtls::source::{Part, Polled, Source, SourceError};
/// use ztl_mtls::{TrustBundle, X509Svid};
///
/// /// One bundle, from wherever `fetch` finds it.
/// struct Fetched<F>(F);
///
/// impl<F: FnMut() -> Option<TrustBundle> + Send> Source for Fetched<F> {
///     fn name(&self) -> String {
///         "the key store".to_owned()
///     }
///
///     fn poll(&mut self, _: ztl_core::Timestamp) -> Polled {
///         match (self.0)() {
///             Some(bundle) => Polled::bundles(Part::Changed(vec![bundle])),
///             None => Polled::bundles(Part::Failed(SourceError::new("the key store is locked"))),
///         }
///     }
/// }
/// ```
pub trait Source: Send {
    /// What it is, in words for people: the paths of its files, the address of its socket.
    fn name(&self) -> String;

    /// What it says now. It may read files, so it is called where that keeps nobody waiting; it never waits for another end.
    fn poll(&mut self, now: Timestamp) -> Polled;

    /// Takes the waker to call when there is news before anybody asks. Sources that learn nothing by themselves ignore it.
    fn notify(&mut self, waker: Waker) {
        drop(waker);
    }

    /// How long its first answer may take: nothing where it is at hand.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn name(&self) -> String {
        (**self).name()
    }

    fn poll(&mut self, now: Timestamp) -> Polled {
        (**self).poll(now)
    }

    fn notify(&mut self, waker: Waker) {
        (**self).notify(waker);
    }

    fn patience(&self) -> Duration {
        (**self).patience()
    }
}
