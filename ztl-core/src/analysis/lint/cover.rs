//! Whether one rule speaks of everything that another speaks of. Errs towards no.

use crate::policy::{
    ActionPattern, Effect, HeaderRequire, Mfa, PortRange, Require, RuleDecl, Spanned, Subject,
    TokenRequire, Workload,
};

use super::key::{Key, Keys, RuleKeys};
use super::pattern::Read;

/// Whether `wide` speaks of every caller, target, port and action of `narrow`.
pub(super) fn covers<'a>(keys: &Keys<'a>, wide: &RuleKeys<'a>, narrow: &RuleKeys<'a>) -> bool {
    let all = |wide: &[Key<'a>], narrow: &[Key<'a>]| {
        narrow
            .iter()
            .all(|key| keys.wider(key).iter().any(|key| wide.contains(key)))
    };
    actions_cover(wide, narrow)
        && all(&wide.from, &narrow.from)
        && all(&wide.to, &narrow.to)
        && ports_cover(keys, wide, narrow)
}

fn actions_cover(wide: &RuleKeys<'_>, narrow: &RuleKeys<'_>) -> bool {
    let effects = (wide.decl.effect, narrow.decl.effect);
    if wide.actions.is_empty() {
        return effects.0 == Effect::Forbid;
    }
    let covers = |wide: &Read<'_>, one: &Read<'_>| match effects {
        (Effect::Permit, Effect::Permit) => wide.permits_all_of(one),
        (Effect::Forbid, Effect::Permit) => wide.forbids_all_of(one),
        (Effect::Forbid, Effect::Forbid) => {
            *wide.action == ActionPattern::Any || wide.action == one.action
        }
        (Effect::Permit, Effect::Forbid) => false,
    };
    let covered = |one: &Read<'_>| wide.actions.iter().any(|wide| covers(wide, one));
    !narrow.actions.is_empty() && narrow.actions.iter().all(covered)
}

fn ports_cover<'a>(keys: &Keys<'a>, wide: &RuleKeys<'a>, narrow: &RuleKeys<'a>) -> bool {
    if wide.decl.ports.is_empty() && wide.decl.effect == Effect::Forbid {
        return true;
    }
    let single = |key: &Key<'a>| match key {
        Key::Workload(name) => keys.declaration(name).map(|(_, workload)| workload),
        _ => None,
    };
    // On declared workloads what counts is where they listen.
    let workloads: Option<Vec<_>> = narrow.to.iter().map(single).collect();
    if let Some(workloads) = workloads {
        return workloads.into_iter().all(|workload| {
            let narrow = listened(narrow, workload);
            let wide = listened(wide, workload);
            narrow.iter().all(|port| wide.contains(port))
        });
    }
    match (wide.decl.ports.is_empty(), narrow.decl.ports.is_empty()) {
        (true, true) => narrow.decl.effect == wide.decl.effect,
        (false, true) => {
            let all =
                |range: &Spanned<PortRange>| range.value.first == 1 && range.value.last == u16::MAX;
            wide.decl.ports.iter().any(all)
        }
        (true, false) => false,
        (false, false) => narrow.decl.ports.iter().all(|port| {
            wide.decl.ports.iter().any(|wide| {
                wide.value.first <= port.value.first && port.value.last <= wide.value.last
            })
        }),
    }
}

/// The ports of the workload that it listens on and the rule speaks of.
pub(super) fn listened(rule: &RuleKeys<'_>, workload: &Workload) -> Vec<u16> {
    let named = &rule.decl.ports;
    let speaks = |port: &u16| {
        if !named.is_empty() {
            return named.iter().any(|range| range.value.contains(*port));
        }
        let public =
            rule.from.contains(&Key::Public) && workload.default_public_port() == Some(*port);
        let others = rule.from.iter().any(|key| *key != Key::Public);
        rule.decl.effect == Effect::Forbid
            || public
            || others && workload.default_port() == Some(*port)
    };
    let ports = workload.ports().iter().chain(workload.public_ports());
    ports.copied().filter(speaks).collect()
}

/// Whether whoever meets all that the permit `more` asks for meets all that `less` asks for.
pub(super) fn asks_no_more(less: &RuleDecl, more: &RuleDecl) -> bool {
    names_no_fewer(&less.subject, &more.subject)
        && names_no_fewer(&less.actors, &more.actors)
        && requires_no_more(&less.require, &more.require)
}

/// Whether a rule speaks of every subject, or actor, that another speaks of. None named is whoever it is.
fn names_no_fewer(wide: &[Spanned<Subject>], narrow: &[Spanned<Subject>]) -> bool {
    let named = |one: &Spanned<Subject>| {
        let mut wide = wide.iter().map(|wide| &wide.value);
        wide.any(|wide| *wide == Subject::Any || *wide == one.value)
    };
    wide.is_empty() || !narrow.is_empty() && narrow.iter().all(named)
}

fn requires_no_more(less: &Require, more: &Require) -> bool {
    // Every clause is named, so that a new one is not forgotten.
    let Require {
        trust_score,
        zone_trust,
        token,
        mfa,
        headers,
        when,
        authorizer,
    } = less;
    let least = |less: &Option<Spanned<u8>>, more: &Option<Spanned<u8>>| {
        less.is_none_or(|less| more.is_some_and(|more| more.value >= less.value))
    };
    let mfa_holds = mfa.is_none_or(|less| {
        more.mfa
            .is_some_and(|more| less.value == Mfa::Any || more.value == less.value)
    });
    let header_holds = |less: &HeaderRequire| {
        let same = |more: &&HeaderRequire| more.name.value == less.name.value;
        let fewer =
            |more: &HeaderRequire| more.values.iter().all(|value| less.values.contains(value));
        more.headers.iter().find(same).is_some_and(fewer)
    };
    let text =
        |text: &Option<Spanned<std::sync::Arc<str>>>| text.as_ref().map(|text| text.value.clone());
    least(trust_score, &more.trust_score)
        && least(zone_trust, &more.zone_trust)
        && token.as_ref().is_none_or(|less| {
            let more = more.token.as_ref();
            more.is_some_and(|more| token_asks_no_more(&less.value, &more.value))
        })
        && mfa_holds
        && headers.iter().all(header_holds)
        && (when.is_none() || text(when) == text(&more.when))
        && authorizer.iter().all(|less| {
            let mut names = more.authorizer.iter();
            names.any(|more| more.value == less.value)
        })
}

fn token_asks_no_more(less: &TokenRequire, more: &TokenRequire) -> bool {
    let TokenRequire {
        issuer,
        audience,
        scopes,
        claims,
    } = less;
    let issuer = issuer.as_ref().map(|issuer| &issuer.value);
    (issuer.is_none() || issuer == more.issuer.as_ref().map(|issuer| &issuer.value))
        && (audience.is_none() || *audience == more.audience)
        && scopes.iter().all(|scope| more.scopes.contains(scope))
        && claims.iter().all(|claim| more.claims.contains(claim))
}
