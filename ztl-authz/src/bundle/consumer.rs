//! Who uses a bundle.

use super::read::Bundle;

/// Puts bundles in force: an engine that evaluates their policies.
///
/// What drives a [`BundlePull`](super::BundlePull) calls it, never on the path of a request. A closure that takes a bundle is one,
/// too: it is called with [`None`] when nothing is in force any more.
///
/// ```
/// use std::sync::{Mutex, PoisonError};
/// use ztl_authz::bundle::{Bundle, BundleConsumer, BundleFault};
///
/// #[derive(Default)]
/// struct Revision(Mutex<Option<Box<str>>>);
///
/// impl BundleConsumer for Revision {
///     fn put_in_force(&self, bundle: Bundle) -> Result<(), BundleFault> {
///         *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bundle.manifest.revision);
///         Ok(())
///     }
///
///     fn withdraw(&self) {
///         // Also where putting one in force panicked.
///         *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
///     }
/// }
/// # assert!(Revision::default().0.lock().unwrap().is_none());
/// ```
pub trait BundleConsumer: Send + Sync {
    /// Compiles a bundle and puts it in the place of the one before, at once and whole.
    ///
    /// # Errors
    /// Whatever is wrong with it: the one before stays in force.
    fn put_in_force(&self, bundle: Bundle) -> Result<(), BundleFault>;

    /// The bundle is older than it may be, or putting one in force panicked: from now on nothing is in force, and whatever would ask it is
    /// denied. It is to do so whatever happened before.
    fn withdraw(&self);
}

/// Why a bundle was not put in force.
pub type BundleFault = Box<dyn core::error::Error + Send + Sync>;

impl<F> BundleConsumer for F
where
    F: Fn(Option<Bundle>) -> Result<(), BundleFault> + Send + Sync,
{
    fn put_in_force(&self, bundle: Bundle) -> Result<(), BundleFault> {
        self(Some(bundle))
    }

    fn withdraw(&self) {
        // There is nothing that could be kept instead.
        let _ = self(None);
    }
}
