//! The policy of docs/trust.md that weighs all six signals: it loads, and is explained as the page says.

use serde_json::{Value, json};
use ztl_authz::trust::{SignalTable, Signals, Whom};
use ztl_core::policy::{Policy, Query};
use ztl_core::trust::Effect;
use ztl_core::{Claims, Timestamp};

use super::{NOW, id};

const PAGE: &str = include_str!("../../../docs/trust.md");
/// What the page explains the score with.
const VALUES: [(&str, u64); 6] = [
    ("identity-strength", 100),
    ("device", 90),
    ("location", 20),
    ("calm", 95),
    ("threat-intelligence", 10),
    ("provenance", 100),
];

/// What stands between a heading of the page and the next, in the first fence of this kind.
fn fenced(heading: &str, kind: &str) -> &'static str {
    let (_, section) = PAGE.split_once(heading).expect("the heading");
    let open = format!("```{kind}\n");
    let (_, fenced) = section.split_once(&open).expect("the fence");
    fenced.split_once("```").expect("its end").0
}

fn policy() -> Policy {
    let text = fenced("\n### Six signals", "toml");
    Policy::from_toml(text).unwrap_or_else(|error| panic!("{error}"))
}

fn entry(policy: &Policy, name: &str, value: u64, at: Timestamp) -> Value {
    let scorer = policy.scorer().expect("[trust]");
    let weighed = scorer.signals().find(|weighed| weighed.name() == name);
    let mut entry = match weighed.expect("a signal").of().as_str() {
        "subject" => json!({ "issuer": "https://login.example", "subject": "alice" }),
        _ => json!({ "peer": "spiffe://prod.example/laptop" }),
    };
    entry["name"] = name.into();
    entry["value"] = value.into();
    entry["observed_at"] = at.as_unix_secs().into();
    entry
}

fn signals(policy: &Policy, values: &[(&str, u64)], at: Timestamp) -> Signals {
    let entries = values.iter();
    let entries: Vec<_> = entries
        .map(|(name, value)| entry(policy, name, *value, at))
        .collect();
    let table = json!({ "source": "test", "signals": entries }).to_string();
    let table = std::sync::Arc::new(SignalTable::from_json(table.as_bytes()).expect("a table"));
    let all = VALUES.iter();
    let signals = all.fold(Signals::none(), |signals, (name, _)| {
        signals.with(name, std::sync::Arc::clone(&table))
    });
    signals.check(policy).expect("each has a source");
    signals
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test vouches for its own claims"
)]
fn alice() -> Claims {
    let claims = json!({ "iss": "https://login.example", "sub": "alice", "aud": "ledger" });
    let claims = claims.as_object().expect("object").clone();
    Claims::assertion(claims, Timestamp::MAX, "test")
}

#[test]
fn the_policy_with_all_six_is_explained_signal_by_signal_as_the_page_shows() {
    let policy = policy();
    let scorer = policy.scorer().expect("[trust]");
    assert_eq!(scorer.signals().len(), 6);
    let (laptop, alice) = (id("/laptop"), alice());
    let whom = Whom::peer(&laptop).with_claims(&alice);
    let scored = signals(&policy, &VALUES, NOW).explain(scorer, whom, NOW);
    let mut shown = format!("trust score {}", scored.score.value());
    if scored.base > 0 {
        shown.push_str(&format!(", on a base of {}", scored.base));
    }
    shown.push_str(":\n");
    for contribution in &scored.contributions {
        shown.push_str(&format!("  {contribution}\n"));
    }
    let page = fenced("\n### Six signals", "text");
    assert_eq!(shown, page);
    // Its table has each of them once, with what the policy weighs.
    for weighed in scorer.signals() {
        let row = format!("| `{}` | `{}` |", weighed.name(), weighed.of().as_str());
        assert_eq!(PAGE.matches(&row).count(), 1, "{row}");
    }
}

#[test]
fn t4_none_of_the_six_is_better_silenced_or_old() {
    let policy = policy();
    let scorer = policy.scorer().expect("[trust]");
    let (laptop, alice) = (id("/laptop"), alice());
    let whom = Whom::peer(&laptop).with_claims(&alice);
    let score = |values: &[(&str, u64)], at| {
        let scored = signals(&policy, values, at).explain(scorer, whom, NOW);
        (scored.score.value(), scored.contributions)
    };
    let (whole, _) = score(&VALUES, NOW);
    assert!(whole >= 70);
    for at in 0..VALUES.len() {
        let mut left = VALUES.to_vec();
        let (name, _) = left.remove(at);
        let (without, contributions) = score(&left, NOW);
        assert!(without < whole, "{name}: {without}");
        assert_eq!(contributions[at].effect, Effect::Missing);
        assert_eq!(
            without == 0,
            contributions[at].weighed.can_lower(),
            "{name}"
        );
    }
    let a_day_old = Timestamp::from_unix_secs(NOW.as_unix_secs() - 86_400);
    assert_eq!(score(&VALUES, a_day_old).0, 0);
    // The user's are not the workload's: without a token nothing is known of them.
    let scored = signals(&policy, &VALUES, NOW).explain(scorer, Whom::peer(&laptop), NOW);
    assert_eq!(scored.score.value(), 0);
}

#[test]
fn what_it_permits_hangs_on_the_score() {
    let policy = policy();
    let ask = |values: &[(&str, u64)]| {
        let signals: serde_json::Map<_, _> = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        let query = json!({
            "from": "laptop", "to": "ledger", "method": "GET", "path": "/entries/7", "signals": signals,
            "claims": { "iss": "https://login.example", "sub": "alice", "aud": "ledger" },
        });
        let query = Query::from_json(&query.to_string()).expect("a question");
        let decision = query.decide(&policy, NOW).expect("a decision");
        decision.reason.code()
    };
    assert_eq!(ask(&VALUES), "permitted");
    let mut threatened = VALUES;
    threatened[4].1 = 80;
    assert_eq!(ask(&threatened), "requirement_unmet");
    let mut elsewhere = VALUES;
    elsewhere[2].1 = 100;
    assert_eq!(ask(&elsewhere), "requirement_unmet");
}
