//! What the event of a denial says of why, and what it never says.

use serde_json::json;
use ztl_authz::jwt::{DevIssuer, Issuer, Jwks, TokenVerifier};

use super::*;
use crate::support::heard::hear;

const ISS: &str = "https://idp.example";

/// A service that asks for a token on `/user`.
async fn asking(issuer: &DevIssuer) -> Watched {
    let (listener, address) = listener().await;
    let text = policy(address.port()).replace(
        "[[forbid]]",
        &format!(
            "[[permit]]\nname = \"users\"\nfrom = \"caller\"\nto = \"watched\"\nactions = [\"GET /user\"]\n\
             require = {{ token = {{ issuer = \"corp\" }} }}\n\
             [issuers.corp]\nissuer = \"{ISS}\"\naudience = \"watched\"\n[[forbid]]"
        ),
    );
    let keys = Jwks::from_json(issuer.jwks_json().as_bytes()).expect("keys");
    let tokens = TokenVerifier::builder()
        .issuer(Issuer::access_tokens("corp", ISS, "watched", keys))
        .build();
    let mesh = Mesh::new(&text);
    let audit = Arc::new(MemorySink::new(100));
    let guard = mesh.builder("watched", "/watched", &audit);
    // So that no budget fills up meanwhile.
    let at = support::now();
    let guard = guard
        .token_verifier(tokens.expect("verifier"))
        .max_bad_tokens(3, 1)
        .clock(move || at)
        .build();
    let guard = guard.await.expect("guard");
    support::serve(&guard, listener, app(Arc::default()));
    Watched {
        mesh,
        address,
        guard,
    }
}

/// Whoever has to mend it reads what it was, and nobody reads a token, a host or a path there.
#[tokio::test]
async fn law_7_the_event_of_a_denial_says_what_was_wrong_and_nothing_of_the_callers() {
    // Whether anybody listens is remembered for all threads at once.
    let _alone = MEASURED.write().await;
    let spans = Spans::default();
    let _hears = hear(spans.clone());
    let (issuer, stranger) = (DevIssuer::new(ISS), DevIssuer::new(ISS));
    let (issuer, stranger) = (issuer.expect("issuer"), stranger.expect("issuer"));
    let watched = asking(&issuer).await;
    let token = |issuer: &DevIssuer, audience: &str, lasts: i64| {
        let now = i64::try_from(support::now().as_unix_secs()).expect("a time");
        let claims = json!({ "sub": "hidden-sub", "aud": audience, "exp": now + lasts });
        issuer.sign(claims).expect("token")
    };
    let tokens = [
        token(&issuer, "watched", -1),
        token(&issuer, "hidden-audience", 600),
        token(&stranger, "watched", 600),
        token(&issuer, "watched", -2),
    ];
    let with = |token: &String| get1("/user").header("authorization", format!("Bearer {token}"));
    for (request, status, wanted) in [
        (with(&tokens[0]), 401, Some("(token_expired)")),
        (with(&tokens[1]), 401, Some("(token_wrong_audience)")),
        (with(&tokens[2]), 401, Some("(token_key_unknown)")),
        (with(&tokens[3]), 429, Some("too many bad tokens")),
        (
            get1("/user?access_token=hidden-token"),
            401,
            Some("(token_in_query)"),
        ),
        (
            get1("/user").header("authorization", "Bearer hidden login"),
            401,
            Some("(authorization_malformed)"),
        ),
        (get1("/hidden-path//x"), 400, Some("empty segment")),
        (
            get1("/open").header("x-http-method-override", "hidden-method"),
            400,
            Some("asks for another method"),
        ),
        // Another scheme is no token.
        (
            get1("/user").header("authorization", "Basic hidden-login"),
            401,
            None,
        ),
        // There is no more to say than the reason.
        (get1("/hidden-path"), 403, None),
    ] {
        let answer = watched.ask("/caller", request).await.expect("an answer");
        assert!(answer.starts_with(&status.to_string()), "{answer}");
        let denied = spans.all("request denied");
        let said = denied.last().expect("an event");
        let detail = said.split_once("ztl.detail=").map(|(_, detail)| detail);
        match wanted {
            Some(wanted) => assert!(detail.is_some_and(|it| it.contains(wanted)), "{said}"),
            None => assert_eq!(detail, None, "{said}"),
        }
    }
    let heard = spans.text();
    assert!(!heard.contains("hidden"), "{heard}");
    for token in &tokens {
        let mut parts = token.split('.');
        assert!(parts.all(|part| !heard.contains(part)), "{heard}");
    }
}
