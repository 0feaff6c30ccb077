//! What bodies that wait before a schema may take up together.

use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use tokio::sync::{Notify, oneshot};

use super::schema::Files;
use super::*;

const SCHEMA: &str = r#"{ "type": "string" }"#;
const JSON: (&str, &str) = ("content-type", "application/json");
const BATCH: Who<'static> = Who::Peer("spiffe://prod.example/batch");

/// A body that sends a part, says when it was taken, and ends when it is told to.
struct Slow {
    parts: [Option<Bytes>; 2],
    taken: Arc<Notify>,
    end: oneshot::Receiver<()>,
}

impl futures_core::Stream for Slow {
    type Item = Result<http_body::Frame<Bytes>, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.parts[0].take() {
            return Poll::Ready(Some(Ok(http_body::Frame::data(first))));
        }
        if self.parts[1].is_some() {
            self.taken.notify_one();
            if Pin::new(&mut self.end).poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        let last = self.parts[1].take();
        Poll::Ready(last.map(|last| Ok(http_body::Frame::data(last))))
    }
}

/// A JSON text of so many bytes.
fn text(bytes: usize) -> String {
    format!("\"{}\"", "a".repeat(bytes - 2))
}

/// Such a text all but its last byte, and what ends it.
fn slow(bytes: usize) -> (Request<Body>, Arc<Notify>, oneshot::Sender<()>) {
    let (tell, end) = oneshot::channel();
    let taken = Arc::new(Notify::new());
    let mut first = text(bytes);
    let last = first.split_off(bytes - 1);
    let body = Slow {
        parts: [Some(first.into()), Some(last.into())],
        taken: Arc::clone(&taken),
        end,
    };
    let body = Body::new(http_body_util::StreamBody::new(body));
    (request("POST", &[JSON], body), taken, tell)
}

fn post(bytes: usize) -> Request<Body> {
    request("POST", &[JSON], text(bytes))
}

/// Runs a request until its body waits.
async fn until_taken<F: Future>(asked: Pin<&mut F>, taken: &Notify) {
    tokio::select! {
        biased;
        _ = asked => panic!("the request is through"),
        () = taken.notified() => {}
    }
}

/// Room for 4096 bytes, a quarter of it for one caller.
fn bounded(builder: GuardBuilder) -> GuardBuilder {
    builder.max_schema_body(1024).max_waiting_bodies(4096)
}

#[tokio::test]
async fn t34_one_who_sends_slowly_keeps_nobody_else_out() {
    let run = Files::new("waiting-share", SCHEMA).run(bounded).await;
    let (request, taken, end) = slow(1001);
    let mut asked = pin!(run.ask(CALLER, request));
    until_taken(asked.as_mut(), &taken).await;
    let refused = run.ask(CALLER, post(100)).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(run.last_reason(), "body_unfit");
    let last = run.audit.lines().pop().expect("a record");
    let last: Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!(
        (&last["verdict"], &last["rule"], &last["id"]),
        (
            &"deny".into(),
            &"everybody-posts".into(),
            &problem(&refused)["decision"]
        )
    );
    assert_eq!(run.calls(), 0);
    // What fits in its share is let in, and so are others.
    assert_eq!(run.ask(CALLER, post(24)).await.status(), StatusCode::OK);
    assert_eq!(run.ask(BATCH, post(1024)).await.status(), StatusCode::OK);
    end.send(()).expect("it waits");
    assert_eq!(asked.await.body(), "1001");
    assert_eq!(run.ask(CALLER, post(1024)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn all_together_have_a_bound_and_who_goes_away_frees_its_room() {
    let run = Files::new("waiting-all", SCHEMA).run(bounded).await;
    {
        let mut waiting = Vec::new();
        for id in ["caller", "batch", "one", "two"] {
            let (request, taken, end) = slow(1001);
            let run = &run;
            let mut asked = Box::pin(async move {
                let id = format!("spiffe://prod.example/{id}");
                run.ask(Who::Peer(&id), request).await
            });
            until_taken(asked.as_mut(), &taken).await;
            waiting.push((asked, end));
        }
        let other = Who::Peer("spiffe://prod.example/three");
        let refused = run.ask(other, post(1000)).await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(run.ask(other, post(96)).await.status(), StatusCode::OK);
        let (asked, end) = waiting.pop().expect("one that waits");
        end.send(()).expect("it waits");
        assert_eq!(asked.await.status(), StatusCode::OK);
        assert_eq!(run.ask(other, post(1000)).await.status(), StatusCode::OK);
    }
    // The others went away in the middle of their bodies.
    let (request, taken, _end) = slow(1024);
    let mut asked = pin!(run.ask(CALLER, request));
    until_taken(asked.as_mut(), &taken).await;
}

#[tokio::test]
async fn neither_bound_is_less_than_one_body() {
    let run = Files::new("waiting-one", SCHEMA)
        .run(|it| it.max_schema_body(1024).max_waiting_bodies(1))
        .await;
    assert_eq!(run.ask(CALLER, post(1024)).await.status(), StatusCode::OK);
    let (request, taken, _end) = slow(1024);
    let mut asked = pin!(run.ask(CALLER, request));
    until_taken(asked.as_mut(), &taken).await;
    let refused = run.ask(BATCH, post(2)).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn log_only_lets_through_whole_what_finds_no_room() {
    let run = Files::new("waiting-log-only", SCHEMA)
        .run(|it| bounded(it).allow_unfit_bodies())
        .await;
    let (request, taken, _end) = slow(1001);
    let mut asked = pin!(run.ask(CALLER, request));
    until_taken(asked.as_mut(), &taken).await;
    assert_eq!(run.ask(CALLER, post(500)).await.body(), "500");
}
