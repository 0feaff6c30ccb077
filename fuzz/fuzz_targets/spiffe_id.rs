//! SPIFFE IDs, trust domains and id patterns: nothing is repaired, and what is read is written back as it was
//! (rules 17 and 18).

#![no_main]

use libfuzzer_sys::fuzz_target;
use ztl_core::{IdPattern, MAX_ID_BYTES, MAX_TRUST_DOMAIN_BYTES, SpiffeId, TrustDomain};

fuzz_target!(|text: &str| {
    if let Ok(domain) = TrustDomain::parse(text) {
        assert_eq!(domain.as_str(), text);
        assert!((1..=MAX_TRUST_DOMAIN_BYTES).contains(&text.len()));
    }
    if let Ok(id) = SpiffeId::parse(text) {
        check_id(&id, text);
    }
    if let Ok(pattern) = IdPattern::parse(text) {
        check_pattern(&pattern, text);
    }
});

fn check_id(id: &SpiffeId, text: &str) {
    assert_eq!(id.as_str(), text);
    assert!(text.len() <= MAX_ID_BYTES && text.is_ascii());
    assert!(!text.contains(['?', '#', '%', '@', '\\', ' ']));
    assert_eq!(
        format!("spiffe://{}{}", id.trust_domain_name(), id.path()),
        text
    );
    assert!(TrustDomain::parse(id.trust_domain_name()).is_ok());
    assert_eq!(
        SpiffeId::parse_workload(text).is_ok(),
        !id.path().is_empty()
    );
    if let Some(path) = id.path().strip_prefix('/') {
        assert!(
            path.split('/')
                .all(|segment| !matches!(segment, "" | "." | ".."))
        );
        let exact = IdPattern::parse(text).expect("the id of a workload is a pattern");
        assert!(exact.matches(id));
    }
    let below = IdPattern::Below(id.clone());
    assert!(!below.matches(id), "`/**` is one or more segments below");
    let child = SpiffeId::parse(&format!("{text}/x"));
    assert!(child.is_err() || child.is_ok_and(|child| below.matches(&child)));
    let sibling = SpiffeId::parse(&format!("{text}x"));
    assert!(!sibling.is_ok_and(|sibling| below.matches(&sibling)));
}

fn check_pattern(pattern: &IdPattern, text: &str) {
    assert_eq!(pattern.to_string(), text);
    assert_eq!(IdPattern::parse(&pattern.to_string()).as_ref(), Ok(pattern));
    if let IdPattern::TrustDomain(domain) = pattern {
        let member = SpiffeId::parse(&format!("spiffe://{domain}/x")).expect("an id of the domain");
        assert!(pattern.matches(&member));
        let other = SpiffeId::parse(&format!("spiffe://{domain}x/x"));
        assert!(!other.is_ok_and(|other| pattern.matches(&other)));
    }
}
