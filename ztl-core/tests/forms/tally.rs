//! That every form occurs and decides both ways: else the properties would be hollow.

use std::collections::BTreeMap;
use std::thread;

use serde_json::json;
use ztl_core::policy::explain;
use ztl_core::{Clause, Reason, Verdict};

use super::forms::{Asked, Choices, NOW, World, kinds};
use super::{agreed, engine};

const WORLDS: usize = 1_800;
/// About each.
const QUESTIONS: usize = 4;
/// How many forms there are.
const FORMS: usize = 152;

/// How often a form made the decision what it is: a permit, and a denial.
type Tally = BTreeMap<String, [usize; 2]>;

fn count(tally: &mut Tally, form: String, verdict: Verdict) {
    tally.entry(form).or_default()[usize::from(verdict == Verdict::Deny)] += 1;
}

/// So many bytes that have no pattern: SplitMix64.
pub(crate) fn bytes(seed: usize) -> Vec<u8> {
    let mut state = u64::try_from(seed).expect("a seed") << 32;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..100).flat_map(|_| next().to_le_bytes()).collect()
}

/// A form decides where its rule decides, and where of its rule it alone keeps a permit from holding, or a forbid from firing,
/// as the explanation of the decision has it.
fn tally(world: &World, asked: &Asked, tally: &mut Tally) {
    let decided = agreed(asked, &world.policy);
    let verdict = decided.verdict;
    for kind in asked.kinds() {
        count(tally, kind.to_owned(), verdict);
    }
    // Looked up by the path that is asked for, and not rule by rule.
    if let Some((effect, _)) = decided.rule.as_deref().and_then(|name| world.rule(name))
        && world
            .rules
            .iter()
            .filter(|(other, _)| other == effect)
            .count()
            > 20
    {
        count(tally, format!("{effect} among many"), verdict);
    }
    // Elsewhere, and where the flow alone is asked for, a permit looks at no evidence.
    let elsewhere = ["the flow alone", "at the caller", "outside"];
    let ends_alone =
        verdict == Verdict::Permit && asked.kinds().iter().any(|kind| elsewhere.contains(kind));
    let why = asked.with_input(|input| explain(&world.policy, input, NOW));
    for walk in why.rules.iter().chain(&why.shadow) {
        let Some((effect, rule)) = world.rule(&walk.rule) else {
            continue;
        };
        let enforced = rule["mode"].is_null();
        let sole = match walk.clauses.iter().filter(|one| !one.held).count() {
            1 => walk.failed().map(|one| one.clause),
            _ => None,
        };
        if !enforced {
            let said = decided.shadow.iter().any(|said| said.rule == walk.rule);
            let form = format!(
                "{effect} in shadow, {}",
                if said { "heard" } else { "silent" }
            );
            count(tally, form, verdict);
            continue;
        }
        let asked_for =
            |clause| !(ends_alone && matches!(clause, Clause::When | Clause::Authorizer));
        for (clause, form) in kinds(effect, rule) {
            let decides = match sole {
                None => walk.decided,
                Some(sole) => {
                    let open = (*effect == "permit") == (verdict == Verdict::Deny);
                    clause == sole && open
                }
            };
            if decides && asked_for(clause) {
                count(tally, form, verdict);
            }
        }
    }
    // Who cannot discharge what the permit obliges to is denied.
    if !decided.obligations.is_empty()
        && engine(world, asked, false, &decided) == Some(Reason::ObligationUnknown)
    {
        let rule = decided.rule.as_deref().and_then(|name| world.rule(name));
        let forms = rule.map(|(effect, rule)| kinds(effect, rule));
        for (clause, form) in forms.into_iter().flatten() {
            if clause == Clause::Oblige {
                count(tally, form, Verdict::Deny);
            }
        }
    }
    // Rules about another target are not walked: whether `to` alone kept one away is tried.
    let turns = |effect: &str| (effect == "permit") == (verdict == Verdict::Deny);
    let rules = world.rules.iter().enumerate();
    let could = rules.filter(|(_, (effect, rule))| turns(effect) && rule["mode"].is_null());
    for (at, (effect, rule)) in could.take(2) {
        let mut rules = world.rules.clone();
        rules[at].1["to"] = match asked.target() {
            host if host.contains('.') => json!("external:hub"),
            name => name.into(),
        };
        if let Some(other) = world.with(&rules)
            && agreed(asked, &other).verdict != verdict
        {
            let forms = kinds(effect, rule).into_iter();
            for (_, form) in forms.filter(|(clause, _)| *clause == Clause::To) {
                count(tally, form, verdict);
            }
        }
    }
}

/// What a form cannot make of a decision by itself.
const NEVER: [(&str, Verdict); 23] = [
    // Beside a permit for callers without an SVID it does not load.
    ("forbid from any", Verdict::Permit),
    // It is the rule that decides.
    ("forbid among many", Verdict::Permit),
    // Nothing is wider.
    ("forbid of the flow", Verdict::Permit),
    ("forbid any", Verdict::Permit),
    ("forbid to any", Verdict::Permit),
    ("forbid on every port", Verdict::Permit),
    ("forbid without ports", Verdict::Permit),
    // Every declared workload is in the one trust domain.
    ("permit to trust-domain", Verdict::Deny),
    // It fires whatever is known, and whatever is not.
    ("forbid when true", Verdict::Permit),
    ("forbid when error", Verdict::Permit),
    ("forbid when token", Verdict::Permit),
    ("forbid when score", Verdict::Permit),
    ("forbid when posture", Verdict::Permit),
    ("forbid when context", Verdict::Permit),
    // It always holds where it is asked.
    ("permit when true", Verdict::Deny),
    ("permit authorizer agreeable", Verdict::Deny),
    ("permit authorizer configured", Verdict::Deny),
    // It never holds where it is asked.
    ("permit when error", Verdict::Permit),
    ("permit when false", Verdict::Permit),
    ("permit authorizer nosy", Verdict::Permit),
    ("permit authorizer lost", Verdict::Permit),
    ("permit authorizer broken", Verdict::Permit),
    ("permit authorizer objector", Verdict::Permit),
];

#[test]
fn every_form_occurs_and_decides_both_ways() {
    let of = |seed: usize, all: &mut Tally| {
        let bytes = bytes(seed);
        let mut choices = Choices::new(&bytes);
        let world = World::of(&mut choices);
        for _ in 0..QUESTIONS {
            tally(&world, &Asked::of(&world, &mut choices), all);
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let all = thread::scope(|scope| {
        let of = &of;
        let working: Vec<_> = (0..workers)
            .map(|first| {
                scope.spawn(move || {
                    let mut all = Tally::new();
                    let seeds = (first..WORLDS).step_by(workers);
                    seeds.for_each(|seed| of(seed, &mut all));
                    all
                })
            })
            .collect();
        let mut all = Tally::new();
        for worker in working {
            for (form, [permitted, denied]) in worker.join().expect("no difference was found") {
                let counts = all.entry(form).or_default();
                *counts = [counts[0] + permitted, counts[1] + denied];
            }
        }
        all
    });
    assert_eq!(all.len(), FORMS, "{:?}", all.keys());
    let mut hollow = Vec::new();
    for (form, counts) in &all {
        for (verdict, times) in [Verdict::Permit, Verdict::Deny].into_iter().zip(counts) {
            let never = NEVER.contains(&(form.as_str(), verdict));
            if *times == 0 && !never {
                hollow.push((form, verdict));
            }
        }
    }
    // Each that is listed occurs, and decides the other way alone.
    let one_sided = |(form, verdict): &(&str, Verdict)| {
        let [permitted, denied] = all.get(*form).copied().unwrap_or_default();
        match verdict {
            Verdict::Permit => permitted == 0 && denied > 0,
            Verdict::Deny => denied == 0 && permitted > 0,
        }
    };
    let idle = NEVER.iter().filter(|one| !one_sided(one));
    let idle: Vec<_> = idle.map(|one| (one, all.get(one.0))).collect();
    assert!(
        hollow.is_empty() && idle.is_empty(),
        "these decide nothing: {hollow:?}, and these are no exception: {idle:?}"
    );
}
