//! The body of a request on its way out, which can be had back where the target has not taken the request.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

type Error = Box<dyn core::error::Error + Send + Sync>;

/// Whatever body a caller gave.
pub(super) type Boxed = UnsyncBoxBody<Bytes, Error>;

/// How much of a body is kept that a connection has read, until the target answers. What is longer cannot be had back.
const MAX_KEPT: usize = 64 * 1024;
/// In how many parts: each takes more than its bytes, and keeps all of the buffer that it was cut from.
const MAX_PARTS: usize = 256;

/// A body that waits to be read, and what was read of it.
#[derive(Clone)]
pub(super) struct Held(Arc<Mutex<State>>);

struct State {
    /// What was not read yet; `None` once it was taken back.
    rest: Option<Boxed>,
    /// Whether `rest` has said that nothing follows.
    ended: bool,
    kept: Kept,
}

enum Kept {
    /// All that was read, and how much that is.
    All(VecDeque<Bytes>, usize),
    /// More was read than is kept, or nobody needs it any more.
    Not,
}

impl Held {
    pub(super) fn new(body: Boxed) -> Self {
        Self(Arc::new(Mutex::new(State {
            rest: Some(body),
            ended: false,
            kept: Kept::All(VecDeque::new(), 0),
        })))
    }

    /// For the connection, which reads it once its request is under way.
    pub(super) fn body(&self) -> EgressBody {
        EgressBody(self.clone())
    }

    /// Has it back from its beginning; `None` where too much of it was read. Whoever reads the other end gets an error from then on.
    pub(super) fn take(&self) -> Option<Boxed> {
        let mut state = self.lock();
        let Kept::All(read, _) = core::mem::replace(&mut state.kept, Kept::Not) else {
            return None;
        };
        let rest = state.rest.take()?;
        if read.is_empty() && !state.ended {
            return Some(rest);
        }
        let rest = (!state.ended).then_some(rest);
        Some(Again { read, rest }.boxed_unsync())
    }

    /// The target has taken the request: nothing is had back, and nothing needs to be kept.
    pub(super) fn is_taken(&self) {
        self.lock().kept = Kept::Not;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        let Kept::All(read, count) = &mut self.kept else {
            return;
        };
        // Trailers are not kept: a body that has come to them is hardly one that nobody took.
        let data = frame.data_ref();
        if data.is_some_and(Bytes::is_empty) {
            return;
        }
        let more = data.and_then(|data| count.checked_add(data.len()));
        match (data, more.filter(|more| *more <= MAX_KEPT)) {
            (Some(data), Some(more)) if read.len() < MAX_PARTS => {
                *count = more;
                read.push_back(data.clone());
            }
            _ => self.kept = Kept::Not,
        }
    }
}

/// The body as a connection reads it.
pub(super) struct EgressBody(Held);

impl Body for EgressBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut state = self.0.lock();
        let Some(rest) = &mut state.rest else {
            // It was taken back: whoever reads it now must not send it as if it were whole.
            return Poll::Ready(Some(Err("the body was taken back".into())));
        };
        let polled = Pin::new(rest).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => state.keep(frame),
            Poll::Ready(Some(Err(_))) => state.kept = Kept::Not,
            Poll::Ready(None) => state.ended = true,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().rest.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.0.lock();
        let rest = state.rest.as_ref();
        rest.map_or_else(SizeHint::default, Body::size_hint)
    }
}

/// A body of which a part was read before.
struct Again {
    read: VecDeque<Bytes>,
    rest: Option<Boxed>,
}

impl Body for Again {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(data) = self.read.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match &mut self.rest {
            Some(rest) => Pin::new(rest).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.iter().map(Buf::remaining);
        let read = read.fold(0_u64, |all, one| {
            all.saturating_add(u64::try_from(one).unwrap_or(u64::MAX))
        });
        let rest = self.rest.as_ref();
        let rest = rest.map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(read.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
            hint.set_upper(upper);
        }
        hint
    }
}

/// Boxes whatever body a request has.
pub(super) fn boxed<B>(body: B) -> Boxed
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Error>,
{
    body.map_err(Into::into).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    fn parts(parts: &[&'static [u8]]) -> Boxed {
        struct Parts(VecDeque<Bytes>);
        impl Body for Parts {
            type Data = Bytes;
            type Error = Error;
            fn poll_frame(
                mut self: Pin<&mut Self>,
                _cx: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
                Poll::Ready(self.0.pop_front().map(|part| Ok(Frame::data(part))))
            }
        }
        let parts = parts.iter().copied().map(Bytes::from_static);
        boxed(Parts(parts.collect()))
    }

    async fn text(body: Boxed) -> Bytes {
        body.collect().await.expect("a body").to_bytes()
    }

    #[tokio::test]
    async fn what_was_read_comes_back_before_what_was_not() {
        for read in 0..=3 {
            let held = Held::new(parts(&[b"one ", b"two"]));
            let mut reader = held.body();
            for _ in 0..read {
                let frame = reader.frame().await.transpose();
                frame.expect("a frame or the end");
            }
            let again = held.take().expect("a body");
            assert_eq!(text(again).await, "one two", "{read} frames read");
            assert!(reader.frame().await.expect("an end").is_err());
        }
    }

    #[tokio::test]
    async fn its_length_is_told_again() {
        let held = Held::new(boxed(Full::from("three words here")));
        let mut reader = held.body();
        assert_eq!(reader.size_hint().exact(), Some(16));
        reader.frame().await.expect("a frame").expect("data");
        let again = held.take().expect("a body");
        assert_eq!(again.size_hint().exact(), Some(16));
        assert!(!again.is_end_stream());
        // And once more: the second connection may go away too.
        let held = Held::new(again);
        held.body().frame().await.expect("a frame").expect("data");
        assert_eq!(text(held.take().expect("a body")).await, "three words here");
    }

    #[tokio::test]
    async fn t27_what_is_too_long_or_taken_does_not_come_back() {
        let long = [&[7; MAX_KEPT][..], &[8]];
        let held = Held::new(parts(&long));
        let mut reader = held.body();
        for part in long {
            let frame = reader.frame().await.expect("a frame").expect("data");
            assert_eq!(frame.into_data().expect("data"), part);
        }
        assert!(held.take().is_none(), "more than is kept");
        assert!(reader.frame().await.is_none(), "the reader goes on");
        let held = Held::new(parts(&[b"one"]));
        held.is_taken();
        assert!(held.take().is_none(), "the target has it");
    }

    #[tokio::test]
    async fn t27_what_comes_in_too_many_parts_does_not_come_back() {
        let kept = |state: &Held| match &state.lock().kept {
            Kept::All(read, _) => Some(read.len()),
            Kept::Not => None,
        };
        // Parts without a byte are endless within any count of bytes.
        let mut many = vec![&b""[..]; 3 * MAX_PARTS];
        many.extend([&b"x"[..]; MAX_PARTS]);
        let held = Held::new(parts(&many));
        let mut reader = held.body();
        for at in 0..many.len() {
            reader.frame().await.expect("a frame").expect("data");
            assert_eq!(kept(&held), Some(at.saturating_sub(3 * MAX_PARTS - 1)));
        }
        assert_eq!(
            text(held.take().expect("a body")).await,
            "x".repeat(MAX_PARTS)
        );

        let held = Held::new(parts(&[&b"x"[..]; MAX_PARTS + 1]));
        let mut reader = held.body();
        for _ in 0..MAX_PARTS {
            reader.frame().await.expect("a frame").expect("data");
        }
        assert_eq!(kept(&held), Some(MAX_PARTS));
        reader.frame().await.expect("a frame").expect("data");
        assert_eq!(kept(&held), None, "what was kept is given back");
        assert!(held.take().is_none(), "more parts than are kept");
        assert!(reader.frame().await.is_none(), "the reader goes on");
    }

    #[tokio::test]
    async fn a_body_that_fails_does_not_come_back() {
        struct Fails;
        impl Body for Fails {
            type Data = Bytes;
            type Error = Error;
            fn poll_frame(
                self: Pin<&mut Self>,
                _cx: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
                Poll::Ready(Some(Err("fails".into())))
            }
        }
        let held = Held::new(boxed(Fails));
        assert!(held.body().frame().await.expect("an end").is_err());
        assert!(held.take().is_none());
    }
}
