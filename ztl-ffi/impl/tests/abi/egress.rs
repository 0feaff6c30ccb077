//! Calls that this host makes: who answers must be the workload that was called, and only what the policy names is asked of it.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;

use ztl_ffi_impl::*;

use crate::authority::Authority;
use crate::harness::*;

const SERVER: &str = "spiffe://prod.example/model-server";

fn call_to(to: &'static str) -> ztl_flow_request {
    ztl_flow_request {
        size: u32::try_from(size_of::<ztl_flow_request>()).expect("small"),
        port: 8443,
        flags: ZTL_FLOW_EGRESS,
        me: text("router"),
        peer: ptr::null(),
        from_addr: ABSENT,
        now_unix: NOW,
        to: text(to),
    }
}

fn prove(engine: &Engine, request: &ztl_flow_request, leaf: &[u8]) -> (ztl_status, Option<Peer>) {
    let (mut peer, mut error) = (dangling(), dangling());
    let chain = bytes(leaf);
    // SAFETY: all pointers are good.
    let status = unsafe {
        ztl_peer_prove(
            engine.0,
            request,
            &raw const chain,
            1,
            &raw mut peer,
            &raw mut error,
        )
    };
    assert_eq!(read_error(error).map_or(ZTL_OK, |(code, _)| code), status);
    (status, (!peer.is_null()).then(|| Peer(peer)))
}

fn trusting(policy: &str, authority: &Authority) -> Engine {
    let engine = Engine::new(policy);
    let mut error = dangling();
    // SAFETY: all pointers are good.
    let status = unsafe {
        ztl_engine_trust(
            engine.0,
            text("prod.example"),
            text(&authority.pem),
            &raw mut error,
        )
    };
    assert_eq!((status, read_error(error)), (ZTL_OK, None));
    engine
}

#[test]
fn a_call_to_a_proved_server_is_permitted_and_each_request_judged() {
    let authority = Authority::new();
    let engine = trusting(POLICY, &authority);
    let request = call_to("model-server");
    let (_, peer) = prove(&engine, &request, &authority.issue(SERVER));
    let peer = peer.expect("proved");
    let (answer, flow) = engine.permit(&ztl_flow_request {
        peer: peer.0,
        ..request
    });
    answer.is_permitted();
    let flow = flow.expect("a flow");
    engine.authorize(&flow, &infer()).is_permitted();
    engine
        .authorize(
            &flow,
            &crate::harness::request("DELETE", "/v1/models/llama"),
        )
        .is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    // The name is given to another id: the flow that is there is not that workload any more.
    let elsewhere = POLICY.replace(SERVER, "spiffe://prod.example/other");
    assert_eq!(engine.swap(&elsewhere), (ZTL_OK, None));
    engine
        .authorize(&flow, &infer())
        .is_denied(ZTL_REASON_FLOW_WITHDRAWN);
}

#[test]
fn who_answers_for_another_gets_nothing() {
    let authority = Authority::new();
    let engine = trusting(POLICY, &authority);
    let request = call_to("model-server");
    for id in [
        "spiffe://prod.example/stranger",
        "spiffe://prod.example/nobody",
    ] {
        let (status, peer) = prove(&engine, &request, &authority.issue(id));
        assert_eq!(status, ZTL_OK, "it is who it says");
        let peer = peer.expect("proved");
        let answer = engine
            .permit(&ztl_flow_request {
                peer: peer.0,
                ..request
            })
            .0;
        answer.is_denied(ZTL_REASON_IDENTITY_UNPROVEN);
    }
    let forged = Authority::new().issue(SERVER);
    assert_eq!(prove(&engine, &request, &forged).0, ZTL_DENIED);
    engine
        .permit(&request)
        .0
        .is_denied(ZTL_REASON_IDENTITY_UNPROVEN);
}

#[test]
fn a_peer_is_good_in_the_direction_that_it_was_proved_for() {
    let authority = Authority::new();
    let engine = trusting(POLICY, &authority);
    let out = call_to("model-server");
    let into = ztl_flow_request {
        flags: 0,
        me: text("model-server"),
        from_addr: text("10.10.0.7"),
        to: ABSENT,
        ..out
    };
    let server = prove(&engine, &out, &authority.issue(SERVER))
        .1
        .expect("proved");
    let caller = prove(&engine, &into, &authority.issue(SERVER))
        .1
        .expect("proved");
    engine
        .permit(&ztl_flow_request {
            peer: server.0,
            ..into
        })
        .0
        .says_no(ZTL_ERR_ARG);
    engine
        .permit(&ztl_flow_request {
            peer: caller.0,
            ..out
        })
        .0
        .says_no(ZTL_ERR_ARG);
    // Who is asserted is never called.
    let asserted = engine.peer_until(SERVER, "host", NOW + 60);
    engine
        .permit(&ztl_flow_request {
            peer: asserted.0,
            ..out
        })
        .0
        .says_no(ZTL_ERR_ARG);
}

#[test]
fn a_call_says_whom_it_is_to_and_nothing_else_does() {
    let engine = Engine::new(POLICY);
    let router = engine.router();
    for wrong in [
        ztl_flow_request {
            to: ABSENT,
            ..call_to("model-server")
        },
        ztl_flow_request {
            to: text(""),
            ..call_to("model-server")
        },
        ztl_flow_request {
            to: NULL_WITH_LEN,
            ..call_to("model-server")
        },
        ztl_flow_request {
            from_addr: text("10.10.0.7"),
            ..call_to("model-server")
        },
        ztl_flow_request {
            flags: 3,
            ..call_to("model-server")
        },
        ztl_flow_request {
            to: text("model-server"),
            ..from_router(&router)
        },
    ] {
        engine.permit(&wrong).0.says_no(ZTL_ERR_ARG);
    }
}

#[test]
fn t22_an_svid_that_is_not_this_workloads_is_refused() {
    let authority = Authority::new();
    let engine = trusting(POLICY, &authority);
    let check = |me: &str, leaf: &[u8]| {
        let (mut expires, mut error) = (u64::MAX, dangling());
        let chain = bytes(leaf);
        // SAFETY: all pointers are good.
        let status = unsafe {
            ztl_svid_check(
                engine.0,
                text(me),
                &raw const chain,
                1,
                NOW,
                &raw mut expires,
                &raw mut error,
            )
        };
        assert_eq!(read_error(error).map_or(ZTL_OK, |(code, _)| code), status);
        (status, expires)
    };
    let own = authority.issue(SERVER);
    assert_eq!(check("model-server", &own), (ZTL_OK, NOW + 3600));
    assert_eq!(check("router", &own), (ZTL_ERR_SVID, 0));
    assert_eq!(check("nobody", &own), (ZTL_ERR_SVID, 0));
    assert_eq!(check("model-server", b"no certificate"), (ZTL_ERR_SVID, 0));
    assert_eq!(
        check("model-server", &Authority::new().issue(SERVER)),
        (ZTL_ERR_SVID, 0)
    );
    let old = authority.issue_until(SERVER, NOW - 1);
    assert_eq!(check("model-server", &old).0, ZTL_ERR_SVID);
}
