//! `[[permit]]`, `[[forbid]]` and `[[never]]`.

use std::sync::Arc;

use super::oblige::{self, OBLIGATIONS};
use super::require::{self, REQUIREMENTS};
use super::table::{Place, Reader};
use super::{name, port, principal, subject, value};
use crate::policy::diagnostic::Report;
use crate::policy::document::{Effect, Mode, NeverDecl, Oblige, Principal, RuleDecl, Spanned};
use crate::policy::limits::MAX_ENTRIES;
use crate::policy::tree::Node;

/// The keys of a rule itself, which TOML lets fall into `[permit.require]`.
pub(super) const RULE_KEYS: [&str; 13] = [
    "name",
    "mode",
    "from",
    "subject",
    "actors",
    "to",
    "ports",
    "actions",
    "anonymous",
    "why",
    "controls",
    "require",
    "oblige",
];

const MODES: [(&str, Mode); 3] = [
    ("enforce", Mode::Enforce),
    ("shadow", Mode::Shadow),
    ("off", Mode::Off),
];

/// `[[permit]]` or `[[forbid]]`. `name` is stated or made; a stated one is checked here.
pub(super) fn rule(
    effect: Effect,
    name: Spanned<Arc<str>>,
    node: &Node,
    report: &mut Report,
) -> Option<RuleDecl> {
    let place = match effect {
        Effect::Permit => "[[permit]]",
        Effect::Forbid => "[[forbid]]",
    };
    let mut table = Reader::open(node, Place::Fixed(place), report)?;
    let flow = flow(&mut table);
    let subject = table.each("subject", MAX_ENTRIES, subject::subject);
    let actors = table.each("actors", MAX_ENTRIES, subject::subject);
    let mode = table.one("mode", |key, node, report| {
        value::choice(key, node, &MODES, report)
    });
    let why = table.text("why");
    let controls = table.each("controls", MAX_ENTRIES, value::shared);
    let mut rule = RuleDecl {
        effect,
        name,
        mode: mode.unwrap_or_default(),
        from: flow.from,
        subject,
        actors,
        to: flow.to,
        ports: flow.ports,
        actions: flow.actions,
        anonymous: false,
        require: require::Require::default(),
        oblige: Oblige::default(),
        when: None,
        why: why.map(|why| why.value),
        controls: controls.into_iter().map(|control| control.value).collect(),
        span: node.extent(),
    };
    match effect {
        Effect::Permit => {
            let help = "name what may be asked; for every request write `actions = \"any\"`, for raw bytes `\"connect\"`";
            let _ = table.required("actions", help);
            rule.anonymous = table.one("anonymous", value::boolean).unwrap_or_default();
            rule.require = table.one("require", require::require).unwrap_or_default();
            rule.oblige = table.one("oblige", oblige::oblige).unwrap_or_default();
            let token = rule.require.token.as_ref().map(|token| token.span);
            let named = rule.subject.iter().chain(&rule.actors).next();
            if let (true, Some(span)) = (rule.anonymous, token.or(named.map(|named| named.span))) {
                table.report.error_with_help(
                    span,
                    "an anonymous permit does not require a token",
                    "remove what speaks of a token, or `anonymous = true`",
                );
            }
        }
        Effect::Forbid => rule.when = table.text("when"),
    }
    table.finish(|key| misplaced(effect, key));
    Some(rule)
}

/// `[[never]]`
pub(super) fn never(
    name: Spanned<Arc<str>>,
    node: &Node,
    report: &mut Report,
) -> Option<NeverDecl> {
    let mut table = Reader::open(node, Place::Fixed("[[never]]"), report)?;
    let flow = flow(&mut table);
    let transitive = table.one("transitive", value::boolean).unwrap_or_default();
    let why = table.text("why");
    let controls = table.each("controls", MAX_ENTRIES, value::shared);
    table.finish(|key| {
        (RULE_KEYS.contains(&key) || REQUIREMENTS.contains(&key))
            .then_some("a `[[never]]` speaks of the whole document: it takes `from`, `to`, `ports`, `actions`, `transitive`, `why` and `controls`, whatever else is asked")
    });
    Some(NeverDecl {
        name,
        from: flow.from,
        to: flow.to,
        ports: flow.ports,
        actions: flow.actions,
        transitive,
        why: why.map(|why| why.value),
        controls: controls.into_iter().map(|control| control.value).collect(),
        span: node.extent(),
    })
}

/// What permits, forbids and nevers have in common.
struct Flow {
    from: Vec<Spanned<Principal>>,
    to: Vec<Spanned<crate::policy::document::Target>>,
    ports: Vec<Spanned<crate::policy::document::PortRange>>,
    actions: Vec<Spanned<crate::policy::pattern::ActionPattern>>,
}

fn flow(table: &mut Reader<'_, '_>) -> Flow {
    // Read by whoever made the rule's name; here it is only checked.
    let _ = table.one("name", name::name);
    let _ = table.required(
        "from",
        "write who asks; for every proved peer write `from = \"any\"`",
    );
    let _ = table.required(
        "to",
        "write who is asked; for every workload write `to = \"any\"`",
    );
    Flow {
        from: table.each("from", MAX_ENTRIES, principal::principal),
        to: table.each("to", MAX_ENTRIES, principal::target),
        ports: table.each("ports", MAX_ENTRIES, port::range),
        actions: table.each("actions", MAX_ENTRIES, value::action),
    }
}

fn misplaced(effect: Effect, key: &str) -> Option<&'static str> {
    match (effect, key) {
        (Effect::Permit, _) if REQUIREMENTS.contains(&key) => {
            Some("put it under `[permit.require]`")
        }
        (Effect::Forbid, "require" | "oblige") => {
            Some("a forbid takes `when`, and neither requirements nor obligations")
        }
        (Effect::Forbid, "anonymous") => Some("only a permit from `public` can be anonymous"),
        (Effect::Forbid, _) if REQUIREMENTS.contains(&key) => {
            Some("requirements belong to a permit; a forbid takes `when`")
        }
        (Effect::Permit, _) if OBLIGATIONS.contains(&key) => Some("put it under `[permit.oblige]`"),
        _ => None,
    }
}
