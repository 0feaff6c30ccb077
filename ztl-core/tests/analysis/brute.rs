//! What `diff` says, against trying everything.

use proptest::prelude::*;
use serde_json::json;
use ztl_core::analysis::{self, Caller, Change};
use ztl_core::policy::{ActionPattern, Effect, Policy, Query, RuleDecl};
use ztl_core::{Reason, Verdict};

use crate::support::{NOW, Question, ROUTER, document, load};
use crate::universe::{edited, flows, peer_name, questions};

fn permits(policy: &Policy, question: &Question) -> bool {
    question.ask(policy).verdict == Verdict::Permit
}

/// Whether the change tells of the question.
fn covers(change: &Change, question: &Question, permitting: &Policy) -> bool {
    let meant = |caller: &Caller| match caller {
        Caller::Public => question.from.is_none(),
        Caller::Workload(name) => peer_name(question) == Some(name),
        // One id stands for all that no rule tells apart from it.
        Caller::Undeclared(_) => question.from.is_some() && peer_name(question).is_none(),
        _ => false,
    };
    let zone = permitting.zones().zone_of(&question.arrival());
    let place = zone.map(|zone| zone.name().into());
    let asked = match (question.named(), change.action.as_deref()) {
        (None, _) | (_, None) => true,
        (Some(action), Some(pattern)) => {
            let pattern = ActionPattern::parse(pattern).expect("pattern");
            pattern.permits(&action.expect("path"))
        }
    };
    change.callers.iter().any(meant)
        && change.places.contains(&place)
        && *change.to == *question.to
        && change.ports.contains(&question.port)
        && asked
}

/// Whether no evidence is made up for what this rule asks.
fn is_opaque(rule: &RuleDecl) -> bool {
    let parties = !rule.subject.is_empty() || !rule.actors.is_empty();
    // A forbid fires on somebody who comes along as well (T12).
    let oblige = &rule.oblige;
    let obliged = oblige.limit.is_some()
        || oblige.schema.is_some()
        || oblige.max_body.is_some()
        || oblige.log.is_some();
    let conditions = rule.require.when.is_some() || !rule.require.authorizer.is_empty();
    parties || obliged || conditions || rule.effect == Effect::Forbid
}

/// Whether it matters what evidence there is.
fn reads_evidence(policy: &Policy) -> bool {
    policy.document().rules.iter().any(|rule| {
        let require = &rule.require;
        !rule.subject.is_empty()
            || !rule.actors.is_empty()
            || rule.effect == Effect::Forbid
            || require.when.is_some()
            || require.token.is_some()
            || require.mfa.is_some()
            || require.trust_score.is_some()
            || !require.headers.is_empty()
    })
}

/// Whether a condition failed for lack of steps, of which each has fewer the more there are (docs/analysis.md).
fn starves(policy: &Policy, question: &Question) -> bool {
    let is_dear = |rule: &RuleDecl| {
        let when = rule.require.when.as_ref();
        when.is_some_and(|when| &*when.value == "dear")
    };
    policy.document().rules.iter().any(is_dear)
        && question.ask(policy).reason == Reason::AuthorizerFailed
}

/// Returns how many questions are answered differently.
fn check(old: &Policy, new: &Policy) -> Result<usize, TestCaseError> {
    let diff = analysis::diff(old, new).expect("small");
    let mut differing = 0;
    let reads = [old, new].into_iter().any(reads_evidence);
    for flow in flows() {
        if !permits(old, &flow) && !permits(new, &flow) {
            continue;
        }
        for question in questions(&flow, reads) {
            let (was, is) = (permits(old, &question), permits(new, &question));
            let (changes, permitting) = match (was, is) {
                (false, true) => (&diff.newly_permitted, new),
                (true, false) => (&diff.newly_denied, old),
                _ => continue,
            };
            if [old, new].iter().any(|policy| starves(policy, &question)) {
                continue;
            }
            differing += 1;
            let told = changes
                .iter()
                .any(|change| covers(change, &question, permitting));
            prop_assert!(told, "missed {question:?}: {was} -> {is}\n{changes:#?}");
        }
    }
    for (changes, was, is) in [
        (&diff.newly_permitted, Verdict::Deny, Verdict::Permit),
        (&diff.newly_denied, Verdict::Permit, Verdict::Deny),
    ] {
        for change in changes {
            let query = Query::from_map(&change.witness).expect("request");
            let said = |policy| query.decide(policy, NOW).expect("answer").verdict;
            prop_assert_eq!(change.confirmed, said(old) == was && said(new) == is);
            let opaque = |policy: &Policy| policy.document().rules.iter().any(is_opaque);
            prop_assert!(
                change.confirmed || opaque(old) || opaque(new),
                "{change:#?}"
            );
        }
    }
    Ok(differing)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// T10: nothing that changes is missed, nothing is told of that does not change.
    #[test]
    fn t10_diff_agrees_with_trying_everything((old, new) in edited()) {
        if let (Some(old), Some(new)) = (old.load(), new.load()) {
            check(&old, &new)?;
        }
    }

    /// A document is like itself, and its reverse is the reverse.
    #[test]
    fn a_document_is_like_itself_and_the_reverse_is_the_reverse((old, new) in edited()) {
        if let (Some(old), Some(new)) = (old.load(), new.load()) {
            prop_assert!(analysis::diff(&old, &old).expect("small").is_empty());
            let (there, back) = (analysis::diff(&old, &new).expect("small"), analysis::diff(&new, &old).expect("small"));
            prop_assert_eq!(there.newly_permitted.len(), back.newly_denied.len());
            prop_assert_eq!(there.newly_denied.len(), back.newly_permitted.len());
        }
    }
}

/// The exception that docs/analysis.md states: a condition that failed for lack of steps has more of them once others are gone.
#[test]
fn t10_how_much_a_condition_may_take_is_the_one_thing_not_compared() {
    let asks = |name: &str, path: &str| json!({ "name": name, "from": "router", "to": "gateway", "actions": [path], "require": { "when": "dear" } });
    let one = asks("one", "GET /v1/{id}");
    let more = (0..3).map(|at| asks(&format!("more-{at}"), &format!("POST /v{at}")));
    let four: Vec<_> = core::iter::once(one.clone()).chain(more).collect();
    let (old, new) = (document(&four, &[]), document(&[one], &[]));
    let found = crate::diff::diff(&old, &new);
    assert!(found.denies_more() && !found.permits_more(), "{found:#?}");
    let question = Question::get(ROUTER, "gateway", 8443, "/v1/a");
    let reason = |document| question.ask(&load(document)).reason.code();
    assert_eq!(
        (reason(&old), reason(&new)),
        ("authorizer_failed", "permitted")
    );
}
