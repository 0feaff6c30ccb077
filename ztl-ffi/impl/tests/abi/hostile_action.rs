//! Hostile callers of `ztl_action_authorize`, and hostile peers behind honest ones.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;

use ztl_ffi_impl::*;

use crate::harness::*;

#[test]
fn every_pointer_of_an_action_may_be_null_and_none_permits() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let request = infer();
    let ask = |engine, flow, request| {
        call(|decision, error| {
            // SAFETY: NULL or good.
            unsafe { ztl_action_authorize(engine, flow, request, decision, error) }
        })
    };
    ask(ptr::null(), flow.0, &raw const request).says_no(ZTL_ERR_ARG);
    ask(engine.0, ptr::null(), &raw const request).says_no(ZTL_ERR_ARG);
    ask(engine.0, flow.0, ptr::null()).says_no(ZTL_ERR_ARG);
    // SAFETY: NULL or good.
    let status = unsafe {
        ztl_action_authorize(
            engine.0,
            flow.0,
            &raw const request,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    assert_eq!(status, ZTL_ERR_ARG, "a permit that nobody sees is none");
    let mut error = dangling();
    // SAFETY: NULL or good.
    let status = unsafe {
        ztl_action_authorize(
            ptr::null(),
            ptr::null(),
            ptr::null(),
            ptr::null_mut(),
            &raw mut error,
        )
    };
    assert_eq!((status, read_error(error).is_some()), (ZTL_ERR_ARG, true));
}

#[test]
fn an_action_with_a_bad_argument_is_refused() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let good = infer();
    let size = good.size;
    let huge = ztl_str {
        len: usize::MAX,
        ..text("GET")
    };
    let cases = [
        ztl_action_request { size: 0, ..good },
        ztl_action_request {
            size: size - 8,
            ..good
        },
        ztl_action_request {
            size: size + 8,
            ..good
        },
        ztl_action_request {
            size: u32::MAX,
            ..good
        },
        ztl_action_request { flags: 2, ..good },
        ztl_action_request {
            flags: u32::MAX,
            ..good
        },
        ztl_action_request {
            reserved: 1,
            ..good
        },
        ztl_action_request {
            trust_score: 101,
            ..good
        },
        ztl_action_request {
            trust_score: -2,
            ..good
        },
        ztl_action_request {
            trust_score: i32::MAX,
            ..good
        },
        ztl_action_request {
            trust_score: i32::MIN,
            ..good
        },
        ztl_action_request {
            method: ABSENT,
            ..good
        },
        ztl_action_request {
            method: NULL_WITH_LEN,
            ..good
        },
        ztl_action_request {
            method: huge,
            ..good
        },
        ztl_action_request {
            target: ABSENT,
            ..good
        },
        ztl_action_request {
            target: NULL_WITH_LEN,
            ..good
        },
        ztl_action_request {
            target: huge,
            ..good
        },
        ztl_action_request {
            upgrade: NULL_WITH_LEN,
            ..good
        },
        ztl_action_request {
            upgrade: huge,
            ..good
        },
        ztl_action_request {
            headers_len: 1,
            ..good
        },
        ztl_action_request {
            headers_len: usize::MAX,
            ..good
        },
        ztl_action_request {
            flags: ZTL_ACTION_CONNECT,
            ..good
        },
        ztl_action_request {
            upgrade: text("websocket"),
            ..connect()
        },
    ];
    for request in cases {
        engine.authorize(&flow, &request).says_no(ZTL_ERR_ARG);
    }
    for field in [
        ztl_header {
            name: NULL_WITH_LEN,
            ..header("a", b"b")
        },
        ztl_header {
            value: NULL_WITH_LEN,
            ..header("a", b"b")
        },
        ztl_header {
            name: huge,
            ..header("a", b"b")
        },
        ztl_header {
            value: huge,
            ..header("a", b"b")
        },
    ] {
        let fields = [header("a", b"b"), field];
        engine
            .authorize(&flow, &with_headers(good, &fields))
            .says_no(ZTL_ERR_ARG);
        engine
            .authorize(&flow, &with_headers(connect(), &fields))
            .says_no(ZTL_ERR_ARG);
    }
    let fields = [header("a", b"b")];
    let too_many = ztl_action_request {
        headers_len: 65_537,
        ..with_headers(good, &fields)
    };
    engine
        .authorize(&flow, &too_many)
        .is_denied(ZTL_REASON_PATH_AMBIGUOUS);
    let askew = fields.as_ptr().cast::<u8>().wrapping_add(1).cast();
    engine
        .authorize(
            &flow,
            &ztl_action_request {
                headers: askew,
                ..with_headers(good, &fields)
            },
        )
        .says_no(ZTL_ERR_ARG);
    engine.authorize(&flow, &good).is_permitted();
}

#[test]
fn t19_a_target_with_more_than_one_reading_is_a_denial() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let long = format!("/{}", "a".repeat(9000));
    let targets: [&[u8]; 13] = [
        b"/v1/models/llama/../llama/infer",
        b"/v1/models/llama/%2e%2e/infer",
        b"/v1/models/a%2Fb/infer",
        b"/v1//models/llama/infer",
        b"/v1/models/llama/infer#x",
        b"/v1/models/llama;x/infer",
        b"\\v1\\models",
        b"v1/models/llama/infer",
        b"https://model-server/v1/models/llama/infer",
        b"*",
        b"/v1/models/\xff/infer",
        b"/v1/models/\0/infer",
        b"",
    ];
    for target in targets.into_iter().chain([long.as_bytes()]) {
        let answer = engine.authorize(
            &flow,
            &ztl_action_request {
                target: bytes(target),
                ..infer()
            },
        );
        answer.is_denied(ZTL_REASON_PATH_AMBIGUOUS);
        assert_eq!(answer.decision.stage, ZTL_STAGE_ACTION);
    }
}

#[test]
fn rule_44_no_other_spelling_of_a_method_is_permitted() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let long = [b'P'; 300];
    for method in [
        b"post".as_slice(),
        b"POST ",
        b"",
        b"\xff",
        b"POST\0",
        b"CONNECT",
        b"?",
        &long,
    ] {
        let answer = engine.authorize(
            &flow,
            &ztl_action_request {
                method: bytes(method),
                ..infer()
            },
        );
        answer.is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    }
}

#[test]
fn an_absent_header_name_is_no_header() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let fields = [
        ztl_header {
            name: ABSENT,
            value: text("blue"),
        },
        ztl_header {
            name: text("x-tenant"),
            value: ABSENT,
        },
    ];
    let answer = engine.authorize(&flow, &with_headers(request("GET", "/v1/models"), &fields));
    answer.is_denied(ZTL_REASON_REQUIREMENT_UNMET);
}

#[test]
fn the_error_of_a_denial_says_what_the_decision_says() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let answer = engine.authorize(
        &flow,
        &ztl_action_request {
            target: text("/a/../b"),
            ..infer()
        },
    );
    let (_, message) = answer.error.expect("an error");
    let id: String = answer
        .decision
        .id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(
        message.contains("path_ambiguous") && message.contains(&id),
        "{message}"
    );
}
