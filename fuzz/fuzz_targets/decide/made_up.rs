//! A document that the input makes up, and questions near its rules.

use ztl_core::policy::{Policy, decide, explain, reference};
use ztl_core::{Decision, Verdict};

use crate::forms::{Asked, Choices, NOW, World};
use crate::toys::loader;

/// Most questions about one document: to load it costs more than they do.
const QUESTIONS: usize = 6;
/// Most rules that are taken out, each for itself.
const RULES: usize = 4;

/// Holds what the engine says about a document against the reference interpreter, an explanation, and the laws.
pub fn check(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let world = World::of(&mut choices);
    let mut asked = Vec::new();
    for _ in 0..QUESTIONS {
        let question = Asked::of(&world, &mut choices);
        let decision = agreed(&question, &world.policy);
        let why = question.with_input(|input| explain(&world.policy, input, NOW));
        assert_eq!(why.decision, decision);
        let permitted = decision.verdict == Verdict::Permit;
        for which in 0..Asked::LESS {
            let less = agreed(&question.less(which), &world.policy);
            assert!(
                permitted || less.verdict == Verdict::Deny,
                "{}",
                world.text()
            );
        }
        asked.push((question, permitted));
    }
    for _ in 0..RULES.min(world.rules.len()) {
        let at = choices.below(world.rules.len());
        let Some(less) = world.without(at) else {
            continue;
        };
        let (effect, rule) = &world.rules[at];
        for (question, before) in &asked {
            let after = agreed(question, &less).verdict == Verdict::Permit;
            let holds = match *effect {
                _ if !rule["mode"].is_null() => *before == after,
                "forbid" => after || !before,
                _ => *before || !after,
            };
            assert!(holds, "{rule:#} of {}", world.text());
        }
    }
}

fn agreed(asked: &Asked, policy: &Policy) -> Decision {
    asked.with_input(|input| {
        let decided = decide(policy, input, NOW);
        assert_eq!(
            decided,
            reference::decide(policy.document(), &loader(), input, NOW),
            "{asked:?}"
        );
        decided
    })
}
