//! The protocol over a real socket.

use ztl_mtls::DevWebCa;
use ztl_mtls::source::WebRoots;

use super::*;
use crate::support::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_is_in_force_before_the_guard_is_there_and_the_next_one_after_it() {
    let server = Server::start().await;
    server.publish(pack::signed("1", &pack::open(true), SECRET), "\"one\"");
    let pull = server.pull().bearer_token("a-token").expect("token");
    let service = Service::start(pull).await;
    assert_eq!(service.revision().as_deref(), Some("1"));
    assert_eq!(service.ask().await, StatusCode::OK);

    assert_eq!(service.refresh().await, OpaBundleRefreshed::Unchanged);
    assert_eq!(service.engine.taken(), 1);
    server.publish(pack::signed("2", &pack::open(false), SECRET), "\"two\"");
    assert_eq!(service.refresh().await, OpaBundleRefreshed::Changed);
    assert_eq!(service.revision().as_deref(), Some("2"));
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);

    let asked = server.0.asked();
    let held: Vec<_> = asked
        .iter()
        .map(|head| {
            head.lines()
                .find_map(|line| line.strip_prefix("if-none-match: "))
        })
        .collect();
    assert_eq!(held, [None, Some("\"one\""), Some("\"one\"")]);
    for head in &asked {
        let mut fields: Vec<_> = head
            .lines()
            .skip(1)
            .filter_map(|line| Some(line.split_once(':')?.0))
            .filter(|name| *name != "if-none-match")
            .collect();
        fields.sort_unstable();
        assert_eq!(fields, ["accept", "authorization", "host", "prefer"]);
        assert!(head.contains("authorization: Bearer a-token\r\n"));
        assert!(head.contains("prefer: modes=snapshot\r\n"));
    }
    let status = service.guard.opa_bundle_status("authz").expect("status");
    assert!(status.fetched_at.is_some() && status.ends_at > status.fetched_at);
    assert_eq!(status.last_error, None);
    assert_eq!(service.guard.opa_bundle_status("other"), None);
    assert!(service.guard.refresh_opa_bundle("other").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_of_a_long_poll_are_in_force_at_once() {
    let server = Server::start().await;
    let publish = |revision: &str, open| {
        server.reply(Reply::Bundle(Served {
            body: pack::signed(revision, &pack::open(open), SECRET),
            etag: format!("\"{revision}\""),
            waits: true,
        }));
    };
    publish("1", true);
    let pull = server.pull().long_polling(Duration::from_secs(60));
    let service = Service::start(pull).await;
    assert_eq!(service.ask().await, StatusCode::OK);
    until("a request waits for news", || {
        let asked = server.0.asked();
        asked.last().is_some_and(|head| head.contains("wait=60"))
    })
    .await;
    publish("2", false);
    until("it is in force", || {
        service.revision().as_deref() == Some("2")
    })
    .await;
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
    assert_eq!(service.engine.taken(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_1_a_server_that_says_nothing_keeps_nothing_in_force() {
    let server = Server::start().await;
    server.reply(Reply::Bundle(Served {
        body: pack::signed("1", &pack::open(true), SECRET),
        etag: "\"1\"".to_owned(),
        waits: true,
    }));
    let pull = server.pull().long_polling(Duration::from_secs(600));
    let service = Service::start(pull.max_age(Duration::from_secs(2))).await;
    assert_eq!(service.ask().await, StatusCode::OK);
    // The request waits for ten minutes; what it holds counts for two seconds.
    until("it is withdrawn", || service.revision().is_none()).await;
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_https_server_proves_itself() {
    let web = DevWebCa::new(now()).expect("authority");
    let provider = Provider::web(&web, "bundles.example").await;
    let body = pack::unsigned("1", &pack::open(true));
    let served = Served {
        body,
        etag: "one".to_owned(),
        waits: false,
    };
    provider.at(PATH, Reply::Bundle(served));
    let url = format!("https://bundles.example:{}{PATH}", provider.address.port());
    let pull = || BundlePull::new(&url, BundleReader::unsigned()).expect("pull");
    let build = async |roots: &DevWebCa| {
        let roots = WebRoots::from_pem(roots.root_pem().as_bytes()).expect("roots");
        let engine = Arc::new(Engine::default());
        let mesh = Mesh::new("");
        let bundle = OpaBundle::new(pull(), roots, engine.clone())
            .address(provider.address)
            .first_within(Duration::from_millis(300));
        let built = Guard::builder("model-server")
            .policy(policy(8443, engine.clone()))
            .identity(mesh.svid("/model-server"))
            .bundle(mesh.authority.bundle())
            .allow_dev_authority()
            .audit(Arc::new(MemorySink::new(10)))
            .opa_bundle("authz", bundle)
            .build()
            .await;
        built.map(|_| ()).map_err(|error| support::chain(&error))
    };
    assert_eq!(build(&web).await, Ok(()));
    let asked = provider.asked().len();
    let other = DevWebCa::new(now()).expect("authority");
    let refused = build(&other).await.expect_err("another authority");
    assert!(refused.contains("is not proved"), "{refused}");
    assert_eq!(provider.asked().len(), asked, "nothing was asked");
}
