//! The engine and the reference interpreter over every form of the policy language: documents and questions are chosen by
//! bytes (`support/forms`), near the edges of what the rules of each document name.

#![cfg(test)]

#[path = "../support/forms/mod.rs"]
mod forms;
#[path = "../support/toys.rs"]
mod toys;

mod keys;
mod tally;

use std::sync::Arc;

use forms::{Asked, Choices, NOW, World};
use proptest::prelude::*;
use ztl_core::audit::MemorySink;
use ztl_core::policy::{Policy, decide, explain, reference};
use ztl_core::{Decision, Engine, ObligationKinds, Reason, Verdict};

/// What the engine says; the reference interpreter has to say the same.
fn agreed(asked: &Asked, policy: &Policy) -> Decision {
    asked.with_input(|input| {
        let decided = decide(policy, input, NOW);
        let meant = reference::decide(policy.document(), &toys::loader(), input, NOW);
        assert_eq!(decided, meant, "{asked:?}");
        decided
    })
}

fn permitted(asked: &Asked, policy: &Policy) -> bool {
    agreed(asked, policy).verdict == Verdict::Permit
}

fn chosen() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..600)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// Verdict, stage, reason, rule, lack, shadow and obligations; and an explanation says what was decided.
    #[test]
    fn the_engine_agrees_with_the_reference(bytes in chosen()) {
        let mut choices = Choices::new(&bytes);
        let world = World::of(&mut choices);
        for _ in 0..4 {
            let asked = Asked::of(&world, &mut choices);
            let decided = agreed(&asked, &world.policy);
            let why = asked.with_input(|input| explain(&world.policy, input, NOW));
            prop_assert_eq!(&why.decision, &decided);
        }
    }

    /// Law 4: without a forbid nothing is lost, and without a permit nothing is won; a rule in shadow or off is worth nothing.
    #[test]
    fn law_4_one_rule_less(bytes in chosen()) {
        let mut choices = Choices::new(&bytes);
        let world = World::of(&mut choices);
        let asked = Asked::of(&world, &mut choices);
        let before = permitted(&asked, &world.policy);
        for (at, (effect, rule)) in world.rules.iter().enumerate().take(12) {
            let Some(less) = world.without(at) else { continue };
            let after = permitted(&asked, &less);
            let counts = rule["mode"].is_null();
            let holds = match *effect {
                _ if !counts => before == after,
                "forbid" => after || !before,
                _ => before || !after,
            };
            prop_assert!(holds, "{rule:#} of {}", world.text());
        }
    }

    /// Law 4: removing evidence never widens.
    #[test]
    fn law_4_less_evidence_never_widens(bytes in chosen(), which in 0..Asked::LESS) {
        let mut choices = Choices::new(&bytes);
        let world = World::of(&mut choices);
        let asked = Asked::of(&world, &mut choices);
        let before = permitted(&asked, &world.policy);
        let after = permitted(&asked.less(which), &world.policy);
        prop_assert!(before || !after, "{which} of {asked:?} under {}", world.text());
    }

    /// Laws 2 and 6: the engine says what `decide` says, in two steps, and writes one record a decision.
    #[test]
    fn law_6_the_engine_agrees_with_decide(bytes in chosen(), able in any::<bool>()) {
        let mut choices = Choices::new(&bytes);
        let world = World::of(&mut choices);
        let asked = Asked::of(&world, &mut choices);
        let decided = agreed(&asked, &world.policy);
        engine(&world, &asked, able, &decided);
    }
}

/// Holds an engine against what was decided.
fn engine(world: &World, asked: &Asked, able: bool, decided: &Decision) -> Option<Reason> {
    let audit = Arc::new(MemorySink::new(4));
    let policy = world.with(&world.rules).expect("it loaded before");
    let engine = Engine::new(policy, Arc::clone(&audit)).expect("engine");
    let all = ObligationKinds::none()
        .with_limit()
        .with_schema()
        .with_max_body()
        .with_log();
    let engine = if able {
        engine.with_obligations(all)
    } else {
        engine
    };
    asked.with_input(|input| {
        let flow = engine.permit_flow(&input.flow, NOW);
        assert_eq!(audit.taken(), 1);
        let permit = match (flow, &input.action) {
            (Err(denial), _) => {
                assert_eq!(
                    (denial.reason(), denial.stage()),
                    (decided.reason, decided.stage)
                );
                return Some(denial.reason());
            }
            (Ok(permit), Some(Ok(action))) => {
                engine.authorize(&permit, action, &input.evidence, NOW)
            }
            (Ok(_), _) => return None,
        };
        assert_eq!(audit.taken(), 2);
        match permit {
            Ok(permit) => {
                assert_eq!(
                    (decided.verdict, Some(permit.rule())),
                    (Verdict::Permit, decided.rule.as_deref())
                );
                assert_eq!(permit.obligations(), &decided.obligations);
                assert!(able || permit.obligations().is_empty());
                None
            }
            // Law 1: an obligation that nobody would discharge.
            Err(denial) if !able && !decided.obligations.is_empty() => {
                assert_eq!(
                    (denial.reason(), denial.rule()),
                    (Reason::ObligationUnknown, decided.rule.as_deref())
                );
                Some(denial.reason())
            }
            Err(denial) => {
                assert_eq!(denial.decision(), decided);
                Some(denial.reason())
            }
        }
    })
}
