//! A request that an assertion rules out and the document permits, for a person to look at.

use serde_json::{Map, Value};

use crate::action::Action;
use crate::analysis::{ActionSpace, Asked, MadeUp, NOW, Need, beside};
use crate::authorizer::Reads;
use crate::id::SpiffeId;
use crate::policy::Policy;
use crate::policy::document::{Effect, NeverDecl};
use crate::policy::external::Aim;
use crate::policy::query::Query;
use crate::policy::rule::Rule;
use crate::reason::Verdict;

use super::call::Counter;

/// For how many assertions that fail a request is looked for: it is help, and holds up no load.
const MOST_SHOWN: usize = 16;
/// Of how many actions one is looked for.
const MOST_ACTIONS: usize = 1_000;

/// Finds them, for the first few assertions that fail.
pub(super) struct Witnesses<'a> {
    policy: &'a Policy,
    left: usize,
    /// What no rule asks of a token, once it was looked for.
    beside: Option<String>,
}

impl<'a> Witnesses<'a> {
    pub(super) const fn of(policy: &'a Policy) -> Self {
        Self {
            policy,
            left: MOST_SHOWN,
            beside: None,
        }
    }

    /// A decide request that is permitted by what shows that the assertion fails. None where none is found, as where the permit hangs
    /// on a condition that says no to what is made up, or a forbid that does not count as protection denies all of it.
    pub(super) fn find(
        &mut self,
        never: &NeverDecl,
        counter: &Counter<'_>,
    ) -> Option<Map<String, Value>> {
        self.left = self.left.checked_sub(1)?;
        let policy = self.policy;
        let beside = self.beside.get_or_insert_with(|| beside(&[policy]));
        let call = call(policy, counter)?;
        let rules = counter.aim.enforced(policy, counter.port);
        let (mut space, mut need) = (ActionSpace::default(), None);
        for (_, rule, decl) in rules {
            let counted = core::ptr::eq(rule, counter.rule);
            if counted {
                need = Some(Need::of(policy, rule, decl));
            }
            if counted || rule.effect == Effect::Forbid {
                for pattern in &rule.actions {
                    space.add(Some(pattern), counted);
                }
            }
        }
        for pattern in &never.actions {
            space.add(Some(&pattern.value), true);
        }
        let evidence = MadeUp::meeting(&need?, Reads::nothing(), beside);
        let actions = space.actions(MOST_ACTIONS).ok()?;
        let meant = |asked: &&Asked| {
            let meant = |action: Action<'_>| is_meant(never, counter.rule, &action);
            asked.action().is_some_and(meant)
        };
        actions.iter().filter(meant).find_map(|asked| {
            evidence.iter().find_map(|evidence| {
                let mut request = call.clone();
                asked.write(&mut request);
                // Outside the mesh none is read.
                if counter.aim.workload().is_some() {
                    evidence.write(&mut request);
                }
                let query = Query::from_map(&request).ok()?;
                let decision = query.decide(policy, NOW).ok()?;
                (decision.verdict == Verdict::Permit).then_some(request)
            })
        })
    }
}

/// Who calls whom, and from where.
fn call(policy: &Policy, counter: &Counter<'_>) -> Option<Map<String, Value>> {
    let mut call = Map::new();
    let from = counter.caller.id.as_ref().map(SpiffeId::as_str);
    call.insert("from".to_owned(), from.into());
    let to = match counter.aim {
        Aim::Workload(target) => {
            if let Some(zone) = counter.caller.zone {
                let addr = policy.zones().example(zone)?.addr()?;
                call.insert("from_addr".to_owned(), addr.to_string().into());
            }
            target.name()
        }
        Aim::External(external) => external.hosts().first()?,
    };
    call.insert("to".to_owned(), to.into());
    call.insert("port".to_owned(), counter.port.into());
    Some(call)
}

/// Whether the permit takes the action, and the assertion rules it out.
fn is_meant(never: &NeverDecl, permit: &Rule, action: &Action<'_>) -> bool {
    let mut ruled_out = never.actions.iter();
    let mut permitted = permit.actions.iter();
    permitted.any(|pattern| pattern.permits(action))
        && (never.actions.is_empty() || ruled_out.any(|pattern| pattern.value.forbids(action)))
}
