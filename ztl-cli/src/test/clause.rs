//! The clauses of a rule, and what tests made of each.

use ztl_core::Lack;
use ztl_core::policy::{Effect, RuleDecl, Span, Target};

/// What a clause is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    From,
    To,
    Port,
    Action,
    Require,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
            Self::Port => "port",
            Self::Action => "action",
            Self::Require => "require",
        }
    }
}

/// One clause.
#[derive(Debug)]
pub(super) struct Clause {
    pub(super) kind: Kind,
    /// Its place within its kind.
    pub(super) at: usize,
    /// As the document has it; a requirement's key.
    pub(super) text: String,
    /// Some test met it.
    pub(super) met: bool,
    /// Some test came as far as to it, and did not.
    pub(super) unmet: bool,
    /// Whether any could.
    pub(super) can_be_unmet: bool,
}

impl Clause {
    /// What it could come to and never did: `met`, `unmet`, both or neither.
    pub(super) fn missing(&self) -> impl Iterator<Item = &'static str> {
        let met = (!self.met).then_some("met");
        let unmet = (self.can_be_unmet && !self.unmet).then_some("unmet");
        met.into_iter().chain(unmet)
    }

    pub(super) fn outcomes(&self) -> usize {
        1 + usize::from(self.can_be_unmet)
    }
}

/// Every clause of a rule. `text` is the document's.
pub(super) fn clauses(rule: &RuleDecl, text: &str) -> Vec<Clause> {
    let shown = |span: Span| {
        let shown = text.get(span.start..span.end).unwrap_or_default();
        shown.trim().trim_matches(['"', '\'']).to_owned()
    };
    let clause = |kind, at, text| Clause {
        kind,
        at,
        text,
        met: false,
        unmet: false,
        can_be_unmet: true,
    };
    let mut all = Vec::new();
    let from = rule.from.iter().enumerate();
    all.extend(from.map(|(at, from)| clause(Kind::From, at, shown(from.span))));
    let to = rule.to.iter().enumerate();
    all.extend(to.map(|(at, to)| Clause {
        can_be_unmet: to.value != Target::Any,
        ..clause(Kind::To, at, shown(to.span))
    }));
    let ports = rule.ports.iter().enumerate();
    all.extend(ports.map(|(at, port)| clause(Kind::Port, at, shown(port.span))));
    let actions = rule.actions.iter().enumerate();
    all.extend(actions.map(|(at, action)| clause(Kind::Action, at, action.value.to_string())));
    let required = requirements(rule).into_iter().enumerate();
    all.extend(required.map(|(at, key)| clause(Kind::Require, at, key.to_owned())));
    all
}

/// The keys of a permit's requirements that it states, in the order in which they are asked.
pub(super) fn requirements(rule: &RuleDecl) -> Vec<&'static str> {
    if rule.effect == Effect::Forbid {
        return Vec::new();
    }
    let require = &rule.require;
    let token = require.token.as_ref().map(|token| &token.value);
    let stated = [
        ("subject", !rule.subject.is_empty()),
        ("actors", !rule.actors.is_empty()),
        ("trust_score", require.trust_score.is_some()),
        ("zone_trust", require.zone_trust.is_some()),
        ("token", token.is_some()),
        (
            "token.scopes",
            token.is_some_and(|it| !it.scopes.is_empty()),
        ),
        (
            "token.claims",
            token.is_some_and(|it| !it.claims.is_empty()),
        ),
        ("mfa", require.mfa.is_some()),
        ("headers", !require.headers.is_empty()),
        ("when", require.when.is_some()),
        ("authorizer", !require.authorizer.is_empty()),
    ];
    let stated = stated.into_iter().filter(|(_, stated)| *stated);
    stated.map(|(key, _)| key).collect()
}

/// The keys that can lack this, the likeliest first.
pub(super) fn lacking(lack: Lack) -> &'static [&'static str] {
    match lack {
        Lack::Subject => &["subject"],
        Lack::Actors => &["actors"],
        Lack::Token => &["subject", "actors", "token", "mfa", "when", "authorizer"],
        Lack::Scope => &["token.scopes"],
        Lack::Claim => &["token.claims"],
        Lack::Mfa => &["mfa"],
        Lack::TrustScore => &["trust_score", "when", "authorizer"],
        Lack::ZoneTrust => &["zone_trust"],
        Lack::Header => &["headers"],
        Lack::Condition => &["when", "authorizer"],
        Lack::Authorizer => &["authorizer"],
        _ => &[],
    }
}
