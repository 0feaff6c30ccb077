//! Handing requests to a connection that may be ending on another thread.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::{Arc, Mutex, PoisonError};

/// Orders what hands a request over and what ends the connection.
///
/// hyper passes requests to a connection through a channel of tokio, and drops its end of that with the connection. What is put
/// in while the other end is being dropped is seen by neither: it lies in the channel, unanswered, for as long as a sender lives,
/// and whoever waits for its answer holds one. Done one after the other, a request is either there when the channel is emptied,
/// and is given back, or refused by a channel that is closed.
#[derive(Clone, Default)]
pub(super) struct Handover(Arc<Mutex<()>>);

impl Handover {
    /// Hands a request over.
    pub(super) fn give<T>(&self, give: impl FnOnce() -> T) -> T {
        let _order = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        give()
    }

    /// The connection that takes the requests.
    pub(super) fn taker<C>(&self, connection: C) -> Taker<C> {
        Taker {
            connection: Some(connection),
            handover: self.clone(),
        }
    }
}

/// A connection that ends in order.
pub(super) struct Taker<C> {
    connection: Option<C>,
    handover: Handover,
}

impl<C> Taker<C> {
    fn end(&mut self) {
        self.handover.give(|| self.connection = None);
    }
}

impl<C> Drop for Taker<C> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<C: Future + Unpin> Future for Taker<C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let Some(connection) = &mut self.connection else {
            return Poll::Pending;
        };
        let polled = Pin::new(connection).poll(cx);
        if polled.is_ready() {
            self.end();
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicBool, Ordering};
    use core::time::Duration;

    /// Says while it is being dropped, and takes its time.
    struct Slow(Arc<AtomicBool>);

    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(50));
            self.0.store(false, Ordering::SeqCst);
        }
    }

    impl Future for Slow {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }

    /// Runs `end` on another thread and hands over while the connection is being dropped.
    fn handed_over_while(end: impl FnOnce(Taker<Slow>) + Send + 'static) -> bool {
        let dropping = Arc::new(AtomicBool::new(false));
        let handover = Handover::default();
        let taker = handover.taker(Slow(Arc::clone(&dropping)));
        let ends = std::thread::spawn(move || end(taker));
        while !dropping.load(Ordering::SeqCst) {
            assert!(!ends.is_finished(), "the end was missed");
            std::thread::yield_now();
        }
        let within = handover.give(|| dropping.load(Ordering::SeqCst));
        ends.join().expect("end");
        within
    }

    #[test]
    fn nothing_is_handed_over_while_the_connection_is_dropped() {
        assert!(!handed_over_while(drop));
    }

    #[test]
    fn nothing_is_handed_over_while_the_connection_ends_by_itself() {
        let ends = |mut taker: Taker<Slow>| {
            let mut cx = Context::from_waker(core::task::Waker::noop());
            assert!(Pin::new(&mut taker).poll(&mut cx).is_ready());
        };
        assert!(!handed_over_while(ends));
    }
}
