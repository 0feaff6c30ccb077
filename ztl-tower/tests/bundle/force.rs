//! What is in force: the last good bundle, for its time, never an older one; and running requests follow it.

use std::path::{Path, PathBuf};

use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use support::raw_connect;
use tokio::time::Instant;
use ztl_core::authorizer::Reads;
use ztl_tower::authz::rego::RegoBundle;

use super::*;
use crate::engine::{Mood, Moody};
use crate::support::until;

fn file(test: &str) -> PathBuf {
    let name = format!("bundle-{test}-{}.json", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A response that runs until it is cut.
async fn feed(address: SocketAddr, caller: &X509Svid) -> http::Response<hyper::body::Incoming> {
    let stream = raw_connect(address, None, Some(caller), b"h2").await;
    let io = TokioIo::new(stream.expect("connect"));
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("http");
    tokio::spawn(connection);
    let request = get2("/v1/feed").body(axum::body::Body::empty());
    let feed = sender.send_request(request.expect("request")).await;
    let mut feed = feed.expect("feed");
    assert_eq!(feed.status(), StatusCode::OK);
    feed.frame().await.expect("frame").expect("data");
    feed
}

/// The policy is heavy: it is asked, the second time too, where no other request waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_a_stream_let_through_by_a_policy_in_rego_is_judged_by_the_new_bundle() {
    const OPEN: &str = "package authz\nallow if input.target == \"model-server\"";
    let server = Server::start().await;
    server.publish(pack::rego("1", OPEN), "1");
    let pull = BundlePull::new(&server.url(), BundleReader::unsigned()).expect("pull");
    let engine = RegoBundle::interpreter("authz/allow", Reads::nothing());
    let engine = Arc::new(engine.timeout(Duration::from_secs(5)));
    let (listener, address) = listener().await;
    let mesh = Mesh::new("");
    let guard = Guard::builder("model-server")
        .policy(policy(address.port(), engine.authorizer()))
        .identity(mesh.svid("/model-server"))
        .bundle(mesh.authority.bundle())
        .allow_dev_authority()
        .audit(Arc::new(MemorySink::new(10_000)))
        .opa_bundle("authz", OpaBundle::without_roots(pull, engine));
    let guard = guard.build().await.expect("guard");
    serve(&guard, listener, engine::app());
    let mut feed = feed(address, &mesh.svid("/router")).await;
    let refresh = || guard.refresh_opa_bundle("authz");

    server.publish(pack::rego("2", &format!("# again\n{OPEN}")), "2");
    assert_eq!(refresh().await.ok(), Some(OpaBundleRefreshed::Changed));
    let still = tokio::time::timeout(Duration::from_millis(300), feed.frame()).await;
    assert!(still.is_err(), "it runs on under a bundle that lets it");

    server.publish(pack::rego("3", "package authz\nallow if {"), "3");
    let said = support::chain(&refresh().await.expect_err("no policy"));
    assert!(said.contains("policy.rego:2:"), "{said}");
    let still = tokio::time::timeout(Duration::from_millis(300), feed.frame()).await;
    assert!(still.is_err(), "and under the last good one");

    let since = Instant::now();
    server.publish(pack::rego("4", "package authz\nallow := false"), "4");
    assert_eq!(refresh().await.ok(), Some(OpaBundleRefreshed::Changed));
    let cut = tokio::time::timeout(support::PATIENCE, feed.frame()).await;
    assert!(!matches!(cut, Ok(Some(Ok(_))) | Err(_)), "it is cut");
    assert!(since.elapsed() < Duration::from_millis(1500));
}

/// A document in a file names what the program gives, through every reload.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_in_a_file_asks_the_authorizer_of_a_bundle() {
    let server = Server::start().await;
    server.publish(pack::signed("1", &pack::open(true), SECRET), "1");
    let (listener, address) = listener().await;
    let (mesh, engine) = (Mesh::new(""), Arc::new(Engine::default()));
    let text = document(address.port());
    let toml = file("document").with_extension("toml");
    std::fs::write(&toml, &text).expect("written");
    let builder = || {
        Guard::builder("model-server")
            .identity(mesh.svid("/model-server"))
            .bundle(mesh.authority.bundle())
            .allow_dev_authority()
            .audit(Arc::new(MemorySink::new(10_000)))
            .reload_every(Duration::from_millis(10))
    };
    let refused = |built: Result<Guard, BuildError>| support::chain(&built.expect_err("refused"));
    let nobody = refused(builder().policy_file(&toml).build().await);
    assert!(nobody.contains("`bundle`"), "{nobody}");
    let twice = builder().policy_file(&toml);
    let twice = twice
        .authorizer("bundle", engine.clone())
        .authorizer("bundle", engine.clone());
    let twice = refused(twice.build().await);
    assert!(twice.contains("`bundle` is given twice"), "{twice}");
    let memory = builder().policy(policy(address.port(), engine.clone()));
    let memory = refused(memory.authorizer("other", engine.clone()).build().await);
    assert!(
        memory.contains("`other` is not asked by a policy in memory"),
        "{memory}"
    );

    let guard = builder()
        .policy_file(&toml)
        .authorizer("bundle", engine.clone())
        .opa_bundle(
            "authz",
            OpaBundle::without_roots(server.pull(), engine.clone()),
        );
    let guard = guard.build().await.expect("guard");
    serve(&guard, listener, engine::app());
    let caller = mesh.svid("/router");
    let ask = async || {
        let answered = knock(address, None, Some(&caller), b"h2", get2("/v1/models")).await;
        answered.expect("response").status()
    };
    assert_eq!(ask().await, StatusCode::OK);
    let before = guard.engine().policy().revision();
    std::fs::write(
        &toml,
        format!("# again\n{text}[zones.x]\ntrust = 1\nnetworks = [\"192.0.2.0/24\"]\n"),
    )
    .expect("written");
    until("it is taken", || {
        guard.engine().policy().revision() != before
    })
    .await;
    assert_eq!(ask().await, StatusCode::OK);
    server.publish(pack::signed("2", &pack::open(false), SECRET), "2");
    let refreshed = guard.refresh_opa_bundle("authz").await;
    assert_eq!(refreshed.ok(), Some(OpaBundleRefreshed::Changed));
    assert_eq!(ask().await, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_a_running_stream_is_judged_by_the_new_bundle() {
    let server = Server::start().await;
    server.publish(pack::signed("1", &pack::open(true), SECRET), "1");
    let service = Service::start(server.pull()).await;
    let mut feed = feed(service.address, &service.caller).await;

    server.publish(pack::signed("2", &pack::open(true), SECRET), "2");
    assert_eq!(service.refresh().await, OpaBundleRefreshed::Changed);
    let still = tokio::time::timeout(Duration::from_millis(300), feed.frame()).await;
    assert!(still.is_err(), "it runs on under a bundle that lets it");

    let since = Instant::now();
    server.publish(pack::signed("3", &pack::open(false), SECRET), "3");
    assert_eq!(service.refresh().await, OpaBundleRefreshed::Changed);
    let cut = tokio::time::timeout(support::PATIENCE, feed.frame()).await;
    assert!(!matches!(cut, Ok(Some(Ok(_))) | Err(_)), "it is cut");
    assert!(since.elapsed() < Duration::from_millis(1500));
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule57_without_a_first_good_bundle_no_guard_is_built() {
    let server = Server::start().await;
    let refused = async |server: &Server| {
        let soon = |bundle: OpaBundle| bundle.first_within(Duration::from_millis(300));
        match Service::with(server.pull(), soon).await {
            Err(error @ BuildError::OpaBundle { .. }) => support::chain(&error),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("built"),
        }
    };
    let said = refused(&server).await;
    assert!(
        said.contains("`authz` is not in force") && said.contains("404"),
        "{said}"
    );
    for (bundle, why) in [
        (pack::unsigned("1", &pack::open(true)), "not signed"),
        (
            pack::signed("1", &pack::open(true), &[8; 32]),
            "none of the configured keys",
        ),
        (
            pack::signed("1", &json!({"authz": 7}), SECRET),
            "neither true nor false",
        ),
        (pack::signed("1", &json!({"bug": 1}), SECRET), "broke off"),
        (b"no bundle".to_vec(), "gzip"),
    ] {
        server.publish(bundle, "x");
        let said = refused(&server).await;
        assert!(said.contains(why), "{said}");
    }
    server.reply(Reply::Silent);
    let said = refused(&server).await;
    assert!(said.contains("within 300ms"), "{said}");
    until("no connection is left", || server.0.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_up_within_the_time_is_waited_for() {
    let server = Server::start().await;
    let pull = server.pull();
    let building = tokio::spawn(async move { Service::start(pull).await });
    until("it was asked in vain", || !server.0.asked().is_empty()).await;
    server.publish(pack::signed("1", &pack::open(true), SECRET), "1");
    let service = building.await.expect("built");
    assert_eq!(service.ask().await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule57_a_bad_bundle_leaves_the_last_good_one() {
    let server = Server::start().await;
    server.publish(pack::signed("5", &pack::open(true), SECRET), "5");
    let service = Service::start(server.pull()).await;
    for (bundle, why) in [
        // Wrong signatures after a right one.
        (
            pack::signed("6", &pack::open(false), &[8; 32]),
            "none of the configured keys",
        ),
        (pack::unsigned("6", &pack::open(false)), "not signed"),
        // Revisions that go back.
        (
            pack::signed("4", &pack::open(false), SECRET),
            "goes back from `5` to `4`",
        ),
        (pack::signed("", &pack::open(false), SECRET), "goes back"),
        // It does not compile.
        (
            pack::signed("6", &json!({}), SECRET),
            "could not be put in force",
        ),
        (b"<html>sign in</html>".to_vec(), "gzip"),
        (Vec::new(), "gzip"),
    ] {
        server.publish(bundle, "\"new\"");
        let refused = service.refused().await;
        assert!(refused.contains(why), "{refused}");
        assert_eq!(service.revision().as_deref(), Some("5"));
        assert_eq!(service.ask().await, StatusCode::OK);
    }
    // What was refused left no trace: the next good one is taken.
    server.publish(pack::signed("6", &pack::open(false), SECRET), "\"new\"");
    assert_eq!(service.refresh().await, OpaBundleRefreshed::Changed);
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
}

/// A service that pulls what an engine in some mood puts in force.
async fn moody(server: &Server) -> (Service, Arc<Moody>) {
    server.publish(pack::signed("5", &pack::open(true), SECRET), "\"five\"");
    let engine = Moody::new();
    let bundle = OpaBundle::without_roots(server.pull(), engine.clone());
    let service = Service::asking(engine.engine.clone(), bundle).await;
    (service.expect("guard"), engine)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_1_a_bundle_is_withdrawn_and_pulled_again_where_putting_it_in_force_panics() {
    let server = Server::start().await;
    let (service, engine) = moody(&server).await;
    let mut feed = feed(service.address, &service.caller).await;
    engine.is(Mood::Panics);
    server.publish(pack::signed("6", &pack::open(true), SECRET), "\"six\"");
    let refused = service.refused().await;
    assert!(refused.contains("broke off"), "{refused}");
    let status = service.guard.opa_bundle_status("authz").expect("status");
    assert!(!status.in_force && status.ends_at.is_none(), "{status:?}");
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
    // Law 8: what runs is judged again, too.
    let cut = tokio::time::timeout(support::PATIENCE, feed.frame()).await;
    assert!(!matches!(cut, Ok(Some(Ok(_))) | Err(_)), "it is cut");

    // By itself, and whole: nothing is there that could be unchanged.
    engine.is(Mood::Takes);
    until("it is taken", || service.revision().as_deref() == Some("6")).await;
    assert_eq!(service.ask().await, StatusCode::OK);
    let asked = server.0.asked();
    let last = asked.last().expect("asked");
    assert!(!last.contains("if-none-match"), "{last}");
    // And it is pulled as before.
    server.publish(pack::signed("7", &pack::open(false), SECRET), "\"seven\"");
    assert_eq!(service.refresh().await, OpaBundleRefreshed::Changed);
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_1_the_bundle_before_is_taken_back_where_the_next_one_panics() {
    let server = Server::start().await;
    let (service, engine) = moody(&server).await;
    engine.is(Mood::Panics);
    server.publish(pack::signed("6", &pack::open(false), SECRET), "\"six\"");
    assert!(service.refused().await.contains("broke off"));
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
    engine.is(Mood::Takes);
    server.publish(pack::signed("5", &pack::open(true), SECRET), "\"five\"");
    until("it is back", || service.revision().as_deref() == Some("5")).await;
    assert_eq!(service.ask().await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_1_nobody_says_that_a_bundle_is_withdrawn_where_that_panics() {
    let server = Server::start().await;
    let (service, engine) = moody(&server).await;
    engine.is(Mood::Breaks);
    server.publish(pack::signed("6", &pack::open(false), SECRET), "\"six\"");
    let refused = service.refused().await;
    for part in ["what is in force is not known", "a bug of its way out"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert_eq!(service.revision(), None, "nobody is to rely on it");
    engine.is(Mood::Takes);
    until("it is taken", || service.revision().as_deref() == Some("6")).await;
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_1_a_bundle_that_is_too_old_is_withdrawn() {
    let server = Server::start().await;
    server.publish(pack::signed("1", &pack::open(true), SECRET), "1");
    // Asked again every second, by itself.
    let second = Duration::from_secs(1);
    let pull = server.pull().delays(second, second);
    let service = Service::start(pull.max_age(Duration::from_secs(600))).await;
    server.reply(Reply::Raw(String::new()));
    let before = server.0.asked().len();
    until("it fails by itself", || server.0.asked().len() > before).await;
    service.pass(500);
    assert_eq!(service.ask().await, StatusCode::OK);
    service.pass(200);
    until("it is withdrawn", || service.revision().is_none()).await;
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
    server.publish(pack::signed("1", &pack::open(true), SECRET), "1");
    until("it is back", || service.revision().is_some()).await;
    assert_eq!(service.ask().await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_a_restart_forgets_no_revision() {
    let state = file("state");
    let server = Server::start().await;
    server.publish(pack::signed("7", &pack::open(true), SECRET), "7");
    let keeps = |bundle: OpaBundle| {
        bundle
            .state_file(&state)
            .first_within(Duration::from_millis(300))
    };
    let service = Service::with(server.pull(), keeps).await.expect("guard");
    server.publish(pack::signed("8", &pack::open(true), SECRET), "8");
    assert_eq!(service.refresh().await, OpaBundleRefreshed::Changed);
    drop(service);

    server.publish(pack::signed("7", &pack::open(true), SECRET), "7");
    let refused = Service::with(server.pull(), keeps).await.err();
    let said = support::chain(&refused.expect("an old bundle"));
    assert!(said.contains("goes back from `8` to `7`"), "{said}");
    server.publish(pack::signed("8", &pack::open(true), SECRET), "8");
    assert!(Service::with(server.pull(), keeps).await.is_ok());

    std::fs::write(&state, "{").expect("write");
    let refused = Service::with(server.pull(), keeps).await.err();
    let said = support::chain(&refused.expect("a broken state"));
    assert!(said.contains("cannot be read"), "{said}");
    std::fs::remove_file(&state).expect("remove");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_a_revision_that_could_not_be_stored_is_stored_with_a_later_answer() {
    let folder = file("unstored");
    std::fs::create_dir(&folder).expect("created");
    let state = folder.join("state.json");
    let server = Server::start().await;
    server.publish(pack::signed("7", &pack::open(true), SECRET), "7");
    let keeps = |bundle: OpaBundle| bundle.state_file(&state);
    let service = Service::with(server.pull(), keeps).await.expect("guard");
    assert!(state.exists());
    std::fs::remove_dir_all(&folder).expect("removed");
    server.publish(pack::signed("8", &pack::open(true), SECRET), "8");
    // The newest, and nothing changes.
    let status = || service.guard.opa_bundle_status("authz").expect("status");
    for came in [OpaBundleRefreshed::Changed, OpaBundleRefreshed::Unchanged] {
        // It says nothing of the pull, which is good.
        assert_eq!(service.refresh().await, came);
        let wrong = status().last_error.unwrap_or_default();
        assert!(wrong.contains("could not be stored"), "{wrong}");
        assert_eq!(service.revision().as_deref(), Some("8"));
    }
    std::fs::create_dir(&folder).expect("created");
    assert_eq!(service.refresh().await, OpaBundleRefreshed::Unchanged);
    assert_eq!(status().last_error, None);
    let stored = std::fs::read_to_string(&state).expect("stored");
    assert!(stored.contains("\"8\""), "{stored}");
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[tokio::test]
async fn names_are_given_once() {
    let server = Server::start().await;
    let engine = Arc::new(Engine::default());
    let mesh = Mesh::new("");
    let bundle = || OpaBundle::without_roots(server.pull(), engine.clone());
    let built = Guard::builder("model-server")
        .policy(policy(8443, engine.clone()))
        .identity(mesh.svid("/model-server"))
        .bundle(mesh.authority.bundle())
        .allow_dev_authority()
        .audit(Arc::new(MemorySink::new(10)))
        .opa_bundle("authz", bundle())
        .opa_bundle("authz", bundle())
        .build()
        .await;
    let said = built.expect_err("twice").to_string();
    assert!(said.contains("two bundles go by this name"), "{said}");
    assert!(server.0.asked().is_empty());
}
