//! `limit`: rule 64.

use ztl_authz::jwt::{DevIssuer, Issuer, Jwks, TokenVerifier};

use super::*;

const SLOW: &str = "[limits.slow]\nrequests = 2\nper = 10\n";

async fn status(run: &Running, who: Who<'_>) -> u16 {
    let asked = run.ask(who, request("POST", &[], Body::empty())).await;
    asked.status().as_u16()
}

#[tokio::test]
async fn rule_64_past_the_limit_is_429_with_what_a_client_needs_and_a_record() {
    let run = Running::new("limit = \"slow\"", SLOW).await;
    let first = run.get().await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(field(&first, "ratelimit-policy"), "\"caller\";q=2;w=10");
    assert_eq!(field(&first, "ratelimit"), "\"caller\";r=1;t=5");
    assert_eq!(run.get().await.status(), StatusCode::OK);
    let refused = run.get().await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(field(&refused, "retry-after"), "5");
    assert_eq!(field(&refused, "ratelimit"), "\"caller\";r=0;t=5");
    assert_eq!(field(&refused, "ratelimit-policy"), "\"caller\";q=2;w=10");
    assert!(
        !format!("{refused:?}").contains("slow"),
        "law 7: no name of the policy"
    );
    let record = record(&run);
    assert_eq!(
        (&record["reason"], &record["rule"]),
        (&"limit_exceeded".into(), &"everybody-posts".into())
    );
    assert_eq!(problem(&refused)["decision"], record["id"]);
    assert_eq!(run.calls(), 2);
    // The guard's clock, and no other.
    run.millis.fetch_add(5_000, Ordering::SeqCst);
    assert_eq!(run.get().await.status(), StatusCode::OK);
    let grpc = [("content-type", "application/grpc")];
    let refused = run.ask(CALLER, request("POST", &grpc, Body::empty())).await;
    assert_eq!(field(&refused, "grpc-status"), "8");
    assert_eq!(field(&refused, "retry-after"), "5");
}

#[tokio::test]
async fn rule_64_each_principal_has_its_own_and_nobody_s_is_shared() {
    let more = format!("{SLOW}[limits.slow.overrides.batch]\nrequests = 3\nper = 10\n");
    let run = Running::new("limit = \"slow\"", &more).await;
    let batch = Who::Peer("spiffe://prod.example/batch");
    assert_eq!(
        [
            status(&run, CALLER).await,
            status(&run, CALLER).await,
            status(&run, CALLER).await
        ],
        [200, 200, 429]
    );
    // T13: another name of the same workload.
    assert_eq!(
        status(&run, Who::Peer("spiffe://old.example/caller")).await,
        429
    );
    for expected in [200, 200, 200, 429] {
        assert_eq!(status(&run, batch).await, expected);
    }
    // Callers without an SVID share one, wherever they come from.
    assert_eq!(status(&run, Who::Public("192.0.2.1")).await, 200);
    assert_eq!(status(&run, Who::Public("198.51.100.1")).await, 200);
    assert_eq!(status(&run, Who::Public("203.0.113.1")).await, 429);
}

#[tokio::test]
async fn rule_64_an_address_is_one_of_ipv4_or_a_64_of_ipv6() {
    let more = "[limits.slow]\nrequests = 1\nper = 10\nby = \"address\"\n";
    let run = Running::new("limit = \"slow\"", more).await;
    assert_eq!(status(&run, Who::Public("192.0.2.1")).await, 200);
    assert_eq!(status(&run, Who::Public("192.0.2.2")).await, 200);
    assert_eq!(status(&run, Who::Public("::ffff:192.0.2.2")).await, 429);
    assert_eq!(status(&run, Who::Public("2001:db8::1")).await, 200);
    assert_eq!(status(&run, Who::Public("2001:db8::ffff:2")).await, 429);
}

#[tokio::test]
async fn a_request_is_counted_once_however_many_layers_ask() {
    let run = Running::new("limit = \"slow\"", SLOW).await;
    let flow = Flow::ingress("gateway", 8443, Arrival::unknown(), None);
    assert!(run.guard.engine().permit_flow(&flow, now()).is_err());
    let peer = vouched("spiffe://prod.example/caller");
    let flow = Flow::ingress("gateway", 8443, Arrival::unknown(), Some(&peer));
    let permit = run.guard.engine().permit_flow(&flow, now()).expect("flow");
    let twice = run
        .guard
        .authorize()
        .layer(run.guard.authorize().layer(run.app()));
    for expected in [200, 200, 429] {
        let mut request = request("GET", &[], Body::empty());
        request.extensions_mut().insert(permit.clone());
        let answered = twice.clone().oneshot(request).await.expect("response");
        assert_eq!(answered.status(), expected);
    }
}

#[tokio::test]
async fn t36_a_shadow_rule_spends_nothing() {
    let text = policy("limit = \"slow\"", SLOW);
    let shadow = "[[permit]]\nmode = \"shadow\"\nfrom = \"any\"\nto = \"gateway\"\nports = 8443\nactions = \"any\"\noblige = { limit = \"slow\" }\n[[permit]]\nname = \"everybody-posts\"";
    let text = text.replacen("[[permit]]\nname = \"everybody-posts\"", shadow, 1);
    let run = Running::with(&text, |builder| builder).await;
    assert_eq!(
        [
            status(&run, CALLER).await,
            status(&run, CALLER).await,
            status(&run, CALLER).await
        ],
        [200, 200, 429]
    );
}

#[tokio::test]
async fn a_reload_gives_nobody_a_new_count_of_the_same_limit() {
    let run = Running::new("limit = \"slow\"", SLOW).await;
    assert_eq!(
        [status(&run, CALLER).await, status(&run, CALLER).await],
        [200, 200]
    );
    let swap = |more: &str| {
        let policy =
            ztl_core::policy::Policy::from_toml(&policy("limit = \"slow\"\nmax_body = 9", more));
        run.guard
            .swap_policy(policy.expect("policy"))
            .expect("swapped");
    };
    swap(SLOW);
    assert_eq!(status(&run, CALLER).await, 429);
    swap("[limits.slow]\nrequests = 3\nper = 10\n");
    assert_eq!(status(&run, CALLER).await, 200);
}

#[tokio::test]
async fn rule_64_subjects_are_told_apart_where_no_rule_asks_for_a_token() {
    const ISSUER: &str = "https://idp.example";
    let more = format!(
        "[limits.slow]\nrequests = 1\nper = 10\nby = \"subject\"\n\
         [issuers.corp]\nissuer = \"{ISSUER}\"\naudience = \"gateway\"\n"
    );
    let text = policy("limit = \"slow\"", &more);
    // Without what reads tokens, all of them would be nobody.
    let mesh = Mesh::new(&text);
    let blind = mesh.builder("gateway", "/gateway", &Arc::new(MemorySink::new(1)));
    let refused = blind.build().await.expect_err("refused").to_string();
    assert!(refused.contains("token_verifier"), "{refused}");
    let issuer = DevIssuer::new(ISSUER).expect("issuer");
    let jwks = Jwks::from_json(issuer.jwks_json().as_bytes()).expect("jwks");
    let tokens = TokenVerifier::builder()
        .issuer(Issuer::access_tokens("corp", ISSUER, "gateway", jwks))
        .build()
        .expect("verifier");
    let run = Running::with(&text, |builder| builder.token_verifier(tokens)).await;
    let exp = now().as_unix_secs() + 600;
    let asks = async |subject: &str| {
        let claims = serde_json::json!({ "sub": subject, "aud": "gateway", "exp": exp });
        let bearer = format!("Bearer {}", issuer.sign(claims).expect("token"));
        let fields = [("authorization", bearer.as_str())];
        let asked = run.ask(CALLER, request("GET", &fields, Body::empty()));
        asked.await.status().as_u16()
    };
    for expected in [200, 429] {
        assert_eq!(asks("alice").await, expected);
        assert_eq!(asks("bob").await, expected);
        // Who has no token is nobody, and shares a count with nobody else but those.
        assert_eq!(status(&run, CALLER).await, expected);
    }
}
