//! What was permitted as a WebSocket and is answered as a plain request.

use http::StatusCode;
use ztl_core::{FlowPermit, Reason};

use super::response::Refused;
use crate::extract::ActionPermit;
use crate::guard::Guard;
use crate::name::WireTarget;

/// What a request that asks for a WebSocket was permitted as. A server may answer it as if it asked for none (RFC 9110 §7.8), by the handler of
/// another action, which nobody judged (T20); where it opens one it says 101 (RFC 6455 §4.2.2). An extended CONNECT is answered with success
/// where it opens its stream, and is none of these.
pub(super) struct Switch {
    guard: Guard,
    flow: FlowPermit,
    wire: WireTarget,
}

impl Switch {
    /// Of a permitted request; none where it asks for no WebSocket.
    pub(super) fn of(guard: &Guard, permit: &ActionPermit) -> Option<Box<Self>> {
        let given_for = &permit.given_for;
        given_for.wire.asks_for_websocket().then(|| {
            Box::new(Self {
                guard: guard.clone(),
                flow: given_for.flow.clone(),
                wire: given_for.wire.clone(),
            })
        })
    }

    /// Why an answer with this status is kept back, where it is, and by whom.
    pub(super) fn refuses(&self, status: StatusCode) -> Option<(&Guard, Refused)> {
        if !status.is_success() {
            return None;
        }
        let (guard, action) = (&self.guard, self.wire.action().ok());
        let engine = guard.engine();
        let denial = engine.refuse_on(&self.flow, action.as_ref(), Reason::NotJudged, guard.now());
        let detail = "the service answered a request for a WebSocket as a plain one, which is another action";
        Some((guard, Refused::new(denial, Some(detail.to_owned()))))
    }
}
