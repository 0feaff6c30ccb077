//! A trust score that falls while a request runs.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};

use ztl_authz::trust::{About, SignalSource, Signals};
use ztl_core::trust::Signal;
use ztl_tower::BuildError;

use super::*;

const TRUST: &str = "[trust]\nbase = 20\n[trust.signals.device]\nweight = 80\nmax_age = \"10m\"\n[[permit]]\nname = \"reads\"";

/// The document with streams that ask for a score of 60.
fn scored(policy: &str) -> Policy {
    let streams = "\"websocket /chat\"]";
    let asks = format!("{streams}\nrequire = {{ trust_score = 60 }}");
    let policy = policy.replace(streams, &asks);
    let policy = policy.replace("[[permit]]\nname = \"reads\"", TRUST);
    Policy::from_toml(&policy).unwrap_or_else(|error| panic!("{error}"))
}

fn write(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).expect("write");
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&new, mode).expect("mode");
    }
    std::fs::rename(new, file).expect("rename");
}

fn table(value: u8) -> String {
    seen(value, 0)
}

/// The same as it was seen so many seconds ago.
fn seen(value: u8, ago: u64) -> String {
    let observed_at = now().as_unix_secs() - ago;
    format!(
        r#"{{"source": "mdm", "signals": [{{"name": "device", "peer": "spiffe://prod.example/caller",
            "value": {value}, "observed_at": {observed_at}}}]}}"#
    )
}

fn file(test: &str) -> PathBuf {
    let name = format!("signals-{test}-{}.json", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_a_stream_is_cut_and_the_next_request_denied_when_the_score_falls() {
    let signals = file("falls");
    write(&signals, &table(90));
    let db = Db::with(|builder| {
        let often = builder.reload_every(Duration::from_millis(50));
        often.signal_file(["device"], &signals)
    })
    .await;
    db.guard.swap_policy(scored(&db.mesh.policy)).expect("swap");
    let mut two = db.two().await;
    let mut feed = two.send_request(ask("/feed")).await.expect("feed");
    assert_eq!(feed.status(), StatusCode::OK);
    feed.frame().await.expect("frame").expect("data");
    assert_eq!(db.running.count(), 1);

    write(&signals, "{\"source\": \"mdm\"}");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(db.running.count(), 1, "a broken table takes nothing back");

    let since = Instant::now();
    write(&signals, &table(40));
    until("it is cut", || db.running.count() == 0).await;
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    assert!(!matches!(feed.frame().await, Some(Ok(_))));
    assert_eq!(status(&mut two, "/feed").await, StatusCode::FORBIDDEN);
    assert_eq!(
        status(&mut two, "/v1/x").await,
        StatusCode::OK,
        "what asks for no score goes on, on the same connection"
    );

    write(&signals, &table(100));
    let mut again = false;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let response = two.send_request(ask("/feed")).await.expect("feed");
        if response.status() == StatusCode::OK {
            again = true;
            break;
        }
    }
    assert!(again, "who is trusted again is let in again");
    let recorded = reasons(&db.audit);
    assert!(
        recorded.contains(&"requirement_unmet".to_owned()),
        "{recorded:?}"
    );
    std::fs::remove_file(signals).expect("remove");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_57_a_table_of_earlier_times_in_the_file_takes_no_signal_back() {
    let signals = file("back");
    write(&signals, &seen(100, 60));
    let db = Db::with(|builder| {
        let often = builder.reload_every(Duration::from_millis(10));
        often.signal_file(["device"], &signals)
    })
    .await;
    db.guard.swap_policy(scored(&db.mesh.policy)).expect("swap");
    let two = tokio::sync::Mutex::new(db.two().await);
    let feed = async || {
        let answer = two.lock().await.send_request(ask("/feed")).await;
        answer.expect("feed").status()
    };
    assert_eq!(feed().await, StatusCode::OK);
    write(&signals, &table(40));
    let patience = Instant::now() + support::PATIENCE;
    while feed().await != StatusCode::FORBIDDEN {
        assert!(Instant::now() < patience, "it is taken");
    }
    write(&signals, &seen(100, 60));
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(feed().await, StatusCode::FORBIDDEN);
    }
    write(&signals, &table(100));
    while feed().await != StatusCode::OK {
        assert!(Instant::now() < patience, "the next one is taken");
    }
    std::fs::remove_file(signals).expect("remove");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t4_a_signal_that_gets_too_old_takes_the_stream_with_it() {
    let signals = file("ages");
    write(&signals, &table(100));
    let db = Db::with(|builder| builder.signal_file(["device"], &signals)).await;
    db.guard.swap_policy(scored(&db.mesh.policy)).expect("swap");
    let mut two = db.two().await;
    let mut feed = two.send_request(ask("/feed")).await.expect("feed");
    assert_eq!(feed.status(), StatusCode::OK);
    feed.frame().await.expect("frame").expect("data");
    db.ahead.store(590 * 1000, Ordering::SeqCst);
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);
    assert_eq!(db.running.count(), 1);
    db.ahead.store(602 * 1000, Ordering::SeqCst);
    until("it is cut", || db.running.count() == 0).await;
    assert_eq!(status(&mut two, "/v1/x").await, StatusCode::OK);
    std::fs::remove_file(signals).expect("remove");
}

/// Falls while it is asked for the first time, and still says then what was good before. Its answer takes until the sweeper has seen
/// the change twice.
#[derive(Debug, Default)]
struct Falling {
    seen: Mutex<Seen>,
    looked: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    asked: usize,
    generation: u64,
    /// How often it was looked at since it changed.
    looks: usize,
}

impl SignalSource for Falling {
    fn signal(&self, _: &str, _: About<'_>, now: Timestamp) -> Option<Signal> {
        let mut seen = self.seen.lock().expect("seen");
        seen.asked += 1;
        if seen.asked > 1 {
            return Signal::new(0, now, Timestamp::MAX, "test");
        }
        seen.generation += 1;
        drop(seen);
        // The sweeper needs a thread that this one does not hold.
        tokio::task::block_in_place(|| {
            let unseen = |seen: &mut Seen| seen.looks < 2;
            let seen = self.seen.lock().expect("seen");
            let waited = self
                .looked
                .wait_timeout_while(seen, support::PATIENCE, unseen);
            assert!(!waited.expect("seen").1.timed_out(), "nobody looks");
        });
        Signal::new(100, now, Timestamp::MAX, "test")
    }

    fn generation(&self) -> u64 {
        let mut seen = self.seen.lock().expect("seen");
        if seen.asked > 0 {
            seen.looks += 1;
            self.looked.notify_all();
        }
        seen.generation
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t5_a_score_that_falls_while_a_request_is_judged_by_it_lets_it_to_no_service() {
    let falling = Arc::new(Falling::default());
    let signals = Signals::none().with("device", Arc::clone(&falling));
    let db = Db::with(|builder| builder.signals(signals)).await;
    db.guard.swap_policy(scored(&db.mesh.policy)).expect("swap");
    let mut two = db.two().await;
    let fed = tokio::time::timeout(2 * support::PATIENCE, two.send_request(ask("/feed"))).await;
    // Whether the refusal comes before its stream is reset is open; the service is not called.
    if let Ok(feed) = fed.expect("it is judged") {
        assert_eq!(feed.status(), StatusCode::FORBIDDEN);
    }
    assert_eq!((db.running.begun(), db.running.count()), (0, 0));
    let recorded = reasons(&db.audit);
    // Its flow, its own judgement, why it is cut, and that it was; the sweeper may judge it once more before it is gone.
    let texts: Vec<&str> = recorded.iter().map(String::as_str).collect();
    let (judged, cut) = texts.split_at_checked(3).expect("three");
    assert_eq!(judged, ["permitted", "permitted", "requirement_unmet"]);
    assert!(cut.contains(&"flow_withdrawn"), "{recorded:?}");
    let known = |reason: &&str| ["flow_withdrawn", "requirement_unmet"].contains(reason);
    assert!(cut.iter().all(known), "{recorded:?}");
    assert!(falling.seen.lock().expect("seen").asked >= 2);
}

#[tokio::test]
async fn a_guard_whose_policy_weighs_what_nobody_gives_is_not_built() {
    let mesh = Mesh::new(&policy(8443));
    let audit = Arc::new(MemorySink::new(9));
    let build = async |signals: Option<&Path>| {
        let builder = mesh
            .builder("db", "/db", &audit)
            .policy(scored(&mesh.policy));
        let builder = match signals {
            Some(path) => builder.signal_file(["device"], path),
            None => builder,
        };
        builder.build().await.expect_err("refused")
    };
    let error = build(None).await;
    assert!(matches!(error, BuildError::Signals(_)), "{error}");
    assert!(error.to_string().contains("the signal `device`"), "{error}");
    let signals = file("bad");
    let error = build(Some(&signals)).await.to_string();
    assert!(error.contains("could not be read"), "{error}");
    write(&signals, "{}");
    let error = build(Some(&signals)).await.to_string();
    assert!(error.contains("has no `source`"), "{error}");
    #[cfg(unix)]
    {
        write(&signals, &table(1));
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o664);
        std::fs::set_permissions(&signals, open).expect("mode");
        let error = build(Some(&signals)).await.to_string();
        assert!(error.contains("chmod go-w"), "{error}");
    }
    std::fs::remove_file(signals).expect("remove");
}
