//! The service: a process of its own, so that it can be killed.

use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::any;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::time::Interval;
use ztl_tower::Decision;

use crate::Failed;
use crate::files::{self, ADDRESS, REMEMBERED};

/// Parts of a long answer, and how long each takes.
pub(crate) const PARTS: usize = 8;
const PART: Duration = Duration::from_millis(50);

/// Serves until it is killed, or until whoever started it is gone and its end of our standard input with it.
pub(crate) async fn serve(folder: &Path) -> Result<(), Failed> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    let guard = files::guard(folder, "store", "store.toml")
        .audit_file(folder.join("audit.jsonl"))
        .issuer_file(files::issuer(), folder.join("keys.json"))
        .remembered_tokens(REMEMBERED)
        .build()
        .await?;
    Ok(guard
        .serve(ADDRESS, Router::new().fallback(any(answer)))
        .await?)
}

/// `RULE ID LENGTH`: what permitted the request, the record in the audit log, and how much of a body was read. A long one goes on.
async fn answer(decision: Decision, request: Request) -> Result<Body, StatusCode> {
    let long = request.uri().path() == "/v1/long";
    let sent = request.into_body().collect().await;
    let sent = sent.map_err(|_| StatusCode::BAD_REQUEST)?.to_bytes().len();
    let text = format!("{} {} {sent}\n", decision.rule(), decision.id());
    if !long {
        return Ok(Body::from(text));
    }
    Ok(Body::new(Slow {
        left: PARTS,
        ticks: tokio::time::interval(PART),
        first: Some(text.into()),
    }))
}

/// A body that takes its time.
struct Slow {
    first: Option<Bytes>,
    left: usize,
    ticks: Interval,
}

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.left == 0 {
            return Poll::Ready(None);
        }
        ready!(self.ticks.poll_tick(cx));
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"part")))))
    }
}
