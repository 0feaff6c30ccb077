//! Who hears what a test does.

use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Subscriber};

/// While it lives, a subscriber hears this thread.
pub(crate) struct Hears {
    _here: DefaultGuard,
    _second: Dispatch,
}

/// Has a subscriber hear this thread. `tracing` remembers for all threads whether anybody listens to an event, and as long as no more than one
/// subscriber is known it asks the thread that meets the event first: of two that are known it asks both.
pub(crate) fn hear(subscriber: impl Subscriber + Send + Sync + 'static) -> Hears {
    let second = Dispatch::new(NoSubscriber::new());
    let hears = Hears {
        _here: tracing::subscriber::set_default(subscriber),
        _second: second,
    };
    tracing::callsite::rebuild_interest_cache();
    hears
}
