//! When answers go out that are to look alike: who is not permitted, and who asks for what is not there.

use core::pin::Pin;
use core::time::Duration;

use http::{Extensions, Response};
use tokio::time::{Instant, Sleep};

use crate::guard::Guard;

/// They go out in whole steps after their request came, so that what was judged for longer, or looked for in a larger router, is not
/// told from the rest (rule 50).
const STEP: Duration = Duration::from_millis(10);

/// Marks such an answer.
#[derive(Clone, Copy, Debug)]
struct Alike;

/// Marks an answer as one that is to look like others.
pub(super) fn mark<B>(mut response: Response<B>) -> Response<B> {
    response.extensions_mut().insert(Alike);
    response
}

/// Takes the mark off: the layer outside makes such an answer of it, and marks that.
#[cfg(feature = "axum-core")]
pub(super) fn unmark<B>(response: &mut Response<B>) {
    response.extensions_mut().remove::<Alike>();
}

/// Whether it is marked so: by this layer, or by one further in, which has held it then.
pub(super) fn is_marked<B>(response: &Response<B>) -> bool {
    response.extensions().get::<Alike>().is_some()
}

/// When a request came, where that counts. It stands in the request's extensions, so that layers in each other hold by one clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(Option<Instant>);

impl Moment {
    /// That of a request which comes now, or came to another layer before.
    pub(crate) fn of(guard: &Guard, extensions: &mut Extensions) -> Self {
        if !guard.answers().uniform {
            return Self(None);
        }
        *extensions.get_or_insert_with(|| Self(Some(Instant::now())))
    }

    /// That of a request which came; none where nobody noted it.
    #[cfg(any(feature = "serve", feature = "test-util"))]
    pub(super) fn noted(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self(None))
    }

    /// What a marked answer to it waits for.
    pub(super) fn step(self) -> Option<Pin<Box<Sleep>>> {
        let came = self.0?;
        Some(Box::pin(tokio::time::sleep_until(
            came + till(came.elapsed()),
        )))
    }
}

/// The end of the step that this long lies in.
fn till(elapsed: Duration) -> Duration {
    let steps = elapsed.as_nanos() / STEP.as_nanos();
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    STEP.saturating_mul(steps.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_50_whatever_lies_in_a_step_goes_out_at_its_end() {
        for (elapsed, end) in [(0, 10), (1, 10), (9_999, 10), (10_000, 20), (31_000, 40)] {
            let elapsed = Duration::from_micros(elapsed);
            assert_eq!(till(elapsed), Duration::from_millis(end), "{elapsed:?}");
        }
        assert!(till(Duration::MAX) > Duration::from_secs(3600));
    }
}
