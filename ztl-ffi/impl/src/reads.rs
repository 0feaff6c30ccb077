//! What of a request the rules of a flow read.

#![expect(unsafe_code, reason = "exports")]

use ztl_core::{FlowPermit, Forwarding, Timestamp};

use crate::boundary::export;
use crate::engine::{self, ztl_engine};
use crate::error::ztl_error;
use crate::flow::ztl_flow;
use crate::handle;
use crate::status::ztl_status;

/// A bit of `ztl_flow_reads`: a rule could ask for a token. Where it is not set, verify none (T34).
pub const ZTL_READS_TOKEN: u32 = 1;
/// A bit of `ztl_flow_reads`: a rule could ask for a trust score.
pub const ZTL_READS_TRUST_SCORE: u32 = 2;
/// A bit of `ztl_flow_reads`: the peer passes ids on in `X-Forwarded-Client-Cert`. Where it is not set, take that field away (T12).
pub const ZTL_READS_XFCC: u32 = 4;
/// A bit of `ztl_flow_reads`: the peer passes ids on in `Forwarded` (RFC 7239). Where it is not set, take that field away (T12).
pub const ZTL_READS_FORWARDED: u32 = 8;

/// What of a request on a flow is looked at under the policy in force, so that the host need not gather the rest, and takes away
/// what the peer is not trusted to say. `ztl_action_authorize` hides such fields from rules itself; what serves the request sees
/// what the host hands it.
///
/// The policy may change before `ztl_action_authorize` judges, and then nothing was gathered for its rules: a forbid of whom a token
/// names would not fire on a token that nobody verified, and what the peer says in a field would be served under a policy that hides
/// it. So ask again after a permit: where a bit of what can be gathered is set that was not, or the bit of a field that the request
/// has differs from before, gather it or take it away, and authorize anew before anything is served (T12).
///
/// @param engine the engine that permitted the flow
/// @param flow the permitted flow
/// @param now_unix the time, in seconds since 1970
/// @param reads receives `ZTL_READS_*`, added up; 0 unless `ZTL_OK` is returned
/// @param error receives the reason; may be NULL. A flow that is no longer permitted is `ZTL_DENIED`, and recorded.
///   Authorize the request all the same: that denial has the decision's id, its stage, and says what was asked for
///
/// # Safety
/// `engine` and `flow` are NULL or live; `reads` and `error` are NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_flow_reads(
    engine: *const ztl_engine,
    flow: *const ztl_flow,
    now_unix: u64,
    reads: *mut u32,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (reads), error: error, || {
        // SAFETY: as promised to this function.
        let engine = unsafe { engine::lent(engine) }?;
        // SAFETY: as promised to this function.
        let flow = unsafe { handle::borrow(flow) }?;
        let now = Timestamp::from_unix_secs(now_unix);
        Ok(reads_of(&flow.renew(&engine.engine, None, now)?))
    })
}

fn reads_of(flow: &FlowPermit) -> u32 {
    let passes = |field| flow.forwards_in() == Some(field);
    [
        (flow.reads_token(), ZTL_READS_TOKEN),
        (flow.reads_trust_score(), ZTL_READS_TRUST_SCORE),
        (passes(Forwarding::Xfcc), ZTL_READS_XFCC),
        (passes(Forwarding::Forwarded), ZTL_READS_FORWARDED),
    ]
    .into_iter()
    .filter(|(reads, _)| *reads)
    .fold(0, |all, (_, bit)| all | bit)
}
