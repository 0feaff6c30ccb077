//! The examples of docs/guard-file.md.

use super::*;

const PAGE: &str = include_str!("../../../docs/guard-file.md");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_example_of_the_page_builds_a_guard() {
    let examples: Vec<&str> = PAGE.split("```toml\n").skip(1).collect();
    let whole = examples.get(1).and_then(|rest| rest.split("```").next());
    let whole = whole.expect("a second example");
    let head = r#"
[issuers.corp]
issuer = "https://idp.example"
audience = "model-server"
[issuers.batch]
issuer = "https://batch.example"
audience = "model-server"
[trust]
base = 0
[trust.signals.device]
weight = 50
max_age = "1h"
[trust.signals.calm]
weight = 50
max_age = "1m"
"#;
    let ask = "require = { trust_score = 40, token = { issuer = \"corp\" } }";
    let place = Place::new("whole", head, ask).await;
    let batch = ztl_tower::authz::jwt::DevIssuer::new("https://batch.example").expect("issuer");
    let domain = ztl_core::TrustDomain::parse("partner.example").expect("domain");
    let partner = ztl_mtls::DevCa::new(domain, now()).expect("authority");
    for (name, text) in [
        ("denied.txt", "id spiffe://prod.example/denied\n"),
        ("ca-certificates.pem", place.web.root_pem()),
        ("audit.key", &"0f".repeat(32)),
        ("batch.jwks.json", &batch.jwks_json()),
        ("partner.bundle.pem", partner.bundle_pem()),
        ("mdm.token", "token"),
        ("app.js", "console.log('hello')"),
    ] {
        place.folder.write(name, text);
    }
    let file = place.folder.write("guard.toml", whole);
    let builder = GuardBuilder::from_file(&file).unwrap_or_else(|error| panic!("{error}"));
    let guard = builder.allow_dev_authority().build().await;
    let guard = guard.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(guard.token_keys("batch"), Some(1));
    assert_eq!(guard.token_keys("corp"), Some(0), "nobody was asked yet");
    assert!(guard.browser().is_some());
}
