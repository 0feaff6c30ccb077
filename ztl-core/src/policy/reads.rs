//! Which evidence a rule reads: what the record of its decision may hold (law 7).

use std::sync::Arc;

use serde_json::Value;

use crate::authorizer::Reads;

use super::Policy;
use super::rule::{Requirement, Rule, RuleIdx};

/// One thing that a rule reads, with the values that the document itself names.
#[derive(Clone, Copy)]
pub(crate) enum Read<'a> {
    TrustScore,
    Token,
    Scope(&'a str),
    Claim(&'a str, &'a Value),
    Header(&'a str, &'a [Arc<str>]),
    Login,
    Posture,
    Context,
}

impl Policy {
    /// Whether a rule reads any evidence.
    pub(crate) fn reads_evidence(&self, rule: RuleIdx) -> bool {
        self.rule(rule)
            .is_some_and(|rule| !rule.require.is_empty() || rule.is_conditional())
    }

    /// Calls `each` with everything that a rule reads.
    pub(crate) fn each_read<'a>(&'a self, rule: RuleIdx, each: &mut dyn FnMut(Read<'a>)) {
        if let Some(rule) = self.rule(rule) {
            rule.each_read(each);
        }
    }
}

impl Rule {
    /// Which evidence beside a token judging it could read.
    pub(crate) fn reads(&self) -> Reads {
        let mut reads = Reads::nothing();
        self.each_read(&mut |read| match read {
            Read::TrustScore => reads.trust_score = true,
            Read::Posture => reads.posture = true,
            Read::Context => reads.context = true,
            Read::Token | Read::Scope(_) | Read::Claim(..) | Read::Header(..) | Read::Login => {}
        });
        reads
    }

    fn each_read<'a>(&'a self, each: &mut dyn FnMut(Read<'a>)) {
        if self.reads_token() {
            each(Read::Token);
        }
        if let Some(condition) = &self.when {
            declared(condition.reads(), each);
        }
        for requirement in &self.require {
            match requirement {
                Requirement::TrustScore(_) => each(Read::TrustScore),
                Requirement::Token(clause) => {
                    for scope in &clause.scopes {
                        each(Read::Scope(scope));
                    }
                    for (name, wanted) in &clause.claims {
                        each(Read::Claim(name, wanted));
                    }
                }
                Requirement::Header { name, values } => each(Read::Header(name, values)),
                Requirement::When(condition) => declared(condition.reads(), each),
                Requirement::Authorizer(_, authorizer) => declared(authorizer.reads(), each),
                // Beside the token that was told above they read nothing that is evidence.
                Requirement::Subject(_) | Requirement::Actors(_) | Requirement::ZoneTrust(_) => {}
                Requirement::Mfa(_) => each(Read::Login),
            }
        }
    }
}

fn declared<'a>(reads: Reads, each: &mut dyn FnMut(Read<'a>)) {
    if reads.trust_score {
        each(Read::TrustScore);
    }
    if reads.posture {
        each(Read::Posture);
    }
    if reads.context {
        each(Read::Context);
    }
}
