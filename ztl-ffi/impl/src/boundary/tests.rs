//! Panics and failures inside the library, seen from C. The sink of an engine is where they are let in: it is called in the
//! middle of every decision.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use ztl_core::audit::{AuditError, MemorySink, Record, Sink};
use ztl_core::policy::Policy;

use super::*;
use crate::engine::{self, ztl_engine, ztl_engine_free};
use crate::error::{ztl_error_code, ztl_error_free};
use crate::flow::{ZTL_FLOW_ANONYMOUS, ztl_flow, ztl_flow_free, ztl_flow_permit, ztl_flow_request};
use crate::status::{ZTL_ERR_PANIC, ZTL_REASON_AUDIT_UNAVAILABLE, ZTL_REASON_NOT_JUDGED};
use crate::{ztl_action_authorize, ztl_action_request};

const POLICY: &str = "schema = 1\ntrust_domain = 'prod.example'\n\
    [workloads.web]\nid = 'spiffe://prod.example/web'\npublic_ports = [80]\n\
    [[permit]]\nfrom = 'public'\nto = 'web'\nactions = ['GET /']\nanonymous = true\n";

/// What a sink does instead of keeping a record.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    Panics,
    Fails,
}

/// Makes trouble at the record of this number, counted from 0, and keeps the others.
struct Troubled {
    trouble: Trouble,
    at: u32,
    seen: AtomicU32,
    kept: Arc<MemorySink>,
}

impl Sink for Troubled {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        match self.trouble {
            _ if self.seen.fetch_add(1, Ordering::Relaxed) != self.at => self.kept.record(record),
            Trouble::Panics => panic!("injected"),
            Trouble::Fails => Err(AuditError("injected".to_owned())),
        }
    }
}

fn engine(trouble: Trouble, at: u32) -> (*mut ztl_engine, Arc<MemorySink>) {
    let kept = Arc::new(MemorySink::new(10));
    let sink = Troubled {
        trouble,
        at,
        seen: AtomicU32::new(0),
        kept: Arc::clone(&kept),
    };
    let policy = Policy::from_toml(POLICY).expect("a policy");
    (
        handle::give(engine::Body::new(policy, sink).expect("an engine")),
        kept,
    )
}

fn text(text: &str) -> ztl_str {
    ztl_str {
        ptr: text.as_ptr(),
        len: text.len(),
    }
}

const ABSENT: ztl_str = ztl_str {
    ptr: core::ptr::null(),
    len: 0,
};

/// Status, decision, handle, and the code of the error.
type Seen = (ztl_status, ztl_decision, *mut ztl_flow, Option<ztl_status>);

/// A decision that permits, which no call that says no may leave behind.
fn forged() -> ztl_decision {
    ztl_decision {
        permit: 1,
        expires_unix: u64::MAX,
        ..ztl_decision::closed()
    }
}

fn permit(engine: *mut ztl_engine) -> Seen {
    let request = ztl_flow_request {
        size: u32::try_from(size_of::<ztl_flow_request>()).expect("small"),
        port: 80,
        flags: ZTL_FLOW_ANONYMOUS,
        me: text("web"),
        peer: core::ptr::null(),
        from_addr: ABSENT,
        now_unix: 1_790_000_000,
        to: ABSENT,
    };
    let (mut decision, mut flow, mut error) = (
        forged(),
        core::ptr::dangling_mut(),
        core::ptr::dangling_mut(),
    );
    // SAFETY: all pointers are good.
    let status = unsafe {
        ztl_flow_permit(
            engine,
            &raw const request,
            &raw mut flow,
            &raw mut decision,
            &raw mut error,
        )
    };
    (status, decision, flow, code(error))
}

fn authorize(
    engine: *mut ztl_engine,
    flow: *mut ztl_flow,
) -> (ztl_status, ztl_decision, Option<ztl_status>) {
    let request = ztl_action_request {
        size: u32::try_from(size_of::<ztl_action_request>()).expect("small"),
        flags: 0,
        method: text("GET"),
        target: text("/"),
        upgrade: ABSENT,
        headers: core::ptr::null(),
        headers_len: 0,
        now_unix: 1_790_000_000,
        trust_score: -1,
        reserved: 0,
        claims: core::ptr::null(),
    };
    let (mut decision, mut error) = (forged(), core::ptr::dangling_mut());
    // SAFETY: all pointers are good.
    let status = unsafe {
        ztl_action_authorize(
            engine,
            flow,
            &raw const request,
            &raw mut decision,
            &raw mut error,
        )
    };
    (status, decision, code(error))
}

fn code(error: *mut ztl_error) -> Option<ztl_status> {
    // SAFETY: NULL, or an error that a call has just given.
    let code = (!error.is_null()).then(|| unsafe { ztl_error_code(error) });
    // SAFETY: as above, and not used any more.
    unsafe { ztl_error_free(error) };
    code
}

#[test]
fn law_1_a_panic_in_a_flow_is_a_no_and_the_engine_stays_usable() {
    let (engine, kept) = engine(Trouble::Panics, 0);
    let (status, decision, flow, error) = permit(engine);
    assert_eq!((status, error), (ZTL_ERR_PANIC, Some(ZTL_ERR_PANIC)));
    assert!(flow.is_null());
    assert_eq!(
        (decision.permit, decision.reason, decision.expires_unix),
        (0, ZTL_REASON_NOT_JUDGED, 0)
    );
    let (status, decision, flow, error) = permit(engine);
    assert_eq!((status, decision.permit, error), (ZTL_OK, 1, None));
    assert_eq!(authorize(engine, flow).0, ZTL_OK);
    assert_eq!(kept.lines().len(), 2);
    // SAFETY: live, and not used any more.
    unsafe { ztl_flow_free(flow) };
    // SAFETY: as above.
    unsafe { ztl_engine_free(engine) };
}

#[test]
fn law_1_a_panic_in_an_action_is_a_no_and_the_engine_stays_usable() {
    let (engine, _) = engine(Trouble::Panics, 1);
    let (status, _, flow, _) = permit(engine);
    assert_eq!(status, ZTL_OK);
    let (status, decision, error) = authorize(engine, flow);
    assert_eq!((status, error), (ZTL_ERR_PANIC, Some(ZTL_ERR_PANIC)));
    assert_eq!(
        (decision.permit, decision.reason, decision.expires_unix),
        (0, ZTL_REASON_NOT_JUDGED, 0)
    );
    let (status, decision, error) = authorize(engine, flow);
    assert_eq!((status, decision.permit, error), (ZTL_OK, 1, None));
    // SAFETY: live, and not used any more.
    unsafe { ztl_flow_free(flow) };
    // SAFETY: as above.
    unsafe { ztl_engine_free(engine) };
}

#[test]
fn law_6_a_permit_that_cannot_be_recorded_is_a_denial() {
    let (engine, kept) = engine(Trouble::Fails, 1);
    let (status, _, flow, _) = permit(engine);
    assert_eq!(status, ZTL_OK);
    let (status, decision, error) = authorize(engine, flow);
    assert_eq!((status, error), (ZTL_DENIED, Some(ZTL_DENIED)));
    assert_eq!(
        (decision.permit, decision.reason),
        (0, ZTL_REASON_AUDIT_UNAVAILABLE)
    );
    // The flow's permit, and the denial, which was told to the sink once more.
    let lines = kept.lines();
    assert_eq!(lines.len(), 2);
    assert!(
        lines
            .last()
            .is_some_and(|line| line.contains("audit_unavailable"))
    );
    // SAFETY: live, and not used any more.
    unsafe { ztl_flow_free(flow) };
    // SAFETY: as above.
    unsafe { ztl_engine_free(engine) };
}

#[test]
fn a_panic_without_status_gives_what_stands_for_no() {
    let status: ztl_status = export!(otherwise: ZTL_ERR_PANIC, || panic!("injected"));
    assert_eq!(status, ZTL_ERR_PANIC);
    // A payload whose end panics as well.
    struct Spiteful;
    impl Drop for Spiteful {
        fn drop(&mut self) {
            panic!("injected again");
        }
    }
    let status: ztl_status = export!(otherwise: ZTL_ERR_PANIC, || std::panic::panic_any(Spiteful));
    assert_eq!(status, ZTL_ERR_PANIC);
}

#[test]
fn outputs_are_closed_before_the_body_runs_and_written_only_after_it() {
    let mut length = 7_usize;
    let at = &raw mut length;
    let status = export!(outputs: (at), || {
        // SAFETY: the output lives for the whole call.
        assert_eq!(unsafe { at.read() }, 0);
        Ok(9)
    });
    assert_eq!((status, length), (ZTL_OK, 9));
    let status = export!(outputs: (at), || panic!("injected"));
    assert_eq!((status, length), (ZTL_ERR_PANIC, 0));
}
