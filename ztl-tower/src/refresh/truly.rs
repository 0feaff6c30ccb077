//! How long something truly takes, whatever tokio's clock says.
//!
//! In a test that begins with it paused (`start_paused`) that clock leaps to the next timer whenever nobody has anything to do, and threads
//! that read files count for nobody.

use core::pin::pin;
use core::time::Duration;
use std::time::Instant;

/// When it began.
#[derive(Clone, Copy)]
pub(super) struct Since(Instant);

impl Since {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a file or a source is waited for is no input of a decision"
    )]
    pub(super) fn now() -> Self {
        Self(Instant::now())
    }

    pub(super) fn passed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Waits for it no longer than this; none where it takes longer.
pub(super) async fn within<F: Future>(limit: Duration, work: F) -> Option<F::Output> {
    let begun = Since::now();
    let mut work = pin!(work);
    if let Ok(done) = tokio::time::timeout(limit, &mut work).await {
        return Some(done);
    }
    // The clock leapt: it stands still for as long as somebody has something to do.
    while begun.passed() < limit {
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = tokio::task::yield_now() => {}
        }
    }
    None
}
