//! What must come of a call, asked of the policy beforehand: the same pure function that the guards call, on a peer that is
//! proved the same way, without any of their sockets.

use std::error::Error;

use ztl_core::policy::{Input, decide};
use ztl_core::{Action, Arrival, Decision, Flow, Reason, Stage, Verdict};
use ztl_mtls::Purpose;

use crate::site::{Site, now, place};
use crate::walk::Try;

/// What the target must decide.
pub(crate) fn decision(site: &Site, call: &Try) -> Result<Decision, Box<dyn Error>> {
    let now = now();
    let chain = site.workload(call.caller)?.svid.chain();
    let peer = site.prover.prove(chain, now, Purpose::Client)?;
    let port = site.address(call.target, call.port).port();
    let arrival = Arrival::from_addr(place(call.stands));
    let door = Input::new(Flow::ingress(call.target, port, arrival, Some(&peer)));
    let flow = decide(&site.policy, &door, now);
    if flow.verdict == Verdict::Deny {
        // What is refused in the handshake never says what it wanted.
        return Ok(flow);
    }
    let input = match call.asks {
        Some((method, path)) => door.with_action(Action::request(method, path)),
        None => door.with_action(Ok(Action::Connect)),
    };
    Ok(decide(&site.policy, &input, now))
}

/// What the caller must hear of it.
pub(crate) fn wire(call: &Try, decision: &Decision) -> &'static str {
    match (decision.verdict, decision.stage, call.asks) {
        (Verdict::Permit, _, Some(_)) => "200",
        (Verdict::Permit, _, None) => "taken",
        (Verdict::Deny, Stage::Action, None) => "closed",
        (Verdict::Deny, Stage::Action, _) if decision.reason == Reason::PathAmbiguous => "400",
        (Verdict::Deny, Stage::Action, _) => "403",
        (Verdict::Deny, ..) => "alert AccessDenied",
    }
}
