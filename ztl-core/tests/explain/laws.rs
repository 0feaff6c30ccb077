//! Properties of explanations of random questions to random documents.

use proptest::prelude::*;
use serde_json::{Value, json};
use ztl_core::policy::{Change, Effect, Mode, Walk, decide, explain, reference};
use ztl_core::{Clause, Lack, Reason, Stage, Verdict};

use super::with_input;
use crate::support::{self, NOW, Question, document, forbid, load, loader, permit, question};

type Rules = (Vec<Value>, Vec<Value>);

fn rules() -> impl Strategy<Value = Rules> {
    (
        prop::collection::vec(permit(), 0..6),
        prop::collection::vec(forbid(), 0..3),
    )
}

/// Questions of which many reach the action.
fn likely() -> impl Strategy<Value = Question> {
    prop_oneof![
        question(),
        question().prop_map(|mut question| {
            question.from = Some(support::ROUTER);
            question.addr = Some("10.10.0.5");
            (question.to, question.port) = ("gateway", 8443);
            question.forwarded = None;
            question
        })
    ]
}

/// What the reference interpreter says to the question under a document with these rules alone.
fn meant(question: &Question, egress: bool, rules: &Rules) -> ztl_core::Decision {
    let policy = load(&document(&rules.0, &rules.1));
    with_input(question, egress, |input| {
        reference::decide(policy.document(), &loader(), input, NOW)
    })
}

/// The rule that a walk speaks of, enforced.
fn written(walk: &Walk, (permits, forbids): &Rules) -> Value {
    let (kind, at) = walk.rule.split_once('-').expect("kind and place");
    let at: usize = at.parse().expect("a place");
    let rules = if kind == "permit" { permits } else { forbids };
    let mut rule = rules[at - 1].clone();
    rule.as_object_mut().expect("a rule").remove("mode");
    rule
}

/// Whether the reference interpreter lets the question pass with these keys of a permit alone, and the rest generous.
fn holds(question: &Question, rule: &Value, keys: &[&str]) -> bool {
    let mut alone = json!({ "from": "any", "to": "any", "ports": "1-65535",
        "actions": ["any", "connect", "GET,HEAD,PUT,POST /{*all}", "GET,HEAD /", "websocket /{*all}", "websocket /"] });
    for key in keys {
        alone[*key] = rule[*key].clone();
    }
    meant(question, false, &(vec![alone], Vec::new())).verdict == Verdict::Permit
}

fn check_permit(
    question: &Question,
    egress: bool,
    walk: &Walk,
    rule: &Value,
) -> Result<(), TestCaseError> {
    let alone = meant(question, egress, &(vec![rule.clone()], Vec::new()));
    let expected = match walk.failed().map(|failed| failed.clause) {
        None => {
            prop_assert_eq!(alone.verdict, Verdict::Permit);
            return Ok(());
        }
        Some(Clause::To | Clause::From | Clause::Port) => (Reason::NoFlowPermitted, None),
        Some(Clause::Action | Clause::Upgrade | Clause::Method | Clause::Path) => {
            (Reason::NoActionPermitted, None)
        }
        Some(clause) => {
            prop_assert_eq!(alone.lack.map(Clause::from), Some(clause));
            (alone.reason, alone.lack)
        }
    };
    prop_assert_eq!((alone.reason, alone.lack), expected, "{:?}", walk);
    Ok(())
}

/// A forbid fires beside a permit of everything, or does not.
fn check_forbid(
    question: &Question,
    egress: bool,
    walk: &Walk,
    rule: &Value,
) -> Result<(), TestCaseError> {
    let everything = json!({ "from": "any", "to": "any", "ports": "1-65535",
        "actions": ["any", "connect", "HEAD,GET /{*all}", "HEAD,GET /", "websocket /{*all}", "websocket /"] });
    let alone = meant(question, egress, &(vec![everything], vec![rule.clone()]));
    prop_assert_eq!(
        alone.reason == Reason::Forbidden,
        walk.matches,
        "{:?}",
        walk
    );
    Ok(())
}

/// The question with one thing different, where that can be written down here.
fn changed(question: &Question, change: &Change) -> Option<Question> {
    let mut other = question.clone();
    let text = |to: &str| -> &'static str { Box::leak(to.to_owned().into_boxed_str()) };
    match change.clause {
        Clause::Method => other.action.as_mut()?.as_mut()?.0 = text(&change.to),
        Clause::Path => other.action.as_mut()?.as_mut()?.1 = text(&change.to),
        Clause::Port => other.port = change.to.parse().expect("a port"),
        Clause::TrustScore => other.score = Some(change.to.parse().expect("a score")),
        Clause::Zone => {
            other.addr = Some(match &*change.to {
                "production" => "10.10.0.5",
                "vault" => "10.10.7.5",
                "iot" => "10.20.0.5",
                zone => panic!("no zone `{zone}`"),
            });
        }
        Clause::Forwards => other.forwarded = None,
        _ => return None,
    }
    Some(other)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// Law 3: an explanation says what the decision says.
    #[test]
    fn law_3_an_explanation_never_disagrees((permits, forbids) in rules(), question in likely(), egress in prop::bool::weighted(0.1)) {
        let policy = load(&document(&permits, &forbids));
        with_input(&question, egress, |input| {
            let (decided, why) = (decide(&policy, input, NOW), explain(&policy, input, NOW));
            prop_assert_eq!(&why.decision, &decided);
            prop_assert_eq!(why.steps.last().map(|step| step.stage), Some(decided.stage));
            let passed = why.steps.iter().filter(|step| step.passed).count();
            prop_assert_eq!(passed == why.steps.len(), decided.verdict == Verdict::Permit);
            // The deciding rule stands first, and is seen to decide.
            if let Some(rule) = &decided.rule {
                prop_assert_eq!(why.rules.first().map(|walk| (&walk.rule, walk.decided)), Some((rule, true)));
                let failed = why.rules[0].failed().map(|failed| failed.clause);
                prop_assert_eq!(failed, decided.lack.map(Clause::from));
            }
            prop_assert!(why.rules.iter().all(|walk| walk.mode == Mode::Enforce));
            prop_assert!(why.shadow.iter().all(|walk| walk.mode == Mode::Shadow && !walk.decided));
            Ok(())
        })?;
    }

    /// Every clause that is said to have failed or held is one of which the reference interpreter says the same.
    #[test]
    fn every_clause_agrees_with_the_reference(rules in rules(), question in likely(), egress in prop::bool::weighted(0.1)) {
        let policy = load(&document(&rules.0, &rules.1));
        let why = with_input(&question, egress, |input| explain(&policy, input, NOW));
        let misplaced = matches!(why.decision.reason, Reason::ZoneUnknown | Reason::ZoneMismatch | Reason::ForwardedUntrusted | Reason::PathAmbiguous);
        let reached = why.decision.stage == Stage::Action || question.action.is_none();
        if !(question.from.is_some() && !misplaced && reached && why.decision.stage != Stage::Identity) {
            return Ok(());
        }
        for walk in why.rules.iter().chain(&why.shadow) {
            let rule = written(walk, &rules);
            // How much work is left to a condition depends on the rules beside it, and here each is asked alone.
            if rule.pointer("/require/when") == Some(&json!("dear")) {
                continue;
            }
            match walk.effect {
                Effect::Permit => check_permit(&question, egress, walk, &rule)?,
                Effect::Forbid => check_forbid(&question, egress, walk, &rule)?,
            }
        }
    }

    /// Each clause by itself, also those behind the first that failed.
    #[test]
    fn every_clause_is_judged_for_itself(rules in rules(), mut question in likely()) {
        question.forwarded = None;
        let policy = load(&document(&rules.0, &rules.1));
        let why = with_input(&question, false, |input| explain(&policy, input, NOW));
        let place = matches!(why.decision.reason, Reason::ZoneUnknown | Reason::ZoneMismatch | Reason::PathAmbiguous);
        if !(question.from.is_some() && question.to != "nobody" && !place && why.decision.stage != Stage::Identity) {
            return Ok(());
        }
        let flow = Question { action: None, ..question.clone() };
        for walk in why.rules.iter().filter(|walk| walk.effect == Effect::Permit) {
            let rule = written(walk, &rules);
            let held = |clauses: &[Clause]| {
                walk.clauses.iter().filter(|one| clauses.contains(&one.clause)).all(|one| one.held)
            };
            prop_assert_eq!(held(&[Clause::To, Clause::From]), holds(&flow, &rule, &["from", "to"]), "{:?}", walk);
            prop_assert_eq!(held(&[Clause::Port]), holds(&flow, &rule, &["ports"]), "{:?}", walk);
            let actions = [Clause::Action, Clause::Upgrade, Clause::Method, Clause::Path];
            if matches!(question.named(), Some(Ok(_))) {
                prop_assert_eq!(held(&actions), holds(&question, &rule, &["actions"]), "{:?}", walk);
            }
        }
    }

    /// What is said of a denial in passing is what the whole explanation says.
    #[test]
    fn what_a_denial_hung_on_is_in_its_explanation(rules in rules(), question in likely()) {
        let engine = || ztl_core::Engine::new(load(&document(&rules.0, &rules.1)), ztl_core::audit::MemorySink::new(1)).expect("engine").explain_denials(true);
        let engine = engine();
        let denial = with_input(&question, false, |input| {
            let permit = match engine.permit_flow(&input.flow, NOW) {
                Ok(permit) => permit,
                Err(denial) => return Some(denial),
            };
            let Some(Ok(action)) = &input.action else { return None };
            engine.authorize(&permit, action, &input.evidence, NOW).err()
        });
        let why = with_input(&question, false, |input| engine.explain(input, NOW));
        let Some(denial) = denial else { return Ok(()) };
        let near = denial.decision().near.clone();
        let stands = |reason| denial.reason() == reason && !why.rules.iter().any(|walk| walk.effect == Effect::Permit);
        let nothing = stands(Reason::NoFlowPermitted) || stands(Reason::NoActionPermitted);
        let silent = matches!(denial.stage(), Stage::Identity) || matches!(denial.reason(), Reason::ZoneUnknown | Reason::ZoneMismatch | Reason::ForwardedUntrusted);
        if denial.reason() == Reason::NoFlowPermitted && question.to == "nobody" {
            prop_assert!(near.is_none());
        } else {
            prop_assert_eq!(near.is_none(), nothing || silent, "{:?}", denial);
        }
        if let Some(near) = near {
            let walk = why.rules.iter().find(|walk| walk.rule == near.rule).expect("a rule that is shown");
            match near.clause {
                Clause::Forbid => prop_assert!(walk.matches),
                Clause::Oblige => prop_assert_eq!(denial.reason(), Reason::ObligationUnknown),
                clause => prop_assert_eq!(walk.failed().map(|failed| failed.clause), Some(clause)),
            }
        }
    }

    /// Law 7: what the caller is told has no name in it.
    #[test]
    fn law_7_a_redacted_explanation_names_nobody((permits, forbids) in rules(), question in likely()) {
        let policy = load(&document(&permits, &forbids));
        let why = with_input(&question, false, |input| explain(&policy, input, NOW));
        let told = format!("{} {}", why.redacted(), why.redacted().json());
        let names = ["permit-", "forbid-", "gateway", "router", "retriever", "sensor", "store", "spiffe", "zone", "production", "iot", "vault", "corp"];
        prop_assert!(!names.iter().any(|name| told.contains(name)), "{}", told);
        let mended = why.redacted().needs.is_some();
        let lack = why.decision.lack;
        prop_assert_eq!(mended, why.decision.reason == Reason::PathAmbiguous || matches!(lack, Some(Lack::Token | Lack::Scope | Lack::Mfa)));
    }
}

#[test]
fn what_is_said_to_be_permitted_is_permitted() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut asked = std::collections::BTreeMap::<Clause, usize>::new();
    for _ in 0..1500 {
        let tree = (rules(), likely()).new_tree(&mut runner).expect("a value");
        let ((permits, forbids), question) = tree.current();
        let policy = load(&document(&permits, &forbids));
        let why = with_input(&question, false, |input| explain(&policy, input, NOW));
        for one in &why.nearest.otherwise {
            let other = (one.changes.iter()).try_fold(question.clone(), |question, change| {
                changed(&question, change)
            });
            let Some(other) = other else { continue };
            let decision = other.ask(&policy);
            assert_eq!(decision.verdict, Verdict::Permit, "{one} {question:?}");
            assert_eq!(decision.rule.as_ref(), Some(&one.rule));
            for change in &one.changes {
                *asked.entry(change.clause).or_default() += 1;
            }
        }
    }
    let seen = [
        Clause::Method,
        Clause::Path,
        Clause::Zone,
        Clause::TrustScore,
    ];
    assert!(
        seen.iter().all(|clause| asked.contains_key(clause)),
        "{asked:?}"
    );
}

#[test]
fn the_search_for_the_nearest_is_bounded_and_finds_something() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut denied, mut found, mut most) = (0_usize, 0_usize, 0_usize);
    for _ in 0..600 {
        let tree = (rules(), likely()).new_tree(&mut runner).expect("a value");
        let ((permits, forbids), question) = tree.current();
        let policy = load(&document(&permits, &forbids));
        let why = with_input(&question, false, |input| explain(&policy, input, NOW));
        if why.decision.verdict == Verdict::Permit {
            assert!(why.nearest.otherwise.is_empty() && why.nearest.decisions == 0);
            continue;
        }
        denied += 1;
        found += usize::from(!why.nearest.otherwise.is_empty());
        most = most.max(why.nearest.decisions);
        assert!(
            why.nearest
                .otherwise
                .iter()
                .all(|one| !one.changes.is_empty())
        );
    }
    assert!(
        most <= 64 && denied > 300 && found * 4 > denied,
        "{denied} {found} {most}"
    );
}
