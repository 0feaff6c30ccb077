//! `[[issuers]]`

use serde_json::{Value, json};
use ztl_core::policy::Policy;
use ztl_mtls::SpiffeBundle;
use ztl_tower::authz::jwt::DevIssuer;
use ztl_tower::{KeysRefreshed, PolicySwapError};

use super::*;

const ISS: &str = "https://idp.example";

fn issuers(iss: &str) -> String {
    format!("[issuers.corp]\nissuer = \"{iss}\"\naudience = \"model-server\"\n")
}

const ASKS_FOR_ONE: &str = "require = { token = { issuer = \"corp\", scopes = [\"infer\"] } }";

fn token(issuer: &DevIssuer, audience: &str) -> String {
    let exp = now().as_unix_secs() + 600;
    let claims = json!({ "sub": "alice", "aud": audience, "scope": "infer", "exp": exp });
    issuer.sign(claims).expect("token")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_a_file_are_in_force_and_another_file_is_taken_while_it_runs() {
    let mut place = Place::new("keys", &issuers(ISS), ASKS_FOR_ONE).await;
    let (old, new) = (
        DevIssuer::new(ISS).expect("issuer"),
        DevIssuer::new(ISS).expect("issuer"),
    );
    let said = "[[issuers]]\nname = 'corp'\nissuer = 'https://idp.example'\naudience = 'model-server'\n\
                leeway = '1m'\njwks_file = 'keys.json'\n[limits]\nremembered_tokens = 0\n";
    let missing = place.refused("", said).await;
    assert!(
        missing.contains("keys.json` could not be read"),
        "{missing}"
    );
    let path = place.folder.write("keys.json", "{}");
    let empty = place.refused("", said).await;
    assert!(empty.contains("keys.json`"), "{empty}");
    place.folder.write("keys.json", &old.jwks_json());
    // Whoever may write it is the issuer.
    #[cfg(unix)]
    {
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o664))
            .expect("mode");
        let writable = place.refused("", said).await;
        assert!(writable.contains("chmod go-w"), "{writable}");
        place.folder.write("keys.json", &old.jwks_json());
    }
    let service = place.serve("", said).await;
    let ask = async |issuer: &DevIssuer, audience: &str| {
        let token = token(issuer, audience);
        service.ask("/v1/x", Some(&token)).await
    };
    assert_eq!(service.guard.token_keys("corp"), Some(1));
    assert_eq!(ask(&old, "model-server").await, StatusCode::OK);
    assert_eq!(ask(&old, "other").await, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&new, "model-server").await, StatusCode::UNAUTHORIZED);
    assert_eq!(service.ask("/v1/x", None).await, StatusCode::UNAUTHORIZED);

    place.folder.write("keys.json", &new.jwks_json());
    let good = token(&new, "model-server");
    service.comes("/v1/x", Some(&good), StatusCode::OK).await;
    assert_eq!(ask(&old, "model-server").await, StatusCode::UNAUTHORIZED);
    // What is broken takes nothing back.
    place.folder.write("keys.json", "{");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(ask(&new, "model-server").await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_fetched_by_discovery_or_from_a_url_from_a_host_that_is_proved() {
    let web = DevWebCa::new(now()).expect("authority");
    let provider = Provider::web(&web, "idp.example").await;
    let iss = format!("https://idp.example:{}", provider.address.port());
    let issuer = DevIssuer::new(&iss).expect("issuer");
    let metadata = json!({ "issuer": iss, "jwks_uri": format!("{iss}/keys") });
    let reply = Reply::Json(metadata.to_string());
    provider.at("/.well-known/openid-configuration", reply);
    provider.at("/keys", Reply::Json(issuer.jwks_json()));
    let said = |keys: &str| {
        let address = provider.address;
        format!(
            "[[issuers]]\nname = 'corp'\nissuer = '{iss}'\naudience = ['b', 'model-server']\ntyp = 'at+jwt'\n\
             address = '{address}'\nfetch_timeout = '5s'\nrefresh_every = '1h'\ncool_down = '1s'\nmax_stale = '2h'\n{keys}\n"
        )
    };
    for (name, above, keys) in [
        (
            "found",
            "",
            "discovery = true\nroots = 'web.pem'".to_owned(),
        ),
        (
            "all",
            "web_roots = 'web.pem'",
            "discovery = true".to_owned(),
        ),
        (
            "url",
            "",
            format!("jwks_url = '{iss}/keys'\nroots = 'web.pem'"),
        ),
    ] {
        // Where the policy says no audience it may be several.
        let head = format!("[issuers.corp]\nissuer = \"{iss}\"\n");
        let mut place = Place::new(name, &head, ASKS_FOR_ONE).await;
        place.folder.write("web.pem", web.root_pem());
        let service = place.serve(above, &said(&keys)).await;
        // It was fetched by itself, or is now.
        let refreshed = service.guard.refresh_keys("corp").await;
        assert!(refreshed.is_ok(), "{refreshed:?}");
        let token = token(&issuer, "model-server");
        assert_eq!(service.ask("/v1/x", Some(&token)).await, StatusCode::OK);
        // Another authority proves nothing.
        let place = Place::new(&format!("{name}-other"), &head, ASKS_FOR_ONE).await;
        place.folder.write("web.pem", place.web.root_pem());
        let guard = place.guard(above, &said(&keys)).await;
        let refused = guard.refresh_keys("corp").await.map(|_: KeysRefreshed| ());
        let refused = support::chain(&refused.expect_err("unproved"));
        assert!(refused.contains("is not proved"), "{refused}");
    }
}

#[tokio::test]
async fn t16_what_the_file_and_the_policy_say_of_an_issuer_is_the_same_or_nothing_is_in_force() {
    let place = Place::new("words", &issuers(ISS), ASKS_FOR_ONE).await;
    let keys = DevIssuer::new(ISS).expect("issuer").jwks_json();
    place.folder.write("keys.json", &keys);
    let said = |iss: &str, audience: &str| {
        format!(
            "[[issuers]]\nname = 'corp'\nissuer = '{iss}'\naudience = {audience}\njwks_file = 'keys.json'\n"
        )
    };
    for (iss, audience, wanted) in [
        (ISS, "'internal'", "takes its tokens for `internal`"),
        (ISS, "['model-server', 'b']", "takes its tokens for `b`"),
        (
            "https://other.example",
            "'model-server'",
            "verifies tokens of `https://other.example` under that name",
        ),
    ] {
        let refused = place.refused("", &said(iss, audience)).await;
        assert!(refused.contains(wanted), "{refused}");
    }
    let guard = place.guard("", &said(ISS, "'model-server'")).await;
    let revision = guard.engine().policy().revision();
    let swapped = |policy: &str| guard.swap_policy(Policy::from_toml(policy).expect("policy"));
    let other = (place.mesh.policy).replace("audience = \"model-server\"", "audience = \"api\"");
    let error = swapped(&other).expect_err("another audience");
    assert!(matches!(error, PolicySwapError::Issuer(_)), "{error}");
    assert_eq!(guard.engine().policy().revision(), revision);
    let silent = (place.mesh.policy).replace("audience = \"model-server\"\n", "");
    swapped(&silent).expect("what the guard says alone");
    assert_ne!(guard.engine().policy().revision(), revision);
}

#[tokio::test]
async fn jwt_svids_are_taken_by_the_keys_in_a_bundle() {
    let place = Place::new("svids", "", "").await;
    let issuer = DevIssuer::new("-").expect("key");
    let bundle = SpiffeBundle::new(place.mesh.authority.bundle());
    let mut bundle: Value =
        serde_json::from_str(&bundle.to_json().expect("document")).expect("json");
    let set: Value = serde_json::from_str(&issuer.jwks_json()).expect("json");
    let mut key = set["keys"][0].clone();
    key["use"] = "jwt-svid".into();
    bundle["keys"].as_array_mut().expect("keys").push(key);
    place.folder.write("mesh.json", &bundle.to_string());
    let said = "[[issuers]]\nname = 'mesh'\nissuer = 'spiffe://prod.example'\naudience = 'a'\ntokens = 'svid'\njwks_file = 'mesh.json'\n";
    let guard = place.guard("", said).await;
    assert_eq!(guard.token_keys("mesh"), Some(1));
}
