//! A rule: its principals resolved, its requirements put together, and checked for whether it can mean anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::authorizer::{Condition, Setting};
use crate::policy::diagnostic::Report;
use crate::policy::document::{Effect, PortRange, Principal, RuleDecl, Spanned, Subject, Target};
use crate::policy::external::External;
use crate::policy::load::Loader;
use crate::policy::rule::{Named, Requirement, Rule, TokenClause};
use crate::policy::template::Template;
use crate::policy::workload::{Workload, WorkloadIdx};

use super::names::Names;
use super::ports::rule_ports;

impl Names<'_> {
    /// The rule, resolved.
    pub(super) fn rule(&self, loader: &Loader, decl: &RuleDecl, report: &mut Report) -> Rule {
        let mut from = Vec::with_capacity(decl.from.len());
        from.extend((decl.from.iter()).filter_map(|from| self.who(from, decl.effect, report)));
        self.check_public(decl, report);
        let mut named = |subjects: &[Spanned<Subject>]| -> Vec<Named> {
            let subjects = subjects.iter();
            subjects
                .filter_map(|subject| self.subject(subject, decl.effect, report))
                .collect()
        };
        let (subject, actors) = (named(&decl.subject), named(&decl.actors));
        let mut require = Vec::new();
        let (subject, actors) = match decl.effect {
            Effect::Forbid => (subject, actors),
            Effect::Permit => {
                require.extend(
                    Some(subject)
                        .filter(|all| !all.is_empty())
                        .map(Requirement::Subject),
                );
                require.extend(
                    Some(actors)
                        .filter(|all| !all.is_empty())
                        .map(Requirement::Actors),
                );
                (Vec::new(), Vec::new())
            }
        };
        require.extend(self.requirements(loader, decl, report));
        Rule {
            name: Arc::clone(&decl.name.value),
            effect: decl.effect,
            mode: decl.mode,
            from,
            actions: decl
                .actions
                .iter()
                .map(|action| action.value.clone())
                .collect(),
            require,
            subject,
            actors,
            obligations: self.obligations(decl, report),
            when: decl
                .when
                .as_ref()
                .and_then(|when| compile(loader, decl, when, report)),
        }
    }

    /// The workloads and the destinations outside the mesh that a rule's `to` speaks of, each with the ports it speaks of.
    pub(super) fn targets(
        &self,
        decl: &RuleDecl,
        workloads: &[Workload],
        externals: &[External],
        report: &mut Report,
    ) -> BTreeMap<WorkloadIdx, Vec<PortRange>> {
        let mut targets: BTreeMap<_, _> = (self.outward(decl, externals, report))
            .into_iter()
            .collect();
        for to in &decl.to {
            for index in self.target(to, decl.effect, workloads, report) {
                let Some(workload) = usize::try_from(index.0)
                    .ok()
                    .and_then(|at| workloads.get(at))
                else {
                    continue;
                };
                let exact = matches!(to.value, Target::Workload(_));
                if let Some(ports) = rule_ports(decl, workload, exact, to.span, report) {
                    targets.insert(index, ports);
                }
            }
        }
        let outward = decl
            .to
            .iter()
            .all(|to| matches!(to.value, Target::External(_)));
        if targets.is_empty() && !outward && report.is_empty() {
            report.error_with_help(
                decl.span,
                format!(
                    "the rule `{}` can never match: none of its targets listens on a port",
                    decl.name.value
                ),
                "declare `ports` of the workloads that are meant",
            );
        }
        targets
    }

    fn requirements(
        &self,
        loader: &Loader,
        decl: &RuleDecl,
        report: &mut Report,
    ) -> Vec<Requirement> {
        let require = &decl.require;
        let mut all = Vec::new();
        all.extend(
            require
                .trust_score
                .map(|score| Requirement::TrustScore(score.value)),
        );
        if let Some(trust) = require.zone_trust {
            if !self
                .document
                .zones
                .iter()
                .any(|zone| zone.trust >= trust.value)
            {
                report.error_with_help(
                    trust.span,
                    format!(
                        "no zone has a trust of {} or more, so the rule can never match",
                        trust.value
                    ),
                    "state `trust` on the zones that are meant",
                );
            }
            all.push(Requirement::ZoneTrust(trust.value));
        }
        all.extend(require.token.as_ref().map(|token| {
            let token = &token.value;
            Requirement::Token(TokenClause {
                issuer: token
                    .issuer
                    .as_ref()
                    .map(|issuer| self.issuer(&issuer.value)),
                audience: token.audience.clone(),
                scopes: token.scopes.clone(),
                claims: token.claims.clone(),
            })
        }));
        all.extend(require.mfa.map(|mfa| Requirement::Mfa(mfa.value)));
        all.extend(require.headers.iter().map(|header| Requirement::Header {
            name: Arc::clone(&header.name.value),
            values: header.values.clone(),
        }));
        all.extend(
            require
                .when
                .as_ref()
                .and_then(|when| compile(loader, decl, when, report))
                .map(Requirement::When),
        );
        for name in &require.authorizer {
            match self.authorizers.get(&*name.value) {
                Some(authorizer) => all.push(Requirement::Authorizer(Arc::clone(&name.value), Arc::clone(authorizer))),
                None => report.error_with_help(
                    name.span,
                    format!("no authorizer `{}` is registered", name.value),
                    "declare it under `authorizers`, or register it with the loader; a permit whose authorizer nobody runs must not be granted",
                ),
            }
        }
        all
    }

    /// A `public` permit asks for a token or says that it does not (T3).
    fn check_public(&self, decl: &RuleDecl, report: &mut Report) {
        let public = decl
            .from
            .iter()
            .find(|from| from.value == Principal::Public);
        match public {
            Some(from)
                if decl.effect == Effect::Permit
                    && !decl.anonymous
                    && decl.require.token.is_none()
                    && decl.subject.is_empty()
                    && decl.actors.is_empty() =>
            {
                report.error_with_help(
                    from.span,
                    format!(
                        "the permit `{}` lets callers without an SVID in and asks for no token",
                        decl.name.value
                    ),
                    "require a `token`, or write `anonymous = true` if anyone may",
                )
            }
            None if decl.anonymous => {
                report.error_with_help(
                    decl.span,
                    format!(
                        "`anonymous` has no meaning in `{}`: its `from` does not name `public`",
                        decl.name.value
                    ),
                    "remove `anonymous`",
                );
            }
            _ => {}
        }
    }
}

fn compile(
    loader: &Loader,
    decl: &RuleDecl,
    when: &Spanned<Arc<str>>,
    report: &mut Report,
) -> Option<Arc<dyn Condition>> {
    let Some(compiler) = &loader.conditions else {
        report.error_with_help(
            when.span,
            "no condition language is registered, so `when` cannot be judged",
            "load the policy with one; a condition that nobody judges must not be skipped",
        );
        return None;
    };
    compiler
        .compile(&when.value, &decl.setting())
        .map_err(|error| report.error_in_text(when, error))
        .ok()
}

impl RuleDecl {
    /// What a condition of the rule has to know of it.
    pub(in crate::policy) fn setting(&self) -> Setting<'_> {
        let templates = self.actions.iter().filter_map(|one| one.value.template());
        let names = templates.flat_map(Template::names);
        Setting::new(self.effect, names)
    }
}
