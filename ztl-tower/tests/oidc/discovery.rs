//! Keys that come, grow old and go.

use ztl_tower::authz::jwt::TokenVerifier;
use ztl_tower::{BuildError, KeysRefreshed};

use super::*;
use crate::support::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule63_tokens_are_refused_until_the_keys_are_there() {
    let idp = Idp::start().await;
    let (issuer, stranger) = (idp.issuer(), idp.issuer());
    let service = Service::start(&idp.iss, idp.keys()).await;
    assert_eq!(service.guard.token_keys("corp"), Some(0));
    assert_eq!(service.guard.token_keys("other"), None);
    assert!(service.refused().await.contains("answered 404"));
    assert_eq!(service.ask(&token(&issuer)).await, StatusCode::UNAUTHORIZED);

    idp.publish(&[&issuer]);
    let refreshed = service.guard.refresh_keys("corp").await;
    assert_eq!(refreshed.expect("keys"), KeysRefreshed::Changed);
    assert_eq!(service.guard.token_keys("corp"), Some(1));
    assert_eq!(service.ask(&token(&issuer)).await, StatusCode::OK);
    assert_eq!(
        service.ask(&token(&stranger)).await,
        StatusCode::UNAUTHORIZED
    );
    let refreshed = service.guard.refresh_keys("corp").await;
    assert_eq!(refreshed.expect("keys"), KeysRefreshed::Unchanged);
    assert!(service.guard.refresh_keys("other").await.is_err());

    for head in idp.provider.asked() {
        let mut fields: Vec<_> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        fields.sort();
        assert_eq!(fields, ["accept", "host"], "nothing of us: {head}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_an_unknown_key_is_fetched_behind_the_requests_once_a_cool_down() {
    let idp = Idp::start().await;
    let (old, new) = (idp.issuer(), idp.issuer());
    idp.publish(&[&old]);
    let service = Service::start(&idp.iss, idp.keys()).await;
    until("the first keys", || {
        service.guard.token_keys("corp") == Some(1)
    })
    .await;
    let first = idp.provider.fetches();
    assert_eq!(first, 1);

    // Within the cool-down no token brings a fetch, however many name keys that are not there.
    idp.publish(&[&old, &new]);
    for _ in 0..30 {
        let stranger = idp.issuer();
        assert_eq!(
            service.ask(&token(&stranger)).await,
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(service.ask(&token(&new)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(service.ask(&token(&old)).await, StatusCode::OK);
    assert_eq!(idp.provider.fetches(), first);

    // After it, one does, and the key is there for whoever comes next.
    service.pass(31);
    let stranger = idp.issuer();
    assert_eq!(
        service.ask(&token(&stranger)).await,
        StatusCode::UNAUTHORIZED
    );
    until("the new key", || {
        service.guard.token_keys("corp") == Some(2)
    })
    .await;
    assert_eq!(service.ask(&token(&new)).await, StatusCode::OK);
    assert_eq!(service.ask(&token(&old)).await, StatusCode::OK);
    assert_eq!(idp.provider.fetches(), first + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule63_the_last_good_keys_outlive_the_provider_for_a_stated_time() {
    let idp = Idp::start().await;
    let issuer = idp.issuer();
    idp.publish(&[&issuer]);
    let endpoint = JwksEndpoint::discovery(&idp.iss).expect("endpoint");
    let endpoint = endpoint.max_stale(Duration::from_secs(600));
    let service = Service::start(&idp.iss, idp.keys_from(endpoint)).await;
    service.guard.refresh_keys("corp").await.expect("keys");

    // It dies.
    let gone = Reply::Raw(String::new());
    idp.provider.at("/.well-known/openid-configuration", gone);
    assert!(service.refused().await.contains("broke off"));
    service.pass(500);
    assert_eq!(service.ask(&token(&issuer)).await, StatusCode::OK);
    service.pass(200);
    assert_eq!(service.ask(&token(&issuer)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(service.guard.token_keys("corp"), Some(0));

    idp.metadata(&idp.iss, &format!("{}/keys", idp.iss));
    service.guard.refresh_keys("corp").await.expect("back");
    assert_eq!(service.ask(&token(&issuer)).await, StatusCode::OK);
}

/// A provider without TLS, and the issuer whose keys it serves.
async fn plain() -> (Provider, DevIssuer) {
    let provider = Provider::plain().await;
    let iss = format!("http://{}", provider.address);
    let issuer = DevIssuer::new(&iss).expect("issuer");
    let metadata = json!({ "issuer": iss, "jwks_uri": format!("{iss}/keys") });
    provider.at(
        "/.well-known/openid-configuration",
        Reply::Json(metadata.to_string()),
    );
    provider.at("/keys", Reply::Json(key_set(&[&issuer])));
    (provider, issuer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_at_a_loopback_address_may_be_plain_where_that_was_asked_for() {
    let (_provider, issuer) = plain().await;
    let iss = issuer.iss();
    assert!(JwksEndpoint::discovery(iss).is_err());
    let endpoint = JwksEndpoint::discovery_allow_plain_loopback(iss).expect("endpoint");
    let service = Service::start(iss, FetchedKeys::without_roots(endpoint)).await;
    service.guard.refresh_keys("corp").await.expect("keys");
    assert_eq!(service.ask(&token(&issuer)).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_plain_from_loopback_is_not_plain_from_where_an_address_leads() {
    let (provider, issuer) = plain().await;
    let iss = issuer.iss();
    let endpoint =
        || JwksEndpoint::discovery_allow_plain_loopback(iss).expect("plain from loopback");
    // It leads to the provider, and is no loopback address.
    let anywhere = SocketAddr::from(([0, 0, 0, 0], provider.address.port()));
    let keys = FetchedKeys::without_roots(endpoint()).address(anywhere);
    let service = Service::start(iss, keys).await;
    let refused = service.refused().await;
    assert!(refused.contains("is not proved"), "{refused}");
    assert!(refused.contains("0.0.0.0"), "{refused}");
    assert_eq!(service.guard.token_keys("corp"), Some(0));
    assert_eq!(provider.asked(), [""; 0], "nothing is asked there");

    let keys = FetchedKeys::without_roots(endpoint()).address(provider.address);
    let service = Service::start(iss, keys).await;
    service.guard.refresh_keys("corp").await.expect("keys");
    assert_eq!(service.guard.token_keys("corp"), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetched_issuers_stand_beside_given_ones() {
    let idp = Idp::start().await;
    let (issuer, own) = (
        idp.issuer(),
        DevIssuer::new("https://own.example").expect("issuer"),
    );
    idp.publish(&[&issuer]);
    let keys = Jwks::from_json(own.jwks_json().as_bytes()).expect("keys");
    let given = TokenVerifier::builder()
        .issuer(Issuer::access_tokens(
            "own",
            own.iss(),
            "model-server",
            keys,
        ))
        .build()
        .expect("verifier");
    let fetched = Issuer::access_tokens("corp", &idp.iss, "model-server", Jwks::none());
    let service = Service::with(&idp.iss, |builder| {
        builder
            .token_verifier(given)
            .fetched_issuer(fetched, idp.keys())
    })
    .await;
    service.guard.refresh_keys("corp").await.expect("keys");
    assert_eq!(service.guard.token_keys("own"), Some(1));
    assert_eq!(service.ask(&token(&issuer)).await, StatusCode::OK);
    // Good, and of an issuer that the rule does not name: another token would do.
    assert_eq!(service.ask(&token(&own)).await, StatusCode::UNAUTHORIZED);
    assert!(service.guard.refresh_keys("own").await.is_err());
}

#[tokio::test]
async fn what_does_not_fit_together_is_not_built() {
    let idp = Idp::start().await;
    let refused = |issuers: Vec<Issuer>| {
        let audit = Arc::new(MemorySink::new(10));
        let mesh = Mesh::new(&policy(1, &idp.iss));
        let builder = mesh.builder("model-server", "/model-server", &audit);
        let builder = issuers.into_iter().fold(builder, |builder, issuer| {
            builder.fetched_issuer(issuer, idp.keys())
        });
        async move {
            match builder.build().await {
                Err(error @ BuildError::Tokens(_)) => error.to_string(),
                Err(error) => panic!("{error}"),
                Ok(_) => panic!("built"),
            }
        }
    };
    let named = |name, iss| Issuer::access_tokens(name, iss, "model-server", Jwks::none());
    let other = refused(vec![named("corp", "https://other.example")]).await;
    assert!(other.contains("another `iss`"), "{other}");
    let twice = vec![named("corp", &idp.iss), named("corp", &idp.iss)];
    let twice = refused(twice).await;
    assert!(twice.contains("two issuers are called `corp`"), "{twice}");
}
