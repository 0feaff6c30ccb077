//! Targets that go away while a request is on its way to them (RFC 9113 §6.8).

use http_body_util::Full;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::*;

const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// HTTP/2 that reads the beginning of a body, and says that it will process nothing.
pub(crate) async fn part(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.expect("a preface");
    let settings = |flags| [0, 0, 0, SETTINGS, flags, 0, 0, 0, 0];
    stream.write_all(&settings(0)).await.expect("settings");
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("a length")];
        stream.read_exact(&mut payload).await.expect("a frame");
        match (head[3], head[4] & ACK) {
            (SETTINGS, 0) => stream.write_all(&settings(ACK)).await.expect("settings"),
            (DATA, _) if length > 0 => break,
            _ => {}
        }
    }
    // No stream was processed, and there is no error.
    let away = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    stream.write_all(&away).await.expect("GOAWAY");
    stream.flush().await.expect("GOAWAY");
    // Until the other end closes.
    while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
}

async fn post(guard: &Guard, body: &Bytes) -> Result<StatusCode, EgressError> {
    let request = Request::post("https://db/v1/x")
        .body(Full::new(body.clone()))
        .expect("request");
    let answer = tokio::time::timeout(PATIENCE, guard.client().request(request))
        .await
        .expect("in time")?;
    Ok(answer.status())
}

#[tokio::test]
async fn t27_a_request_that_nobody_took_is_sent_again_with_all_of_its_body() {
    let mesh = Mesh::new(POLICY);
    let target = Target::start(&mesh, "/db", b"h2").await;
    target.parting.store(2, Ordering::SeqCst);
    let audit = Arc::new(MemorySink::new(100));
    let guard = caller(&mesh, &target, &audit).build().await.expect("guard");
    let body: Bytes = (0..=u8::MAX).cycle().take(48 * 1024).collect();
    assert_eq!(post(&guard, &body).await.expect("answer"), StatusCode::OK);
    let got = target.got.lock().expect("lock");
    assert_eq!(target.opened(), 3, "two went away");
    assert_eq!(got.len(), 1, "taken once");
    assert_eq!(got[0].body, body);
    assert_eq!(got[0].headers["content-length"], "49152");
}

#[tokio::test]
async fn t27_a_longer_body_is_not_kept_and_its_request_fails() {
    let mesh = Mesh::new(POLICY);
    let target = Target::start(&mesh, "/db", b"h2").await;
    target.parting.store(1, Ordering::SeqCst);
    let audit = Arc::new(MemorySink::new(100));
    let guard = caller(&mesh, &target, &audit).build().await.expect("guard");
    let body = Bytes::from(vec![7; 64 * 1024 + 1]);
    let error = post(&guard, &body).await.expect_err("lost");
    assert!(matches!(error, EgressError::Broken { .. }), "{error}");
    assert!(target.got.lock().expect("lock").is_empty());
    // The next one is whole.
    assert_eq!(post(&guard, &body).await.expect("answer"), StatusCode::OK);
    assert_eq!(target.got.lock().expect("lock")[0].body, body);
}
