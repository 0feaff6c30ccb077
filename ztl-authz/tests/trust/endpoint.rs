//! A source of signals that is polled: what is due when, and what of an answer is taken (rule 57; T4, T23).

use core::time::Duration;

use serde_json::{Value, json};
use ztl_authz::trust::{
    About, DEFAULT_KEPT, SignalEndpoint, SignalEndpointError, SignalSource, SignalsDue,
};
use ztl_core::Timestamp;

use super::{NOW, id};

const URL: &str = "https://mdm.example/signals?tenant=7";

fn endpoint() -> SignalEndpoint {
    SignalEndpoint::new(URL).expect("endpoint")
}

fn later(seconds: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(seconds))
}

fn device(name: &str, value: u8, observed_at: Timestamp) -> Value {
    json!({
        "name": name, "peer": "spiffe://prod.example/client", "value": value,
        "observed_at": observed_at.as_unix_secs(),
    })
}

fn table(signals: Value) -> Vec<u8> {
    json!({ "source": "mdm", "signals": signals })
        .to_string()
        .into_bytes()
}

/// What is known of the client.
fn known(of: &SignalEndpoint, name: &str, now: Timestamp) -> Option<u8> {
    let client = id("/client");
    let signal = of.signals().signal(name, About::Peer(&client), now);
    signal.map(|signal| signal.value())
}

#[test]
fn rule63_signals_come_encrypted_or_from_this_very_host_where_that_is_said() {
    for (url, refused) in [
        ("http://mdm.example/", true),
        ("http://127.0.0.1:8080/", true),
        ("https://u@mdm.example/", true),
        ("https://mdm.example/", false),
    ] {
        assert_eq!(SignalEndpoint::new(url).is_err(), refused, "{url}");
    }
    assert!(SignalEndpoint::allow_plain_loopback("http://127.0.0.1:8080/").is_ok());
    assert!(SignalEndpoint::allow_plain_loopback("http://mdm.example/").is_err());
    let error = SignalEndpoint::new("http://mdm.example/?key=secret").expect_err("plain");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(!format!("{:?}", endpoint()).contains("tenant"));
}

#[test]
fn t4_what_was_said_last_ends_by_itself() {
    let mut mdm = endpoint();
    assert_eq!(mdm.due(NOW), SignalsDue::Fetch);
    assert_eq!(known(&mdm, "device", NOW), None);
    let body = table(json!([device("device", 90, NOW)]));
    assert_eq!(mdm.receive(&body, None, NOW), Ok(1));
    assert_eq!(mdm.due(NOW), SignalsDue::At(later(30)));
    assert_eq!(mdm.due(later(30)), SignalsDue::Fetch);
    let end = NOW.saturating_add(DEFAULT_KEPT);
    assert_eq!(known(&mdm, "device", later(599)), Some(90));
    let client = id("/client");
    let signal = mdm.signals().signal("device", About::Peer(&client), NOW);
    assert_eq!(signal.expect("signal").expires_at(), end);
    // Whoever drives it need not have noticed yet.
    assert_eq!(known(&mdm, "device", end), None);
    let before = mdm.signals().generation();
    assert_eq!(mdm.due(end), SignalsDue::Withdrawn);
    assert!(mdm.signals().generation() > before);
    assert_eq!(mdm.due(end), SignalsDue::Fetch);
    assert_eq!(mdm.fetched_at(), None);
    assert_eq!(mdm.receive(&body, None, end), Ok(1));
    assert_eq!(known(&mdm, "device", end), Some(90));
}

#[test]
fn a_source_that_fails_is_asked_less_and_less_often() {
    let mut mdm = endpoint();
    let mut now = NOW;
    let mut waits = Vec::new();
    for _ in 0..8 {
        assert_eq!(mdm.due(now), SignalsDue::Fetch);
        mdm.failed(now);
        let SignalsDue::At(at) = mdm.due(now) else {
            panic!("it is not due at once");
        };
        waits.push(at.since(now).as_secs());
        now = at;
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
    assert_eq!(mdm.due(now), SignalsDue::Fetch);
    assert_eq!(mdm.receive(&table(json!([])), None, now), Ok(0));
    now = now.saturating_add(Duration::from_secs(30));
    assert_eq!(mdm.due(now), SignalsDue::Fetch);
    mdm.failed(now);
    let again = now.saturating_add(Duration::from_secs(10));
    assert_eq!(mdm.due(now), SignalsDue::At(again));
}

#[test]
fn rule_57_a_table_never_goes_back_in_time() {
    let mut mdm = endpoint();
    let both = table(json!([device("device", 90, NOW), device("login", 50, NOW)]));
    assert_eq!(mdm.receive(&both, None, NOW), Ok(2));
    let older = Timestamp::from_unix_secs(NOW.as_unix_secs() - 1);
    let back = table(json!([
        device("device", 100, older),
        device("login", 60, NOW)
    ]));
    let name = "device".into();
    let refused = Err(SignalEndpointError::GoesBack { name });
    assert_eq!(mdm.receive(&back, None, NOW), refused);
    assert_eq!(known(&mdm, "login", NOW), Some(50), "all of it is refused");
    // What is no longer said may be missing, and what was not said before may be older.
    let other = table(json!([device("calm", 1, older), device("login", 60, NOW)]));
    assert_eq!(mdm.receive(&other, None, NOW), Ok(2));
    assert_eq!(known(&mdm, "device", NOW), None);
    // T23: a source whose clock was ahead does not lock itself out.
    let ahead = table(json!([device("login", 1, later(3600))]));
    assert_eq!(mdm.receive(&ahead, None, NOW), Ok(1));
    let set_right = table(json!([device("login", 70, NOW)]));
    assert_eq!(mdm.receive(&set_right, None, NOW), Ok(1));
}

#[test]
fn what_is_no_table_takes_nothing_back() {
    let mut mdm = endpoint();
    let good = table(json!([device("device", 90, NOW)]));
    assert_eq!(mdm.receive(&good, Some("\"7\""), NOW), Ok(1));
    for bad in [
        &b"<html>sign in</html>"[..],
        b"",
        b"{}",
        &table(json!([7])),
        &vec![b' '; mdm.max_bytes() + 1],
    ] {
        let refused = mdm.receive(bad, Some("\"8\""), NOW);
        assert!(matches!(refused, Err(SignalEndpointError::Table(_))));
        assert_eq!(known(&mdm, "device", NOW), Some(90));
        assert_eq!(mdm.etag(), Some("\"7\""));
    }
}

#[test]
fn an_entity_tag_is_sent_back_as_it_came_and_nothing_else_is() {
    let mut mdm = endpoint();
    let body = table(json!([]));
    assert_eq!(mdm.not_modified(NOW), Err(SignalEndpointError::NotAsked));
    let long = format!("\"{}\"", "x".repeat(600));
    for (etag, kept) in [
        ("\"7\"", true),
        ("W/\"7\"", true),
        ("\"\"", true),
        ("7", false),
        ("\"", false),
        ("\"a\"b\"", false),
        ("\"a b\"", false),
        ("\"a\r\nx: y\"", false),
        (&long, false),
    ] {
        mdm.receive(&body, Some(etag), NOW).expect("table");
        assert_eq!(mdm.etag(), kept.then_some(etag), "{etag:?}");
    }
    mdm.receive(&body, Some("\"7\""), NOW).expect("table");
    assert_eq!(mdm.not_modified(later(100)), Ok(()));
    assert_eq!(mdm.fetched_at(), Some(later(100)));
    let end = later(100).saturating_add(DEFAULT_KEPT);
    assert_eq!(mdm.due(end), SignalsDue::Withdrawn);
    assert_eq!(mdm.etag(), None, "what is gone is asked for whole");
}
