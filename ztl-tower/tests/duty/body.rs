//! `max_body`.

use super::*;

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_at_once() {
    let run = Running::new("max_body = 10", "").await;
    let fields = [("content-length", "11")];
    let refused = run
        .ask(CALLER, request("POST", &fields, "x".repeat(11)))
        .await;
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(run.calls(), 0);
    // Law 6: its own record, that of a denial by the rule that had permitted.
    let (problem, record) = (problem(&refused), record(&run));
    assert_eq!(record["reason"], "body_too_large");
    assert_eq!(record["rule"], "everybody-posts");
    assert_eq!(record["action"], "POST /v1/x");
    assert_eq!(problem["decision"], record["id"]);
    // Law 7: the caller learns the status and the id.
    assert_eq!(problem.as_object().expect("object").len(), 4);
    let fits = run.ask(CALLER, request("POST", &[], "x".repeat(10))).await;
    assert_eq!(
        (fits.status(), &fits.body()[..]),
        (StatusCode::OK, &b"10"[..])
    );
}

#[tokio::test]
async fn a_stream_is_cut_when_it_passes_its_bound() {
    let run = Running::new("max_body = 10", "").await;
    let body = chunks(&["12345", "67890"]);
    let fits = run.ask(CALLER, request("POST", &[], body)).await;
    assert_eq!(
        (fits.status(), &fits.body()[..]),
        (StatusCode::OK, &b"10"[..])
    );
    let body = chunks(&["12345", "67890", "1", "never read"]);
    let cut = run.ask(CALLER, request("POST", &[], body)).await;
    assert_eq!(
        cut.status(),
        StatusCode::PAYLOAD_TOO_LARGE,
        "whatever the service answers"
    );
    assert_eq!((run.calls(), run.failed.load(Ordering::SeqCst)), (2, 1));
    assert_eq!(problem(&cut)["decision"], record(&run)["id"]);
    assert_eq!(
        reasons(&run.audit)
            .iter()
            .filter(|it| *it == "body_too_large")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_grpc_caller_is_told_in_its_own_way() {
    let run = Running::new("max_body = 4", "").await;
    let mut call = request("POST", &[("content-type", "application/grpc")], "12345");
    *call.uri_mut() = "/pkg.Service/Do".parse().expect("uri");
    let refused = run.ask(CALLER, call).await;
    assert_eq!(refused.status(), StatusCode::OK);
    assert_eq!(field(&refused, "grpc-status"), "8");
}

#[tokio::test]
async fn a_chunked_upload_over_a_real_connection_is_cut() {
    use support::{listener, raw_connect, raw_request, serve};
    let (listener, address) = listener().await;
    let port = address.port().to_string();
    let mesh = Mesh::new(&policy("max_body = 10", "").replace("8443", &port));
    let run = Running::of(&mesh, |mesh, audit| {
        mesh.builder("gateway", "/gateway", audit)
    })
    .await;
    serve(&run.guard, listener, run.app());
    for alpn in [&b"http/1.1"[..], b"h2"] {
        for (sent, status) in [
            (chunks(&["12345", "67890"]), 200),
            (chunks(&["12345678", "9012"]), 413),
        ] {
            let svid = mesh.svid("/caller");
            let stream = raw_connect(address, None, Some(&svid), alpn)
                .await
                .expect("connection");
            let mut request = request("POST", &[], sent);
            if alpn == b"h2" {
                request.headers_mut().remove("host");
                *request.uri_mut() = "https://a/v1/x".parse().expect("uri");
            }
            let response = raw_request(stream, request).await.expect("response");
            assert_eq!(response.status(), status, "{alpn:?}");
        }
    }
    assert_eq!(run.last_reason(), "body_too_large");
}
