//! A kept flow, and a policy that changes under it.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::fs;
use std::sync::Barrier;
use std::thread;

use ztl_ffi_impl::*;

use crate::audit::{file, records};
use crate::authority::Authority;
use crate::harness::*;

const THREADS: usize = 8;
const CHANGES: usize = 40;

#[test]
fn t31_a_change_is_one_more_record_of_a_flow_however_many_ask_at_once() {
    let path = file("renewed-at-once");
    let engine = Engine::with_audit(POLICY, text(path.to_str().expect("a path in UTF-8")));
    let flow = engine.flow();
    for change in 1..=CHANGES {
        let policy = format!("{POLICY}{}", "\n".repeat(change));
        assert_eq!(engine.swap(&policy), (ZTL_OK, None));
        let start = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                let (engine, flow, start) = (&engine, &flow, &start);
                scope.spawn(move || {
                    let mut reads = 0;
                    start.wait();
                    // SAFETY: all pointers are good.
                    let status = unsafe {
                        ztl_flow_reads(engine.0, flow.0, NOW, &raw mut reads, ptr::null_mut())
                    };
                    assert_eq!(status, ZTL_OK);
                });
            }
        });
    }
    assert_eq!(records(&path).len(), 1 + CHANGES);
    fs::remove_file(&path).expect("cleaned up");
}

/// A host that puts another policy in force with every record, and has its audit wait for it: what the worst moment looks like.
#[derive(Default)]
struct Restless {
    engine: AtomicPtr<ztl_engine>,
    records: AtomicUsize,
}

/// More than any call makes.
const MANY: usize = 1000;

unsafe extern "C" fn changes(context: *mut c_void, _: *const u8, _: usize) -> i32 {
    // SAFETY: what the engine was made with.
    let restless = unsafe { &*context.cast::<Restless>() };
    let engine = restless.engine.load(Ordering::Acquire);
    let told = restless.records.fetch_add(1, Ordering::AcqRel);
    if engine.is_null() || told > MANY {
        return 0;
    }
    let engine = engine.expose_provenance();
    // Another thread: this one may not ask the engine.
    let swapped = thread::spawn(move || {
        let engine = ptr::with_exposed_provenance(engine);
        // SAFETY: the engine lives while it is called.
        unsafe { ztl_engine_swap(engine, text(POLICY), ZTL_FORMAT_TOML, ptr::null_mut()) }
    });
    swapped.join().unwrap_or(ZTL_ERR_PANIC)
}

#[test]
fn law_6_no_decision_is_made_again_without_end() {
    let restless = Restless::default();
    let (mut engine, mut error) = (dangling(), dangling());
    // SAFETY: all pointers are good, and the context outlives the engine.
    let status = unsafe {
        ztl_engine_new_with_audit(
            text(POLICY),
            ZTL_FORMAT_TOML,
            Some(changes),
            ptr::from_ref(&restless).cast_mut().cast(),
            &raw mut engine,
            &raw mut error,
        )
    };
    assert_eq!((status, read_error(error)), (ZTL_OK, None));
    let engine = Engine(engine);
    let authority = Authority::new();
    let (of, pem) = (text("prod.example"), text(&authority.pem));
    // SAFETY: all pointers are good.
    let status = unsafe { ztl_engine_trust(engine.0, of, pem, ptr::null_mut()) };
    assert_eq!(status, ZTL_OK);
    let bare = ztl_flow_request {
        size: u32::try_from(size_of::<ztl_flow_request>()).expect("small"),
        port: 8443,
        flags: ZTL_FLOW_EGRESS,
        me: text("router"),
        peer: ptr::null(),
        from_addr: ABSENT,
        now_unix: NOW,
        to: text("model-server"),
    };
    let leaf = authority.issue("spiffe://prod.example/model-server");
    let (chain, mut peer) = (bytes(&leaf), dangling());
    let request = &raw const bare;
    // SAFETY: all pointers are good.
    let status = unsafe {
        ztl_peer_prove(
            engine.0,
            request,
            &raw const chain,
            1,
            &raw mut peer,
            ptr::null_mut(),
        )
    };
    assert_eq!(status, ZTL_OK);
    let peer = Peer(peer);
    restless.engine.store(engine.0, Ordering::Release);

    let (answer, flow) = engine.permit(&ztl_flow_request {
        peer: peer.0,
        ..bare
    });
    answer.is_permitted();
    assert_eq!(restless.records.load(Ordering::Acquire), 1, "one decision");
    let flow = flow.expect("a flow");
    engine
        .authorize(&flow, &infer())
        .is_denied(ZTL_REASON_FLOW_WITHDRAWN);
    let records = restless.records.load(Ordering::Acquire);
    assert!(records < 64, "{records} records of one request");
    restless.engine.store(ptr::null_mut(), Ordering::Release);
    engine.authorize(&flow, &infer()).is_permitted();
}
