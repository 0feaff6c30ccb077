//! What looks like a mistake in a policy that loads.

use ztl_core::policy::{
    Document, Effect, Mode, Principal, RuleDecl, Span, Spanned, Target, TestDecl, WorkloadDecl,
};

use super::finding::{Finding, Level};
use super::spoken::Spoken;
use crate::json;
use crate::policy_file::{PolicyFile, place};

/// Everything found, warnings first and each kind in the order of the text.
pub(super) fn findings(file: &PolicyFile) -> Vec<Finding> {
    let mut found = Found {
        text: &file.text,
        findings: Vec::new(),
    };
    let document = file.policy.document();
    if file.open_to_others {
        found.warning(
            Span::default(),
            "file-open-to-others",
            "others than its owner may write this file".to_owned(),
            "take the right away (`chmod go-w`); a service refuses a policy that others can change",
        );
    }
    for rule in &document.rules {
        found.rule(rule, document);
    }
    let (callers, targets) = (Spoken::from(&file.policy), Spoken::to(&file.policy));
    for (decl, workload) in document.workloads.iter().zip(file.policy.workloads()) {
        found.workload(
            decl,
            callers.of(decl, workload.id()),
            targets.of(decl, workload.id()),
        );
    }
    for test in &document.tests {
        found.test(test);
    }
    if document.tests.is_empty() {
        found.note(
            Span::default(),
            "no-tests",
            "the document has no `[[test]]`".to_owned(),
            "say in tests what must be permitted and what must not; `ztl test` runs them",
        );
    }
    found
        .findings
        .sort_by_key(|finding| (finding.level == Level::Note, finding.place));
    found.findings
}

struct Found<'a> {
    text: &'a str,
    findings: Vec<Finding>,
}

impl Found<'_> {
    fn rule(&mut self, rule: &RuleDecl, document: &Document) {
        let (kind, name) = (rule.effect.as_str(), &rule.name.value);
        let from_any = rule.from.iter().any(|from| from.value == Principal::Any);
        let to_any = rule.to.iter().any(|to| to.value == Target::Any);
        if rule.effect == Effect::Permit && from_any && to_any && rule.mode != Mode::Off {
            self.warning(
                rule.span,
                "permit-any-to-any",
                format!(
                    "the permit `{name}` lets every workload that has an SVID reach every workload"
                ),
                "name the callers or the targets: one stolen identity reaches all of this",
            );
        }
        if let Some(issuer) = rule
            .require
            .token
            .as_ref()
            .and_then(|token| token.value.issuer.as_ref())
        {
            self.issuer(issuer, name, document);
        }
        match rule.mode {
            Mode::Shadow => self.note(
                rule.span,
                "rule-in-shadow",
                format!("the {kind} `{name}` is in shadow: it is recorded and changes no decision"),
                "write `mode = \"enforce\"` once its records show what you expect",
            ),
            Mode::Off => self.note(
                rule.span,
                "rule-off",
                format!("the {kind} `{name}` is off: it is checked and then ignored"),
                "remove it if it is no longer needed",
            ),
            _ => {}
        }
    }

    fn issuer(&mut self, issuer: &Spanned<std::sync::Arc<str>>, rule: &str, document: &Document) {
        let text = &issuer.value;
        if document
            .issuers
            .iter()
            .any(|known| known.name.value == *text || known.issuer.value == *text)
        {
            return;
        }
        let shown = json::escaped(text);
        self.warning(
            issuer.span,
            "undeclared-issuer",
            format!(
                "the permit `{rule}` asks for a token of `{shown}`, and no `[issuers.NAME]` is that"
            ),
            "declare the issuer; as it stands the token's `iss` has to be this very text",
        );
    }

    fn workload(&mut self, decl: &WorkloadDecl, calls: bool, is_called: bool) {
        let name = &decl.name.value;
        let listens = !decl.ports.is_empty() || !decl.public_ports.is_empty();
        if listens && !is_called {
            self.warning(
                decl.name.span,
                "unreachable-workload",
                format!(
                    "nobody may reach the workload `{name}`: no enforced permit has it as `to`"
                ),
                "write a permit, or remove its ports if it only calls others",
            );
        }
        if !calls {
            self.note(
                decl.name.span,
                "workload-without-egress",
                format!(
                    "the workload `{name}` may call nobody: no enforced permit has it as `from`"
                ),
                "nothing to do if it only answers",
            );
        }
    }

    fn test(&mut self, test: &TestDecl) {
        let name = &test.name;
        let expires = test
            .request
            .get("claims")
            .is_some_and(|claims| claims.get("exp").is_some());
        if expires && !test.request.contains_key("now") {
            self.warning(
                test.span,
                "test-reads-the-clock",
                format!("the test `{name}` has a token that expires, and states no `now`"),
                "write `now = ..`, or its outcome changes when the token expires",
            );
        }
    }

    fn warning(&mut self, span: Span, code: &'static str, message: String, help: &'static str) {
        self.push(Level::Warning, span, code, message, help);
    }

    fn note(&mut self, span: Span, code: &'static str, message: String, help: &'static str) {
        self.push(Level::Note, span, code, message, help);
    }

    fn push(
        &mut self,
        level: Level,
        span: Span,
        code: &'static str,
        message: String,
        help: &'static str,
    ) {
        let place = place(self.text, span.start);
        self.findings.push(Finding {
            level,
            code,
            place,
            message,
            help,
        });
    }
}
