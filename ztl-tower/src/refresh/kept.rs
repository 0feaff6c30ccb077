//! What is looked at again and again, on a thread of its own, whatever panics.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// What one thread has, and works on when it is told to. The threads that tokio has for such work are the host's to fill, and each name
/// that is looked up takes one: a policy, a deny list and a key that is withdrawn wait for none of them (law 8).
pub(crate) struct Kept<T>(Sender<Work<T>>);

type Work<T> = Box<dyn FnOnce(&mut T) + Send>;

/// Why something that changed was not taken.
pub(super) type Error = Box<dyn core::error::Error + Send + Sync>;

/// What was to be done ended by a panic. What is kept is as it was by then, and can be worked on again.
#[derive(Clone, Copy, Debug, Error)]
#[error("a panic on the way")]
pub(super) struct Panicked;

/// Policies are loaded by authorizers of the host's, and what happens is told to a subscriber and a recorder of its own.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// The same of what takes its time.
pub(super) async fn caught_in(work: impl Future<Output = ()> + Send) -> Result<(), Panicked> {
    let mut work = pin!(work);
    let poll = poll_fn(|context| match caught(|| work.as_mut().poll(context)) {
        Ok(polled) => polled.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    });
    poll.await
}

impl<T: Send + 'static> Kept<T> {
    /// Begins the thread, which ends when this is dropped.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(super) fn new(name: &str, mut kept: T) -> io::Result<Self> {
        let (works, work) = channel::<Work<T>>();
        let runtime = Handle::current();
        begun(name, move || {
            // A source of the host's own may look for its runtime.
            let _within = runtime.enter();
            for work in work {
                // Whoever waits for it learns of it.
                let _panicked = caught(|| work(&mut kept));
            }
        })?;
        Ok(Self(works))
    }

    pub(super) async fn work<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, Panicked> {
        self.begin(work).await.map_err(|_| Panicked)
    }

    /// The same, for whoever does not wait for as long as it takes. Where it panics there is no answer.
    pub(super) fn begin<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> oneshot::Receiver<R> {
        let (done, answer) = oneshot::channel();
        // Where the thread has ended, so has the answer.
        let _ = self.0.send(Box::new(move |kept: &mut T| {
            let _ = done.send(work(kept));
        }));
        answer
    }
}

/// Does something on a thread of its own that may never end: a runtime that ends waits for its own threads.
///
/// # Errors
/// Where the system gives no thread.
pub(super) fn alone<R: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<oneshot::Receiver<R>> {
    let (done, answer) = oneshot::channel();
    let within = Handle::current();
    begun(name, move || {
        let _within = within.enter();
        if let Ok(worked) = caught(work) {
            let _ = done.send(worked);
        }
    })?;
    Ok(answer)
}

fn begun(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let more = "no thread can be begun for it; raise how many this process may have";
    let refused = |error: io::Error| io::Error::new(error.kind(), format!("{more}: {error}"));
    let thread = thread::Builder::new().name(format!("ztl-{name}"));
    thread.spawn(work).map(drop).map_err(refused)
}
