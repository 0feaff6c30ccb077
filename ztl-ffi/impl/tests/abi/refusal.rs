//! Refusals of the host's own: denied and recorded, whatever the request says, and never a permit.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;

use serde_json::Value;
use ztl_ffi_impl::*;

use crate::audit::{file, records};
use crate::harness::*;

/// What a host may refuse a request for.
const REASONS: [u32; 7] = [
    ZTL_REASON_PATH_AMBIGUOUS,
    ZTL_REASON_MISDIRECTED,
    ZTL_REASON_FORWARDED_UNTRUSTED,
    ZTL_REASON_EVIDENCE_MISSING,
    ZTL_REASON_OBJECTED,
    ZTL_REASON_AUTHORIZER_FAILED,
    ZTL_REASON_FLOW_WITHDRAWN,
];

impl Engine {
    fn refuse(&self, flow: &Flow, request: &ztl_action_request, reason: u32) -> Answer {
        // SAFETY: all pointers are good.
        call(|decision, error| unsafe {
            ztl_action_refuse(self.0, flow.0, request, reason, decision, error)
        })
    }
}

#[test]
fn law_6_a_refusal_of_the_hosts_own_is_one_record_under_its_id() {
    let path = file("refused");
    let engine = Engine::with_audit(POLICY, text(path.to_str().expect("a path in UTF-8")));
    let flow = engine.flow();
    // Each of them is of a request that would be permitted.
    let answers = REASONS.map(|reason| engine.refuse(&flow, &infer(), reason));
    let written = records(&path);
    assert_eq!(
        written.len(),
        1 + REASONS.len(),
        "the flow, and each refusal"
    );
    for ((answer, reason), record) in answers.iter().zip(REASONS).zip(&written[1..]) {
        answer.is_denied(reason);
        assert_eq!(answer.decision.stage, ZTL_STAGE_ACTION);
        let id = answer
            .decision
            .id
            .map(|byte| format!("{byte:02x}"))
            .concat();
        assert_eq!(record["id"], id.as_str());
        assert_eq!(record["verdict"], "deny");
        assert_eq!(record["peer"], "spiffe://prod.example/router");
        assert_eq!(record["action"], "POST /v1/models/llama/infer");
        let (_, said) = answer.error.as_ref().expect("an error");
        assert!(said.contains("the host refused it"), "{said}");
    }
    assert_eq!(written[1]["reason"], "path_ambiguous");
    assert_eq!(written[6]["reason"], "authorizer_failed");
    // The flow is what it was.
    engine.authorize(&flow, &infer()).is_permitted();
}

#[test]
fn a_host_refuses_for_nothing_that_is_the_engines_to_say() {
    let path = file("not-refused");
    let engine = Engine::with_audit(POLICY, text(path.to_str().expect("a path in UTF-8")));
    let flow = engine.flow();
    for reason in (0..=ZTL_REASON_OTHER)
        .chain([256, u32::MAX])
        .filter(|reason| !REASONS.contains(reason))
    {
        engine.refuse(&flow, &infer(), reason).says_no(ZTL_ERR_ARG);
    }
    assert_eq!(records(&path).len(), 1, "the flow alone");
}

#[test]
fn what_cannot_be_named_is_refused_and_recorded_all_the_same() {
    let path = file("refused-unnamed");
    let engine = Engine::with_audit(POLICY, text(path.to_str().expect("a path in UTF-8")));
    let flow = engine.flow();
    let long = vec![b'a'; 100_000];
    let upgrade = [
        header("Upgrade", b"websocket"),
        header("Connection", b"upgrade"),
    ];
    let many = vec![header("x", b"y"); 65_537];
    let live = request("GET", "/v1/live");
    let cases = [
        ztl_action_request {
            target: bytes(b"/\xff"),
            ..infer()
        },
        ztl_action_request {
            target: text("http://other.example/x"),
            ..infer()
        },
        ztl_action_request {
            target: bytes(&long),
            ..infer()
        },
        ztl_action_request {
            target: ABSENT,
            ..infer()
        },
        ztl_action_request {
            method: ABSENT,
            ..infer()
        },
        ztl_action_request {
            method: bytes(&long),
            ..infer()
        },
        // Neither is read.
        ztl_action_request {
            trust_score: 9000,
            ..infer()
        },
        ztl_action_request {
            claims: dangling(),
            ..infer()
        },
        with_headers(live, &upgrade),
        // Past what is taken none is looked at.
        with_headers(live, &many),
        connect(),
    ];
    for asked in &cases {
        engine
            .refuse(&flow, asked, ZTL_REASON_PATH_AMBIGUOUS)
            .is_denied(ZTL_REASON_PATH_AMBIGUOUS);
    }
    // The library itself says so of a request with more fields than it takes.
    engine
        .authorize(&flow, &with_headers(live, &many))
        .is_denied(ZTL_REASON_PATH_AMBIGUOUS);
    let written = records(&path);
    assert_eq!(written.len(), 1 + cases.len() + 1);
    let asked = |at: usize| &written[1 + at]["action"];
    for unnamed in 0..5 {
        assert_eq!(asked(unnamed), &Value::Null, "{unnamed}");
    }
    assert_eq!(asked(8), "websocket /v1/live");
    assert_eq!(asked(9), "GET /v1/live");
    assert_eq!(asked(10), "connect");
    assert_eq!(asked(11), "GET /v1/live");
}

#[test]
fn every_pointer_of_a_refusal_may_be_null_and_none_permits() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let good = infer();
    let reason = ZTL_REASON_OBJECTED;
    let ask = |engine, flow, request| {
        call(|decision, error| {
            // SAFETY: NULL or good.
            unsafe { ztl_action_refuse(engine, flow, request, reason, decision, error) }
        })
    };
    ask(ptr::null(), flow.0, &raw const good).says_no(ZTL_ERR_ARG);
    ask(engine.0, ptr::null(), &raw const good).says_no(ZTL_ERR_ARG);
    ask(engine.0, flow.0, ptr::null()).says_no(ZTL_ERR_ARG);
    ask(flow.0.cast(), flow.0, &raw const good).says_no(ZTL_ERR_ARG);
    ask(engine.0, engine.0.cast(), &raw const good).says_no(ZTL_ERR_ARG);
    let size = good.size;
    for bad in [
        ztl_action_request { size: 0, ..good },
        ztl_action_request {
            size: size + 8,
            ..good
        },
        ztl_action_request { flags: 2, ..good },
        ztl_action_request {
            flags: ZTL_ACTION_CONNECT,
            ..good
        },
        ztl_action_request {
            reserved: 1,
            ..good
        },
        ztl_action_request {
            method: NULL_WITH_LEN,
            ..good
        },
        ztl_action_request {
            target: NULL_WITH_LEN,
            ..good
        },
        ztl_action_request {
            upgrade: NULL_WITH_LEN,
            ..good
        },
        ztl_action_request {
            headers_len: 1,
            ..good
        },
    ] {
        ask(engine.0, flow.0, &raw const bad).says_no(ZTL_ERR_ARG);
    }
    let request = &raw const good;
    let nobody = ptr::null_mut();
    // SAFETY: NULL or good.
    let status =
        unsafe { ztl_action_refuse(engine.0, flow.0, request, reason, nobody, ptr::null_mut()) };
    assert_eq!(status, ZTL_ERR_ARG);
    let (mut decision, mut wrong) = (forged(), forged());
    // SAFETY: all pointers are good, or NULL.
    let status = unsafe {
        ztl_action_refuse(
            engine.0,
            flow.0,
            request,
            reason,
            &raw mut decision,
            ptr::null_mut(),
        )
    };
    assert_eq!((status, decision.permit), (ZTL_DENIED, 0));
    wrong.size = 8;
    // SAFETY: all pointers are good, or NULL.
    let status = unsafe {
        ztl_action_refuse(
            engine.0,
            flow.0,
            request,
            reason,
            &raw mut wrong,
            ptr::null_mut(),
        )
    };
    assert_eq!((status, wrong.permit), (ZTL_ERR_ARG, 0));
}
