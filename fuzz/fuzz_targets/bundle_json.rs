//! Bundle documents: no text makes a reader panic, what is taken is written and read back the same, and an endpoint's sequence
//! never goes back (rules 21 to 24).

#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ztl_core::{Timestamp, TrustDomain};
use ztl_mtls::source::{BundleEndpoint, Due, EndpointUrl};
use ztl_mtls::{DevCa, JwtBundle, SpiffeBundle, SpiffeBundleMap};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

/// A good document.
static GOOD: LazyLock<String> = LazyLock::new(|| {
    let authority = DevCa::new(domain(), NOW).expect("an authority");
    let bundle = SpiffeBundle::new(authority.bundle()).with_sequence(7);
    bundle.to_json().expect("a document")
});

fn domain() -> TrustDomain {
    TrustDomain::parse("prod.example").expect("a trust domain")
}

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    raw: &'a [u8],
    edits: Vec<(u16, u8)>,
    sequences: Vec<Option<u64>>,
    hint: u64,
    url: &'a str,
    location: &'a str,
}

fuzz_target!(|case: Case<'_>| {
    let mut edited = GOOD.clone().into_bytes();
    for (place, byte) in case.edits.iter().take(8) {
        let place = usize::from(*place) % edited.len();
        edited[place] = *byte;
    }
    for json in [case.raw, &edited] {
        if let Ok(bundle) = SpiffeBundle::from_json(domain(), json) {
            let again = bundle.to_json().expect("what was read can be written");
            let again = SpiffeBundle::from_json(domain(), again.as_bytes()).expect("and read");
            assert!(bundle.has_keys_of(&again) && again.has_keys_of(&bundle));
            assert_eq!(bundle.sequence(), again.sequence());
            assert_eq!(bundle.refresh_hint(), again.refresh_hint());
        }
        if let Ok(map) = SpiffeBundleMap::from_json(json) {
            let again = map.to_json().expect("what was read can be written");
            let again = SpiffeBundleMap::from_json(again.as_bytes()).expect("and read");
            assert_eq!(map.iter().count(), again.iter().count());
        }
        let _ = JwtBundle::from_json(domain(), json);
    }
    let mut endpoint = BundleEndpoint::https_spiffe(
        "prod.example",
        "https://bundles.prod.example/",
        "spiffe://prod.example/bundles",
    )
    .expect("an endpoint");
    let mut highest = None;
    for sequence in case.sequences.iter().take(16) {
        let sequence = sequence.map_or_else(String::new, |n| format!(r#","spiffe_sequence":{n}"#));
        let hint = case.hint;
        let json = format!(r#"{{"keys":[],"spiffe_refresh_hint":{hint}{sequence}}}"#);
        let _ = endpoint.receive(json.as_bytes(), NOW);
        let held = endpoint.bundle().and_then(SpiffeBundle::sequence);
        assert!(held >= highest, "the sequence went back");
        highest = held;
        assert!(
            matches!(endpoint.due(NOW), Due::At(at) if at > NOW),
            "a tight loop"
        );
    }
    let mut restored = endpoint.clone();
    assert!(restored.restore(case.raw, NOW).is_err() || restored.bundle().is_some());

    if let Ok(url) = EndpointUrl::parse(case.url) {
        assert_eq!(EndpointUrl::parse(&url.to_string()).as_ref(), Ok(&url));
        assert!(!url.authority().contains('@'));
        if let Ok(led) = url.redirect(case.location) {
            assert!(led.to_string().starts_with("https://"));
            assert!(!led.authority().contains('@'));
        }
    }
});
