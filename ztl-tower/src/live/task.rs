//! The tasks that hyper makes of the requests of an HTTP/2 connection, each of which can be ended alone.

use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use pin_project_lite::pin_project;

use super::request::{Request, Waits};

thread_local! {
    /// The task that is polled on this thread just now.
    static SEAT: RefCell<Seat> = const { RefCell::new(Seat::NoTask) };
}

/// Whose a task is.
#[derive(Clone)]
enum Seat {
    NoTask,
    Free,
    Taken(Arc<Request>),
}

impl Seat {
    fn request(self) -> Option<Arc<Request>> {
        match self {
            Self::Taken(request) => Some(request),
            Self::NoTask | Self::Free => None,
        }
    }
}

/// A task has the seat. Whoever had it before gets it back, also where a handler panics: else everything that is polled on this
/// thread from then on would be taken for the panicking request's.
struct Sits(Option<Seat>);

impl Sits {
    fn down(seat: Seat) -> Self {
        Self(Some(SEAT.replace(seat)))
    }

    /// Whose the task turned out to be.
    fn up(mut self) -> Seat {
        SEAT.replace(self.0.take().unwrap_or(Seat::NoTask))
    }
}

impl Drop for Sits {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            SEAT.set(before);
        }
    }
}

/// Says whose the task is that is polled: called by what answers a request, from within it.
pub(crate) fn claim(request: &Arc<Request>) {
    SEAT.with_borrow_mut(|seat| {
        if matches!(seat, Seat::Free) {
            *seat = Seat::Taken(Arc::clone(request));
        }
    });
}

/// Runs hyper's tasks. The task of a request ends when that is cut, also while it waits for a reader that does not read. A task
/// that is begun from within another belongs to the same request: that is how hyper feeds an upgraded stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tasks;

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        let request = SEAT.with_borrow(Seat::clone).request();
        tokio::spawn(Task { future, request });
    }
}

pin_project! {
    struct Task<F> {
        #[pin]
        future: F,
        request: Option<Arc<Request>>,
    }
}

impl<F: Future> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let seat = this.request.clone().map_or(Seat::Free, Seat::Taken);
        let sits = Sits::down(seat);
        let polled = this.future.poll(cx);
        let seat = sits.up();
        if polled.is_ready() {
            return Poll::Ready(());
        }
        if this.request.is_none() {
            *this.request = seat.request();
        }
        match this.request {
            // Ready, it is dropped with all that it holds, and HTTP/2 resets its stream.
            Some(request) if request.parks(Waits::Task, cx.waker()) => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}
