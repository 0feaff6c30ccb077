//! A body that is read, and then stands in for itself.

use core::pin::Pin;
use core::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

use super::room::Place;
use crate::duty::AnyBody;

type BoxError = Box<dyn core::error::Error + Send + Sync>;

/// What was read of a body, and the rest of it.
pub(super) struct Read<B> {
    place: Place,
    bytes: BytesMut,
    trailers: Option<HeaderMap>,
    failed: Option<BoxError>,
    rest: Option<Pin<Box<B>>>,
}

/// How far reading came.
pub(super) enum End {
    /// All of it.
    Whole,
    /// It has more bytes than were asked for.
    Long,
    /// There is no room for more of it.
    Full,
    /// It failed.
    Broken,
}

impl<B: AnyBody> Read<B> {
    /// What is read of it takes its room from there.
    pub(super) fn begin(body: B, place: Place) -> Self {
        Self {
            place,
            bytes: BytesMut::new(),
            trailers: None,
            failed: None,
            rest: Some(Box::pin(body)),
        }
    }

    /// Reads on until there are more bytes than these. May be dropped and called again.
    pub(super) async fn on(&mut self, most: usize) -> End {
        while let Some(rest) = &mut self.rest {
            let before = self.bytes.len();
            match rest.frame().await {
                None => self.rest = None,
                Some(Err(error)) => {
                    self.failed = Some(error.into());
                    self.rest = None;
                    return End::Broken;
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.bytes.extend_from_slice(&data),
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.trailers = Some(trailers);
                        }
                    }
                },
            }
            if self.bytes.len() > most {
                return End::Long;
            }
            if !self.place.take(self.bytes.len().saturating_sub(before)) {
                return End::Full;
            }
        }
        End::Whole
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The body as it was before it was read.
    pub(super) fn again(self) -> B {
        let data = self.bytes.freeze();
        B::from_body(Again {
            data: (!data.is_empty()).then_some((data, self.place)),
            failed: self.failed,
            rest: self.rest,
            trailers: self.trailers,
        })
    }
}

struct Again<B> {
    /// What was read, and the room that it takes up until it goes on.
    data: Option<(Bytes, Place)>,
    failed: Option<BoxError>,
    rest: Option<Pin<Box<B>>>,
    trailers: Option<HeaderMap>,
}

impl<B: AnyBody> Body for Again<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Some((data, _)) = this.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(error) = this.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if let Some(rest) = &mut this.rest {
            let frame = rest.as_mut().poll_frame(cx);
            return frame.map(|frame| frame.map(|frame| frame.map_err(Into::into)));
        }
        let trailers = this.trailers.take();
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
            && self.failed.is_none()
            && self.trailers.is_none()
            && self.rest.as_ref().is_none_or(|rest| rest.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.data.as_ref().map_or(0, |(data, _)| data.len());
        let held = u64::try_from(held).unwrap_or(u64::MAX);
        let Some(rest) = &self.rest else {
            return SizeHint::with_exact(held);
        };
        let rest = rest.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint.set_lower(rest.lower().saturating_add(held));
        hint
    }
}
