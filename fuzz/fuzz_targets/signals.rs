//! Tables of signals and of postures: no text makes the reader panic, and what is read is within its bounds and never makes a score of what is missing.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ztl_authz::trust::{MAX_POSTURES, PostureTable, SignalTable, Signals, Whom};
use ztl_core::policy::Policy;
use ztl_core::{SpiffeId, Timestamp};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let text = "schema = 1\ntrust_domain = 'prod.example'\n[trust]\nbase = 10\n\
                [trust.signals.a]\nweight = 90\nmax_age = 600\nfades_after = 60\n\
                [trust.signals.b]\nweight = -50\nfloor = 10\nveto = 90\nmax_age = 600\n";
    Policy::from_toml(text).expect("policy")
});
static PEER: LazyLock<SpiffeId> =
    LazyLock::new(|| SpiffeId::parse("spiffe://prod.example/a").expect("id"));

fuzz_target!(|text: &[u8]| {
    match PostureTable::from_json(text) {
        Ok(table) => assert!(table.len() <= MAX_POSTURES),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let table = match SignalTable::from_json(text) {
        Ok(table) => table,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let signals = Signals::none().with("a", table.clone()).with("b", table);
    let scorer = POLICY.scorer().expect("[trust]");
    let scored = signals.explain(scorer, Whom::peer(&PEER), NOW);
    assert!(scored.score.value() <= 100);
    assert!(scored.score.expires_at() > NOW);
    let [a, b] = &scored.contributions[..] else {
        panic!("two signals");
    };
    // T4: without the one that could lower it there is no score.
    assert!(b.signal.is_some() || scored.score.value() == 0);
    assert!(a.signal.is_some() || scored.score.value() <= 10);
    assert_eq!(signals.score(scorer, Whom::peer(&PEER), NOW), scored.score);
    assert_eq!(signals.score(scorer, Whom::nobody(), NOW).value(), 0);
});
