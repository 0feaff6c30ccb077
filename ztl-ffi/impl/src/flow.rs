//! `ztl_flow`: a flow that the policy permits.

#![expect(unsafe_code, reason = "exports")]

use core::net::IpAddr;

use ztl_core::{Arrival, Denial, Flow, FlowPermit, Peer, Reason, Stage, Timestamp};

use crate::boundary::{Fault, Plain, Refusal, export, sized, ztl_str};
use crate::decision::ztl_decision;
use crate::engine::{self, ztl_engine};
use crate::error::ztl_error;
use crate::handle::{self, Handle};
use crate::peer::ztl_peer;
use crate::status::ztl_status;

/// In `ztl_flow_request.flags`: the caller showed no certificate at all, and comes as the `public` of a public port. Never set
/// it for a caller whose certificate was bad.
pub const ZTL_FLOW_ANONYMOUS: u16 = 1;

/// Longest name of a workload that is taken.
const MAX_NAME_BYTES: usize = 256;
/// Longest text of an address that is taken.
const MAX_ADDR_BYTES: usize = 64;

/// A flow that is permitted: the proof of step two, which step three takes. Good at the engine that permitted it, until what
/// it rests on changes or expires.
///
/// It is immutable: any number of threads may use it at once.
#[derive(Debug)]
pub struct ztl_flow {
    _opaque: (),
}

impl Handle for ztl_flow {
    const NAME: &'static str = "ztl_flow";
    const TAG: u64 = u64::from_be_bytes(*b"ztl-flow");
    type Body = FlowPermit;
}

/// A connection that somebody makes to this workload.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ztl_flow_request {
    /// `sizeof(ztl_flow_request)`
    pub size: u32,
    /// The port of this workload that the connection came to.
    pub port: u16,
    /// Zero, or `ZTL_FLOW_ANONYMOUS`.
    pub flags: u16,
    /// Which workload of the policy this is.
    pub me: ztl_str,
    /// The other end. NULL is a caller who proved nothing: denied, and recorded as `identity_unproven`, unless `flags` says that
    /// it comes as the public.
    pub peer: *const ztl_peer,
    /// The address that the connection came from: IPv4 or IPv6 in digits, without brackets, port or zone. Absent: unknown,
    /// which is in no zone.
    pub from_addr: ztl_str,
    /// The time, in seconds since 1970.
    pub now_unix: u64,
}

// SAFETY: numbers and pointers, the size first.
unsafe impl Plain for ztl_flow_request {}

/// Step two: permits a connection to this workload, or denies it. Recorded either way.
///
/// @param engine the engine
/// @param request the connection
/// @param flow receives the permitted flow; NULL unless `ZTL_OK` is returned. End it with `ztl_flow_free`
/// @param decision receives the decision; set its `size` first
/// @param error receives the reason, of a denial as well; may be NULL
///
/// # Safety
/// `engine` is NULL or live; `request` is NULL or readable, with a live peer or none and readable texts; `flow`, `decision` and
/// `error` are NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_flow_permit(
    engine: *const ztl_engine,
    request: *const ztl_flow_request,
    flow: *mut *mut ztl_flow,
    decision: *mut ztl_decision,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (flow, decision), error: error, || {
        // SAFETY: as promised to this function.
        let engine = unsafe { handle::borrow(engine) }?;
        // SAFETY: as promised to this function.
        let request = unsafe { sized(request, "request") }?;
        // SAFETY: as promised to this function.
        let permit = unsafe { permit(engine, &request) }?;
        let decision = ztl_decision::flow(&permit);
        Ok((handle::give(permit), decision))
    })
}

/// Ends a permitted flow. NULL is none.
///
/// # Safety
/// `flow` is NULL or live, no other thread uses it, and it is not used after this.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ztl_flow_free(flow: *mut ztl_flow) {
    export!(otherwise: (), || {
        // SAFETY: as promised to this function.
        unsafe { handle::release(flow) }
    })
}

/// A connection, read.
pub(crate) struct Connection<'a> {
    me: &'a str,
    port: u16,
    arrival: Arrival,
    pub(crate) now: Timestamp,
}

impl<'a> Connection<'a> {
    /// # Safety
    /// The texts of the request are readable for `'a`.
    pub(crate) unsafe fn of(request: &ztl_flow_request) -> Result<Self, Fault> {
        // SAFETY: as promised to this function.
        let me = unsafe { request.me.required("me", MAX_NAME_BYTES) }?;
        // SAFETY: as promised to this function.
        let from_addr = unsafe { request.from_addr.text("from_addr", MAX_ADDR_BYTES) }?;
        Ok(Self {
            me,
            port: request.port,
            arrival: arrival(from_addr)?,
            now: Timestamp::from_unix_secs(request.now_unix),
        })
    }

    pub(crate) fn flow<'b>(&'b self, peer: Option<&'b Peer>) -> Flow<'b> {
        Flow::ingress(self.me, self.port, self.arrival, peer)
    }

    /// A denial at this connection, recorded.
    pub(crate) fn refuse(
        &self,
        engine: &engine::Body,
        peer: Option<&Peer>,
        stage: Stage,
        reason: Reason,
    ) -> Denial {
        engine
            .engine
            .refuse(&self.flow(peer), None, stage, reason, self.now)
    }
}

/// # Safety
/// The peer is NULL or live, the texts are readable.
unsafe fn permit(engine: &engine::Body, request: &ztl_flow_request) -> Result<FlowPermit, Refusal> {
    // SAFETY: as promised to this function.
    let connection = unsafe { Connection::of(request) }?;
    match (request.peer.is_null(), request.flags) {
        (false, 0) => {
            // SAFETY: as promised to this function.
            let held = unsafe { handle::borrow(request.peer) }?;
            let peer = held.at(engine)?;
            if !held.is_current(engine) {
                return Err(connection
                    .refuse(engine, Some(peer), Stage::Identity, Reason::IdentityExpired)
                    .into());
            }
            let permit = engine
                .engine
                .permit_flow(&connection.flow(Some(peer)), connection.now)?;
            // What the peer was proved by may have gone while it was judged; the next change would not find this flow (T5).
            if held.is_current(engine) {
                Ok(permit)
            } else {
                Err(connection
                    .refuse(engine, Some(peer), Stage::Flow, Reason::FlowWithdrawn)
                    .into())
            }
        }
        (true, ZTL_FLOW_ANONYMOUS) => Ok(engine
            .engine
            .permit_flow(&connection.flow(None), connection.now)?),
        // T3: who was to be proved and was not never becomes the public.
        (true, 0) => Err(connection
            .refuse(engine, None, Stage::Identity, Reason::IdentityUnproven)
            .into()),
        (false, ZTL_FLOW_ANONYMOUS) => Err(Fault::arg(
            "`flags` says that the caller comes as the public, and `peer` who it is",
        )
        .into()),
        (_, flags) => Err(Fault::arg(format!(
            "`flags` is {flags}, which this library does not know"
        ))
        .into()),
    }
}

fn arrival(text: Option<&str>) -> Result<Arrival, Fault> {
    let Some(text) = text else {
        return Ok(Arrival::unknown());
    };
    match text.parse::<IpAddr>() {
        Ok(addr) => Ok(Arrival::from_addr(addr)),
        Err(_) => Err(Fault::arg(format!(
            "`from_addr` is `{}`, which is no address",
            text.escape_debug()
        ))),
    }
}
