//! Who issues tokens, and for whom they are.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::policy::{IssuerDecl, Mode, RuleDecl, Span, Subject};

use super::finding::Found;
use super::key::{Keys, RuleKeys};
use super::kinds::Lint;

pub(super) fn check(keys: &Keys<'_>, found: &mut Found) {
    let document = keys.policy.document();
    let mut issuers: HashMap<&str, &IssuerDecl> = HashMap::new();
    for issuer in &document.issuers {
        issuers.insert(&issuer.issuer.value, issuer);
    }
    for issuer in &document.issuers {
        issuers.insert(&issuer.name.value, issuer);
    }
    let mut used: HashSet<&str> = HashSet::new();
    let mut any_issuer = false;
    // By audience: where it first stands, and for whom.
    let mut audiences: BTreeMap<&str, (Span, Vec<&str>)> = BTreeMap::new();
    for rule in keys.rules.iter().filter(|rule| rule.decl.mode != Mode::Off) {
        let asked = Asked::of(rule.decl);
        any_issuer |= asked.any;
        let token = rule.decl.require.token.as_ref();
        let own = token.and_then(|token| Some((&**token.value.audience.as_ref()?, token.span)));
        let mut meant: Vec<_> = own.into_iter().collect();
        for (issuer, span) in asked.issuers {
            match issuers.get(issuer) {
                Some(declared) => {
                    used.insert(&declared.name.value);
                    let audience = declared.audience.as_ref().filter(|_| own.is_none());
                    meant.extend(audience.map(|audience| (&*audience.value, audience.span)));
                }
                None => undeclared(rule, issuer, span, found),
            }
        }
        for (audience, span) in meant {
            let entry = audiences.entry(audience).or_insert((span, Vec::new()));
            targets(keys, rule, &mut entry.1);
        }
    }
    for (audience, (span, workloads)) in audiences {
        if let [one, two, ..] = workloads.as_slice() {
            shared(
                audience,
                span,
                &format!("the workloads `{one}` and `{two}`"),
                found,
            );
        }
    }
    let mut owners: HashMap<&str, &IssuerDecl> = HashMap::new();
    for issuer in &document.issuers {
        if let Some(audience) = &issuer.audience
            && let Some(other) = owners.insert(&audience.value, issuer)
        {
            let names = format!(
                "the issuers `{}` and `{}`",
                other.name.value, issuer.name.value
            );
            shared(&audience.value, audience.span, &names, found);
        }
        if !any_issuer && !used.contains(&*issuer.name.value) {
            let name = &issuer.name.value;
            found.add(
                Lint::UnusedIssuer,
                issuer.name.span,
                format!("no rule asks for a token of the issuer `{name}`"),
                "remove it, or name it where its tokens are meant: `token = { issuer = \"..\" }`",
            );
        }
    }
}

/// The issuers whose tokens a rule asks for.
struct Asked<'a> {
    issuers: Vec<(&'a str, Span)>,
    /// It could take a token of any of them.
    any: bool,
}

impl<'a> Asked<'a> {
    fn of(rule: &'a RuleDecl) -> Self {
        let require = &rule.require;
        let mut asked = Self {
            issuers: Vec::new(),
            // A condition, a strong login and an authorizer may read a token of any of them.
            any: require.mfa.is_some()
                || require.when.is_some()
                || rule.when.is_some()
                || !require.authorizer.is_empty(),
        };
        if let Some(token) = &require.token {
            match &token.value.issuer {
                Some(issuer) => asked.issuers.push((&issuer.value, issuer.span)),
                None => asked.any = true,
            }
        }
        for subject in rule.subject.iter().chain(&rule.actors) {
            match &subject.value {
                Subject::Issuer(issuer) | Subject::User { issuer, .. } => {
                    asked.issuers.push((issuer, subject.span));
                }
                Subject::Workload(_) | Subject::Id(_) | Subject::Label { .. } | Subject::Any => {
                    asked.any = true;
                }
            }
        }
        asked
    }
}

fn undeclared(rule: &RuleKeys<'_>, issuer: &str, span: Span, found: &mut Found) {
    let (name, shown) = (&rule.decl.name.value, issuer.escape_debug());
    let kind = rule.decl.effect.as_str();
    found.add(
        Lint::UndeclaredIssuer,
        span,
        format!(
            "the {kind} `{name}` asks for a token of `{shown}`, and no `[issuers.NAME]` is that"
        ),
        "declare the issuer; as it stands the token's `iss` has to be this very text",
    );
}

/// Adds the workloads that a rule speaks of, until there are two.
fn targets<'a>(keys: &Keys<'a>, rule: &RuleKeys<'a>, workloads: &mut Vec<&'a str>) {
    for key in &rule.to {
        for workload in keys.members(key) {
            if workloads.len() >= 2 {
                return;
            }
            if !workloads.contains(&workload.name()) {
                workloads.push(workload.name());
            }
        }
    }
}

fn shared(audience: &str, span: Span, whose: &str, found: &mut Found) {
    let shown = audience.escape_debug();
    found.add(
        Lint::SharedAudience,
        span,
        format!("{whose} share the audience `{shown}`: a token that one of them was given is good at the other"),
        "leave `audience` out and have the guard of each workload name its own, or give each rule its own",
    );
}
