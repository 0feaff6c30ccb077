//! The profile `https_spiffe`: the endpoint is proved by its SPIFFE ID (Federation §5.2.2).

use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use ztl_mtls::{SpiffeBundle, X509Svid};
use ztl_tower::{FederatedBundle, Refreshed};

use crate::endpoint::{Endpoint, Reply, redirect};
use crate::support::{Marker, PATIENCE, get1, knock, listener, serve, until};
use crate::{authority, by_spiffe, document, guard, guard_at, refused, svid, url};

/// A file that goes away again.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("ztl-tower-federation-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        if !text.is_empty() {
            std::fs::write(&path, text).expect("write");
        }
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn asks(to: std::net::SocketAddr, who: &X509Svid) -> Option<StatusCode> {
    let answer = knock(to, None, Some(who), b"http/1.1", get1("/v1/models")).await;
    answer.ok().map(|response| response.status())
}

#[tokio::test]
async fn two_trust_domains_meet_and_a_rotation_of_the_other_reaches_us() {
    let partner = authority("partner.example");
    let endpoint = Endpoint::spiffe(
        &partner,
        "/bundle-endpoint",
        Reply::Document(document(&partner, 1)),
    )
    .await;
    let bootstrap = Scratch::new("meet.json", &document(&partner, 1));
    let federated = FederatedBundle::new(by_spiffe(&endpoint))
        .bootstrap_file(&bootstrap.0)
        .address(endpoint.address);
    let (listener, address) = listener().await;
    let guard = guard_at(address.port(), federated).await;
    let marker = Marker::default();
    serve(&guard, listener, marker.app());

    let asker = svid(&partner, "/asker");
    assert_eq!(asks(address, &asker).await, Some(StatusCode::OK));
    // Rule 20: its authority vouches for nobody of ours, nor ours for anybody of its.
    let forged = svid(&authority("prod.example"), "/model-server");
    assert_eq!(asks(address, &forged).await, None);
    assert_eq!(
        asks(address, &svid(&authority("partner.example"), "/asker")).await,
        None
    );

    // The partner's authority rotates: both keys are published, then the new one alone.
    let next = authority("partner.example");
    let both = ztl_mtls::TrustBundle::from_der(
        partner.trust_domain().clone(),
        [&partner, &next].map(|ca| ca.bundle().certificates()[0].clone()),
    );
    let both = SpiffeBundle::new(both.expect("bundle")).with_sequence(2);
    endpoint.reply(Reply::Document(both.to_json().expect("document")));
    let refreshed = guard.refresh_bundle("partner.example").await;
    assert_eq!(refreshed.expect("refreshed"), Refreshed::Changed);
    let new_asker = svid(&next, "/asker");
    assert_eq!(asks(address, &asker).await, Some(StatusCode::OK));
    assert_eq!(asks(address, &new_asker).await, Some(StatusCode::OK));

    endpoint.reply(Reply::Document(document(&next, 3)));
    let refreshed = guard.refresh_bundle("partner.example").await;
    assert_eq!(refreshed.expect("refreshed"), Refreshed::Changed);
    assert_eq!(asks(address, &asker).await, None, "its authority is gone");
    assert_eq!(asks(address, &new_asker).await, Some(StatusCode::OK));
    // The endpoint still shows the SVID of the old authority: the newest bundle proves it no more (§5.2.2.4).
    assert!(refused(&guard).await.contains("is not proved"));
    assert_eq!(
        asks(address, &new_asker).await,
        Some(StatusCode::OK),
        "the last good one stays"
    );
    assert_eq!(marker.calls(), 5);

    // §5.2.1.3: nothing of ours was sent.
    for head in endpoint.asked() {
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("get /bundle.json http/1.1\r\n"), "{head}");
        for field in ["cookie", "authorization", "proxy"] {
            assert!(!head.contains(field), "{head}");
        }
    }
}

#[tokio::test]
async fn rule_23_what_is_due_is_fetched_without_being_asked_for() {
    let partner = authority("partner.example");
    let endpoint = Endpoint::spiffe(
        &partner,
        "/bundle-endpoint",
        Reply::Document(document(&partner, 1)),
    )
    .await;
    let bootstrap = Scratch::new("due.json", &document(&partner, 1));
    let second = Duration::from_secs(1);
    let federated = FederatedBundle::new(by_spiffe(&endpoint).refresh_between(second, second))
        .bootstrap_file(&bootstrap.0)
        .address(endpoint.address);
    let guard = guard(federated).await;
    until("it is fetched twice", || endpoint.asked().len() >= 2).await;
    // With the guard its tasks end, and the connection of each fetch ended with it.
    drop(guard);
    until("every connection is closed", || endpoint.open() == 0).await;
}

#[tokio::test]
async fn rule_24_the_endpoint_must_be_the_configured_id() {
    let (partner, stranger) = (authority("partner.example"), authority("partner.example"));
    let bootstrap = Scratch::new("id.json", &document(&partner, 1));
    let body = || Reply::Document(document(&stranger, 2));
    let foreign = authority("prod.example");
    for (endpoint, why) in [
        (
            Endpoint::spiffe(&partner, "/another", body()).await,
            "it proved to be `spiffe://partner.example/another`",
        ),
        (
            Endpoint::spiffe(&stranger, "/bundle-endpoint", body()).await,
            "is not proved",
        ),
        (
            Endpoint::spiffe(&foreign, "/bundle-endpoint", body()).await,
            "is not proved",
        ),
    ] {
        let federated = FederatedBundle::new(by_spiffe(&endpoint))
            .bootstrap_file(&bootstrap.0)
            .address(endpoint.address);
        let error = refused(&guard(federated).await).await;
        assert!(error.contains(why), "{error}");
        assert!(endpoint.asked().is_empty(), "nothing was asked of it");
    }
}

#[tokio::test]
async fn rule_24_a_redirect_never_changes_the_identity() {
    let partner = authority("partner.example");
    let honest = Endpoint::spiffe(
        &partner,
        "/bundle-endpoint",
        Reply::Document(document(&partner, 2)),
    )
    .await;
    let other =
        Endpoint::spiffe(&partner, "/another", Reply::Document(document(&partner, 2))).await;
    let first = Endpoint::spiffe(&partner, "/bundle-endpoint", Reply::Silent).await;
    let bootstrap = Scratch::new("redirect.json", &document(&partner, 1));
    let federated = FederatedBundle::new(by_spiffe(&first))
        .bootstrap_file(&bootstrap.0)
        .address(first.address);
    first.reply(redirect(
        302,
        &format!("https://127.0.0.1:{}/moved", other.address.port()),
    ));
    let guard = guard(federated).await;
    let error = refused(&guard).await;
    assert!(
        error.contains("it proved to be `spiffe://partner.example/another`"),
        "{error}"
    );
    assert!(other.asked().is_empty());

    first.reply(redirect(
        308,
        &format!("https://127.0.0.1:{}/moved", honest.address.port()),
    ));
    let refreshed = guard.refresh_bundle("partner.example").await;
    assert_eq!(refreshed.expect("refreshed"), Refreshed::Unchanged);
    assert!(
        honest
            .asked()
            .iter()
            .all(|head| head.starts_with("GET /moved "))
    );
    // The next one begins at the configured URL again, permanent or not.
    let asked = (first.asked().len(), honest.asked().len());
    first.reply(Reply::Document(document(&partner, 3)));
    let refreshed = guard.refresh_bundle("partner.example").await;
    assert_eq!(refreshed.expect("refreshed"), Refreshed::Unchanged);
    assert_eq!(honest.asked().len(), asked.1);
    assert!(first.asked().len() > asked.0);
}

#[tokio::test]
async fn t24_the_state_outlives_the_guard_and_nothing_older_is_taken() {
    let (old, new) = (authority("partner.example"), authority("partner.example"));
    let state = Scratch::new("state.json", "");
    let bootstrap = Scratch::new("state-bootstrap.json", &document(&new, 7));
    let endpoint =
        Endpoint::spiffe(&new, "/bundle-endpoint", Reply::Document(document(&new, 8))).await;
    let federated = || {
        FederatedBundle::new(by_spiffe(&endpoint))
            .bootstrap_file(&bootstrap.0)
            .state_file(&state.0)
            .address(endpoint.address)
    };
    let first = guard(federated()).await;
    let refreshed = first.refresh_bundle("partner.example").await;
    assert_eq!(refreshed.expect("refreshed"), Refreshed::Unchanged);
    drop(first);

    endpoint.reply(Reply::Document(document(&old, 7)));
    let second = guard(federated()).await;
    let error = refused(&second).await;
    assert!(
        error.contains("has the sequence 7, and the one held has 8"),
        "{error}"
    );
    drop(second);

    // A state that cannot be read keeps the guard from starting, with the name of the file.
    std::fs::write(&state.0, "{").expect("write");
    let audit = std::sync::Arc::new(ztl_core::audit::MemorySink::new(10));
    let error = crate::support::Mesh::new(&crate::policy(1))
        .builder("model-server", "/model-server", &audit)
        .federated_bundle(federated())
        .build()
        .await
        .expect_err("refused");
    assert!(error.to_string().contains("state.json"), "{error}");
}

#[tokio::test]
async fn what_could_never_be_proved_or_is_given_twice_is_said_at_the_start() {
    let partner = authority("partner.example");
    let endpoint = Endpoint::spiffe(&partner, "/bundle-endpoint", Reply::Silent).await;
    let audit = std::sync::Arc::new(ztl_core::audit::MemorySink::new(10));
    let mesh = crate::support::Mesh::new(&crate::policy(1));
    let builder = || mesh.builder("model-server", "/model-server", &audit);
    let nothing = builder().federated_bundle(FederatedBundle::new(by_spiffe(&endpoint)));
    let error = nothing.build().await.expect_err("nothing proves it");
    assert!(error.to_string().contains("bootstrap_file"), "{error}");

    let bootstrap = Scratch::new("twice.pem", partner.bundle_pem());
    let federated = || FederatedBundle::new(by_spiffe(&endpoint)).bootstrap_file(&bootstrap.0);
    let twice = builder()
        .bundle(partner.bundle())
        .federated_bundle(federated());
    let error = twice.build().await.expect_err("two bundles of one domain");
    assert!(
        error
            .to_string()
            .contains("two bundles for the trust domain `partner.example`"),
        "{error}"
    );
    let twice = builder()
        .federated_bundle(federated())
        .federated_bundle(federated());
    assert!(twice.build().await.is_err());
    let error = builder()
        .build()
        .await
        .expect("a guard")
        .refresh_bundle("partner.example")
        .await;
    assert!(
        error
            .expect_err("none")
            .to_string()
            .contains("is not fetched")
    );
}

#[tokio::test]
async fn an_endpoint_of_another_domain_is_proved_by_that_domains_bundle() {
    let (partner, host) = (authority("partner.example"), authority("host.example"));
    let endpoint =
        Endpoint::spiffe(&host, "/bundles", Reply::Document(document(&partner, 1))).await;
    let federated = |id: &str| {
        let url = url(&endpoint, "/partner.json");
        let made = ztl_mtls::source::BundleEndpoint::https_spiffe("partner.example", &url, id);
        FederatedBundle::new(made.expect("endpoint")).address(endpoint.address)
    };
    let audit = std::sync::Arc::new(ztl_core::audit::MemorySink::new(10));
    let mesh = crate::support::Mesh::new(&crate::policy(1));
    let builder = || mesh.builder("model-server", "/model-server", &audit);
    let unknown = builder().federated_bundle(federated("spiffe://host.example/bundles"));
    assert!(unknown.build().await.is_err(), "no bundle of host.example");
    let known = builder()
        .bundle(host.bundle())
        .federated_bundle(federated("spiffe://host.example/bundles"));
    let guard = known.build().await.expect("guard");
    let refreshed = guard.refresh_bundle("partner.example").await;
    assert!(refreshed.is_ok(), "{refreshed:?}");
}

/// Asks again until the answer is this one, in bounded time.
async fn comes_to(to: std::net::SocketAddr, who: &X509Svid, answer: Option<StatusCode>) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while asks(to, who).await != answer {
        assert!(tokio::time::Instant::now() < deadline, "never {answer:?}");
    }
}

#[tokio::test]
async fn past_its_age_a_bundle_proves_nobody_until_the_next_good_one() {
    let partner = authority("partner.example");
    let broken = Reply::Document("{}".to_owned());
    let endpoint = Endpoint::spiffe(&partner, "/bundle-endpoint", broken).await;
    let bootstrap = Scratch::new("age.json", &document(&partner, 1));
    let second = Duration::from_secs(1);
    let source = by_spiffe(&endpoint)
        .refresh_between(second, second)
        .max_age(second * 2);
    let federated = FederatedBundle::new(source)
        .bootstrap_file(&bootstrap.0)
        .address(endpoint.address);
    let (listener, address) = listener().await;
    let guard = guard_at(address.port(), federated).await;
    serve(&guard, listener, Marker::default().app());
    let asker = svid(&partner, "/asker");
    assert_eq!(asks(address, &asker).await, Some(StatusCode::OK));
    comes_to(address, &asker, None).await;
    // What proves the endpoint is kept, so that it can come back (§5.2.2.4).
    endpoint.reply(Reply::Document(document(&partner, 1)));
    comes_to(address, &asker, Some(StatusCode::OK)).await;
}

#[tokio::test]
async fn rule_27_a_bundle_file_that_changes_leaves_the_federated_ones_alone() {
    let partner = authority("partner.example");
    let endpoint = Endpoint::spiffe(
        &partner,
        "/bundle-endpoint",
        Reply::Document(document(&partner, 1)),
    )
    .await;
    let bootstrap = Scratch::new("file-bootstrap.json", &document(&partner, 1));
    let (ours, next) = (authority("prod.example"), authority("prod.example"));
    let file = Scratch::new("file.pem", ours.bundle_pem());
    let (listener, address) = listener().await;
    let text = crate::policy(address.port()).replace(
        r#"from = "spiffe://partner.example/asker""#,
        r#"from = ["spiffe://partner.example/asker", "spiffe://prod.example/asker"]"#,
    );
    let guard = ztl_tower::Guard::builder("model-server")
        .policy(ztl_core::policy::Policy::from_toml(&text).expect("policy"))
        .identity(svid(&ours, "/model-server"))
        .bundle_file("prod.example", &file.0)
        .allow_dev_authority()
        .audit(std::sync::Arc::new(ztl_core::audit::MemorySink::new(100)))
        .reload_every(Duration::from_millis(20))
        .federated_bundle(
            FederatedBundle::new(by_spiffe(&endpoint))
                .bootstrap_file(&bootstrap.0)
                .address(endpoint.address),
        )
        .build()
        .await
        .expect("guard");
    serve(&guard, listener, Marker::default().app());
    let (theirs, mine) = (svid(&partner, "/asker"), svid(&next, "/asker"));
    assert_eq!(asks(address, &theirs).await, Some(StatusCode::OK));
    assert_eq!(asks(address, &mine).await, None);
    std::fs::write(
        &file.0,
        format!("{}{}", ours.bundle_pem(), next.bundle_pem()),
    )
    .expect("write");
    comes_to(address, &mine, Some(StatusCode::OK)).await;
    assert_eq!(asks(address, &theirs).await, Some(StatusCode::OK));
}
