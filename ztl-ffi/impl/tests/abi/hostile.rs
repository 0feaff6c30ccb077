//! Hostile callers: engines, peers, flows, errors. Whatever they pass, none gets a permit, a handle or a crash.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;

use ztl_ffi_impl::*;

use crate::harness::*;

/// Texts that no call takes, with the status they get.
fn bad_texts() -> [(ztl_str, ztl_status); 7] {
    const LONG: &[u8] = &[b'a'; 8192];
    [
        (ABSENT, ZTL_ERR_ARG),
        (text(""), ZTL_ERR_ARG),
        (NULL_WITH_LEN, ZTL_ERR_ARG),
        (
            ztl_str {
                ptr: ptr::null(),
                len: usize::MAX,
            },
            ZTL_ERR_ARG,
        ),
        (
            ztl_str {
                ptr: LONG.as_ptr(),
                len: usize::MAX,
            },
            ZTL_ERR_ARG,
        ),
        (bytes(LONG), ZTL_ERR_ARG),
        (bytes(b"\xff\xfe"), ZTL_ERR_UTF8),
    ]
}

/// Sizes that are none of a structure of this library.
fn bad_sizes<T>() -> [u32; 5] {
    let size = u32::try_from(size_of::<T>()).expect("small");
    [0, 4, size - 1, size + 8, u32::MAX]
}

#[track_caller]
fn no_engine(policy: ztl_str, format: u32, wanted: ztl_status) {
    let (mut engine, mut error) = (dangling(), dangling());
    // SAFETY: the outputs are good, and the text is good, NULL, or longer than what is read of it.
    let status = unsafe { ztl_engine_new(policy, format, ABSENT, &raw mut engine, &raw mut error) };
    assert_eq!(status, wanted);
    assert!(engine.is_null());
    assert_eq!(read_error(error).map(|(code, _)| code), Some(wanted));
}

#[test]
fn rule_2_without_a_good_policy_there_is_no_engine() {
    for (policy, wanted) in bad_texts() {
        // The bound of a document is higher than that of other texts.
        let wanted = if policy.len == 8192 {
            ZTL_ERR_POLICY
        } else {
            wanted
        };
        no_engine(policy, ZTL_FORMAT_TOML, wanted);
        no_engine(policy, ZTL_FORMAT_JSON, wanted);
    }
    for format in [0, 3, u32::MAX] {
        no_engine(text(POLICY), format, ZTL_ERR_ARG);
    }
    no_engine(text(POLICY), ZTL_FORMAT_JSON, ZTL_ERR_POLICY);
    no_engine(
        text(&POLICY.replace("schema = 1", "schema = 2")),
        ZTL_FORMAT_TOML,
        ZTL_ERR_POLICY,
    );
}

#[test]
fn null_outputs_are_refused_and_a_null_error_is_fine() {
    let mut error = dangling();
    // SAFETY: NULL or good.
    let status = unsafe {
        ztl_engine_new(
            text(POLICY),
            ZTL_FORMAT_TOML,
            ABSENT,
            ptr::null_mut(),
            &raw mut error,
        )
    };
    assert_eq!(status, ZTL_ERR_ARG);
    assert_eq!(read_error(error).map(|(code, _)| code), Some(ZTL_ERR_ARG));
    let mut engine = dangling();
    // SAFETY: NULL or good.
    let status = unsafe {
        ztl_engine_new(
            text("nonsense"),
            ZTL_FORMAT_TOML,
            ABSENT,
            &raw mut engine,
            ptr::null_mut(),
        )
    };
    assert_eq!((status, engine.is_null()), (ZTL_ERR_POLICY, true));

    let engine = Engine::new(POLICY);
    let (router, mut flow) = (engine.router(), dangling());
    let request = from_router(&router);
    let mut decision = forged();
    // SAFETY: NULL or good.
    let status = unsafe {
        ztl_flow_permit(
            engine.0,
            &raw const request,
            &raw mut flow,
            &raw mut decision,
            ptr::null_mut(),
        )
    };
    assert_eq!((status, decision.permit), (ZTL_OK, 1));
    let _freed = Flow(flow);
    let elsewhere = ztl_flow_request {
        port: 22,
        ..request
    };
    let (mut flow, mut decision) = (dangling(), forged());
    // SAFETY: NULL or good.
    let status = unsafe {
        ztl_flow_permit(
            engine.0,
            &raw const elsewhere,
            &raw mut flow,
            &raw mut decision,
            ptr::null_mut(),
        )
    };
    assert_eq!(
        (status, decision.permit, flow.is_null()),
        (ZTL_DENIED, 0, true)
    );
}

#[test]
fn every_pointer_of_a_flow_may_be_null_and_none_permits() {
    let engine = Engine::new(POLICY);
    let router = engine.router();
    let request = from_router(&router);
    let mut flow = dangling();
    let ask = |engine, request, flow| {
        call(|decision, error| {
            // SAFETY: NULL or good.
            unsafe { ztl_flow_permit(engine, request, flow, decision, error) }
        })
    };
    ask(ptr::null(), &raw const request, &raw mut flow).says_no(ZTL_ERR_ARG);
    assert!(flow.is_null());
    flow = dangling();
    ask(engine.0, ptr::null(), &raw mut flow).says_no(ZTL_ERR_ARG);
    assert!(flow.is_null());
    ask(engine.0, &raw const request, ptr::null_mut()).says_no(ZTL_ERR_ARG);
    flow = dangling();
    // SAFETY: NULL or good.
    let status = unsafe {
        ztl_flow_permit(
            engine.0,
            &raw const request,
            &raw mut flow,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    assert_eq!((status, flow.is_null()), (ZTL_ERR_ARG, true));
    // All at once.
    // SAFETY: NULL.
    let status = unsafe {
        ztl_flow_permit(
            ptr::null(),
            ptr::null(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    assert_eq!(status, ZTL_ERR_ARG);
}

#[test]
fn a_flow_with_a_bad_text_or_size_or_flag_is_refused() {
    let engine = Engine::new(POLICY);
    let router = engine.router();
    let good = from_router(&router);
    for (me, wanted) in bad_texts() {
        engine
            .permit(&ztl_flow_request { me, ..good })
            .0
            .says_no(wanted);
    }
    // An absent address is unknown, which is for the policy to judge; every other bad one is refused.
    for (from_addr, wanted) in bad_texts().into_iter().skip(1) {
        engine
            .permit(&ztl_flow_request { from_addr, ..good })
            .0
            .says_no(wanted);
    }
    for from_addr in [
        "10.10.0.7:80",
        "[::1]",
        "localhost",
        "10.10.0.0/16",
        " 10.10.0.7",
        "fe80::1%eth0",
        "10.10.0.7\n",
    ] {
        engine
            .permit(&ztl_flow_request {
                from_addr: text(from_addr),
                ..good
            })
            .0
            .says_no(ZTL_ERR_ARG);
    }
    for size in bad_sizes::<ztl_flow_request>() {
        engine
            .permit(&ztl_flow_request { size, ..good })
            .0
            .says_no(ZTL_ERR_ARG);
    }
    for flags in [2, 3, u16::MAX] {
        engine
            .permit(&ztl_flow_request { flags, ..good })
            .0
            .says_no(ZTL_ERR_ARG);
        engine
            .permit(&ztl_flow_request {
                flags,
                peer: ptr::null(),
                ..good
            })
            .0
            .says_no(ZTL_ERR_ARG);
    }
    engine
        .permit(&ztl_flow_request {
            flags: ZTL_FLOW_ANONYMOUS,
            ..good
        })
        .0
        .says_no(ZTL_ERR_ARG);
}

#[test]
fn a_decision_of_another_size_holds_a_denial_all_the_same() {
    let engine = Engine::new(POLICY);
    let router = engine.router();
    let request = from_router(&router);
    for size in bad_sizes::<ztl_decision>() {
        let mut decision = ztl_decision { size, ..forged() };
        let (mut flow, mut error) = (dangling(), dangling());
        // SAFETY: all pointers are good.
        let status = unsafe {
            ztl_flow_permit(
                engine.0,
                &raw const request,
                &raw mut flow,
                &raw mut decision,
                &raw mut error,
            )
        };
        let answer = Answer {
            status,
            decision,
            error: read_error(error),
        };
        answer.says_no(ZTL_ERR_ARG);
        assert_eq!((answer.decision.size, flow.is_null()), (size, true));
    }
}

#[test]
fn what_is_not_aligned_is_closed_and_refused() {
    let engine = Engine::new(POLICY);
    let router = engine.router();
    let good = from_router(&router);
    let mut flow = dangling();

    let mut room = [0_u64; 20];
    let decision = room
        .as_mut_ptr()
        .cast::<u8>()
        .wrapping_add(1)
        .cast::<ztl_decision>();
    // SAFETY: the room is large enough for a decision one byte further on.
    unsafe { decision.write_unaligned(forged()) };
    // SAFETY: good but for the alignment, which is to be noticed.
    let status = unsafe {
        ztl_flow_permit(
            engine.0,
            &raw const good,
            &raw mut flow,
            decision,
            ptr::null_mut(),
        )
    };
    // SAFETY: as above.
    let permit = unsafe { decision.read_unaligned() }.permit;
    assert_eq!((status, permit, flow.is_null()), (ZTL_ERR_ARG, 0, true));

    let request = room
        .as_mut_ptr()
        .cast::<u8>()
        .wrapping_add(1)
        .cast::<ztl_flow_request>();
    // SAFETY: as above.
    unsafe { request.write_unaligned(good) };
    // SAFETY: good but for the alignment, which is to be noticed.
    let answer = call(|decision, error| unsafe {
        ztl_flow_permit(engine.0, request, &raw mut flow, decision, error)
    });
    answer.says_no(ZTL_ERR_ARG);

    let askew = engine.0.cast::<u8>().wrapping_add(1).cast::<ztl_engine>();
    // SAFETY: good but for the alignment, which is to be noticed.
    let answer = call(|decision, error| unsafe {
        ztl_flow_permit(askew, &raw const good, &raw mut flow, decision, error)
    });
    answer.says_no(ZTL_ERR_ARG);
}

#[test]
fn a_peer_is_refused_for_bad_texts_and_null() {
    let engine = Engine::new(POLICY);
    let id = text("spiffe://prod.example/router");
    let ask = |engine: *const ztl_engine, id, by, wanted: ztl_status| {
        let (mut peer, mut error) = (dangling(), dangling());
        // SAFETY: NULL, good, or longer than what is read of it.
        let status = unsafe {
            ztl_peer_assert_dangerous(engine, id, by, NOW, &raw mut peer, &raw mut error)
        };
        assert_eq!(status, wanted);
        assert!(peer.is_null());
        assert_eq!(read_error(error).map(|(code, _)| code), Some(wanted));
    };
    for (bad, wanted) in bad_texts() {
        ask(engine.0, bad, text("host"), wanted);
        ask(engine.0, id, bad, wanted);
    }
    for bad in [
        "router",
        "https://prod.example/router",
        "spiffe://prod.example",
        "spiffe://prod.example/a/../b",
        "spiffe://prod.example/%61",
    ] {
        ask(engine.0, text(bad), text("host"), ZTL_ERR_ARG);
    }
    ask(ptr::null(), id, text("host"), ZTL_ERR_ARG);
    // SAFETY: NULL or good.
    let status = unsafe {
        ztl_peer_assert_dangerous(
            engine.0,
            id,
            text("host"),
            NOW,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    assert_eq!(status, ZTL_ERR_ARG);
}

#[test]
fn a_swap_with_bad_arguments_changes_nothing() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    for (policy, _) in bad_texts() {
        // SAFETY: NULL, good, or longer than what is read of it.
        let status = unsafe { ztl_engine_swap(engine.0, policy, ZTL_FORMAT_TOML, ptr::null_mut()) };
        assert!(status < ZTL_OK);
    }
    // SAFETY: NULL or good.
    unsafe {
        assert_eq!(
            ztl_engine_swap(ptr::null(), text(POLICY), ZTL_FORMAT_TOML, ptr::null_mut()),
            ZTL_ERR_ARG
        );
        assert_eq!(
            ztl_engine_swap(engine.0, text(POLICY), 9, ptr::null_mut()),
            ZTL_ERR_ARG
        );
    }
    engine.authorize(&flow, &infer()).is_permitted();
}
