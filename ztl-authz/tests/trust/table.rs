//! Tables of signals: what is read, what is refused, and that they are replaced as a whole.

use proptest::prelude::*;
use serde_json::{Value, json};
use ztl_authz::trust::{
    About, MAX_TABLE_BYTES, SharedTable, SignalSource, SignalTable, Signals, TableError, Whom,
};
use ztl_core::{Claims, Timestamp};

use super::{NOW, id, policy};

fn table(signals: Value) -> Result<SignalTable, TableError> {
    SignalTable::from_json(
        json!({ "source": "mdm", "signals": signals })
            .to_string()
            .as_bytes(),
    )
}

fn device(peer: &str, value: u64) -> Value {
    json!({ "name": "device", "peer": peer, "value": value, "observed_at": NOW.as_unix_secs() })
}

const CLIENT: &str = "spiffe://prod.example/client";

#[test]
fn t16_a_signal_is_found_by_name_and_by_exactly_whom_it_speaks_of() {
    let user = json!({
        "name": "device", "issuer": "https://a.example", "subject": "alice", "value": 7,
        "observed_at": 1, "expires_at": 2,
    });
    let table = table(json!([device(CLIENT, 90), user])).expect("table");
    assert_eq!(table.len(), 2);
    let value = |name: &str, about| table.signal(name, about, NOW).map(|signal| signal.value());
    let (client, other) = (id("/client"), id("/other"));
    assert_eq!(value("device", About::Peer(&client)), Some(90));
    assert_eq!(value("devices", About::Peer(&client)), None);
    assert_eq!(value("device", About::Peer(&other)), None);
    let subject = |issuer, subject| About::Subject {
        issuer,
        subject,
        through: Some(&other),
    };
    assert_eq!(
        value("device", subject("https://a.example", "alice")),
        Some(7)
    );
    assert_eq!(value("device", subject("https://b.example", "alice")), None);
    assert_eq!(value("device", subject("https://a.example", "bob")), None);
    let signal = table
        .signal("device", About::Peer(&client), NOW)
        .expect("signal");
    assert_eq!((signal.source(), signal.observed_at()), ("mdm", NOW));
    assert_eq!(signal.expires_at(), Timestamp::MAX);
}

#[test]
fn one_bad_signal_refuses_the_whole_table() {
    let good = device(CLIENT, 90);
    let with = |key: &str, value: Value| {
        let mut signal = good.clone();
        signal[key] = value;
        signal
    };
    let without = |key: &str| {
        let mut signal = good.clone();
        signal.as_object_mut().expect("object").remove(key);
        signal
    };
    let cases = [
        (json!(7), "is no object"),
        (with("age", json!(1)), "has an unknown key"),
        (without("name"), "has no `name`"),
        (with("name", json!("")), "has no `name`"),
        (with("name", json!("x".repeat(2049))), "has no `name`"),
        (without("peer"), "either `peer`, or `issuer` and `subject`"),
        (
            with("subject", json!("alice")),
            "either `peer`, or `issuer` and `subject`",
        ),
        (
            with("peer", json!("spiffe://prod.example")),
            "has a `peer` that has no path",
        ),
        (with("value", json!(101)), "has no `value` from 0 to 100"),
        (with("value", json!(-1)), "has no `value` from 0 to 100"),
        (with("value", json!(1.5)), "has no `value` from 0 to 100"),
        (
            without("observed_at"),
            "has no `observed_at` in whole seconds",
        ),
        (
            with("observed_at", json!("now")),
            "has no `observed_at` in whole seconds",
        ),
        (
            with("expires_at", json!(null)),
            "has no `expires_at` in whole seconds",
        ),
        (
            with("expires_at", json!(NOW.as_unix_secs())),
            "`expires_at` that is not after",
        ),
        (good.clone(), "says the same thing of the same one"),
    ];
    for (bad, message) in cases {
        let error = table(json!([good, bad])).expect_err(message).to_string();
        assert!(error.starts_with("signal 2 of the table "), "{error}");
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_table_is_one_bounded_strict_object() {
    let read = |text: &str| SignalTable::from_json(text.as_bytes()).map(|table| table.len());
    assert_eq!(read(r#"{"source": "x", "signals": []}"#), Ok(0));
    for (text, message) in [
        ("[]", "is not one JSON object"),
        (r#"{"source": "x"}"#, "has no list `signals`"),
        (r#"{"signals": []}"#, "has no `source`"),
        (r#"{"source": "", "signals": []}"#, "has no `source`"),
        (
            r#"{"source": "x", "signals": [], "more": 1}"#,
            "has a key other than",
        ),
        (
            r#"{"source": "x", "signals": [], "signals": []}"#,
            "has a member name twice",
        ),
        (
            r#"{"source": "x", "signals": [{"name": "a", "name": "b"}]}"#,
            "has a member name twice",
        ),
    ] {
        let error = read(text).expect_err(message).to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
    let long = " ".repeat(MAX_TABLE_BYTES + 1);
    assert_eq!(read(&long), Err(TableError::TooLong));
    let many: Vec<_> = (0..=100_000).map(|_| json!(0)).collect();
    assert!(matches!(table(many.into()), Err(TableError::TooMany)));
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test vouches for its own claims"
)]
fn t4_a_score_is_of_the_peer_and_of_the_user() {
    let policy = policy(
        "[trust]\nbase = 10\n[trust.signals.device]\nweight = 40\nmax_age = 60\n\
         [trust.signals.login]\nof = \"subject\"\nweight = 50\nfloor = 1\nmax_age = 60",
    );
    let login = json!({
        "name": "login", "issuer": "https://a.example", "subject": "alice", "value": 80,
        "observed_at": NOW.as_unix_secs(),
    });
    let shared = SharedTable::new();
    let signals = Signals::none()
        .with("device", shared.clone())
        .with("login", shared.clone());
    signals.check(&policy).expect("both have a source");
    let scorer = policy.scorer().expect("[trust]");
    let claims = json!({ "iss": "https://a.example", "sub": "alice" });
    let claims = claims.as_object().expect("object").clone();
    let claims = Claims::assertion(claims, Timestamp::MAX, "test");
    let client = id("/client");
    let of = |whom: Whom<'_>| signals.score(scorer, whom, NOW).value();
    assert_eq!(of(Whom::peer(&client).with_claims(&claims)), 0);
    let before = signals.generation();
    shared.swap(table(json!([device(CLIENT, 100), login])).expect("table"));
    assert_ne!(signals.generation(), before);
    assert_eq!(of(Whom::peer(&client).with_claims(&claims)), 10 + 40 + 40);
    // Without the user's token nothing is known of the user, and its floor is not reached.
    assert_eq!(of(Whom::peer(&client)), 0);
    assert_eq!(of(Whom::nobody()), 0);
    let other = id("/other");
    assert_eq!(of(Whom::peer(&other).with_claims(&claims)), 10 + 40);
    shared.swap(SignalTable::default());
    assert_eq!(of(Whom::peer(&client).with_claims(&claims)), 0);
}

#[test]
fn a_policy_that_weighs_what_nobody_gives_is_told_so() {
    let policy = policy("[trust.signals.device]\nweight = 40\nmax_age = 60");
    let error = Signals::none()
        .check(&policy)
        .expect_err("no source")
        .to_string();
    assert!(
        error.contains("weighs the signal `device`, and no source gives it"),
        "{error}"
    );
    assert!(Signals::none().check(&super::policy("")).is_ok());
}

proptest! {
    #[test]
    fn any_text_is_a_table_or_an_error(text in "(\\PC|[{}\\[\\]\":,0-9])*") {
        if let Ok(table) = SignalTable::from_json(text.as_bytes()) {
            prop_assert!(table.is_empty());
        }
    }
}
