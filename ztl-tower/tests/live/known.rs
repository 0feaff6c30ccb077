//! What is known of a caller's device, and what the service says of a request, in conditions (rules 7 to 9; T7).

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use ztl_authz::cel::Cel;
use ztl_core::policy::{Format, Loader};
use ztl_core::{Attributes, FlowPermit};
use ztl_tower::BuildError;

use super::*;

/// The document with this asked of streams, and these rules more.
fn asking(policy: &str, when: &str, more: &str) -> Policy {
    let streams = "\"websocket /chat\"]";
    let asks = format!("{streams}\nrequire = {{ when = '{when}' }}\n{more}");
    let policy = policy.replace(streams, &asks);
    let loader = Loader::new().with_conditions(Arc::new(Cel::new()));
    loader
        .load(&policy, Format::Toml)
        .unwrap_or_else(|error| panic!("{error}"))
}

fn write(file: &Path, postures: &Value) {
    let new = file.with_extension("new");
    let table = json!({ "of": "peer", "postures": postures }).to_string();
    std::fs::write(&new, table).expect("write");
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&new, mode).expect("mode");
    }
    std::fs::rename(new, file).expect("rename");
}

fn device(attributes: Value) -> Value {
    device_seen(attributes, 0)
}

/// The same as it was seen so many seconds ago.
fn device_seen(attributes: Value, ago: u64) -> Value {
    let observed_at = now().as_unix_secs() - ago;
    json!([{
        "peer": "spiffe://prod.example/caller", "attributes": attributes,
        "observed_at": observed_at, "expires_at": observed_at + 600,
    }])
}

fn file(test: &str) -> PathBuf {
    let name = format!("postures-{test}-{}.json", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

async fn with_postures(postures: &Path) -> Db {
    Db::with(|builder| {
        let often = builder.reload_every(Duration::from_millis(50));
        often.posture_file(postures)
    })
    .await
}

/// Asks until this is answered: what a file says comes into force a moment later.
async fn answers(two: &mut Two, path: &str, wanted: StatusCode) {
    for _ in 0..100 {
        let response = two.send_request(ask(path)).await.expect("response");
        if response.status() == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("`{path}` is never answered with {wanted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_57_a_file_of_earlier_times_takes_no_posture_back() {
    let postures = file("back");
    write(&postures, &device_seen(json!({ "encrypted": true }), 60));
    let db = Db::with(|builder| {
        let often = builder.reload_every(Duration::from_millis(10));
        often.posture_file(&postures)
    })
    .await;
    let policy = asking(&db.mesh.policy, "posture.encrypted == true", "");
    db.guard.swap_policy(policy).expect("swap");
    let mut two = db.two().await;
    answers(&mut two, "/feed", StatusCode::OK).await;
    write(&postures, &device(json!({ "encrypted": false })));
    answers(&mut two, "/feed", StatusCode::FORBIDDEN).await;
    write(&postures, &device_seen(json!({ "encrypted": true }), 60));
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let response = two.send_request(ask("/feed")).await.expect("response");
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
    write(&postures, &device(json!({ "encrypted": true })));
    answers(&mut two, "/feed", StatusCode::OK).await;
    std::fs::remove_file(postures).expect("remove");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_a_stream_lives_as_long_as_its_callers_device_is_in_order() {
    let postures = file("stream");
    write(&postures, &device(json!({ "encrypted": true })));
    let db = with_postures(&postures).await;
    let policy = asking(&db.mesh.policy, "posture.encrypted == true", "");
    db.guard.swap_policy(policy).expect("swap");
    let mut two = db.two().await;
    let mut feed = two.send_request(ask("/feed")).await.expect("feed");
    assert_eq!(feed.status(), StatusCode::OK);
    feed.frame().await.expect("frame").expect("data");

    let since = Instant::now();
    write(&postures, &device(json!({ "encrypted": false })));
    db.none_runs(since, "the device is no longer in order")
        .await;
    assert!(!matches!(feed.frame().await, Some(Ok(_))));
    assert_eq!(status(&mut two, "/feed").await, StatusCode::FORBIDDEN);
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);

    // T7: neither a device of which that is not known, nor one that is not known, is in order.
    for unknown in [device(json!({ "os": "Linux" })), json!([])] {
        write(&postures, &device(json!({ "encrypted": true })));
        answers(&mut two, "/feed", StatusCode::OK).await;
        write(&postures, &unknown);
        answers(&mut two, "/feed", StatusCode::FORBIDDEN).await;
    }

    write(&postures, &device(json!({ "encrypted": true })));
    answers(&mut two, "/feed", StatusCode::OK).await;
    until("none of those runs", || db.running.count() == 0).await;
    let mut feed = two.send_request(ask("/feed")).await.expect("feed");
    feed.frame().await.expect("frame").expect("data");
    let since = Instant::now();
    db.ahead.store(601 * 1000, Ordering::SeqCst);
    db.none_runs(since, "what is known of it is stale").await;
    let recorded = reasons(&db.audit);
    assert_eq!(recorded.last().map(String::as_str), Some("evidence_stale"));
    std::fs::remove_file(postures).expect("remove");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_8_a_forbid_forbids_whose_device_is_not_known() {
    let postures = file("forbid");
    write(&postures, &json!([]));
    let db = with_postures(&postures).await;
    let forbid = "[[forbid]]\nname = \"compromised\"\nfrom = \"any\"\nto = \"db\"\n\
                  actions = [\"GET /{*rest}\"]\nwhen = 'posture.compromised == true'\n";
    let policy = asking(&db.mesh.policy, "true", forbid);
    db.guard.swap_policy(policy).expect("swap");
    let mut two = db.two().await;
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::FORBIDDEN);
    write(&postures, &device(json!({ "compromised": false })));
    answers(&mut two, "/v1/x", StatusCode::OK).await;
    write(&postures, &device(json!({ "os": "Linux" })));
    answers(&mut two, "/v1/x", StatusCode::FORBIDDEN).await;
    write(&postures, &device(json!({ "compromised": false })));
    answers(&mut two, "/v1/x", StatusCode::OK).await;
    // Law 8: what a forbid let pass lives as long as what it was let pass for.
    let mut feed = two.send_request(ask("/feed")).await.expect("feed");
    feed.frame().await.expect("frame").expect("data");
    let since = Instant::now();
    db.ahead.store(601 * 1000, Ordering::SeqCst);
    db.none_runs(since, "what is known of it is stale").await;
    assert!(!matches!(feed.frame().await, Some(Ok(_))));
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::FORBIDDEN);
    let recorded = reasons(&db.audit);
    assert_eq!(recorded.last().map(String::as_str), Some("forbidden"));
    std::fs::remove_file(postures).expect("remove");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_the_service_is_asked_where_a_rule_reads_the_context_and_nowhere_else() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let db = Db::with(|builder| {
        builder.context_from(move |parts, at| {
            count.fetch_add(1, Ordering::SeqCst);
            // Whoever owns what may depend on who asks.
            let flow: &FlowPermit = parts.extensions.get().expect("who asks");
            let caller = flow.peer().expect("a peer").id().to_string();
            assert_eq!(caller, "spiffe://prod.example/caller");
            let owner = parts.headers.get("x-owner")?.to_str().ok()?;
            let said = Map::from_iter([("owner".to_owned(), Value::from(owner))]);
            let until = at.saturating_add(Duration::from_secs(60));
            Some(Attributes::new(said, at, until))
        })
    })
    .await;
    let mut two = db.two().await;
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);
    assert_eq!(asked.load(Ordering::SeqCst), 0);

    let policy = asking(&db.mesh.policy, "context.owner == \"caller\"", "");
    db.guard.swap_policy(policy).expect("swap");
    let of = |owner: Option<&str>| {
        let mut request = ask("/feed");
        if let Some(owner) = owner {
            let owner = owner.parse().expect("value");
            request.headers_mut().insert("x-owner", owner);
        }
        request
    };
    for owner in [None, Some("other")] {
        let refused = two.send_request(of(owner)).await.expect("response");
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{owner:?}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let mut feed = two.send_request(of(Some("caller"))).await.expect("feed");
    assert_eq!(feed.status(), StatusCode::OK);
    feed.frame().await.expect("frame").expect("data");
    // T15: a stream ends with what was said of it.
    db.ahead.store(59 * 1000, Ordering::SeqCst);
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);
    assert_eq!(db.running.count(), 1);
    let since = Instant::now();
    db.ahead.store(61 * 1000, Ordering::SeqCst);
    db.none_runs(since, "what was said is over").await;
}

#[tokio::test]
async fn a_guard_whose_policy_reads_what_nobody_gives_is_not_built() {
    let mesh = Mesh::new(&policy(8443));
    let audit = Arc::new(MemorySink::new(9));
    let build = async |when: &str, more: fn(GuardBuilder) -> GuardBuilder| {
        let policy = asking(&mesh.policy, when, "");
        let builder = mesh.builder("db", "/db", &audit).policy(policy);
        more(builder).build().await.err()
    };
    let error = build("posture.encrypted == true", |it| it).await;
    assert!(matches!(error, Some(BuildError::NoPosture(_))), "{error:?}");
    let error = build("context.owner == \"x\"", |it| it).await;
    assert!(matches!(error, Some(BuildError::NoContext(_))), "{error:?}");
    let given = build("context.owner == \"x\"", |it| it.context_from(|_, _| None));
    assert!(given.await.is_none());
    let given = build("posture.encrypted == true", |it| {
        it.posture(ztl_authz::trust::PostureTable::default())
    });
    assert!(given.await.is_none());
    let unread = build("true", |it| it.posture_file("/nowhere/postures.json"));
    let unread = unread.await.expect("unread").to_string();
    assert!(unread.contains("could not be read"), "{unread}");
}
