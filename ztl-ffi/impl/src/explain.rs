//! Why a decision would come out as it would.

#![expect(unsafe_code, reason = "exports")]

use core::fmt;

use ztl_core::policy::{Input, MAX_DOCUMENT_BYTES, Workload};
use ztl_core::{Direction, Forwarding, Proof, Reason, Verdict};

use crate::action::{Asking, ztl_action_request};
use crate::boundary::{Fault, Refusal, export, sized, ztl_str};
use crate::engine::{self, ztl_engine};
use crate::error::ztl_error;
use crate::flow::{Connection, ZTL_FLOW_ANONYMOUS, ztl_flow_request};
use crate::handle;
use crate::status::ztl_status;
use crate::text::ztl_text;
use crate::wire::Fields;

/// Explains what `ztl_flow_permit` and `ztl_action_authorize` would say, down to the clause of the rule that it hangs on, and
/// which requests nearby would be permitted. Decides and records nothing: `ZTL_OK` says that there is an explanation, **not**
/// that anything is permitted. What those deny before they look at a rule is `ZTL_ERR_ARG` here, with the reason in words: a peer
/// that is not the workload that `to` names, a host that is not the workload's or that has more than one reading, a field that asks for
/// another method or target, more header fields than are looked at, an id that is passed on and cannot be read.
///
/// @param engine the engine
/// @param connection the connection, with its peer
/// @param request what is asked for on it; NULL asks for the connection alone. Its `now_unix` is not read, that of
///   `connection` is
/// @param document the policy's own text, for the numbers of lines; absent: these say nothing
/// @param text receives one object of JSON, as `ztl explain --format json` prints it; NULL unless `ZTL_OK` is returned. End it
///   with `ztl_text_free`
/// @param error receives the reason; may be NULL
///
/// # Safety
/// `engine` is NULL or live; `connection` and `request` are NULL or readable, with live handles and readable texts; `document` is
/// readable; `text` and `error` are NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_explain(
    engine: *const ztl_engine,
    connection: *const ztl_flow_request,
    request: *const ztl_action_request,
    document: ztl_str,
    text: *mut *mut ztl_text,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (text), error: error, || {
        // SAFETY: as promised to this function.
        let engine = unsafe { engine::lent(engine) }?;
        // SAFETY: as promised to this function.
        let connection = unsafe { sized(connection, "connection") }?;
        // SAFETY: as promised to this function.
        let document = unsafe { document.text("document", MAX_DOCUMENT_BYTES) }?;
        let mut asking = if request.is_null() {
            None
        } else {
            // SAFETY: as promised to this function.
            let mut request: ztl_action_request = unsafe { sized(request, "request") }?;
            request.now_unix = connection.now_unix;
            if Fields::are_too_many(&request) {
                return Err(refused(Reason::PathAmbiguous, "there are more header fields than are looked at"));
            }
            // SAFETY: as promised to this function.
            Some(unsafe { Asking::read(&request) }?)
        };
        // SAFETY: as promised to this function.
        let json = unsafe { explain(engine, &connection, asking.as_mut(), document.unwrap_or_default()) }?;
        Ok(handle::give(json))
    })
}

/// # Safety
/// The peer is NULL or live, the texts are readable.
unsafe fn explain(
    engine: &engine::Body,
    request: &ztl_flow_request,
    asking: Option<&mut Asking<'_>>,
    document: &str,
) -> Result<String, Refusal> {
    // SAFETY: as promised to this function.
    let connection = unsafe { Connection::of(request) }?;
    let peer = if request.peer.is_null() {
        if request.flags != ZTL_FLOW_ANONYMOUS {
            return Err(
                Fault::arg("nobody is asked about: set `peer`, or ZTL_FLOW_ANONYMOUS").into(),
            );
        }
        None
    } else {
        // SAFETY: as promised to this function.
        let held = unsafe { handle::borrow(request.peer) }?;
        let peer = held.at(engine)?;
        if !held.is_current(engine, connection.now) || !held.comes_as(connection.direction()) {
            return Err(Fault::arg(
                "what proved the `ztl_peer` is no longer in force or has ended, or it was proved for the other direction: prove it anew",
            )
            .into());
        }
        if !connection.is_called(&engine.engine.policy(), peer) {
            return Err(refused(
                Reason::IdentityUnproven,
                "the peer is not the workload that `to` names",
            ));
        }
        Some(peer)
    };
    let mut input = Input::new(connection.flow(peer));
    let (passed, seen);
    if let Some(asking) = asking {
        asking.take_claims(engine, peer)?;
        let policy = engine.engine.policy();
        let me = policy.workload_by_name(connection.me);
        // What comes to nothing before is told as that: a connection that is denied, a target that cannot be read.
        let flow = engine.engine.explain(&input, connection.now).decision;
        let comes = asking.action.is_ok() && flow.verdict == Verdict::Permit;
        let hosts = me.map_or(&[][..], Workload::hosts);
        let here = asking.is_here(connection.direction(), hosts, connection.me);
        if let Some(elsewhere) = here.err().filter(|_| comes) {
            return Err(refused(elsewhere.reason(), elsewhere));
        }
        // On egress nobody passes anything on, and another's word for who it is does not vouch for a third.
        let proxy = peer.filter(|peer| {
            let proved = matches!(peer.proof(), Proof::X509 { .. });
            comes && proved && connection.direction() == Direction::Ingress
        });
        let proxy = proxy.and_then(|peer| policy.workload_by_id(peer.id()));
        passed = proxy
            .map_or(Ok(None), |proxy| {
                let field = proxy.forwards_in().map_or("", Forwarding::field);
                proxy.passed_on(&policy, asking.fields.values(field))
            })
            .map_err(|error| refused(Reason::ForwardedUntrusted, error))?;
        let asking: &Asking<'_> = asking;
        seen = asking.fields.seen(proxy.and_then(Workload::forwards_in));
        input = input
            .with_action(asking.action)
            .with_evidence(asking.evidence(&seen, passed.as_ref()));
    }
    Ok(engine
        .engine
        .explain(&input, connection.now)
        .json(document)
        .to_string())
}

/// What is denied before a rule is looked at has no rule to explain it by.
fn refused(reason: Reason, why: impl fmt::Display) -> Refusal {
    Fault::arg(format!(
        "no rule decides this: it is denied as `{reason}`, {why}"
    ))
    .into()
}
