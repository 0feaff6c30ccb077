//! Refusals of the host's own, of requests on a permitted flow.

#![expect(unsafe_code, reason = "exports")]

use ztl_core::{Reason, Timestamp};

use crate::action::{named, ztl_action_request};
use crate::boundary::{Fault, Refusal, export, sized};
use crate::decision::ztl_decision;
use crate::engine::{self, ztl_engine};
use crate::error::ztl_error;
use crate::flow::{self, ztl_flow};
use crate::status::{reason_number, ztl_status};

/// What a host may refuse a request for. All else is the engine's to say: who is proved, and what a rule permits.
const REASONS: [Reason; 7] = [
    Reason::FlowWithdrawn,
    Reason::PathAmbiguous,
    Reason::Misdirected,
    Reason::ForwardedUntrusted,
    Reason::EvidenceMissing,
    Reason::Objected,
    Reason::AuthorizerFailed,
];

/// Records that the host itself refuses a request on a permitted flow, or ends one that runs: what a proved caller is denied for has
/// a record, whoever denies it (law 6). Never returns `ZTL_OK`: that it was recorded is `ZTL_DENIED`, with the denial's id, at the
/// stage of an action. Where `ztl_action_authorize` denies, it has recorded that itself; do not call both.
///
/// `reason` is one of
///
/// - `ZTL_REASON_PATH_AMBIGUOUS`: the host cannot read the request, or its framework reads another one than stood on the wire
/// - `ZTL_REASON_MISDIRECTED`: it is for another host, such as than the server name of its connection
/// - `ZTL_REASON_FORWARDED_UNTRUSTED`: an id that is passed on cannot be read, or be taken away
/// - `ZTL_REASON_EVIDENCE_MISSING`: what a rule reads could not be gathered
/// - `ZTL_REASON_OBJECTED`: something of the host's own says no
/// - `ZTL_REASON_AUTHORIZER_FAILED`: something of the host's own failed, or was not done in time
/// - `ZTL_REASON_FLOW_WITHDRAWN`: what the request was permitted by has changed since
///
/// Any other is `ZTL_ERR_ARG`, and nothing is recorded.
///
/// @param engine the engine that permitted the flow
/// @param flow the permitted flow
/// @param request what was asked for, as far as the host knows: `method` and `target` may be absent, and what cannot be named is left
///   out of the record. `trust_score` and `claims` are not read, and of the header fields none but `upgrade` and `connection`; where
///   there are more of them than are taken, none at all
/// @param reason why
/// @param decision receives the denial; set its `size` first
/// @param error receives the reason; may be NULL
///
/// # Safety
/// `engine` and `flow` are NULL or live; `request` is NULL or readable, with readable texts and headers; `decision` and `error` are NULL
/// or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_action_refuse(
    engine: *const ztl_engine,
    flow: *const ztl_flow,
    request: *const ztl_action_request,
    reason: u32,
    decision: *mut ztl_decision,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (decision), error: error, || {
        // SAFETY: as promised to this function.
        let engine = unsafe { engine::lent(engine) }?;
        // SAFETY: as promised to this function.
        let flow = unsafe { flow::lent(flow, engine) }?;
        // SAFETY: as promised to this function.
        let request: ztl_action_request = unsafe { sized(request, "request") }?;
        let reason = reason_of(reason)?;
        // SAFETY: as promised to this function.
        let action = unsafe { named(&request) }?;
        let now = Timestamp::from_unix_secs(request.now_unix);
        let denial = engine.engine.refuse_on(&flow.kept().permit, action.as_ref(), reason, now);
        Err(Refusal::Denied(denial, Some("the host refused it".to_owned())))
    })
}

fn reason_of(number: u32) -> Result<Reason, Fault> {
    let known = REASONS
        .into_iter()
        .find(|reason| reason_number(*reason) == number);
    known.ok_or_else(|| {
        Fault::arg(format!(
            "`reason` is {number}, which is none that a host refuses a request for: see `ztl_action_refuse`"
        ))
    })
}
