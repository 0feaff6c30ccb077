//! One decision, one record (law 6).

#![expect(unsafe_code, reason = "calls the C ABI")]

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use ztl_ffi_impl::*;

use crate::harness::*;

pub(crate) fn file(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("{name}-{}.jsonl", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

pub(crate) fn records(path: &PathBuf) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the audit file");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a record is JSON"))
        .collect()
}

#[test]
fn each_decision_is_one_record_under_its_id() {
    let path = file("audit");
    let engine = Engine::with_audit(POLICY, text(path.to_str().expect("a path in UTF-8")));
    let router = engine.router();
    let (permitted, flow) = engine.permit(&from_router(&router));
    assert_eq!(permitted.is_permitted().rule(), "router-infers");
    let flow = flow.expect("a flow");
    let answers = [
        permitted,
        engine.authorize(&flow, &infer()),
        engine.authorize(&flow, &request("GET", "/v1/%2e%2e/admin")),
        engine.authorize(
            &flow,
            &ztl_action_request {
                target: bytes(b"/\xff"),
                ..infer()
            },
        ),
    ];
    let records = records(&path);
    assert_eq!(records.len(), answers.len(), "the flow, and each action");
    assert_eq!(records[0]["peer"], "spiffe://prod.example/router");
    assert_eq!(records[0]["asserted_by"], "host");
    for (answer, record) in answers.iter().zip(&records) {
        let id: String = answer
            .decision
            .id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(record["id"], id.as_str());
        assert_eq!(record["verdict"] == "permit", answer.status == ZTL_OK);
        assert_eq!(record["rule"].as_str().unwrap_or_default(), answer.rule());
    }
    assert_eq!(records[2]["reason"], "path_ambiguous");
    // A second engine goes on where the first stopped.
    let _again = Engine::with_audit(POLICY, text(path.to_str().expect("a path in UTF-8"))).flow();
    assert_eq!(self::records(&path).len(), 5);
    fs::remove_file(&path).expect("cleaned up");
}

/// Also where the call has no decision to fill.
#[test]
fn a_denial_is_found_in_the_audit_by_its_error() {
    let path = file("error");
    let engine = Engine::with_audit(POLICY, text(path.to_str().expect("a path in UTF-8")));
    let router = engine.router();
    let request = from_router(&router);
    let proved = |request: &ztl_flow_request| {
        let (mut peer, mut error) = (dangling(), dangling());
        // SAFETY: all pointers are good.
        let status = unsafe {
            let chain = text("no certificate");
            let (chain, peer, error) = (&raw const chain, &raw mut peer, &raw mut error);
            ztl_peer_prove(engine.0, request, chain, 1, peer, error)
        };
        let mut id = [0xab; 16];
        // SAFETY: an error that the call has just given, and a good output.
        assert_eq!(unsafe { ztl_error_decision(error, &raw mut id) }, ZTL_OK);
        // SAFETY: as above, and NULL.
        let nowhere = unsafe { ztl_error_decision(error, core::ptr::null_mut()) };
        assert_eq!(nowhere, ZTL_ERR_ARG);
        assert_eq!(read_error(error).map(|(code, _)| code), Some(status));
        (status, id)
    };
    // With a peer already: nothing was decided.
    assert_eq!(proved(&request), (ZTL_ERR_ARG, [0; 16]));
    let (status, id) = proved(&ztl_flow_request {
        peer: core::ptr::null(),
        ..request
    });
    assert_eq!(status, ZTL_DENIED);
    let written = records(&path);
    assert_eq!(written.len(), 1);
    assert_eq!(
        written[0]["id"],
        id.map(|byte| format!("{byte:02x}")).concat()
    );
    let mut id = [0xab; 16];
    // SAFETY: NULL, and a good output.
    let status = unsafe { ztl_error_decision(core::ptr::null(), &raw mut id) };
    assert_eq!((status, id), (ZTL_ERR_ARG, [0; 16]));
    fs::remove_file(&path).expect("cleaned up");
}

#[test]
fn t31_a_change_of_policy_is_one_more_record_of_a_kept_flow() {
    let path = file("renewed");
    let engine = Engine::with_audit(POLICY, text(path.to_str().expect("a path in UTF-8")));
    let flow = engine.flow();
    assert_eq!(engine.swap(&format!("{POLICY}\n")), (ZTL_OK, None));
    let reads = || {
        let mut reads = 0;
        // SAFETY: all pointers are good.
        unsafe { ztl_flow_reads(engine.0, flow.0, NOW, &raw mut reads, core::ptr::null_mut()) }
    };
    for _ in 0..3 {
        assert_eq!(reads(), ZTL_OK);
        engine.authorize(&flow, &infer()).is_permitted();
    }
    let permits = records(&path);
    assert_eq!(permits.len(), 1 + 1 + 3, "{permits:#?}");
    // The record of a flow that is denied to a request says what was asked for.
    assert_eq!(engine.swap(&policy_without_permits()), (ZTL_OK, None));
    engine
        .authorize(&flow, &infer())
        .is_denied(ZTL_REASON_NO_FLOW_PERMITTED);
    let all = records(&path);
    assert_eq!(all.len(), permits.len() + 1);
    let denial = all.last().expect("a record");
    assert_eq!(denial["reason"], "no_flow_permitted");
    assert_eq!(denial["action"], "POST /v1/models/llama/infer");
    fs::remove_file(&path).expect("cleaned up");
}

#[test]
fn an_audit_that_cannot_be_opened_makes_no_engine() {
    for (path, wanted) in [
        (text(env!("CARGO_MANIFEST_DIR")), ZTL_ERR_AUDIT),
        (text("/nowhere/at/all/audit.jsonl"), ZTL_ERR_AUDIT),
        (text("a\0b"), ZTL_ERR_AUDIT),
        (text(""), ZTL_ERR_AUDIT),
        (bytes(b"\xff"), ZTL_ERR_UTF8),
        (NULL_WITH_LEN, ZTL_ERR_ARG),
    ] {
        let (mut engine, mut error) = (dangling(), dangling());
        // SAFETY: the outputs are good; the texts are good, or NULL.
        let status = unsafe {
            ztl_engine_new(
                text(POLICY),
                ZTL_FORMAT_TOML,
                path,
                &raw mut engine,
                &raw mut error,
            )
        };
        assert_eq!(status, wanted);
        assert_eq!(read_error(error).map(|(code, _)| code), Some(wanted));
        assert!(engine.is_null());
    }
}
