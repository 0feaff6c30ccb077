//! One step of a walk: what happened, and everything that came out otherwise than it had to.

use serde_json::Value;
use ztl_core::{Decision, SpiffeId, Verdict};

use crate::foretell::{Foretold, Wire};
use crate::ledger::Entry;
use crate::wire::{Answer, Exchange, Protocol};

/// One step. All of it may be shown to anybody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    /// What it is called; one that follows from the step before it begins with two spaces.
    pub(crate) step: String,
    pub(crate) caller: String,
    pub(crate) target: String,
    pub(crate) action: String,
    /// `permit`, `deny`, `skipped`, or `unknown` where nobody recorded anything.
    pub(crate) verdict: String,
    pub(crate) reason: String,
    pub(crate) rule: Option<String>,
    pub(crate) protocol: Option<Protocol>,
    /// The status or `alert`, as the caller heard it.
    pub(crate) heard: String,
    pub(crate) notes: Vec<String>,
    /// What came out otherwise; empty where all is as told and as the policy says.
    pub(crate) wrong: Vec<String>,
}

impl Step {
    pub(crate) fn is_ok(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Takes what the audit log says, and compares it with what the policy says.
    pub(crate) fn recorded(&mut self, entry: Option<Entry>, decision: &Decision) {
        let Some(entry) = entry else {
            self.verdict = "unknown".to_owned();
            self.wrong
                .push("no record of it is in the audit log".to_owned());
            return;
        };
        let said = (
            &*entry.verdict,
            &*entry.stage,
            &*entry.reason,
            entry.rule.as_deref(),
        );
        let must = (
            decision.verdict.as_str(),
            decision.stage.as_str(),
            decision.reason.code(),
            decision.rule.as_deref(),
        );
        if said != must {
            self.wrong.push(format!(
                "the audit log says {said:?}, the policy says {must:?}"
            ));
        }
        let shadow = decision.shadow.iter();
        let shadow = shadow.map(|shadow| (shadow.rule.to_string(), shadow.would.to_string()));
        if !shadow.eq(entry.shadow.iter().cloned()) {
            self.wrong.push(format!(
                "the audit log says {:?} of rules in shadow",
                entry.shadow
            ));
        }
        let shadow = entry.shadow.iter();
        self.notes
            .extend(shadow.map(|(rule, would)| format!("in shadow, `{rule}` would {would} it")));
        self.verdict = entry.verdict;
        self.reason = entry.reason;
        self.rule = entry.rule;
    }

    /// Compares the policy with the story: a policy that permits what an attacker must not get is as wrong as a guard.
    pub(crate) fn told(&mut self, told: Verdict, decision: &Decision) {
        if told != decision.verdict {
            self.wrong.push(format!(
                "the story says {told}, the policy says {}",
                decision.verdict
            ));
        }
    }

    /// Compares what the caller heard with what it must hear.
    pub(crate) fn heard(&mut self, heard: &Heard, foretold: &Foretold) {
        match heard {
            Heard::Wire(wire, http_bytes) => {
                self.heard = match wire {
                    Wire::Status(status) => status.to_string(),
                    Wire::Alert(_) => "alert".to_owned(),
                };
                if *wire != foretold.wire {
                    self.wrong.push(format!(
                        "answered with {wire}, and not with {}",
                        foretold.wire
                    ));
                }
                if matches!(wire, Wire::Alert(_)) && *http_bytes > 0 {
                    self.wrong.push(format!(
                        "{http_bytes} bytes of HTTP were answered before the alert"
                    ));
                }
            }
            Heard::Failed(why) => self.wrong.push(format!("no answer: {why}")),
            Heard::Elsewhere => {}
        }
    }

    /// Compares what the target's handlers were told with the verdict: a refusal reaches none, a permit one, with the caller.
    pub(crate) fn served(
        &mut self,
        callers: &[Option<SpiffeId>],
        proved: Option<&str>,
        decision: &Decision,
    ) {
        let callers: Vec<_> = callers
            .iter()
            .map(|caller| caller.as_ref().map(SpiffeId::as_str))
            .collect();
        match (decision.verdict, &*callers) {
            (Verdict::Deny, []) => {}
            (Verdict::Permit, [caller]) if *caller == proved => {}
            (Verdict::Deny, _) => self.wrong.push("a handler ran".to_owned()),
            (Verdict::Permit, _) => self.wrong.push(format!(
                "a handler was to run for {proved:?}, and ran for {callers:?}"
            )),
        }
    }

    /// One line of JSON.
    pub(crate) fn to_json(&self) -> String {
        let pairs = [
            ("step", Value::from(self.step.trim_start())),
            ("caller", Value::from(&*self.caller)),
            ("target", Value::from(&*self.target)),
            ("action", Value::from(&*self.action)),
            ("verdict", Value::from(&*self.verdict)),
            ("reason", Value::from(&*self.reason)),
            (
                "rule",
                self.rule.as_deref().map_or(Value::Null, Value::from),
            ),
            ("ok", Value::from(self.is_ok())),
            (
                "protocol",
                self.protocol
                    .map_or(Value::Null, |protocol| protocol.as_str().into()),
            ),
        ];
        let fields = pairs.map(|(key, value)| format!("\"{key}\":{value}"));
        format!("{{{}}}", fields.join(","))
    }
}

/// What a caller heard.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    /// An answer, and how many bytes of HTTP were in it.
    Wire(Wire, usize),
    /// None.
    Failed(String),
    /// It was another one who asked: the whole request's answer tells.
    Elsewhere,
}

impl Heard {
    pub(crate) fn of(exchange: &Exchange) -> Self {
        let bytes = exchange.http_bytes;
        match &exchange.answer {
            Answer::Status(status, _) => Self::Wire(Wire::Status(status.as_u16()), bytes),
            Answer::Alert(alert) => Self::Wire(Wire::Alert(*alert), bytes),
            Answer::Failed(why) => Self::Failed(why.clone()),
        }
    }

    /// What the agent tells of its tool.
    pub(crate) fn of_tool(told: &Value) -> Self {
        let status = told.get("status").and_then(Value::as_u64);
        match status.and_then(|status| u16::try_from(status).ok()) {
            Some(status) => Self::Wire(Wire::Status(status), 0),
            None => Self::Failed(told.to_string()),
        }
    }
}
