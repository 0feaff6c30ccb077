//! `log`.

use std::io;
use std::sync::Mutex;

use super::*;

#[tokio::test]
async fn what_is_let_through_is_in_the_access_log_before_the_service_sees_it() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&lines);
    let policy = policy("log = [\"x-tenant\", \"x-none\"]", "");
    let run = Running::with(&policy, |builder| {
        builder.access_log(move |line| {
            taken.lock().expect("lock").push(line.to_owned());
            Ok(())
        })
    })
    .await;
    let fields = [
        ("x-tenant", "a\u{202e}b"),
        ("x-tenant", "c"),
        ("authorization", "Bearer secret"),
    ];
    assert_eq!(
        run.ask(CALLER, request("POST", &fields, "x"))
            .await
            .status(),
        StatusCode::OK
    );
    let lines = lines.lock().expect("lock");
    let [line] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert!(
        !line.contains("secret") && !line.contains('\u{202e}'),
        "{line}"
    );
    let line: Value = serde_json::from_str(line).expect("json");
    assert_eq!(line["decision"], record(&run)["id"]);
    assert_eq!(line["rule"], "everybody-posts");
    assert_eq!(line["action"], "POST /v1/x");
    assert_eq!(line["fields"]["x-tenant"][1], "c");
    assert_eq!(line["fields"]["x-none"], serde_json::json!([]));
}

#[tokio::test]
async fn a_line_that_is_not_taken_is_a_denial() {
    let policy = policy("log = true", "");
    let run = Running::with(&policy, |builder| {
        builder.access_log(|_| Err(io::Error::other("full")))
    })
    .await;
    assert_eq!(run.get().await.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        (run.calls(), run.last_reason().as_str()),
        (0, "audit_unavailable")
    );
}
