//! Explanations: they say what the decision says, and nothing that it does not.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod denials;
mod five_workloads;
mod laws;
mod threats;

use ztl_core::HeaderPairs;
use ztl_core::policy::{Explanation, Input, Policy, explain};
use ztl_core::{Flow, Peer};

use support::{NOW, Question, peer};

/// Hands on the question as an input.
pub(crate) fn with_input<T>(
    question: &Question,
    egress: bool,
    then: impl FnOnce(&Input<'_>) -> T,
) -> T {
    let peer: Option<Peer> = question.from.map(peer);
    let claims = question.claims();
    let headers = HeaderPairs(&question.headers);
    let forwarded = question.passed_on();
    let flow = match &peer {
        Some(peer) if egress => Flow::egress(question.to, question.port, peer),
        peer => Flow::ingress(
            question.to,
            question.port,
            question.arrival(),
            peer.as_ref(),
        ),
    };
    let evidence = question.evidence(claims.as_ref(), &headers, forwarded.as_ref());
    let mut input = Input::new(flow).with_evidence(evidence);
    input.action = question.named();
    then(&input)
}

pub(crate) fn explained(question: &Question, policy: &Policy) -> Explanation {
    with_input(question, false, |input| explain(policy, input, NOW))
}
