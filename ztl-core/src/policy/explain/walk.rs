//! How one rule fared, in words.

use std::sync::Arc;

use crate::clause::Clause;
use crate::decision::Decision;
use crate::policy::Said;
use crate::policy::document::{PortRange, RuleDecl, Span};
use crate::policy::pattern::ActionPattern;
use crate::policy::rule::Rule;
use crate::reason::Reason;

use super::fared::{Fared, Rest, Scene};
use super::misfit::Misfit;
use super::words::{any_of, cut, expected, principal, subject, target};
use super::{Checked, Walk};

/// The words of a rule that was walked.
pub(super) fn walk(scene: &Scene<'_, '_>, fared: &Fared, decision: &Decision) -> Option<Walk> {
    let rule = scene.policy.rule(fared.rule)?;
    let at = usize::try_from(fared.rule.0).ok()?;
    let decl = scene.policy.document.rules.get(at)?;
    let words = Words {
        scene,
        fared,
        rule,
        decl,
    };
    let mut clauses = vec![words.to(), words.from(), words.port()];
    clauses.extend(words.action());
    clauses.extend(words.rest());
    Some(Walk {
        rule: Arc::clone(&rule.name),
        effect: rule.effect,
        mode: rule.mode,
        span: decl.span,
        decided: decision.rule.as_ref() == Some(&rule.name),
        matches: fared.applies,
        clauses,
    })
}

struct Words<'a, 's, 'e> {
    scene: &'a Scene<'s, 'e>,
    fared: &'a Fared,
    rule: &'a Rule,
    decl: &'a RuleDecl,
}

impl Words<'_, '_, '_> {
    fn to(&self) -> Checked {
        let got = match self.scene.target {
            Some(target) => target.name(),
            None => cut(self.scene.called()),
        };
        Checked {
            clause: Clause::To,
            held: self.fared.to,
            expected: any_of(self.decl.to.iter().map(target)),
            got,
            span: self.decl.to.first().map(|one| one.span),
        }
    }

    fn from(&self) -> Checked {
        Checked {
            clause: Clause::From,
            held: self.fared.from,
            expected: any_of(self.decl.from.iter().map(principal)),
            got: self.scene.caller_and_place(),
            span: self.decl.from.first().map(|one| one.span),
        }
    }

    fn port(&self) -> Checked {
        let ports: &[PortRange] = self.scene.target.map_or(&[], |target| {
            let mut entries = target.rules();
            let entry = entries.find(|entry| entry.rule == self.fared.rule);
            entry.map_or(&[], |entry| &entry.ports)
        });
        let expected = match ports {
            [] => "any".to_owned(),
            ports => any_of(ports.iter()),
        };
        Checked {
            clause: Clause::Port,
            held: self.fared.port,
            expected,
            got: self.scene.input.flow.port.to_string(),
            span: self.decl.ports.first().map(|one| one.span),
        }
    }

    /// What the rule says of actions; nothing where it names none or none was asked for.
    fn action(&self) -> Vec<Checked> {
        let Some((at, misfit)) = self.fared.misfit else {
            return Vec::new();
        };
        let span = self.decl.actions.get(at).map(|one| one.span);
        let patterns = || any_of(self.rule.actions.iter());
        let asked = match (&self.scene.input.action, self.scene.action()) {
            (None, _) => "the flow alone".to_owned(),
            (_, None) => "a path with more than one reading".to_owned(),
            (_, Some(action)) => cut(&action.to_string()),
        };
        let whole = |held, expected| Checked {
            clause: Clause::Action,
            held,
            expected,
            got: asked.clone(),
            span,
        };
        match self.rule.actions.get(at) {
            Some(pattern) if misfit == Misfit::default() => vec![whole(true, pattern.to_string())],
            Some(pattern) if !misfit.action => self.aspects(pattern, misfit, span),
            _ => vec![whole(false, patterns())],
        }
    }

    /// One clause for each aspect of the pattern that came nearest.
    fn aspects(&self, pattern: &ActionPattern, misfit: Misfit, span: Option<Span>) -> Vec<Checked> {
        let Some(resource) = self.scene.action().and_then(|action| action.resource()) else {
            return Vec::new();
        };
        let checked = |clause, differs: bool, expected: String, got: String| Checked {
            clause,
            held: !differs,
            expected,
            got,
            span,
        };
        let upgrade = match pattern {
            ActionPattern::WebSocket(_) => "websocket".to_owned(),
            ActionPattern::Upgrade { token, .. } => token.to_string(),
            _ => "none".to_owned(),
        };
        let method = match pattern {
            ActionPattern::Http { methods, .. } => methods.to_string(),
            ActionPattern::Grpc { .. } => "POST".to_owned(),
            ActionPattern::Any => "any but HEAD".to_owned(),
            _ => "GET".to_owned(),
        };
        let path = match (pattern, pattern.template()) {
            (_, Some(template)) => template.to_string(),
            (ActionPattern::Grpc { .. }, None) => pattern.to_string(),
            _ => "any".to_owned(),
        };
        let asked = match resource.upgrade() {
            None => "none".to_owned(),
            Some(_) => cut(&self
                .scene
                .action()
                .map(ToString::to_string)
                .unwrap_or_default()),
        };
        vec![
            checked(Clause::Upgrade, misfit.upgrade, upgrade, asked),
            checked(
                Clause::Method,
                misfit.method,
                method,
                resource.method().to_string(),
            ),
            checked(
                Clause::Path,
                misfit.path,
                path,
                cut(resource.path().as_str()),
            ),
        ]
    }

    /// The requirements up to the first that does not hold; of a forbid what keeps it from firing.
    fn rest(&self) -> Vec<Checked> {
        let (held, unmet) = match self.fared.rest {
            Rest::Open => return self.failed_forbid().into_iter().collect(),
            Rest::Held(count) => (count, None),
            Rest::Unmet(at, unmet) => (at, Some(unmet)),
            Rest::Narrowed(clause) => return vec![self.narrowed(clause)],
        };
        let judged = held.saturating_add(usize::from(unmet.is_some()));
        let last = self.rule.require.len().saturating_sub(1);
        let requirements = self.rule.require.iter().take(judged).enumerate();
        let words = requirements.map(|(at, requirement)| {
            let (expected, span) = expected(self.decl, requirement, last.saturating_sub(at));
            let failed = unmet.filter(|_| at == held);
            Checked {
                clause: failed.map_or_else(|| requirement.clause(), |unmet| unmet.lack.into()),
                held: failed.is_none(),
                expected,
                got: (failed.and_then(|unmet| self.said(unmet.reason)))
                    .unwrap_or_else(|| self.scene.got(requirement)),
                span,
            }
        });
        words.collect()
    }

    /// What a condition or an authorizer of the rule says where it could not tell, or objects and says why.
    fn said(&self, reason: Reason) -> Option<String> {
        if !matches!(reason, Reason::AuthorizerFailed | Reason::Objected) {
            return None;
        }
        let said = self.scene.asked().and_then(|asked| asked.aside(self.rule));
        match (reason, said.as_ref().and_then(|heard| heard.said.as_ref())) {
            (Reason::AuthorizerFailed, Some(Said::Failed(failure))) => Some(cut(&failure.0)),
            (Reason::AuthorizerFailed, _) => Some(String::new()),
            (_, Some(Said::Objected(code))) => Some(format!("objects: {}", code.as_str())),
            _ => None,
        }
    }

    /// A forbid that fires because its condition could not tell (rule 7).
    fn failed_forbid(&self) -> Option<Checked> {
        let when = self.decl.when.as_ref();
        let when = when.filter(|_| self.fared.applies && self.scene.judges_requirements())?;
        Some(Checked {
            clause: Clause::When,
            held: true,
            expected: cut(&when.value),
            got: self
                .said(Reason::AuthorizerFailed)
                .filter(|said| !said.is_empty())?,
            span: Some(when.span),
        })
    }

    fn narrowed(&self, clause: Clause) -> Checked {
        let (expected, span) = match clause {
            Clause::Subject => (
                any_of(self.decl.subject.iter().map(subject)),
                self.decl.subject.first().map(|one| one.span),
            ),
            Clause::Actors => (
                any_of(self.decl.actors.iter().map(subject)),
                self.decl.actors.first().map(|one| one.span),
            ),
            _ => {
                let when = self.decl.when.as_ref();
                let source = when.map(|when| cut(&when.value)).unwrap_or_default();
                (source, when.map(|when| when.span))
            }
        };
        let got = if self.scene.judges_requirements() {
            "does not match"
        } else {
            "not judged here, but at the target and of a request"
        };
        Checked {
            clause,
            held: false,
            expected,
            got: got.to_owned(),
            span,
        }
    }
}
