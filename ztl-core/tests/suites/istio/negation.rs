//! Negations, said otherwise.

use std::collections::BTreeSet;

use super::clause::{Clause, Unsaid};
use super::lower::Policies;

pub(crate) type Rules<'a> = Vec<(&'a Policies, Clause)>;

/// There are no negative matchers (law 5), so a negation is said otherwise where that says the same.
///
/// To deny whoever is not of some ids is to allow those ids alone. To allow whoever is not of some ids, where nothing else is
/// allowed, is to allow anyone and deny those. What is left is not sayable.
///
/// What allows and is not sayable is left out: `without` learns of it.
pub(crate) fn without_negations<'a>(
    rules: Rules<'a>,
    without: &mut BTreeSet<String>,
) -> Result<Rules<'a>, Unsaid> {
    let allowing = |(policy, _): &&(&Policies, Clause)| !policy.denies && !policy.dry_run;
    let only = rules.iter().filter(allowing).count() == 1;
    let mut said = Vec::new();
    let mut kept = Vec::new();
    let mut denied = Vec::new();
    for (policy, clause) in rules {
        let clause = clause.without_strangers();
        match (policy.denies, policy.dry_run, &clause.not) {
            (_, _, None) => said.push((policy, clause)),
            (true, false, Some(_)) => {
                let not = clause.only_not();
                kept.push(not.ok_or("a negation beside what else is denied")?.to_vec());
            }
            (true, true, Some(_)) => {}
            (false, false, Some(not)) if only => {
                denied.push(Clause::ids(not.clone()));
                said.push((
                    policy,
                    Clause {
                        not: None,
                        ..clause
                    },
                ));
            }
            (false, true, Some(_)) => {}
            (false, false, Some(_)) => {
                without.insert("a negation beside what else is allowed".to_owned());
            }
        }
    }
    for (policy, clause) in &mut said {
        for ids in kept.iter().filter(|_| !policy.denies) {
            *clause = clause.clone().and(Clause::ids(ids.clone()))?;
        }
    }
    const DENY: &Policies = &Policies {
        denies: true,
        dry_run: false,
        alternatives: Vec::new(),
    };
    said.extend(denied.into_iter().map(|clause| (DENY, clause)));
    Ok(said)
}
