//! What holds for every policy that loads, shared by the targets of both syntaxes.

use std::sync::{Arc, LazyLock};

use ztl_core::authorizer::{
    Authorizer, AuthorizerError, Condition, ConditionCompiler, ConditionError, Facts, Reads,
    Setting,
};
use ztl_core::policy::{Effect, Format, Input, Loader, Mode, Policy, decide, reference};
use ztl_core::{Action, Arrival, Decision, Flow, Reason, SpiffeId, Timestamp, Verdict};

/// The time of every decision here.
pub const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

/// What a service would load with: a condition language and an authorizer are at hand.
static LOADER: LazyLock<Loader> = LazyLock::new(|| {
    Loader::new()
        .source("fuzz")
        .with_conditions(Arc::new(Words))
        .with_authorizer("fraud", Arc::new(Word::Never))
});

pub fn load(text: &str, format: Format) -> Option<Policy> {
    match LOADER.load(text, format) {
        Ok(policy) => Some(policy),
        Err(error) => {
            check_error(&error, text);
            None
        }
    }
}

/// Decides, and compares the decision with that of the reference interpreter.
fn ask(policy: &Policy, input: &Input<'_>) -> Decision {
    let decision = decide(policy, input, NOW);
    let reference = reference::decide(policy.document(), &LOADER, input, NOW);
    assert_eq!(decision, reference);
    decision
}

/// An error can always be shown, points into the text, and shows nothing that a terminal obeys.
fn check_error(error: &ztl_core::policy::LoadError, text: &str) {
    let shown = error.to_string();
    assert!(
        !shown
            .chars()
            .any(|character| character != '\n' && character.is_control())
    );
    assert!((1..=20).contains(&error.diagnostics().len()));
    for one in error.diagnostics() {
        assert!(one.line >= 1 && one.column >= 1 && !one.message.is_empty());
        let inside =
            |span: ztl_core::policy::Span| span.start <= span.end && span.end <= text.len();
        assert!(one.span.is_none_or(inside), "{:?}", one.span);
    }
}

/// Law 1 and law 4, for whatever the document says; and on every edge the reference interpreter says the same.
pub fn check(policy: &Policy) {
    let stranger = "ztl-fuzz-nobody";
    let deny = |flow: Flow<'_>| {
        let decision = ask(policy, &Input::new(flow));
        assert_eq!(decision.verdict, Verdict::Deny, "{decision:?}");
        decision.reason
    };
    assert!(policy.workload_by_name(stranger).is_none());
    assert_eq!(
        deny(Flow::ingress(stranger, 443, Arrival::unknown(), None)),
        Reason::NoFlowPermitted
    );
    for workload in policy.workloads().iter().take(16) {
        let listed = workload.ports().iter().chain(workload.public_ports());
        for port in listed.copied().chain([1, 443, u16::MAX]).take(16) {
            if !workload.public_ports().contains(&port) {
                let flow = Flow::ingress(workload.name(), port, Arrival::unknown(), None);
                assert_eq!(deny(flow), Reason::IdentityUnproven);
            }
        }
        assert_eq!(
            policy
                .workload_by_name(workload.name())
                .map(|same| same.id()),
            Some(workload.id())
        );
    }
    // A document in which no permit counts permits nobody anything.
    let rules = &policy.document().rules;
    let counts = |effect| {
        rules
            .iter()
            .any(|rule| rule.effect == effect && rule.mode == Mode::Enforce)
    };
    let permits = counts(Effect::Permit);
    for workload in policy.workloads().iter().take(4) {
        for caller in policy.workloads().iter().take(4) {
            let peer = proved(caller.id());
            for port in [443].iter().chain(workload.ports()).copied().take(3) {
                let arrival = Arrival::from_addr(core::net::IpAddr::from([10, 10, 0, 7]));
                let flow = Flow::ingress(workload.name(), port, arrival, Some(&peer));
                for action in [Action::request("GET", "/"), Ok(Action::Connect)] {
                    let decision = ask(policy, &Input::new(flow).with_action(action));
                    assert!(permits || decision.verdict == Verdict::Deny);
                }
            }
        }
    }
}

/// A language of three words.
#[derive(Debug)]
struct Words;

#[derive(Debug)]
enum Word {
    Always,
    Never,
    Fails,
}

impl ConditionCompiler for Words {
    fn compile(&self, source: &str, _: &Setting<'_>) -> Result<Arc<dyn Condition>, ConditionError> {
        match source {
            "always" => Ok(Arc::new(Word::Always)),
            "never" => Ok(Arc::new(Word::Never)),
            "fails" => Ok(Arc::new(Word::Fails)),
            other => Err(ConditionError::new(format!(
                "`{other}` is no word of this language"
            ))),
        }
    }
}

impl Condition for Word {
    fn reads(&self) -> Reads {
        Reads::nothing().with_token()
    }

    fn holds(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        match self {
            Self::Always => Ok(true),
            Self::Never => Ok(false),
            Self::Fails => Err(AuthorizerError("fails".to_owned())),
        }
    }
}

impl Authorizer for Word {
    fn reads(&self) -> Reads {
        Reads::nothing().with_trust_score()
    }

    fn objects(&self, facts: &Facts<'_>) -> Result<bool, AuthorizerError> {
        self.holds(facts)
    }
}

/// A peer that proved to be this id.
pub fn proved(id: &SpiffeId) -> ztl_core::Peer {
    let proof = ztl_core::Proof::X509 {
        id: id.clone(),
        leaf_sha256: [7; 32].into(),
        serial: Box::new([7]),
        not_after: NOW.saturating_add(core::time::Duration::from_secs(3600)),
    };
    ztl_core::Peer::assertion(proof, "made up by a fuzz target")
}
