//! JWT-SVIDs of the other trust domain, verified with the keys in its bundle (rule 29).

use std::time::Duration;

use serde_json::Value;
use ztl_mtls::DevWebCa;
use ztl_tower::FederatedBundle;
use ztl_tower::authz::jwt::DevIssuer;

use crate::endpoint::{Endpoint, Reply};
use crate::support::{PATIENCE, now, until};
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
