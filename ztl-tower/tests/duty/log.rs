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

#[tokio::test]
async fn a_flow_permit_from_before_a_reload_is_judged_and_discharged_once() {
    let lines = Arc::new(AtomicUsize::new(0));
    let taken = Arc::clone(&lines);
    let run = Running::with(&policy("log = true", ""), |builder| {
        builder.access_log(move |_| {
            taken.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    })
    .await;
    // A server of one's own permits once for a connection, and hands that on with each of its requests.
    let peer = vouched("spiffe://prod.example/caller");
    let from = Arrival::from_addr("192.0.2.1".parse().expect("address"));
    let flow = Flow::ingress("gateway", 8443, from, Some(&peer));
    let now = Timestamp::from_unix_millis(run.millis.load(Ordering::SeqCst));
    let permit = run.guard.engine().permit_flow(&flow, now).expect("flow");
    let another = policy(
        "log = true",
        "[workloads.more]\nid = \"spiffe://prod.example/more\"",
    );
    let another = ztl_core::policy::Policy::from_toml(&another);
    let another = another.unwrap_or_else(|error| panic!("{error}"));
    run.guard.swap_policy(another).expect("swapped");
    let before = run.audit.lines().len();
    let twice = (run.guard.authorize()).layer(run.guard.authorize().layer(run.app()));
    let mut asked = request("POST", &[], "x");
    asked.extensions_mut().insert(permit);
    let answered = twice.oneshot(asked).await.expect("response");
    assert_eq!(answered.status(), StatusCode::OK);
    assert_eq!((run.calls(), lines.load(Ordering::SeqCst)), (1, 1));
    let records = run.audit.lines().split_off(before);
    let actions = records
        .iter()
        .filter(|it| it.contains("\"stage\":\"action\""));
    assert_eq!(actions.count(), 1, "{records:?}");
}
