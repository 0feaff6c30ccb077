//! `ztl_flow`: a flow that the policy permits.

#![expect(unsafe_code, reason = "exports")]

use core::net::IpAddr;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use ztl_core::policy::Policy;
use ztl_core::{
    Action, Arrival, Denial, Direction, Engine, Flow, FlowPermit, Peer, Reason, Stage, Timestamp,
};

use crate::boundary::{Fault, Plain, Refusal, export, sized, ztl_str};
use crate::decision::ztl_decision;
use crate::engine::{self, Bond, ztl_engine};
use crate::error::ztl_error;
use crate::handle::{self, Handle};
use crate::peer::ztl_peer;
use crate::status::ztl_status;

/// In `ztl_flow_request.flags`: the caller showed no certificate at all, and comes as the `public` of a public port. Never set
/// it for a caller whose certificate was bad.
pub const ZTL_FLOW_ANONYMOUS: u16 = 1;

/// In `ztl_flow_request.flags`: this host, which is `me`, called the workload `to`, and the peer is the server that answered.
pub const ZTL_FLOW_EGRESS: u16 = 2;

/// Longest name of a workload that is taken.
pub(crate) const MAX_NAME_BYTES: usize = 256;
/// Longest text of an address that is taken.
const MAX_ADDR_BYTES: usize = 64;

/// A flow that is permitted: the proof of step two, which step three takes. Good at the engine that permitted it, until what
/// it rests on changes or expires.
///
/// Any number of threads may use it at once.
#[derive(Debug)]
pub struct ztl_flow {
    _opaque: (),
}

impl Handle for ztl_flow {
    const NAME: &'static str = "ztl_flow";
    const TAG: u64 = u64::from_be_bytes(*b"ztl-flow");
    type Body = Body;
}

/// What is behind a [`ztl_flow`].
#[derive(Debug)]
pub(crate) struct Body {
    kept: ArcSwap<Kept>,
    /// Held while it is renewed, so that a change of policy is one more record of a flow, however many requests come after it at once.
    renewing: Mutex<()>,
    /// From when on what proved the peer is no proof.
    ends: Timestamp,
    /// The name of the workload that was called, on egress.
    to: Option<Box<str>>,
    bond: Arc<Bond>,
}

/// Lends a flow that has to be there, and to have been permitted at this engine.
///
/// # Safety
/// `flow` is NULL, or a live handle of this library, and stays live for `'a`.
pub(crate) unsafe fn lent<'a>(
    flow: *const ztl_flow,
    engine: &engine::Body,
) -> Result<&'a Body, Fault> {
    // SAFETY: as promised to this function.
    let body = unsafe { handle::borrow(flow) }?;
    if Arc::ptr_eq(&body.bond, &engine.bond) {
        Ok(body)
    } else {
        Err(Fault::arg("the `ztl_flow` was permitted at another engine"))
    }
}

/// A permit, as it was last renewed.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Whose flow it is, and what it rests on. Under which policy it was permitted is another question: see [`Body::renew`].
    pub(crate) permit: FlowPermit,
    /// The policies that had been in force when it was asked for.
    epoch: u64,
}

impl Body {
    pub(crate) fn kept(&self) -> Guard<Arc<Kept>> {
        self.kept.load()
    }

    pub(crate) const fn ends(&self) -> Timestamp {
        self.ends
    }

    /// Its permit under the policy in force, which is kept. Denied as withdrawn where what proved the peer has ended: whoever has the
    /// chain proves it anew.
    pub(crate) fn renew(
        &self,
        engine: &Engine,
        action: Option<&Action<'_>>,
        now: Timestamp,
    ) -> Result<FlowPermit, Denial> {
        let kept = self.kept();
        // One that was made under this policy is still to be asked whether it holds.
        match self.renew_for(&kept, engine, action, now)? {
            Cow::Borrowed(permit) => renew(engine, permit, action, now),
            Cow::Owned(permit) => Ok(permit),
        }
    }

    /// The same for an action that is authorized on it, which finds out itself whether what was permitted under the policy in force
    /// still holds.
    pub(crate) fn renew_for<'k>(
        &self,
        kept: &'k Kept,
        engine: &Engine,
        action: Option<&Action<'_>>,
        now: Timestamp,
    ) -> Result<Cow<'k, FlowPermit>, Denial> {
        if now >= self.ends {
            let (stage, reason) = (Stage::Flow, Reason::FlowWithdrawn);
            return Err(engine.refuse(&flow_of(&kept.permit), action, stage, reason, now));
        }
        if kept.epoch == engine.epoch() {
            return Ok(Cow::Borrowed(&kept.permit));
        }
        self.renew_kept(engine, action, now).map(Cow::Owned)
    }

    #[cold]
    fn renew_kept(
        &self,
        engine: &Engine,
        action: Option<&Action<'_>>,
        now: Timestamp,
    ) -> Result<FlowPermit, Denial> {
        let _one_at_a_time = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever held it may have renewed it.
        let (kept, epoch) = (self.kept(), engine.epoch());
        let permit = renew(engine, &kept.permit, action, now)?;
        let renewed = permit.clone();
        self.kept.store(Arc::new(Kept { permit, epoch }));
        Ok(renewed)
    }

    /// On egress, whether the policy in force gives the name that was called to the peer.
    pub(crate) fn is_named(&self, engine: &Engine) -> bool {
        let Some(to) = &self.to else { return true };
        let kept = self.kept();
        (kept.permit.peer()).is_some_and(|peer| is_named(&engine.policy(), peer, to))
    }

    /// The same of the policy under which a permit of this flow was made.
    pub(crate) fn is_named_in(&self, permit: &FlowPermit) -> bool {
        self.to
            .as_deref()
            .is_none_or(|to| permit.called() == Some(to))
    }
}

fn renew(
    engine: &Engine,
    permit: &FlowPermit,
    action: Option<&Action<'_>>,
    now: Timestamp,
) -> Result<FlowPermit, Denial> {
    match action {
        Some(action) => engine.renew_flow_for(permit, action, now),
        None => engine.renew_flow(permit, now),
    }
}

fn is_named(policy: &Policy, peer: &Peer, name: &str) -> bool {
    let workload = policy.workload_by_id(peer.id());
    workload.is_some_and(|workload| workload.name() == name)
}

/// What a permit is of.
fn flow_of(permit: &FlowPermit) -> Flow<'_> {
    match (permit.direction(), permit.peer()) {
        (Direction::Ingress, peer) => {
            Flow::ingress(permit.me(), permit.port(), permit.arrival(), peer)
        }
        (Direction::Egress, Some(peer)) => Flow::egress(permit.me(), permit.port(), peer),
        (Direction::Egress, None) => Flow::egress_unproved(permit.me(), permit.port()),
    }
}

/// A connection that somebody makes to this workload; with `ZTL_FLOW_EGRESS`, one that this workload makes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ztl_flow_request {
    /// `sizeof(ztl_flow_request)`
    pub size: u32,
    /// The port of the workload that the connection is to.
    pub port: u16,
    /// Zero, `ZTL_FLOW_ANONYMOUS` or `ZTL_FLOW_EGRESS`.
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
    /// With `ZTL_FLOW_EGRESS`, the name of the workload that was called: whoever answers must be that one. Otherwise absent.
    pub to: ztl_str,
}

// SAFETY: numbers and pointers, the size first.
unsafe impl Plain for ztl_flow_request {}

/// Step two: permits a connection to this workload, or from it, or denies it. Recorded either way.
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
        let engine = unsafe { engine::lent(engine) }?;
        // SAFETY: as promised to this function.
        let request = unsafe { sized(request, "request") }?;
        // SAFETY: as promised to this function.
        let permit = unsafe { permit(engine, &request) }?;
        let decision = ztl_decision::flow(&permit.kept().permit, permit.ends);
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
    pub(crate) me: &'a str,
    port: u16,
    arrival: Arrival,
    to: Option<&'a str>,
    pub(crate) now: Timestamp,
}

impl<'a> Connection<'a> {
    /// # Safety
    /// The texts of the request are readable for `'a`.
    pub(crate) unsafe fn of(request: &ztl_flow_request) -> Result<Self, Fault> {
        match request.flags {
            ZTL_FLOW_ANONYMOUS if !request.peer.is_null() => {
                return Err(Fault::arg(
                    "`flags` says that the caller comes as the public, and `peer` who it is",
                ));
            }
            0 | ZTL_FLOW_ANONYMOUS | ZTL_FLOW_EGRESS => {}
            flags => {
                return Err(Fault::arg(format!(
                    "`flags` is {flags}, which this library does not know"
                )));
            }
        }
        // SAFETY: as promised to this function.
        let me = unsafe { request.me.required("me", MAX_NAME_BYTES) }?;
        // SAFETY: as promised to this function.
        let from_addr = unsafe { request.from_addr.text("from_addr", MAX_ADDR_BYTES) }?;
        // SAFETY: as promised to this function.
        let to = unsafe { request.to.text("to", MAX_NAME_BYTES) }?;
        match (request.flags, to, from_addr) {
            (ZTL_FLOW_EGRESS, None | Some(""), _) => {
                return Err(Fault::arg(
                    "`to` is absent or empty; it has to name the workload that was called",
                ));
            }
            (ZTL_FLOW_EGRESS, _, Some(_)) => {
                return Err(Fault::arg("`from_addr` is given, but this host called"));
            }
            (ZTL_FLOW_EGRESS, ..) | (_, None, _) => {}
            _ => {
                return Err(Fault::arg(
                    "`to` is given, but `flags` does not say ZTL_FLOW_EGRESS",
                ));
            }
        }
        Ok(Self {
            to,
            me,
            port: request.port,
            arrival: arrival(from_addr)?,
            now: Timestamp::from_unix_secs(request.now_unix),
        })
    }

    pub(crate) fn flow<'b>(&'b self, peer: Option<&'b Peer>) -> Flow<'b> {
        match (self.to, peer) {
            (None, peer) => Flow::ingress(self.me, self.port, self.arrival, peer),
            (Some(_), Some(peer)) => Flow::egress(self.me, self.port, peer),
            (Some(_), None) => Flow::egress_unproved(self.me, self.port),
        }
    }

    /// Whether a peer is the workload that was called, where one was.
    pub(crate) fn is_called(&self, policy: &Policy, peer: &Peer) -> bool {
        self.to.is_none_or(|to| is_named(policy, peer, to))
    }

    pub(crate) fn direction(&self) -> Direction {
        if self.to.is_some() {
            Direction::Egress
        } else {
            Direction::Ingress
        }
    }

    /// Permits the flow of a peer: on egress, only as the workload that was called, `None` where it is another.
    fn permit(&self, engine: &Engine, peer: &Peer) -> Option<Result<FlowPermit, Denial>> {
        if !self.is_called(&engine.policy(), peer) {
            return None;
        }
        let permitted = engine.permit_flow(&self.flow(Some(peer)), self.now);
        // Name and judgement are of one policy, or there is no permit: it may have been swapped in between.
        match (&permitted, self.to) {
            (Ok(permit), Some(to)) if permit.called() != Some(to) => None,
            _ => Some(permitted),
        }
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
unsafe fn permit(engine: &engine::Body, request: &ztl_flow_request) -> Result<Body, Refusal> {
    // SAFETY: as promised to this function.
    let connection = unsafe { Connection::of(request) }?;
    let epoch = engine.engine.epoch();
    let whole = |permit, ends| Body {
        kept: ArcSwap::from_pointee(Kept { permit, epoch }),
        renewing: Mutex::new(()),
        ends,
        to: connection.to.map(Into::into),
        bond: Arc::clone(&engine.bond),
    };
    match (request.peer.is_null(), request.flags) {
        (false, _) => {
            // SAFETY: as promised to this function.
            let held = unsafe { handle::borrow(request.peer) }?;
            let peer = held.at(engine)?;
            if !held.comes_as(connection.direction()) {
                return Err(Fault::arg(
                    "the `ztl_peer` was proved for the other direction: prove it with the same `flags`",
                )
                .into());
            }
            if !held.is_current(engine, connection.now) {
                return Err(connection
                    .refuse(engine, Some(peer), Stage::Identity, Reason::IdentityExpired)
                    .into());
            }
            let Some(permit) = connection.permit(&engine.engine, peer) else {
                let denial = connection.refuse(
                    engine,
                    Some(peer),
                    Stage::Identity,
                    Reason::IdentityUnproven,
                );
                let called = "the one that answered is not the workload that was called";
                return Err(Refusal::Denied(denial, Some(called.to_owned())));
            };
            let permit = permit?;
            // What the peer was proved by may have gone while it was judged; the next change would not find this flow (T5).
            if held.is_current(engine, connection.now) {
                Ok(whole(permit, held.ends()))
            } else {
                Err(connection
                    .refuse(engine, Some(peer), Stage::Flow, Reason::FlowWithdrawn)
                    .into())
            }
        }
        (true, ZTL_FLOW_ANONYMOUS) => Ok(whole(
            engine
                .engine
                .permit_flow(&connection.flow(None), connection.now)?,
            Timestamp::MAX,
        )),
        // T3: who was to be proved and was not never becomes the public.
        (true, _) => Err(connection
            .refuse(engine, None, Stage::Identity, Reason::IdentityUnproven)
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
