//! What a host puts in itself.

use core::fmt;
use core::task::Waker;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ztl_core::Timestamp;

use super::{Part, Polled, Source, SourceError};
use crate::bundle::TrustBundle;
use crate::svid::X509Svid;

/// A source in memory: a host that gets its SVID or bundles elsewhere puts them in, and takes them back. A clone is the same
/// place, so one clone is handed over as the source and another is kept to change it.
///
/// ```
/// # #[cfg(feature = "dev-ca")] {
/// use ztl_core::{Timestamp, TrustDomain};
/// use ztl_mtls::DevCa;
/// use ztl_mtls::source::{DEFAULT_GRACE, MemorySource, Step, Supply};
///
/// let now = Timestamp::from_unix_secs(1_790_000_000);
/// let ca = DevCa::new(TrustDomain::parse("dev.test")?, now)?;
/// let kept = MemorySource::new();
/// let mut supply = Supply::new(kept.clone(), DEFAULT_GRACE);
/// kept.put_bundles(vec![ca.bundle()]);
/// assert!(matches!(supply.poll(now, |_, _| Ok(())).bundles, Step::Take(_)));
///
/// kept.fail_bundles("the key store is locked");
/// assert!(matches!(supply.poll(now, |_, _| Ok(())).bundles, Step::Failing { .. }));
/// let late = now.saturating_add(DEFAULT_GRACE);
/// assert!(matches!(supply.poll(late, |_, _| Ok(())).bundles, Step::Withdraw { .. }));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct MemorySource(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    svid: Part<X509Svid>,
    bundles: Part<Vec<TrustBundle>>,
    waker: Option<Waker>,
}

impl MemorySource {
    /// An empty place.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives this SVID from now on.
    pub fn put_svid(&self, svid: X509Svid) {
        self.change(|held| held.svid = Part::Changed(svid));
    }

    /// Gives these bundles from now on, in place of all earlier ones.
    pub fn put_bundles(&self, bundles: Vec<TrustBundle>) {
        self.change(|held| held.bundles = Part::Changed(bundles));
    }

    /// No longer vouches for the SVID. After the grace it is withdrawn.
    pub fn fail_svid(&self, why: &str) {
        self.change(|held| held.svid = Part::Failed(SourceError::new(why)));
    }

    /// No longer vouches for the bundles. After the grace they are withdrawn.
    pub fn fail_bundles(&self, why: &str) {
        self.change(|held| held.bundles = Part::Failed(SourceError::new(why)));
    }

    #[cfg(feature = "workload-api")]
    pub(super) fn put(&self, polled: Polled) {
        self.change(|held| {
            held.svid = polled.svid;
            held.bundles = polled.bundles;
        });
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        let waker = {
            let mut held = self.lock();
            change(&mut held);
            held.waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // What is held is replaced whole, so it is whole even where a holder of the lock panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for MemorySource {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn poll(&mut self, _: Timestamp) -> Polled {
        let mut held = self.lock();
        Polled::new(hand_out(&mut held.svid), hand_out(&mut held.bundles))
    }

    fn notify(&mut self, waker: Waker) {
        self.change(|held| held.waker = Some(waker));
    }
}

/// News is handed out once; a failure lasts.
fn hand_out<T: Clone>(part: &mut Part<T>) -> Part<T> {
    match part {
        Part::Failed(error) => Part::Failed(error.clone()),
        news => core::mem::take(news),
    }
}

impl fmt::Debug for MemorySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemorySource")
    }
}
