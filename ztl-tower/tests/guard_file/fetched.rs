//! `[[federated]]`, `[[opa_bundles]]`, `[[signals]]` from a URL, and `[behaviour]`.

use serde_json::json;
use ztl_core::TrustDomain;
use ztl_mtls::{DevCa, SpiffeBundle};
use ztl_tower::Refreshed;

use super::*;
use crate::provider::Served;

const SCORED: &str = "require = { trust_score = 70 }";

fn partner() -> DevCa {
    let domain = TrustDomain::parse("partner.example").expect("domain");
    DevCa::new(domain, now()).expect("authority")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_24_the_bundle_of_another_trust_domain_is_fetched_as_the_file_says() {
    let place = Place::new("federated", "", "").await;
    let provider = Provider::web(&place.web, "bundles.partner.example").await;
    let partner = partner();
    let bundle = SpiffeBundle::new(partner.bundle()).with_sequence(7);
    let document = bundle.to_json().expect("document");
    provider.at("/bundle.json", Reply::Json(document));
    let url = format!(
        "https://bundles.partner.example:{}/bundle.json",
        provider.address.port()
    );
    let said = |more: &str| {
        format!("[[federated]]\ntrust_domain = 'partner.example'\nurl = '{url}'\n{more}\n")
    };
    let by_web = format!(
        "profile = 'https_web'\nroots = 'roots.pem'\naddress = '{}'\nfetch_timeout = '5s'\nredirects = false\nmax_age = '1d'\n\
         refresh_shortest = '1m'\nrefresh_longest = '1h'\nstate = 'partner.state'\n\
         jwt_svids = {{ name = 'partner', audience = 'model-server' }}",
        provider.address
    );
    let guard = place.guard("", &said(&by_web)).await;
    assert_eq!(guard.token_keys("partner"), Some(0));
    let refreshed = guard.refresh_bundle("partner.example").await;
    assert!(
        matches!(refreshed, Ok(Refreshed::Changed | Refreshed::Unchanged)),
        "{refreshed:?}"
    );
    let for_ever = by_web.replace("max_age = '1d'", "allow_any_age = true");
    assert_eq!(place.refused("", &said(&for_ever)).await, "built");
    assert!(place.folder.0.join("partner.state").exists());

    // Under `https_spiffe` something has to prove the endpoint for the first time.
    let by_spiffe = "profile = 'https_spiffe'\nendpoint_id = 'spiffe://partner.example/endpoint'";
    let nothing = place.refused("", &said(by_spiffe)).await;
    assert!(nothing.contains("nothing proves"), "{nothing}");
    place.folder.write("partner.pem", partner.bundle_pem());
    let bootstrap = format!("{by_spiffe}\nbootstrap = 'partner.pem'");
    assert_eq!(place.refused("", &said(&bootstrap)).await, "built");
}

/// A policy that comes in bundles, of which this one is served.
async fn served(body: Vec<u8>) -> (Provider, String) {
    let provider = Provider::plain().await;
    provider.at(
        "/authz",
        Reply::Bundle(Served {
            body,
            etag: "1".to_owned(),
            waits: false,
        }),
    );
    let url = format!("http://{}/authz", provider.address);
    (provider, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_is_pulled_is_asked_by_its_name() {
    const POLICY: &str = "package authz\nallow if input.target == \"model-server\"";
    let (_provider, url) = served(pack::rego("1", POLICY)).await;
    let mut place = Place::new("pulled", "", "require = { authorizer = \"models\" }").await;
    let said = |more: &str| {
        format!(
            "[[opa_bundles]]\nname = 'models'\nurl = '{url}'\nengine = 'rego'\nentrypoint = 'authz/allow'\n\
             timeout = '5s'\nfirst_within = '5s'\nfetch_timeout = '5s'\nmin_delay = '1h'\nmax_delay = '1d'\nmax_age = '1d'\n\
             long_polling = '1m'\nrevision_order = 'found'\nstate = 'models.state'\nlimits = {{ files = 16 }}\n{more}\n"
        )
    };
    let service = place.serve("", &said("allow_unsigned = true")).await;
    let status = service.guard.opa_bundle_status("models").expect("status");
    assert!(status.in_force);
    assert_eq!(service.ask("/v1/x", None).await, StatusCode::OK);
    assert!(place.folder.0.join("models.state").exists());

    // Where somebody has to have signed it, nobody is not enough.
    place
        .folder
        .write("secret", &format!("{}\n", "7".repeat(32)));
    let keys = "keys = [{ algorithm = 'HS256', secret_file = 'secret' }]";
    let unsigned = place.refused("", &said(keys)).await;
    assert!(unsigned.contains("sign"), "{unsigned}");
    // And who signed it is known: what is lacking then is a policy.
    let secret = "7".repeat(32);
    let body = pack::signed("2", &json!({}), secret.as_bytes());
    let (_provider, url) = served(body).await;
    let said = format!(
        "[[opa_bundles]]\nname = 'models'\nurl = '{url}'\nengine = 'rego'\nentrypoint = 'a/b'\nfirst_within = '2s'\n{keys}\n"
    );
    let signed = place.refused("", &said).await;
    assert!(signed.contains("has no policy in Rego"), "{signed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_in_a_bundle_on_disk_is_asked_by_its_name() {
    const POLICY: &str = "package authz\nallow if input.target == \"model-server\"";
    let mut place = Place::new("on-disk", "", "require = { authorizer = \"models\" }").await;
    let secret = "7".repeat(32);
    place.folder.write("secret", &secret);
    let bundle = place.folder.0.join("models.tar.gz");
    let put = |bytes: &[u8]| {
        use std::os::unix::fs::PermissionsExt as _;
        let next = bundle.with_extension("next");
        std::fs::write(&next, bytes).expect("written");
        std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o600)).expect("mode");
        std::fs::rename(next, &bundle).expect("renamed");
    };
    let said = |more: &str| {
        format!(
            "[[opa_bundles]]\nname = 'models'\nfile = 'models.tar.gz'\nengine = 'rego'\nentrypoint = 'authz/allow'\n\
             timeout = '5s'\nrevision_order = 'required'\nstate = 'models.state'\n{more}\n"
        )
    };
    let keys = said("keys = [{ algorithm = 'HS256', secret_file = 'secret' }]");
    put(&pack::rego("2", POLICY));
    let unsigned = place.refused("", &keys).await;
    assert!(unsigned.contains("not signed"), "{unsigned}");
    put(&pack::signed("2", &json!({}), secret.as_bytes()));
    let signed = place.refused("", &keys).await;
    assert!(signed.contains("has no policy in Rego"), "{signed}");

    put(&pack::rego("2", POLICY));
    let unsigned = said("allow_unsigned = true");
    let service = place.serve("", &unsigned).await;
    assert_eq!(service.ask("/v1/x", None).await, StatusCode::OK);
    let status = || service.guard.opa_bundle_status("models").expect("status");
    assert_eq!(status().revision.as_deref(), Some("2"));
    assert!(place.folder.0.join("models.state").exists());
    put(&pack::rego("1", "package authz\nallow := false"));
    support::until("it goes back", || status().last_error.is_some()).await;
    assert_eq!(service.ask("/v1/x", None).await, StatusCode::OK);
    put(&pack::rego("3", "package authz\nallow := false"));
    service.comes("/v1/x", None, StatusCode::FORBIDDEN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t4_signals_are_polled_with_the_token_of_a_file() {
    let head = "[trust]\nbase = 0\n[trust.signals.device]\nweight = 100\nmax_age = \"1h\"\n";
    let mut place = Place::new("polled", head, SCORED).await;
    let provider = Provider::web(&place.web, "mdm.example").await;
    let table = json!({ "source": "mdm", "signals": [{
        "name": "device", "peer": "spiffe://prod.example/router", "value": 90,
        "observed_at": now().as_unix_secs(),
    }]});
    provider.at("/signals", Reply::Json(table.to_string()));
    place.folder.write("mdm.token", "very-secret\n");
    let (port, address) = (provider.address.port(), provider.address);
    let said = format!(
        "[[signals]]\nnames = 'device'\nurl = 'https://mdm.example:{port}/signals'\naddress = '{address}'\nfetch_timeout = '5s'\n\
         poll_every = '1s'\nkeep_for = '1h'\nwith_identity = true\nbearer_token_file = 'mdm.token'\n"
    );
    let service = place.serve("web_roots = 'roots.pem'", &said).await;
    service.comes("/v1/x", None, StatusCode::OK).await;
    let head = provider.asked().pop().expect("asked").to_lowercase();
    assert!(head.contains("authorization: bearer very-secret"), "{head}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_a_caller_behaves_is_a_signal() {
    let head = "[trust]\nbase = 0\n[trust.signals.calm]\nweight = 100\nmax_age = \"1m\"\n";
    let open = "\n[[permit]]\nname = \"anybody-begins\"\nfrom = \"router\"\nto = \"model-server\"\nports = PORT\nactions = [\"GET /open\"]\n";
    let mut place = Place::new("behaviour", head, &format!("{SCORED}{open}")).await;
    let none = place.refused("", "").await;
    assert!(none.contains("calm"), "nobody gives it: {none}");
    let said = "[behaviour]\nwindow = '10m'\nusual = 1200\nsignals = { calm = 'calm' }\n";
    let service = place.serve("audit = 'audit.jsonl'", said).await;
    assert_eq!(service.ask("/v1/x", None).await, StatusCode::FORBIDDEN);
    assert_eq!(service.ask("/open", None).await, StatusCode::OK);
    assert_eq!(service.ask("/v1/x", None).await, StatusCode::OK);
    let audit = std::fs::read_to_string(place.folder.0.join("audit.jsonl")).expect("audit");
    assert!(audit.contains("anybody-begins"), "{audit}");
}
