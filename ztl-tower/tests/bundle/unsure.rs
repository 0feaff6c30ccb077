//! What could not be withdrawn is withdrawn again, whatever comes of the next bundle (law 1).
//!
//! Each test runs on one thread, so that what listens there hears that test and no other.

use super::*;
use crate::engine::{Mood, Moody};
use crate::listens::{Recorded, Spans};
use crate::local::Folder;
use crate::support::heard::hear;
use crate::support::{PATIENCE, until};

const UNKNOWN: &str = "what is in force is not known";

/// What is counted under these labels.
fn count(recorded: &Recorded, name: &str, labels: &str) -> f64 {
    recorded.value(name, &format!("{labels},workload=model-server"))
}

fn fetches(recorded: &Recorded, outcome: &str) -> f64 {
    let labels = format!("from=authz,outcome={outcome},what=opa_bundle");
    count(recorded, "ztl_fetches_total", &labels)
}

pub(crate) fn reloads(recorded: &Recorded, outcome: &str) -> f64 {
    let labels = format!("outcome={outcome},what=opa_bundle");
    count(recorded, "ztl_reloads_total", &labels)
}

impl Service {
    /// Why nothing counts as in force.
    fn wrong(&self) -> String {
        let status = self.guard.opa_bundle_status("authz").expect("status");
        assert!(!status.in_force, "nobody is to rely on it: {status:?}");
        status.last_error.unwrap_or_default()
    }

    /// Waits until what the engine holds lets nothing through.
    async fn denies(&self) {
        let known = || !self.wrong().contains(UNKNOWN);
        until("it is withdrawn", known).await;
        assert_eq!(self.ask().await, StatusCode::FORBIDDEN);
    }
}

/// A service that pulls what lets a request through, each second.
async fn pulled(server: &Server, engine: &Arc<Moody>) -> Service {
    server.publish(pack::signed("5", &pack::open(true), SECRET), "\"five\"");
    let second = Duration::from_secs(1);
    let pull = server.pull().delays(second, second);
    let pull = pull.max_age(Duration::from_secs(600));
    let bundle = OpaBundle::without_roots(pull, engine.clone());
    let service = Service::asking(engine.engine.clone(), bundle).await;
    let service = service.expect("guard");
    assert_eq!(service.ask().await, StatusCode::OK);
    service
}

#[tokio::test]
async fn law_1_what_is_too_old_is_withdrawn_again_where_that_panicked_while_the_server_is_down() {
    let recorded = Recorded::default();
    let _here = metrics::set_default_local_recorder(&recorded);
    let (server, engine) = (Server::start().await, Moody::new());
    let service = pulled(&server, &engine).await;
    server.reply(Reply::Raw(String::new()));
    engine.is(Mood::Breaks);
    service.pass(700);
    until("it is too old", || service.revision().is_none()).await;
    let wrong = service.wrong();
    for part in ["a bug of its way out", UNKNOWN] {
        assert!(wrong.contains(part), "{wrong}");
    }
    assert_eq!(fetches(&recorded, "withdrawn"), 0.0);
    // It is tried again, and said for as long as it is so, whatever a fetch comes to.
    let unknown = || fetches(&recorded, "unknown");
    until("it panics again", || unknown() >= 3.0).await;
    assert!(service.guard.refresh_opa_bundle("authz").await.is_err());
    let wrong = service.wrong();
    assert!(wrong.contains(UNKNOWN), "{wrong}");
    assert_eq!(service.ask().await, StatusCode::OK, "the engine holds it");
    engine.is(Mood::Takes);
    service.denies().await;
    assert_eq!(fetches(&recorded, "withdrawn"), 1.0);
    // Once, and no more.
    let tried = unknown();
    server.publish(pack::signed("5", &pack::open(true), SECRET), "\"five\"");
    until("it is back", || service.revision().is_some()).await;
    assert_eq!(service.ask().await, StatusCode::OK);
    assert_eq!((unknown(), fetches(&recorded, "withdrawn")), (tried, 1.0));
}

#[tokio::test]
async fn law_1_what_could_not_be_withdrawn_waits_for_no_server() {
    let recorded = Recorded::default();
    let _here = metrics::set_default_local_recorder(&recorded);
    let (server, engine) = (Server::start().await, Moody::new());
    let service = pulled(&server, &engine).await;
    engine.is(Mood::Breaks);
    server.publish(pack::signed("6", &pack::open(true), SECRET), "\"six\"");
    let refused = service.refused().await;
    assert!(refused.contains(UNKNOWN), "{refused}");
    server.reply(Reply::Silent);
    let before = server.0.asked().len();
    until("a fetch hangs", || server.0.asked().len() > before).await;
    assert_eq!(service.ask().await, StatusCode::OK, "the engine holds it");
    // What was wrong at first is said beside it, and still is once it is withdrawn.
    let first = "putting the bundle in force broke off";
    let unknown = || fetches(&recorded, "unknown");
    let tried = unknown();
    until("it panics again", || unknown() > tried).await;
    let wrong = service.wrong();
    for part in [first, "as well, over `", "a bug of its way out", UNKNOWN] {
        assert!(wrong.contains(part), "{wrong}");
    }
    engine.is(Mood::Takes);
    // The fetch hangs for half a minute.
    let soon = tokio::time::timeout(Duration::from_secs(20), service.denies());
    soon.await.expect("withdrawn while it hangs");
    assert!(service.wrong().contains(first), "{}", service.wrong());
}

#[tokio::test]
async fn law_1_a_file_that_could_not_be_withdrawn_is_whatever_bytes_come_next() {
    let recorded = Recorded::default();
    let _here = metrics::set_default_local_recorder(&recorded);
    let events = Spans::default();
    let _hears = hear(events.clone());
    let (folder, engine) = (Folder::new("unsure"), Moody::new());
    let service = engine.start(&folder).await;
    engine.is(Mood::Breaks);
    folder.put(&pack::signed("6", &pack::open(true), SECRET));
    service.refuses(UNKNOWN).await;
    folder.put(b"no gzip");
    service.refuses("gzip").await;
    let unknown = || reloads(&recorded, "unknown");
    until("it panics again", || unknown() >= 3.0).await;
    let wrong = service.wrong();
    assert!(wrong.contains("gzip") && wrong.contains(UNKNOWN), "{wrong}");
    let refused =
        "bundle not taken as it should be; the last good one stays, where one is in force";
    let refused = || events.all(refused);
    let first = refused().first().cloned().expect("an event");
    assert!(first.contains("in_force=false"), "{first}");
    assert_eq!(service.ask().await, StatusCode::OK, "the engine holds it");
    engine.is(Mood::Takes);
    service.denies().await;
    assert!(service.wrong().contains("gzip"));
    assert_eq!(reloads(&recorded, "withdrawn"), 1.0);
    // It waits for other bytes, and takes those.
    let tried = unknown();
    folder.put(&pack::signed("6", &pack::open(true), SECRET));
    until("it is taken", || service.revision().as_deref() == Some("6")).await;
    assert_eq!(service.ask().await, StatusCode::OK);
    assert_eq!((unknown(), reloads(&recorded, "withdrawn")), (tried, 1.0));
    let before = refused().len();
    folder.put(b"no gzip either");
    service.refuses("gzip").await;
    let last = refused().get(before).cloned().expect("an event");
    assert!(last.contains("in_force=true"), "{last}");
}

#[tokio::test]
async fn a_file_that_is_refused_is_counted_and_told_of_whatever_else_a_look_comes_to() {
    let recorded = Recorded::default();
    let _here = metrics::set_default_local_recorder(&recorded);
    let events = Spans::default();
    let _hears = hear(events.clone());
    let (folder, engine) = (Folder::new("both"), Moody::new());
    // So rarely that the first looks after a panic withdraw it again, each of them.
    let rarely = Duration::from_millis(600);
    let service = (engine.with(&folder, |it| it.reload_every(rarely))).await;
    engine.is(Mood::Breaks);
    folder.put(&pack::signed("6", &pack::open(true), SECRET));
    service.refuses(UNKNOWN).await;
    // Two looks agree on it, and the second refuses it.
    folder.put(b"no gzip");
    service.refuses("gzip").await;
    assert_eq!(reloads(&recorded, "refused"), 1.0);
    let refused = "bundle not taken as it should be; the last good one stays";
    let told = events.text();
    assert!(told.contains(refused), "{told}");
    let again = "withdrawing the bundle panicked again";
    let again = told.matches(again).count();
    assert!(again >= 2, "{told}");
    // Both are counted, each time.
    let unknown = 1 + u32::try_from(again).expect("a count");
    assert_eq!(reloads(&recorded, "unknown"), f64::from(unknown));
    assert_eq!(service.ask().await, StatusCode::OK, "the engine holds it");
}

#[test]
fn what_is_withdrawn_or_not_known_pages_somebody() {
    let alerts = "../examples/observability/alerts.yaml";
    let alerts = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(alerts);
    let alerts = std::fs::read_to_string(alerts).expect("alerts");
    let mut alerts = alerts.split("- alert: ");
    let alert = alerts.find(|alert| alert.starts_with("ZtlWithdrawn\n"));
    let alert = alert.expect("an alert");
    for part in [
        r#"ztl_fetches_total{outcome=~"withdrawn|unknown"}"#,
        r#"ztl_reloads_total{what=~"opa_bundle|bundles|svid",outcome=~"withdrawn|unknown"}"#,
        "severity: page",
        "panicked",
    ] {
        assert!(alert.contains(part), "{part}: {alert}");
    }
}

#[tokio::test]
async fn law_1_a_bundle_that_nobody_pulls_any_more_lets_nothing_through() {
    let (server, engine) = (Server::start().await, Moody::new());
    let service = pulled(&server, &engine).await;
    // The next is due within the time.
    service.ahead.store(u64::MAX, Ordering::SeqCst);
    until("nobody pulls it", || service.revision().is_none()).await;
    service.ahead.store(0, Ordering::SeqCst);
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
    let why = service.refused().await;
    assert!(why.contains("nobody pulls the bundle `authz`"), "{why}");
    assert!(service.wrong().contains("nobody pulls the bundle `authz`"));
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn law_1_nor_does_one_whose_runtime_has_ended() {
    let (server, engine) = (Server::start().await, Moody::new());
    let (asked, server) = (Arc::clone(&engine), Arc::new(server));
    let within = move || {
        let own = tokio::runtime::Runtime::new().expect("a runtime");
        own.block_on(pulled(&server, &asked))
    };
    let service = tokio::task::spawn_blocking(within).await.expect("asked");
    until("it is withdrawn", || service.revision().is_none()).await;
    assert!(service.wrong().contains("nobody pulls the bundle `authz`"));
    assert!(service.refused().await.contains("nobody pulls the bundle"));
}

/// Waits until an engine holds a bundle, and what comes after that lets nothing through.
async fn taken_and_withdrawn(engine: &Moody) {
    engine.is(Mood::Takes);
    let engine = &engine.engine;
    let withdrawn = || engine.taken() == 2 && !engine.is_open();
    until("what is put in force last is withdrawn", withdrawn).await;
}

#[tokio::test]
async fn law_1_nor_does_one_that_is_put_in_force_as_its_runtime_ends() {
    let (server, engine) = (Server::start().await, Moody::new());
    let asked = Arc::clone(&engine);
    let within = move || {
        let own = tokio::runtime::Runtime::new().expect("a runtime");
        let service = own.block_on(async {
            let service = pulled(&server, &asked).await;
            asked.is(Mood::Waits);
            server.publish(pack::signed("6", &pack::open(true), SECRET), "\"six\"");
            until("it is put in force", || asked.waits()).await;
            service
        });
        own.shutdown_background();
        service
    };
    let service = tokio::task::spawn_blocking(within).await.expect("asked");
    until("it is withdrawn", || service.revision().is_none()).await;
    taken_and_withdrawn(&engine).await;
    assert!(service.wrong().contains("nobody pulls the bundle `authz`"));
}

#[tokio::test]
async fn law_1_nor_does_one_in_a_file_whose_look_is_not_over_when_its_runtime_ends() {
    let (folder, engine) = (Arc::new(Folder::new("unended")), Moody::new());
    let (of, asked) = (Arc::clone(&folder), Arc::clone(&engine));
    let within = move || {
        let own = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let own = own.expect("a runtime");
        let service = own.block_on(async {
            let service = asked.start(&of).await;
            asked.is(Mood::Waits);
            of.put(&pack::signed("6", &pack::open(true), SECRET));
            until("it is put in force", || asked.waits()).await;
            service
        });
        // Nobody waits for the look.
        own.shutdown_background();
        service
    };
    let ended = tokio::task::spawn_blocking(within);
    let service = tokio::time::timeout(PATIENCE, ended).await;
    let service = service.expect("in time").expect("asked");
    taken_and_withdrawn(&engine).await;
    until("it says so", || service.revision().is_none()).await;
    assert!(
        service.wrong().contains("nobody looks"),
        "{}",
        service.wrong()
    );
}
