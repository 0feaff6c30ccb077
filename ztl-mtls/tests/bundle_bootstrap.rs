//! The bundle that the client of a bundle endpoint begins with: how old it is (rule 30).

#![cfg(test)]
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]

mod common;

use std::time::Duration;

use common::{Ca, NOW};
use ztl_core::Timestamp;
use ztl_mtls::SpiffeBundle;
use ztl_mtls::source::{BundleEndpoint, DEFAULT_MAX_AGE, Due, Received};

const URL: &str = "https://bundles.b.test/bundle.json";
const ENDPOINT: &str = "spiffe://b.test/bundle-endpoint";

fn endpoint() -> BundleEndpoint {
    BundleEndpoint::https_spiffe("b.test", URL, ENDPOINT).expect("endpoint")
}

fn later(secs: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(secs))
}

fn json(ca: &Ca, sequence: u64) -> String {
    let bundle = SpiffeBundle::new(ca.bundle("b.test")).with_sequence(sequence);
    bundle.to_json().expect("written")
}

#[test]
fn rule_30_a_bundle_in_a_file_is_as_old_as_the_file() {
    let ca = Ca::new("b");
    let path = std::env::temp_dir().join(format!("ztl-bootstrap-{}", std::process::id()));
    std::fs::write(&path, json(&ca, 7)).expect("written");
    let file = std::fs::File::options().append(true).open(&path);
    let file = file.expect("open");
    let begun = |written: u64, endpoint: BundleEndpoint| {
        let at = Duration::from_secs(written);
        file.set_modified(std::time::UNIX_EPOCH + at).expect("set");
        endpoint.with_bundle_file(&path, NOW).expect("read")
    };
    let (now, day) = (NOW.as_unix_secs(), DEFAULT_MAX_AGE.as_secs());
    let mut young = begun(now - day + 60, endpoint());
    assert!(young.is_in_force());
    assert!(matches!(young.due(later(0)), Due::Fetch(_)));
    assert!(matches!(young.due(later(59)), Due::At(_)));
    assert!(
        matches!(young.due(later(60)), Due::Withdraw),
        "a minute was left"
    );
    // A file by another clock is as young as can be, and no younger.
    let mut odd = begun(now + 300, endpoint());
    assert!(odd.is_in_force());
    assert!(matches!(odd.due(later(day)), Due::Withdraw));
    // One of times to come would be new at each restart.
    for ahead in [301, 9 * day] {
        let odd = begun(now + ahead, endpoint());
        assert!(!odd.is_in_force() && odd.bundle().is_some(), "{ahead}");
    }
    assert!(begun(0, endpoint().allow_any_age()).is_in_force());

    let mut old = begun(now - day, endpoint());
    assert!(!old.is_in_force() && old.bundle().is_some());
    // It is known all the same: nothing older is taken, and what is good puts the domain back.
    let older = json(&ca, 6);
    assert!(old.receive(older.as_bytes(), NOW).is_err());
    let same = json(&ca, 7);
    let back = old.receive(same.as_bytes(), NOW).expect("taken");
    assert_eq!(back, Received::Changed);
    assert!(old.is_in_force());
    // And so it is where a state of an earlier run is older than the file.
    let mut fetched = endpoint();
    let body = json(&ca, 6);
    let _ = fetched.receive(body.as_bytes(), NOW).expect("taken");
    let state = fetched.state().expect("state").expect("held");
    let mut old = begun(now - day, endpoint());
    old.restore(state.as_bytes(), NOW).expect("restored");
    assert!(!old.is_in_force());
    std::fs::remove_file(&path).expect("removed");
}
