//! The sum, its floor, its vetoes, and time.

use proptest::prelude::*;

use super::*;
use crate::policy::Policy;

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

fn scorer(trust: &str) -> Scorer {
    let head = "schema = 1\ntrust_domain = \"prod.example\"\n";
    let policy =
        Policy::from_toml(&format!("{head}{trust}")).unwrap_or_else(|error| panic!("{error}"));
    policy.scorer().expect("[trust]").clone()
}

/// The document of docs/policy.md.
fn documented() -> Scorer {
    scorer(
        r#"
        [trust]
        base = 20
        [trust.signals.device]
        of = "subject"
        weight = 40
        floor = 30
        max_age = "1h"
        fades_after = "15m"
        [trust.signals.provenance]
        weight = 40
        max_age = "1d"
        [trust.signals.anomaly]
        weight = -50
        max_age = "5m"
        [trust.signals.threat-intelligence]
        veto = 80
        max_age = "10m"
    "#,
    )
}

/// Signals by name: their value and their age in seconds.
type Given<'a> = &'a [(&'a str, u8, u64)];

fn signal(given: Given<'_>, name: &str) -> Option<Signal> {
    let (_, value, age) = given.iter().find(|(one, ..)| *one == name)?;
    let observed_at = NOW.saturating_sub(Duration::from_secs(*age));
    Signal::new(*value, observed_at, Timestamp::MAX, "test")
}

fn scored(given: Given<'_>, after: u64) -> Scored {
    let now = NOW.saturating_add(Duration::from_secs(after));
    documented().explain(now, |weighed| signal(given, weighed.name()))
}

fn score(given: Given<'_>) -> u8 {
    scored(given, 0).score.value()
}

const GOOD: Given<'static> = &[
    ("device", 100, 0),
    ("provenance", 100, 0),
    ("anomaly", 0, 0),
    ("threat-intelligence", 0, 0),
];

fn with(name: &str, value: u8, age: u64) -> Vec<(&str, u8, u64)> {
    let others = GOOD.iter().filter(|(one, ..)| *one != name).copied();
    others.chain([(name, value, age)]).collect()
}

fn without(name: &str) -> Vec<(&'static str, u8, u64)> {
    let others = GOOD.iter().filter(|(one, ..)| *one != name);
    others.copied().collect()
}

#[test]
fn a_score_is_the_sum_that_the_document_says() {
    assert_eq!(score(GOOD), 100);
    assert_eq!(score(&with("provenance", 50, 0)), 80);
    // What adds is rounded down, what takes is rounded up: 40 % of 1 is nothing, 50 % of 1 is a point.
    assert_eq!(score(&with("provenance", 1, 0)), 60);
    assert_eq!(score(&with("anomaly", 1, 0)), 99);
    assert_eq!(score(&with("anomaly", 100, 0)), 50);
    assert_eq!(score(&with("device", 30, 0)), 72);
    assert_eq!(score(&with("threat-intelligence", 79, 0)), 100);
}

#[test]
fn a_sum_below_nothing_is_nothing() {
    let scorer = scorer("[trust.signals.bad]\nweight = -100\nmax_age = 60");
    let bad = |value| Signal::new(value, NOW, Timestamp::MAX, "test");
    assert_eq!(scorer.score(NOW, |_| bad(100)).value(), 0);
    assert_eq!(scorer.score(NOW, |_| bad(0)).value(), 0);
}

#[test]
fn t4_a_veto_and_a_floor_take_the_whole_score() {
    assert_eq!(score(&with("threat-intelligence", 80, 0)), 0);
    assert_eq!(score(&with("threat-intelligence", 100, 599)), 0);
    assert_eq!(score(&with("device", 29, 0)), 0);
}

#[test]
fn t4_a_silent_feed_that_could_lower_the_score_is_worth_nothing() {
    for feed in ["anomaly", "threat-intelligence", "device"] {
        assert_eq!(score(&without(feed)), 0, "{feed}");
        let effects = scored(&without(feed), 0).contributions;
        let zeroes: Vec<_> = effects.iter().filter(|one| one.zeroes()).collect();
        assert_eq!(zeroes.len(), 1, "{feed}");
        assert_eq!(zeroes[0].weighed.name(), feed);
    }
    for (feed, last) in [("anomaly", 299), ("threat-intelligence", 599)] {
        assert_eq!(score(&with(feed, 0, last)), 100, "{feed}");
        assert_eq!(score(&with(feed, 0, last + 1)), 0, "{feed}");
    }
}

#[test]
fn t4_what_only_adds_is_missed_and_its_weight_goes_to_nobody() {
    assert_eq!(score(&without("provenance")), 60);
    assert_eq!(score(&with("provenance", 100, 86_400)), 60);
}

#[test]
fn t23_what_was_observed_in_the_future_is_not_known() {
    let of = |ahead| {
        documented().score(NOW, |weighed| {
            let at = match weighed.name() {
                "anomaly" => NOW.saturating_add(Duration::from_secs(ahead)),
                _ => NOW,
            };
            Signal::new(
                if weighed.can_lower() { 50 } else { 100 },
                at,
                Timestamp::MAX,
                "test",
            )
        })
    };
    assert_eq!(of(60).value(), 20 + 20 + 40 - 25);
    assert_eq!(of(61).value(), 0);
}

#[test]
fn a_signal_ends_when_its_source_says_so() {
    let ends = NOW.saturating_add(Duration::from_secs(10));
    let of = |after| {
        let now = NOW.saturating_add(Duration::from_secs(after));
        documented().score(now, |weighed| {
            let value = if weighed.name() == "anomaly" { 0 } else { 60 };
            Signal::new(value, NOW, ends, "test")
        })
    };
    assert_eq!((of(9).value(), of(9).expires_at()), (20 + 24 + 24, ends));
    assert_eq!(of(10).value(), 0);
}

#[test]
fn what_fades_gives_less_evenly_and_a_score_holds_until_it_does() {
    let age = |age| scored(&with("device", 100, age), 0).score.value();
    assert_eq!((age(0), age(900), age(901)), (100, 100, 99));
    // Half way between 15 minutes and an hour.
    assert_eq!(age(900 + 1350), 80);
    assert_eq!((age(3599), age(3600)), (60, 0));
}

#[test]
fn every_point_is_explained() {
    let lines: Vec<_> = scored(&with("device", 90, 1800), 0)
        .contributions
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        lines,
        [
            "`device` of the subject is 90 by `test`, 1800 s old: adds 24 of 40",
            "`provenance` of the peer is 100 by `test`, 0 s old: adds 40 of 40",
            "`anomaly` of the peer is 0 by `test`, 0 s old: takes 0 of 50",
            "`threat-intelligence` of the peer is 0 by `test`, 0 s old: within its bounds",
        ]
    );
    let lines = |given: &[_]| -> String {
        let all = scored(given, 0).contributions;
        all.iter().map(|one| format!("{one}\n")).collect()
    };
    assert!(lines(&without("anomaly")).contains(
        "`anomaly` of the peer is not known: it could lower the score, so the score is 0"
    ));
    assert!(
        lines(&without("provenance"))
            .contains("`provenance` of the peer is not known: adds nothing")
    );
    assert!(lines(&with("anomaly", 7, 300)).contains(
        "`anomaly` of the peer is 7 by `test`, 300 s old, and is heard for 300 s at most: it could lower the score"
    ));
    assert!(lines(&with("threat-intelligence", 90, 1)).contains(", its veto 80: the score is 0"));
    assert!(lines(&with("device", 7, 1)).contains(", below its floor 30: the score is 0"));
}

/// Any signals of the document: some missing, of any value and age.
fn any_signals() -> impl Strategy<Value = Vec<(&'static str, u8, u64)>> {
    let one = |name, oldest: u64| {
        proptest::option::weighted(0.9, (0..=100_u8, 0..oldest))
            .prop_map(move |given| given.map(|(value, age)| (name, value, age)))
    };
    let all = [
        one("device", 4000),
        one("provenance", 90_000),
        one("anomaly", 400),
        one("threat-intelligence", 700),
    ];
    all.prop_map(|all| all.into_iter().flatten().collect())
}

proptest! {
    /// Time alone never makes anybody more trusted, and a score says how long it holds.
    #[test]
    fn without_news_a_score_never_rises_and_holds_until_it_expires(
        given in any_signals(),
        after in 0..4000_u64,
        millis in 1..4_000_000_u64,
    ) {
        let first = scored(&given, after);
        let now = NOW.saturating_add(Duration::from_secs(after));
        let later = now.saturating_add(Duration::from_millis(millis));
        let second = documented().score(later, |weighed| signal(&given, weighed.name()));
        prop_assert!(second.value() <= first.score.value());
        prop_assert!(first.score.expires_at() > now);
        if later < first.score.expires_at() {
            prop_assert_eq!(second.value(), first.score.value());
        }
    }

    /// A signal less, or a worse one, never makes anybody more trusted.
    #[test]
    fn t4_nothing_is_gained_by_silence(given in any_signals(), gone in 0..4_usize) {
        let mut fewer = given.clone();
        if gone < fewer.len() {
            fewer.remove(gone);
        }
        prop_assert!(score(&fewer) <= score(&given));
    }

    /// What is explained is what is scored.
    #[test]
    fn the_contributions_add_up(given in any_signals()) {
        let scored = scored(&given, 0);
        let mut sum = i32::from(scored.base);
        for one in &scored.contributions {
            match one.effect {
                Effect::Adds(points) => sum += i32::from(points),
                Effect::Takes(points) => sum -= i32::from(points),
                _ => {}
            }
        }
        let zero = scored.contributions.iter().any(Contribution::zeroes);
        let expected = if zero { 0 } else { sum.max(0) };
        prop_assert_eq!(i32::from(scored.score.value()), expected);
        let plain = documented().score(NOW, |weighed| signal(&given, weighed.name()));
        prop_assert_eq!(plain, scored.score);
    }
}
