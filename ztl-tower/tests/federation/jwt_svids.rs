//! JWT-SVIDs of the other trust domain, verified with the keys in its bundle (rule 29).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};
use ztl_core::audit::MemorySink;
use ztl_mtls::DevWebCa;
use ztl_tower::FederatedBundle;
use ztl_tower::authz::jwt::DevIssuer;

use crate::endpoint::{Endpoint, Reply};
use crate::support::{Marker, Mesh, PATIENCE, get1, knock, listener, now, serve, until};
use crate::{HOST, authority, by_web, document, guard};

/// The bundle of an authority, with the key of an issuer for JWT-SVIDs.
fn with_key(bundle: &str, issuer: &DevIssuer) -> String {
    let mut bundle: Value = serde_json::from_str(bundle).expect("json");
    let set: Value = serde_json::from_str(&issuer.jwks_json()).expect("json");
    let mut key = set["keys"][0].clone();
    key["use"] = "jwt-svid".into();
    bundle["keys"].as_array_mut().expect("keys").push(key);
    bundle.to_string()
}

#[tokio::test]
async fn rule_29_jwt_svids_are_verified_with_the_keys_of_the_bundle_in_force() {
    let (partner, web) = (
        authority("partner.example"),
        DevWebCa::new(now()).expect("ca"),
    );
    let (old, new) = (
        DevIssuer::new("-").expect("key"),
        DevIssuer::new("-").expect("key"),
    );
    let endpoint = Endpoint::web(&web, HOST, Reply::Document(document(&partner, 1))).await;
    let guard = guard(
        FederatedBundle::new(by_web(&endpoint, web.root_pem()))
            .address(endpoint.address)
            .fetch_timeout(PATIENCE)
            .jwt_svids("partner", "model-server"),
    )
    .await;
    let refresh = async |bundle: String| {
        endpoint.reply(Reply::Document(bundle));
        guard
            .refresh_bundle("partner.example")
            .await
            .expect("refreshed")
    };
    let _ = guard
        .refresh_bundle("partner.example")
        .await
        .expect("refreshed");
    assert_eq!(
        guard.token_keys("partner"),
        Some(0),
        "a bundle without such keys"
    );
    let _ = refresh(with_key(&document(&partner, 2), &old)).await;
    assert_eq!(guard.token_keys("partner"), Some(1));
    let both = with_key(&with_key(&document(&partner, 3), &old), &new);
    let _ = refresh(both).await;
    assert_eq!(guard.token_keys("partner"), Some(2));
    let _ = refresh(document(&partner, 4)).await;
    assert_eq!(guard.token_keys("partner"), Some(0));
}

#[tokio::test]
async fn rule_29_keys_of_a_bootstrap_bundle_are_there_from_the_start() {
    let (partner, web) = (
        authority("partner.example"),
        DevWebCa::new(now()).expect("ca"),
    );
    let issuer = DevIssuer::new("-").expect("key");
    let endpoint = Endpoint::web(&web, HOST, Reply::Raw(String::new())).await;
    let folder = std::env::temp_dir().join(format!("ztl-jwt-svids-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    let file = folder.join("bundle.json");
    std::fs::write(&file, with_key(&document(&partner, 1), &issuer)).expect("file");
    let federated = FederatedBundle::new(by_web(&endpoint, web.root_pem()))
        .address(endpoint.address)
        .fetch_timeout(Duration::from_secs(1))
        .bootstrap_file(&file)
        .jwt_svids("partner", "model-server");
    let guard = guard(federated).await;
    until("the keys", || guard.token_keys("partner") == Some(1)).await;
    std::fs::remove_dir_all(&folder).expect("removed");
}

/// A JWT-SVID for the asker, good for ten hours.
fn jwt_svid(key: &EcdsaKeyPair) -> String {
    let header = json!({ "alg": "ES256", "kid": "one", "typ": "JWT" });
    let claims = json!({
        "sub": "spiffe://partner.example/asker",
        "aud": "model-server",
        "exp": now().as_unix_secs() + 36_000,
    });
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{claims}");
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(signature.expect("signature"));
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn law_8_keys_of_a_bundle_that_is_too_old_verify_nothing_at_once() {
    let (partner, web) = (
        authority("partner.example"),
        DevWebCa::new(now()).expect("ca"),
    );
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("key");
    let mut bundle: Value = serde_json::from_str(&document(&partner, 1)).expect("json");
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    bundle["keys"].as_array_mut().expect("keys").push(json!({
        "use": "jwt-svid", "kid": "one", "kty": "EC", "crv": "P-256",
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    }));
    let endpoint = Endpoint::web(&web, HOST, Reply::Document(bundle.to_string())).await;
    let from = by_web(&endpoint, web.root_pem()).max_age(Duration::from_secs(600));
    let federated = FederatedBundle::new(from)
        .address(endpoint.address)
        .jwt_svids("partner", "model-server");
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&format!(
        r#"
schema = 1
trust_domain = "prod.example"
[issuers.partner]
issuer = "spiffe://partner.example"
audience = "model-server"
[workloads.router]
id = "spiffe://prod.example/router"
[workloads.model-server]
id = "spiffe://prod.example/model-server"
ports = [{}]
[[permit]]
name = "users-of-the-partner"
from = "router"
to = "model-server"
actions = ["GET /v1/models"]
require = {{ token = {{ issuer = "partner" }} }}
"#,
        address.port()
    ));
    let ahead = Arc::new(AtomicU64::new(0));
    let shift = Arc::clone(&ahead);
    let clock = move || now().saturating_add(Duration::from_secs(shift.load(Ordering::SeqCst)));
    let audit = Arc::new(MemorySink::new(100));
    let guard = mesh
        .builder("model-server", "/model-server", &audit)
        .clock(clock)
        .federated_bundle(federated)
        .build()
        .await
        .expect("guard");
    serve(&guard, listener, Marker::default().app());
    let token = format!("Bearer {}", jwt_svid(&key));
    let router = mesh.svid("/router");
    let ask = || async {
        let request = get1("/v1/models").header("authorization", &token);
        let answered = knock(address, None, Some(&router), b"http/1.1", request).await;
        answered.expect("answered").status()
    };
    let refresh = || guard.refresh_bundle("partner.example");
    refresh().await.expect("taken, by this or the guard itself");
    assert_eq!(ask().await, StatusCode::OK);

    // A bundle that is fetched again and is the same is as new as another.
    ahead.store(500, Ordering::SeqCst);
    refresh().await.expect("fetched");
    ahead.store(1000, Ordering::SeqCst);
    assert_eq!(ask().await, StatusCode::OK);

    // The machine slept: whoever would withdraw it does not know yet.
    endpoint.reply(Reply::Silent);
    ahead.store(1200, Ordering::SeqCst);
    assert_eq!(ask().await, StatusCode::UNAUTHORIZED);
}
