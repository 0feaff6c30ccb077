//! Policies that come from memory: all that one in a file may ask for, they may.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::routing::{get, post};
use ztl_core::authorizer::{Authorizer, AuthorizerError, Facts, Reads};
use ztl_core::policy::Format;
use ztl_tower::{authz::artefacts::Artefacts, test};

use super::*;

const WORKLOADS: &str = r#"
schema = 1
trust_domain = "prod.example"
[workloads]
cart = { id = "spiffe://prod.example/cart" }
shop = { id = "spiffe://prod.example/shop", ports = 8443 }
"#;

/// Of an id alone, and by whatever `more` asks.
fn items(id: &str, more: &str) -> String {
    format!(
        "{WORKLOADS}\n[[permit]]\nfrom = 'cart'\nto = 'shop'\nactions = ['GET,POST /v1/items/{{id}}']\n\
         require.when = \"params.id == '{id}'\"\n{more}"
    )
}

/// Objects where it is told to.
#[derive(Debug, Default)]
struct Objects(std::sync::atomic::AtomicBool);

impl Authorizer for Objects {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn objects(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        Ok(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

async fn status(guard: &Guard, request: Request<Body>) -> u16 {
    let app = Router::new().route(
        "/v1/items/{id}",
        get(async || "").post(async |_: String| ""),
    );
    let app = app.route("/none", post(async || ""));
    let cart = test::peer("spiffe://prod.example/cart");
    let answer = test::handshake(guard, cart).layer(app).oneshot(request);
    answer.await.expect("answer").status().as_u16()
}

async fn gets(guard: &Guard, id: &str) -> u16 {
    let request = Request::get(format!("/v1/items/{id}"));
    status(guard, request.body(Body::empty()).expect("request")).await
}

#[tokio::test]
async fn a_policy_that_is_pushed_has_conditions_and_the_guard_s_authorizers() {
    let objects = Arc::new(Objects::default());
    let builder = test::builder("shop", WORKLOADS)
        .policy_text(&items("7", ""), Format::Toml)
        .authorizer("mood", objects.clone());
    let guard = builder.build().await.expect("a guard");
    assert_eq!(
        (gets(&guard, "7").await, gets(&guard, "8").await),
        (200, 403)
    );

    let asks = "require.authorizer = 'mood'\n";
    let next = guard.load_policy(&items("8", asks), Format::Toml);
    assert_eq!(gets(&guard, "8").await, 403, "it is loaded, and no more");
    let next = next.unwrap_or_else(|error| panic!("{error}"));
    guard.swap_policy(next).expect("in force");
    assert_eq!(
        (gets(&guard, "7").await, gets(&guard, "8").await),
        (403, 200)
    );
    objects.0.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(gets(&guard, "8").await, 403, "the authorizer objects");

    // What does not load changes nothing.
    let wrong = guard.load_policy(&items("9", "").replace("params", "parms"), Format::Toml);
    assert!(wrong.expect_err("refused").to_string().contains("parms"));
    let unknown = items("9", "require.authorizer = 'nobody'\n");
    assert!(guard.load_policy(&unknown, Format::Toml).is_err());
    assert!(
        ztl_tower::loader()
            .load(&items("9", asks), Format::Toml)
            .is_err()
    );
}

#[tokio::test]
async fn a_policy_that_is_pushed_brings_its_rego_and_its_schemas_along() {
    let text = items(
        "7",
        "require.authorizer = 'acl'\noblige.schema = 'item.json'\n\
         [authorizers.acl]\nkind = 'rego'\npolicy = 'acl.rego'\nentrypoint = 'acl/allow'\n",
    );
    let files = |rule: &str| -> Arc<dyn Artefacts> {
        let rego = format!("package acl\nallow if {{ {rule} }}\n");
        Arc::new(BTreeMap::from([
            ("acl.rego".to_owned(), rego.into_bytes()),
            ("item.json".to_owned(), br#"{ "type": "object" }"#.to_vec()),
        ]))
    };
    let builder =
        test::builder("shop", WORKLOADS).policy_text_with(&text, Format::Toml, files("true"));
    let guard = builder.build().await.expect("a guard");
    let posts = async |body: &'static str| {
        let request = Request::post("/v1/items/7").header("content-type", "application/json");
        status(&guard, request.body(Body::from(body)).expect("request")).await
    };
    assert_eq!((posts("{}").await, posts("[]").await), (200, 422));
    let next = guard.load_policy_with(&text, Format::Toml, files("false"));
    let next = next.unwrap_or_else(|error| panic!("{error}"));
    guard.swap_policy(next).expect("in force");
    assert_eq!(posts("{}").await, 403);
    // A document from memory has no folder: its files are given, or it is refused.
    let error = guard.load_policy(&text, Format::Toml).expect_err("refused");
    assert!(error.to_string().contains("is not given"), "{error}");
    assert!(
        test::builder("shop", WORKLOADS)
            .policy_text(&text, Format::Toml)
            .build()
            .await
            .is_err()
    );
}
