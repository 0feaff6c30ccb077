//! The client of a bundle endpoint, by a clock of our own (rules 23 and 24; Federation §4 to §7; T23, T24).

#![cfg(test)]
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]

mod common;

use std::time::Duration;

use common::{Ca, NOW, domain, prover};
use ztl_core::Timestamp;
use ztl_mtls::source::{
    BundleEndpoint, DEFAULT_MAX_AGE, DEFAULT_REFRESH, Due, EndpointError, Fetch, LONGEST_REFRESH,
    MAX_REDIRECTS, Received, SHORTEST_REFRESH, WebRoots,
};
use ztl_mtls::{SpiffeBundle, provider};

const URL: &str = "https://bundles.b.test/bundle.json";
const ENDPOINT: &str = "spiffe://b.test/bundle-endpoint";

fn endpoint() -> BundleEndpoint {
    BundleEndpoint::https_spiffe("b.test", URL, ENDPOINT).expect("endpoint")
}

fn later(secs: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(secs))
}

fn json(ca: &Ca, sequence: Option<u64>, hint: Option<u64>) -> String {
    let mut bundle = SpiffeBundle::new(ca.bundle("b.test"));
    if let Some(sequence) = sequence {
        bundle = bundle.with_sequence(sequence);
    }
    if let Some(hint) = hint {
        bundle = bundle.with_refresh_hint(Duration::from_secs(hint));
    }
    bundle.to_json().expect("written")
}

/// When the next fetch is due, in seconds from now; 0 where it is due at once.
fn wait(endpoint: &mut BundleEndpoint, now: Timestamp) -> u64 {
    match endpoint.due(now) {
        Due::At(at) => at.since(now).as_secs(),
        Due::Fetch(_) => 0,
        other => panic!("{other:?}"),
    }
}

fn fetch(endpoint: &mut BundleEndpoint, now: Timestamp) -> Fetch {
    match endpoint.due(now) {
        Due::Fetch(fetch) => fetch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rule_23_the_hint_is_kept_within_bounds_and_five_minutes_is_the_default() {
    let ca = Ca::new("b");
    for (hint, waits) in [
        (None, DEFAULT_REFRESH),
        (Some(0), SHORTEST_REFRESH),
        (Some(1), SHORTEST_REFRESH),
        (Some(600), Duration::from_secs(600)),
        (Some(2_419_200), LONGEST_REFRESH),
        (Some(u64::MAX), LONGEST_REFRESH),
    ] {
        // Without an end of its own; with one, half of it is the most.
        let kept = endpoint().allow_any_age();
        for (mut endpoint, waits) in [(kept, waits), (endpoint(), waits.min(DEFAULT_MAX_AGE / 2))] {
            fetch(&mut endpoint, NOW);
            let answer = endpoint.receive(json(&ca, Some(1), hint).as_bytes(), NOW);
            assert_eq!(answer.expect("taken"), Received::Changed);
            assert_eq!(wait(&mut endpoint, NOW), waits.as_secs(), "{hint:?}");
            assert_eq!(wait(&mut endpoint, later(waits.as_secs())), 0);
        }
    }
    let mut bounded = endpoint().refresh_between(Duration::ZERO, Duration::ZERO);
    let answer = bounded.receive(json(&ca, None, Some(0)).as_bytes(), NOW);
    assert_eq!(answer.expect("taken"), Received::Changed);
    assert_eq!(wait(&mut bounded, NOW), 1, "never a tight loop");
}

#[test]
fn rule_23_a_failure_waits_for_the_next_interval_and_never_longer_than_five_minutes() {
    let ca = Ca::new("b");
    let mut endpoint = endpoint();
    fetch(&mut endpoint, NOW);
    assert_eq!(
        wait(&mut endpoint, NOW),
        300,
        "a fetch that is lost is not tried again at once"
    );
    for (hint, waits) in [(60, 60), (3600, 300)] {
        let answer = endpoint.receive(json(&ca, Some(hint), Some(hint)).as_bytes(), NOW);
        let _ = answer.expect("taken");
        assert_eq!(endpoint.failed(NOW), later(waits));
        assert!(endpoint.receive(b"<html>", NOW).is_err());
        assert_eq!(wait(&mut endpoint, NOW), waits);
    }
    assert!(endpoint.is_in_force(), "the last good one stays");
}

#[test]
fn t23_a_clock_that_was_set_back_does_not_put_the_refresh_off() {
    let ca = Ca::new("b");
    let mut endpoint = endpoint();
    let answer = endpoint.receive(json(&ca, None, Some(60)).as_bytes(), later(1_000_000));
    let _ = answer.expect("taken");
    assert_eq!(wait(&mut endpoint, NOW), 0);
    assert_eq!(wait(&mut endpoint, NOW), 60);
}

#[test]
fn rule_23_the_sequence_never_goes_back() {
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let mut endpoint = endpoint();
    let take = |endpoint: &mut BundleEndpoint, ca: &Ca, sequence| {
        endpoint.receive(json(ca, sequence, None).as_bytes(), NOW)
    };
    assert_eq!(
        take(&mut endpoint, &old, None).expect("first"),
        Received::Changed
    );
    assert_eq!(
        take(&mut endpoint, &new, None).expect("newest"),
        Received::Changed
    );
    assert_eq!(
        take(&mut endpoint, &new, Some(5)).expect("same"),
        Received::Unchanged
    );
    assert_eq!(
        take(&mut endpoint, &new, Some(5)).expect("same"),
        Received::Unchanged
    );
    let went_back = take(&mut endpoint, &old, Some(4));
    assert!(matches!(
        went_back,
        Err(EndpointError::SequenceWentBack { held: 5, found: 4 })
    ));
    let same_keys = take(&mut endpoint, &new, Some(4));
    assert!(matches!(
        same_keys,
        Err(EndpointError::SequenceWentBack { .. })
    ));
    assert!(matches!(
        take(&mut endpoint, &old, Some(5)),
        Err(EndpointError::SequenceReused(5))
    ));
    assert!(matches!(
        take(&mut endpoint, &new, None),
        Err(EndpointError::SequenceMissing(5))
    ));
    let held = endpoint.bundle().expect("held");
    assert_eq!(held.x509().certificates(), std::slice::from_ref(&new.der));
    assert_eq!(
        take(&mut endpoint, &old, Some(u64::MAX)).expect("newer"),
        Received::Changed
    );
}

#[test]
fn t24_the_sequence_and_the_last_good_bundle_outlive_a_restart() {
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let mut first = endpoint();
    assert!(first.state().expect("nothing to write").is_none());
    let answer = first.receive(json(&new, Some(9), Some(60)).as_bytes(), NOW);
    let _ = answer.expect("taken");
    let state = first.state().expect("state").expect("held");

    let mut second = endpoint();
    second
        .restore(state.as_bytes(), later(10))
        .expect("restored");
    assert!(second.is_in_force());
    assert_eq!(
        wait(&mut second, later(10)),
        0,
        "the first refresh is due at once"
    );
    let older = second.receive(json(&old, Some(8), None).as_bytes(), later(10));
    assert!(matches!(
        older,
        Err(EndpointError::SequenceWentBack { held: 9, found: 8 })
    ));

    // A bundle that was given at the start is taken only where it is the newer one.
    let given = |ca: &Ca, sequence| {
        let bundle = SpiffeBundle::new(ca.bundle("b.test")).with_sequence(sequence);
        let mut endpoint = endpoint().with_bundle(bundle, NOW).expect("given");
        endpoint.restore(state.as_bytes(), NOW).expect("restored");
        endpoint.bundle().and_then(SpiffeBundle::sequence)
    };
    assert_eq!(given(&old, 8), Some(9));
    assert_eq!(given(&old, 10), Some(10));

    // Past its age it is not trusted, and nothing older is taken all the same.
    let mut aged = endpoint().max_age(Duration::from_secs(3600));
    aged.restore(state.as_bytes(), later(3600))
        .expect("restored");
    assert!(!aged.is_in_force());
    assert!(
        aged.receive(json(&old, Some(8), None).as_bytes(), later(3600))
            .is_err()
    );
    let answer = aged.receive(json(&new, Some(9), None).as_bytes(), later(3600));
    assert_eq!(
        answer.expect("taken"),
        Received::Changed,
        "it comes back in force"
    );
    // A moment to come does not make it younger.
    let mut ahead = endpoint().max_age(Duration::from_secs(3600));
    let before = NOW.saturating_sub(Duration::from_secs(86_400));
    ahead.restore(state.as_bytes(), before).expect("restored");
    assert!(matches!(
        ahead.due(before.saturating_add(Duration::from_secs(3600))),
        Due::Withdraw
    ));

    for broken in [
        "",
        "{}",
        "[]",
        &state.replace("b.test", "c.test"),
        state.trim_start_matches('{'),
        &state.replace("fetched_at", "x"),
    ] {
        let mut endpoint = endpoint();
        assert!(
            endpoint.restore(broken.as_bytes(), NOW).is_err(),
            "{broken}"
        );
        assert!(endpoint.bundle().is_none());
    }
}

#[test]
fn t24_the_state_is_a_file_that_is_replaced_whole() {
    let ca = Ca::new("b");
    let path = std::env::temp_dir().join(format!("ztl-mtls-state-{}.json", std::process::id()));
    let mut first = endpoint();
    first.restore_file(&path, NOW).expect("none is there yet");
    first.store_file(&path).expect("nothing to write");
    assert!(!path.exists());
    for sequence in [3, 4] {
        let answer = first.receive(json(&ca, Some(sequence), None).as_bytes(), NOW);
        let _ = answer.expect("taken");
        first.store_file(&path).expect("written");
        let mut second = endpoint();
        second.restore_file(&path, NOW).expect("restored");
        assert_eq!(
            second.bundle().and_then(SpiffeBundle::sequence),
            Some(sequence)
        );
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::write(&path, "{").expect("cut");
    let error = endpoint()
        .restore_file(&path, NOW)
        .expect_err("cut")
        .to_string();
    assert!(error.contains("ztl-mtls-state-"), "{error}");
    std::fs::remove_file(&path).expect("remove");
    let nowhere = path.join("below");
    assert!(matches!(
        first.store_file(&nowhere),
        Err(EndpointError::Write { .. })
    ));
}

#[test]
fn past_its_age_a_bundle_is_withdrawn_once_and_the_next_good_one_puts_it_back() {
    let ca = Ca::new("b");
    let mut endpoint = endpoint().max_age(Duration::from_secs(100));
    let body = json(&ca, Some(1), Some(60));
    let _ = endpoint.receive(body.as_bytes(), NOW).expect("taken");
    assert_eq!(wait(&mut endpoint, NOW), 50, "half of its age, not 60");
    assert_eq!(endpoint.ends_at(), Some(later(100)));
    fetch(&mut endpoint, later(60));
    assert_eq!(
        wait(&mut endpoint, later(61)),
        39,
        "woken for the end of its age"
    );
    assert!(matches!(endpoint.due(later(100)), Due::Withdraw));
    assert!(!endpoint.is_in_force() && endpoint.bundle().is_some());
    assert_eq!(endpoint.ends_at(), None);
    assert_eq!(wait(&mut endpoint, later(100)), 10);
    let back = endpoint
        .receive(body.as_bytes(), later(120))
        .expect("taken");
    assert_eq!(back, Received::Changed);
    assert!(endpoint.is_in_force());
}

#[test]
fn rule_30_a_bundle_that_is_not_renewed_is_withdrawn_after_a_day_unless_any_age_is_allowed() {
    let ca = Ca::new("b");
    let day = DEFAULT_MAX_AGE.as_secs();
    assert_eq!(day, 86_400);
    let body = json(&ca, Some(1), None);
    let given = SpiffeBundle::new(ca.bundle("b.test"));
    let given = endpoint().with_bundle(given, NOW).expect("given");
    let mut fetched = endpoint();
    let _ = fetched.receive(body.as_bytes(), NOW).expect("taken");
    let state = fetched.state().expect("state").expect("held");
    let mut restored = endpoint();
    restored.restore(state.as_bytes(), NOW).expect("restored");
    for mut endpoint in [given, fetched, restored] {
        // It is asked again and again all the while, and no answer comes.
        let mut at = 0;
        let mut tried = 0;
        while at < day {
            match endpoint.due(later(at)) {
                Due::Fetch(_) => tried += 1,
                Due::At(next) => at = next.since(NOW).as_secs(),
                other => panic!("after {at} s: {other:?}"),
            }
            assert!(endpoint.is_in_force(), "after {at} s");
        }
        assert!(tried > 200, "{tried}");
        assert!(matches!(endpoint.due(later(day)), Due::Withdraw));
        assert!(!endpoint.is_in_force());
        let back = endpoint.receive(body.as_bytes(), later(day + 1));
        assert_eq!(back.expect("taken"), Received::Changed);
        assert!(endpoint.is_in_force());
    }
    let mut late = endpoint();
    late.restore(state.as_bytes(), later(day))
        .expect("restored");
    assert!(!late.is_in_force() && late.bundle().is_some());

    let mut kept = endpoint().allow_any_age();
    kept.restore(state.as_bytes(), later(day * 1000))
        .expect("restored");
    assert!(kept.is_in_force());
    assert!(matches!(kept.due(later(day * 2000)), Due::Fetch(_)));
    assert!(kept.is_in_force());
}

#[test]
fn t23_a_clock_that_was_ahead_makes_no_bundle_younger() {
    let ca = Ca::new("b");
    let mut endpoint = endpoint();
    let body = json(&ca, Some(1), None);
    let ahead = later(1_000_000_000);
    let _ = endpoint.receive(body.as_bytes(), ahead).expect("taken");
    assert!(matches!(endpoint.due(NOW), Due::Fetch(_)));
    let day = later(DEFAULT_MAX_AGE.as_secs());
    assert!(matches!(endpoint.due(day), Due::Withdraw));
}

#[test]
fn rule_21_an_endpoint_may_take_all_its_keys_back() {
    let ca = Ca::new("b");
    let mut endpoint = endpoint();
    let _ = endpoint
        .receive(json(&ca, Some(1), None).as_bytes(), NOW)
        .expect("taken");
    let empty = br#"{"keys":[],"spiffe_sequence":2}"#;
    assert_eq!(
        endpoint.receive(empty, NOW).expect("taken"),
        Received::Changed
    );
    assert!(
        endpoint
            .bundle()
            .is_some_and(|bundle| bundle.x509().is_empty())
    );
}

#[test]
fn what_the_document_says_of_its_domain_does_not_count() {
    let ca = Ca::new("b");
    let mut endpoint = endpoint();
    let other = json(&ca, None, None).replacen('{', r#"{"trust_domain":"a.test","#, 1);
    let _ = endpoint
        .receive(other.as_bytes(), NOW)
        .expect("unknown members are read past");
    assert_eq!(
        endpoint
            .bundle()
            .map(|bundle| bundle.trust_domain().clone()),
        Some(domain("b.test"))
    );
    let map = format!(
        r#"{{"trust_domains":{{"a.test":{}}}}}"#,
        json(&ca, None, None)
    );
    assert!(endpoint.receive(map.as_bytes(), NOW).is_err());
    let foreign = SpiffeBundle::new(ca.bundle("a.test"));
    let error = self::endpoint()
        .with_bundle(foreign, NOW)
        .expect_err("another domain");
    assert!(error.to_string().contains("is of `a.test`"), "{error}");
}

#[test]
fn rule_24_redirects_are_bounded_and_each_refresh_begins_at_the_configured_url() {
    let mut endpoint = endpoint();
    let first = fetch(&mut endpoint, NOW);
    let mut led = first.clone();
    for hop in 0..MAX_REDIRECTS {
        led = led
            .redirected(&format!("https://other.test/{hop}"))
            .expect("followed");
    }
    assert!(matches!(
        led.redirected("/again"),
        Err(EndpointError::TooManyRedirects)
    ));
    for location in [
        "http://bundles.b.test/",
        "https://u@bundles.b.test/",
        "bundle.json",
        "",
    ] {
        assert!(
            matches!(first.redirected(location), Err(EndpointError::Redirect(_))),
            "{location}"
        );
    }
    assert_eq!(fetch(&mut endpoint, later(300)).url().to_string(), URL);
    let mut strict = self::endpoint().refuse_redirects();
    let refused = fetch(&mut strict, NOW).redirected("/x");
    assert!(matches!(refused, Err(EndpointError::RedirectRefused)));
}

#[test]
fn an_endpoint_is_configured_whole_or_not_at_all() {
    let spiffe = BundleEndpoint::https_spiffe;
    for (domain, url, id) in [
        ("B.test", URL, ENDPOINT),
        ("spiffe://b.test", URL, ENDPOINT),
        ("b.test", "http://bundles.b.test/", ENDPOINT),
        ("b.test", "https://u:p@bundles.b.test/", ENDPOINT),
        ("b.test", URL, "spiffe://b.test"),
        ("b.test", URL, "bundle-endpoint"),
    ] {
        let error = spiffe(domain, url, id).expect_err("refused").to_string();
        assert!(error.contains('`'), "{error}");
    }
    let error = spiffe("b.test", "ftp://h/?token=secret", ENDPOINT).expect_err("refused");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(endpoint().proved_by(), Some(domain("b.test")));
    let roots = WebRoots::from_pem(Ca::new("web").pem.as_bytes()).expect("roots");
    let web = BundleEndpoint::https_web("b.test", URL, roots).expect("endpoint");
    assert_eq!(web.proved_by(), None);
    let tls = web.tls(provider(), &prover([])).expect("tls");
    assert_eq!(tls.config().alpn_protocols, [b"http/1.1"]);
    assert!(WebRoots::from_pem(b"").is_err());
    assert!(
        WebRoots::from_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .is_err()
    );
}
