//! Hostile callers of the calls beside the three: what the other tables leave out, a pointer NULL at a time, and from eight threads at once.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;
use std::sync::Barrier;

use ztl_ffi_impl::*;

use crate::harness::*;

const THREADS: usize = 8;
/// How often each thread goes through the table.
const ROUNDS: usize = 20;
/// No text of a call may be as long, but a policy, a bundle and revocation lists.
const MEGABYTE: usize = 1 << 20;

fn issuer() -> ztl_issuer {
    ztl_issuer {
        size: u32::try_from(size_of::<ztl_issuer>()).expect("small"),
        kind: ZTL_TOKEN_ACCESS,
        name: text("sso"),
        iss: text("https://sso.example"),
        audience: text("model-server"),
        jwks: ABSENT,
    }
}

/// Makes a call whose only output is an error.
#[track_caller]
fn refused(call: impl FnOnce(*mut *mut ztl_error) -> ztl_status) {
    let mut error = dangling();
    let status = call(&raw mut error);
    assert_eq!(status, ZTL_ERR_ARG);
    assert_eq!(
        read_error(error).expect("an error comes with every no").0,
        ZTL_ERR_ARG
    );
}

/// Every call that takes an engine and gives nothing but a status or a number.
fn without_an_engine(flow: &Flow) {
    let none = ptr::null();
    let der = [bytes(b"\x30\x00")];
    let sso = issuer();
    let (mut expires, mut reads) = (7_u64, u32::MAX);
    // SAFETY: the engine is NULL; the rest is good.
    unsafe {
        refused(|error| ztl_engine_trust(none, text("prod.example"), ABSENT, error));
        refused(|error| {
            ztl_engine_trust_der(none, text("prod.example"), der.as_ptr(), der.len(), error)
        });
        refused(|error| {
            ztl_engine_swap_from_file(none, text("policy.toml"), ZTL_FORMAT_TOML, error)
        });
        refused(|error| ztl_engine_crls(none, text("prod.example"), ABSENT, error));
        refused(|error| ztl_engine_issuer(none, &raw const sso, error));
        refused(|error| {
            ztl_svid_check(
                none,
                text("model-server"),
                der.as_ptr(),
                der.len(),
                NOW,
                &raw mut expires,
                error,
            )
        });
        refused(|error| ztl_flow_reads(none, flow.0, NOW, &raw mut reads, error));
    }
    assert_eq!(
        (expires, reads),
        (0, 0),
        "a number is 0 where there is none"
    );
}

/// Every pointer to an answer, and every array.
fn without_a_place_for_the_answer(engine: &Engine, router: &Peer, flow: &Flow) {
    let mut reads = u32::MAX;
    let (mut at, mut len) = (dangling::<u8>().cast_const(), 9_usize);
    let mut explained = dangling();
    // SAFETY: NULL where an answer or an array was to be; the rest is good.
    unsafe {
        refused(|error| ztl_flow_reads(engine.0, ptr::null(), NOW, &raw mut reads, error));
        refused(|error| ztl_flow_reads(engine.0, flow.0, NOW, ptr::null_mut(), error));
        refused(|error| {
            ztl_engine_new_from_file(
                text("policy.toml"),
                ZTL_FORMAT_TOML,
                ABSENT,
                ptr::null_mut(),
                error,
            )
        });
        for len in [1, 7, usize::MAX] {
            refused(|error| {
                ztl_engine_trust_der(engine.0, text("prod.example"), ptr::null(), len, error)
            });
        }
        assert_eq!(
            ztl_peer_id(router.0, ptr::null_mut(), &raw mut len),
            ZTL_ERR_ARG
        );
        assert_eq!(len, 0);
        assert_eq!(
            ztl_peer_id(router.0, &raw mut at, ptr::null_mut()),
            ZTL_ERR_ARG
        );
        assert!(at.is_null());
        assert_eq!(
            ztl_reach(
                engine.0,
                text("router"),
                &raw mut explained,
                ptr::null_mut()
            ),
            ZTL_OK
        );
        (at, len) = (dangling::<u8>().cast_const(), 9);
        assert_eq!(
            ztl_text_bytes(explained, ptr::null_mut(), &raw mut len),
            ZTL_ERR_ARG
        );
        assert_eq!(
            ztl_text_bytes(explained, &raw mut at, ptr::null_mut()),
            ZTL_ERR_ARG
        );
        assert_eq!((at.is_null(), len), (true, 0));
        ztl_text_free(explained);
    }
    assert_eq!(reads, 0);
}

/// Texts of a megabyte wherever a peer may put one: never a permit, whatever they begin with.
fn a_megabyte_of_everything(engine: &Engine, flow: &Flow) {
    let long = |begin: &str| {
        let mut text = begin.as_bytes().to_vec();
        text.resize(MEGABYTE, b'a');
        text
    };
    let (method, target) = (long("POST"), long("/v1/models/llama/infer?"));
    let (name, value) = (long("x-"), long("blue"));
    engine
        .authorize(
            flow,
            &ztl_action_request {
                method: bytes(&method),
                ..infer()
            },
        )
        .is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    engine
        .authorize(
            flow,
            &ztl_action_request {
                target: bytes(&target),
                ..infer()
            },
        )
        .is_denied(ZTL_REASON_PATH_AMBIGUOUS);
    engine
        .authorize(
            flow,
            &ztl_action_request {
                upgrade: bytes(&name),
                ..infer()
            },
        )
        .is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    // A field that a rule reads: of a megabyte it is not the value that is asked for, and a name of a megabyte is another's.
    let listed = request("GET", "/v1/models");
    for (name, value) in [
        (text("x-tenant"), bytes(&value)),
        (bytes(&name), text("blue")),
    ] {
        let fields = [ztl_header { name, value }];
        engine
            .authorize(flow, &with_headers(listed, &fields))
            .says_no(ZTL_DENIED);
    }
    let tenant = [header("x-tenant", b"blue")];
    engine
        .authorize(flow, &with_headers(listed, &tenant))
        .is_permitted();
}

#[test]
fn what_the_other_tables_leave_out_may_be_null_and_nothing_comes_of_it() {
    let engine = Engine::new(POLICY);
    let (router, flow) = (engine.router(), engine.flow());
    without_an_engine(&flow);
    without_a_place_for_the_answer(&engine, &router, &flow);
    engine.authorize(&flow, &infer()).is_permitted();
}

#[test]
fn a_megabyte_is_never_a_permit() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    a_megabyte_of_everything(&engine, &flow);
    engine.authorize(&flow, &infer()).is_permitted();
    // A workload that lists its hosts is not asked for by whatever begins with one.
    let listed = POLICY.replace(
        "ports = [8443]\n",
        "ports = [8443]\nhosts = [\"model.example\"]\n",
    );
    let engine = Engine::new(&listed);
    let flow = engine.flow();
    let host = "model.example".repeat(MEGABYTE / 13);
    for name in ["host", ":authority"] {
        let ask = |value| {
            let fields = [ztl_header {
                name: text(name),
                value,
            }];
            engine.authorize(&flow, &with_headers(infer(), &fields))
        };
        ask(text(&host)).is_denied(ZTL_REASON_MISDIRECTED);
        ask(text("model.example")).is_permitted();
    }
}

/// Half of the threads are hostile, and half are asked for what they are permitted: neither notices the others.
#[test]
fn eight_threads_with_hostile_calls_take_nobodys_permit_and_get_none() {
    let engine = Engine::new(POLICY);
    let (router, flow) = (engine.router(), engine.flow());
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (engine, router, flow, start) = (&engine, &router, &flow, &start);
            scope.spawn(move || {
                start.wait();
                for _ in 0..ROUNDS {
                    if thread % 2 == 0 {
                        without_an_engine(flow);
                        without_a_place_for_the_answer(engine, router, flow);
                        every_pointer_of_the_verbs(engine, router, flow);
                        a_megabyte_of_everything(engine, flow);
                    } else {
                        engine.authorize(flow, &infer()).is_permitted();
                        engine.permit(&from_router(router)).0.is_permitted();
                    }
                }
            });
        }
    });
}

/// The verbs, each pointer NULL once, and each structure of no size.
fn every_pointer_of_the_verbs(engine: &Engine, router: &Peer, flow: &Flow) {
    let (connection, action) = (from_router(router), infer());
    let no_engine = ptr::null::<ztl_engine>();
    for (engine, flow, action) in [
        (no_engine, flow.0.cast_const(), &raw const action),
        (engine.0.cast_const(), ptr::null(), &raw const action),
        (engine.0.cast_const(), flow.0.cast_const(), ptr::null()),
    ] {
        // SAFETY: NULL or good.
        call(|decision, error| unsafe {
            ztl_action_authorize(engine, flow, action, decision, error)
        })
        .says_no(ZTL_ERR_ARG);
    }
    for (engine, connection) in [
        (no_engine, &raw const connection),
        (engine.0.cast_const(), ptr::null()),
    ] {
        let mut flow = dangling();
        // SAFETY: NULL or good.
        call(|decision, error| unsafe {
            ztl_flow_permit(engine, connection, &raw mut flow, decision, error)
        })
        .says_no(ZTL_ERR_ARG);
        assert!(flow.is_null());
    }
    for size in [0, 4, u32::MAX] {
        engine
            .permit(&ztl_flow_request { size, ..connection })
            .0
            .says_no(ZTL_ERR_ARG);
        engine
            .authorize(flow, &ztl_action_request { size, ..action })
            .says_no(ZTL_ERR_ARG);
    }
}
