//! Tables of postures: whom they speak of, what is read and what is refused.

use serde_json::{Value, json};
use ztl_authz::trust::{
    MAX_TABLE_BYTES, PostureError, PostureSource, PostureTable, SharedPostures, Whom,
};
use ztl_core::{Claims, Timestamp};

use super::{NOW, id};

fn entry(peer: &str) -> Value {
    json!({
        "peer": peer, "attributes": { "encrypted": true },
        "observed_at": NOW.as_unix_secs(), "expires_at": NOW.as_unix_secs() + 60,
    })
}

fn user(issuer: &str, subject: &str) -> Value {
    let mut entry = entry("");
    entry.as_object_mut().expect("object").remove("peer");
    entry["issuer"] = issuer.into();
    entry["subject"] = subject.into();
    entry
}

fn table(of: &str, postures: Value) -> Result<PostureTable, PostureError> {
    let table = json!({ "of": of, "postures": postures }).to_string();
    PostureTable::from_json(table.as_bytes())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test vouches for its own claims"
)]
fn claims(issuer: &str, subject: &str) -> Claims {
    let claims = json!({ "iss": issuer, "sub": subject });
    let claims = claims.as_object().expect("object").clone();
    Claims::assertion(claims, Timestamp::MAX, "test")
}

const CLIENT: &str = "spiffe://prod.example/client";

#[test]
fn rule_57_a_table_follows_only_where_no_posture_goes_back() {
    let seen = |seconds: i64, whom: &[&str]| {
        let at = NOW.as_unix_secs().saturating_add_signed(seconds);
        let entries = whom.iter().map(|peer| {
            let mut entry = entry(peer);
            (entry["observed_at"], entry["expires_at"]) = (at.into(), (at + 600).into());
            entry
        });
        table("peer", entries.collect()).expect("table")
    };
    let other = "spiffe://prod.example/other";
    let held = SharedPostures::new();
    let follow = |table| held.follow(table, NOW);
    let since = || {
        let known = held.posture(Whom::peer(&id("/client")), NOW);
        known.map(|it| it.observed_at())
    };
    assert_eq!(follow(seen(-60, &[CLIENT])), Ok(()));
    assert_eq!(follow(seen(-60, &[CLIENT])), Ok(()), "it says the same");
    let generation = held.generation();
    let back = Err(PostureError::GoesBack);
    assert_eq!(follow(seen(-61, &[other, CLIENT])), back);
    assert_eq!(held.generation(), generation, "what is held stays");
    assert_eq!(
        since(),
        Some(Timestamp::from_unix_secs(NOW.as_unix_secs() - 60))
    );
    // Another device has times of its own, and so has a user.
    let of_user = table("subject", json!([user("https://a.example", CLIENT)]));
    assert_eq!(follow(seen(-90, &[other])), Ok(()));
    assert_eq!(follow(of_user.expect("table")), Ok(()));
    assert_eq!(since(), None);
    // T23: what was observed in the future is not believed, so that it holds nothing up.
    assert_eq!(follow(seen(61, &[CLIENT])), Ok(()));
    assert_eq!(follow(seen(0, &[CLIENT])), Ok(()));
    assert_eq!(follow(seen(60, &[CLIENT])), Ok(()));
    assert_eq!(follow(seen(0, &[CLIENT])), Err(PostureError::GoesBack));
}

#[test]
fn t7_who_is_not_known_has_the_posture_of_nobody_else() {
    let (client, other) = (id("/client"), id("/other"));
    let alice = claims("https://a.example", "alice");
    let of_peers = table("peer", json!([entry(CLIENT)])).expect("table");
    let known = of_peers.posture(Whom::peer(&client).with_claims(&alice), NOW);
    let known = known.expect("known");
    assert_eq!(known.get("encrypted"), Some(&json!(true)));
    assert_eq!(known.observed_at(), NOW);
    assert_eq!(known.expires_at().as_unix_secs(), NOW.as_unix_secs() + 60);
    assert!(of_peers.posture(Whom::peer(&other), NOW).is_none());
    assert!(of_peers.posture(Whom::nobody(), NOW).is_none());

    let of_users = table("subject", json!([user("https://a.example", "alice")]));
    let of_users = of_users.expect("table");
    let of = |claims: &Claims| of_users.posture(Whom::peer(&client).with_claims(claims), NOW);
    assert!(of(&alice).is_some());
    assert!(of(&claims("https://b.example", "alice")).is_none());
    assert!(of(&claims("https://a.example", "bob")).is_none());
    assert!(of_users.posture(Whom::peer(&client), NOW).is_none());
}

#[test]
fn one_bad_posture_refuses_the_whole_table() {
    let with = |key: &str, value: Value| {
        let mut entry = entry(CLIENT);
        entry[key] = value;
        entry
    };
    for (bad, message) in [
        (json!([]), "is no object"),
        (
            with("value", json!(1)),
            "has an unknown key; it takes `peer`",
        ),
        (with("attributes", json!([])), "has no object `attributes`"),
        (with("observed_at", json!(-1)), "has no `observed_at`"),
        (with("expires_at", Value::Null), "has no `expires_at`"),
        (with("expires_at", json!(NOW.as_unix_secs())), "not after"),
        (with("issuer", json!("x")), "either `peer`, or"),
        (with("peer", json!("spiffe://prod.example")), "has no path"),
        (
            user("a", "b"),
            "speaks of a subject in a table of each peer",
        ),
        (
            entry("spiffe://prod.example/one"),
            "the same thing of the same one",
        ),
    ] {
        let good = entry("spiffe://prod.example/one");
        let error = table("peer", json!([good, bad]))
            .expect_err(message)
            .to_string();
        assert!(error.starts_with("posture 2 of the table "), "{error}");
        assert!(error.contains(message), "{error}");
    }
    let error = table("subject", json!([entry(CLIENT)]))
        .expect_err("peer")
        .to_string();
    assert!(
        error.contains("speaks of a peer in a table of each subject"),
        "{error}"
    );
}

#[test]
fn a_table_is_one_bounded_strict_object() {
    let read = |text: &str| PostureTable::from_json(text.as_bytes()).map(|table| table.len());
    assert_eq!(read(r#"{"of": "peer", "postures": []}"#), Ok(0));
    for (text, message) in [
        ("[]", "is not one JSON object"),
        (r#"{"of": "device", "postures": []}"#, "has no `of`"),
        (r#"{"postures": []}"#, "has no `of`"),
        (r#"{"of": "peer"}"#, "has no list `postures`"),
        (
            r#"{"of": "peer", "postures": [], "more": 1}"#,
            "a key other than",
        ),
        (
            r#"{"of": "peer", "of": "peer", "postures": []}"#,
            "name twice",
        ),
    ] {
        let error = read(text).expect_err(message).to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
    let long = " ".repeat(MAX_TABLE_BYTES + 1);
    assert_eq!(read(&long), Err(PostureError::TooLong));
    let many: Vec<_> = (0..=100_000).map(|_| json!(0)).collect();
    assert!(matches!(
        table("peer", many.into()),
        Err(PostureError::TooMany)
    ));
}

#[test]
fn a_table_is_replaced_as_a_whole_and_counted() {
    let shared = SharedPostures::new();
    let client = id("/client");
    let knows = |shared: &SharedPostures| shared.posture(Whom::peer(&client), NOW).is_some();
    let before = PostureSource::generation(&shared);
    assert!(!knows(&shared));
    shared.swap(table("peer", json!([entry(CLIENT)])).expect("table"));
    assert!(knows(&shared) && PostureSource::generation(&shared) > before);
    shared.clone().swap(PostureTable::default());
    assert!(!knows(&shared));
}
