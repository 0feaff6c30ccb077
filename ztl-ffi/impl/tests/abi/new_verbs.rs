//! Explaining, looking ahead, engines from files, records that go to the host, bundles in DER.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use std::fs;
use std::path::PathBuf;
use std::slice;
use std::sync::Mutex;

use serde_json::Value;
use ztl_ffi_impl::*;

use crate::authority::Authority;
use crate::harness::*;

/// Makes a call that gives a text.
pub(crate) fn told(
    call: impl FnOnce(*mut *mut ztl_text, *mut *mut ztl_error) -> ztl_status,
) -> Result<Value, (ztl_status, String)> {
    let (mut text, mut error) = (dangling(), dangling());
    let status = call(&raw mut text, &raw mut error);
    assert_eq!(text.is_null(), status != ZTL_OK);
    if let Some(error) = read_error(error) {
        assert_eq!(error.0, status);
        return Err(error);
    }
    let (mut at, mut len) = (ptr::null(), 0);
    // SAFETY: a text that the call has just given.
    unsafe {
        assert_eq!(ztl_text_bytes(text, &raw mut at, &raw mut len), ZTL_OK);
        let value = serde_json::from_slice(slice::from_raw_parts(at, len)).expect("JSON");
        ztl_text_free(text);
        Ok(value)
    }
}

#[test]
fn an_explanation_names_the_clause_and_records_nothing() {
    static RECORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let engine = with_audit(&RECORDS, keep);
    let router = engine.router();
    let connection = from_router(&router);
    let explain = |action: *const ztl_action_request| {
        // SAFETY: all pointers are good; NULL asks for the flow alone.
        told(|text, error| unsafe {
            ztl_explain(
                engine.0,
                &raw const connection,
                action,
                crate::harness::text(POLICY),
                text,
                error,
            )
        })
    };
    let tune = request("POST", "/v1/models/llama/tune");
    let denied = explain(&raw const tune).expect("explained");
    assert_eq!(denied["decision"]["verdict"], "deny");
    assert_eq!(denied["rules"][0]["rule"], "trusted-tunes", "{denied}");
    let scored = ztl_action_request {
        trust_score: 80,
        ..tune
    };
    assert_eq!(
        explain(&raw const scored).expect("explained")["decision"]["verdict"],
        "permit"
    );
    assert_eq!(
        explain(ptr::null()).expect("explained")["decision"]["verdict"],
        "permit"
    );
    let nobody = ztl_flow_request {
        peer: ptr::null(),
        ..connection
    };
    // SAFETY: all pointers are good.
    let refused = told(|text, error| unsafe {
        ztl_explain(
            engine.0,
            &raw const nobody,
            ptr::null(),
            ABSENT,
            text,
            error,
        )
    });
    assert_eq!(refused.expect_err("T3").0, ZTL_ERR_ARG);
    assert_eq!(RECORDS.lock().expect("records").len(), 0);
}

#[test]
fn reach_and_diff_speak_json() {
    let engine = Engine::new(POLICY);
    // SAFETY: all pointers are good.
    let reach = |name| told(|out, error| unsafe { ztl_reach(engine.0, text(name), out, error) });
    assert!(
        reach("router")
            .expect("an answer")
            .to_string()
            .contains("model-server")
    );
    assert_eq!(reach("nobody").expect_err("unknown").0, ZTL_ERR_ARG);
    assert_eq!(reach("external:hub").expect_err("unknown").0, ZTL_ERR_ARG);
    let outward = format!(
        "{POLICY}[external.hub]\nhosts = ['hub.example.org']\n\
         [[permit]]\nname = 'out'\nfrom = 'model-server'\nto = 'external:hub'\nactions = 'GET /a'\n"
    );
    let outside = Engine::new(&outward);
    // SAFETY: all pointers are good.
    let reach = |name| told(|out, error| unsafe { ztl_reach(outside.0, text(name), out, error) });
    let out = reach("router").expect("an answer");
    assert_eq!(out["exits"][0]["to"], "external:hub");
    let by = reach("external:hub").expect("an answer");
    assert_eq!(by["callers"][0]["workload"], "model-server");
    assert_eq!(by["exits"][0]["uses"][0]["rule"], "out");
    let diff = |policy: &str| {
        // SAFETY: all pointers are good.
        told(|out, error| unsafe { ztl_diff(engine.0, text(policy), ZTL_FORMAT_TOML, out, error) })
    };
    let same = diff(POLICY).expect("an answer");
    assert_eq!(
        (&same["permits_more"], &same["denies_more"]),
        (&Value::Bool(false), &Value::Bool(false))
    );
    let fewer = diff(&policy_without_permits()).expect("an answer");
    assert_eq!(
        (&fewer["permits_more"], &fewer["denies_more"]),
        (&Value::Bool(false), &Value::Bool(true))
    );
    let looser = diff(&POLICY.replace("trust_score = 70", "trust_score = 1")).expect("an answer");
    assert_eq!(looser["permits_more"], true, "T10");
    assert_eq!(
        diff("allow = 'all'").expect_err("no policy").0,
        ZTL_ERR_POLICY
    );
}

#[test]
fn an_engine_comes_from_a_file_and_follows_it() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("policy-{}.toml", std::process::id()));
    let name = path.to_str().expect("UTF-8").to_owned();
    let open = |path: &str| {
        let (mut engine, mut error) = (dangling(), dangling());
        // SAFETY: all pointers are good.
        let status = unsafe {
            ztl_engine_new_from_file(
                text(path),
                ZTL_FORMAT_TOML,
                ABSENT,
                &raw mut engine,
                &raw mut error,
            )
        };
        assert_eq!(engine.is_null(), status != ZTL_OK);
        assert_eq!(read_error(error).map_or(ZTL_OK, |(code, _)| code), status);
        (status, Engine(engine))
    };
    let mode = |mode| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    fs::write(&path, POLICY).expect("written");
    // T6: who may write the policy is the policy.
    for open_to_others in [0o666, 0o620, 0o602] {
        mode(open_to_others);
        assert_eq!(open(&name).0, ZTL_ERR_POLICY, "{open_to_others:o}");
    }
    mode(0o644);
    let (status, engine) = open(&name);
    assert_eq!(status, ZTL_OK);
    let flow = engine.flow();
    engine.authorize(&flow, &infer()).is_permitted();
    let swap = || {
        let mut error = dangling();
        // SAFETY: all pointers are good.
        let status = unsafe {
            ztl_engine_swap_from_file(engine.0, text(&name), ZTL_FORMAT_TOML, &raw mut error)
        };
        assert_eq!(read_error(error).map_or(ZTL_OK, |(code, _)| code), status);
        status
    };
    mode(0o646);
    assert_eq!(swap(), ZTL_ERR_POLICY);
    mode(0o644);
    for broken in [&b"schema = 1\nallow = 'all'"[..], b"\xff"] {
        fs::write(&path, broken).expect("written");
        assert_eq!(swap(), ZTL_ERR_POLICY);
        engine.authorize(&flow, &infer()).is_permitted();
    }
    fs::write(&path, policy_without_permits()).expect("written");
    assert_eq!(swap(), ZTL_OK);
    engine
        .authorize(&flow, &infer())
        .is_denied(ZTL_REASON_NO_FLOW_PERMITTED);
    fs::remove_file(&path).expect("removed");
    assert_eq!(swap(), ZTL_ERR_POLICY);
    assert_eq!(open(&name).0, ZTL_ERR_POLICY);
    assert_eq!(open("").0, ZTL_ERR_ARG);
    assert_eq!(open("/dev/null").0, ZTL_ERR_POLICY, "no regular file");
}

/// Keeps each record.
unsafe extern "C" fn keep(context: *mut c_void, line: *const u8, len: usize) -> i32 {
    // SAFETY: what the engine was made with, and a line of it.
    let (records, line) = unsafe {
        (
            &*context.cast::<Mutex<Vec<String>>>(),
            slice::from_raw_parts(line, len),
        )
    };
    let line = String::from_utf8(line.to_vec()).expect("UTF-8");
    records.lock().expect("records").push(line);
    0
}

/// Keeps none.
unsafe extern "C" fn lose(_: *mut c_void, _: *const u8, _: usize) -> i32 {
    1
}

fn with_audit(
    records: &'static Mutex<Vec<String>>,
    audit: unsafe extern "C" fn(*mut c_void, *const u8, usize) -> i32,
) -> Engine {
    let (mut engine, mut error) = (dangling(), dangling());
    let context = ptr::from_ref(records).cast_mut().cast();
    // SAFETY: all pointers are good, and the records live for ever.
    let status = unsafe {
        ztl_engine_new_with_audit(
            text(POLICY),
            ZTL_FORMAT_TOML,
            Some(audit),
            context,
            &raw mut engine,
            &raw mut error,
        )
    };
    assert_eq!((status, read_error(error)), (ZTL_OK, None));
    Engine(engine)
}

#[test]
fn each_decision_is_one_record_for_the_host() {
    static RECORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let engine = with_audit(&RECORDS, keep);
    let flow = engine.flow();
    engine.authorize(&flow, &infer()).is_permitted();
    let records = RECORDS.lock().expect("records");
    assert_eq!(records.len(), 2);
    let last: Value = serde_json::from_str(&records[1]).expect("JSON");
    assert_eq!(
        (&last["verdict"], &last["rule"]),
        (&"permit".into(), &"router-infers".into())
    );
}

/// What a function asks of its engine while it takes a record.
#[derive(Default)]
struct Asking {
    engine: AtomicPtr<ztl_engine>,
    flow: AtomicPtr<ztl_flow>,
    statuses: Mutex<Vec<ztl_status>>,
}

unsafe extern "C" fn asks(context: *mut c_void, _: *const u8, _: usize) -> i32 {
    // SAFETY: the context is `Asking`, for as long as the engine lives.
    let asking = unsafe { &*context.cast::<Asking>() };
    let (engine, flow) = (
        asking.engine.load(Ordering::Acquire),
        asking.flow.load(Ordering::Acquire),
    );
    if !engine.is_null() {
        let mut reads = 0;
        let request = infer();
        // SAFETY: both live, and all pointers are good.
        let status = unsafe { ztl_flow_reads(engine, flow, NOW, &raw mut reads, ptr::null_mut()) };
        // SAFETY: as above.
        let answer = call(|decision, error| unsafe {
            ztl_action_authorize(engine, flow, &raw const request, decision, error)
        });
        answer.says_no(ZTL_ERR_ARG);
        let mut statuses = asking.statuses.lock().expect("statuses");
        statuses.extend([status, answer.status]);
    }
    0
}

#[test]
fn the_function_that_takes_a_record_is_told_to_ask_later() {
    let asking = Asking::default();
    let (mut engine, mut error) = (dangling(), dangling());
    // SAFETY: all pointers are good, and the context outlives the engine.
    let status = unsafe {
        ztl_engine_new_with_audit(
            text(POLICY),
            ZTL_FORMAT_TOML,
            Some(asks),
            ptr::from_ref(&asking).cast_mut().cast(),
            &raw mut engine,
            &raw mut error,
        )
    };
    assert_eq!((status, read_error(error)), (ZTL_OK, None));
    let engine = Engine(engine);
    let flow = engine.flow();
    asking.flow.store(flow.0, Ordering::Release);
    asking.engine.store(engine.0, Ordering::Release);
    // After a change the flow is judged once more, under a lock, and then the action: a record each.
    assert_eq!(engine.swap(&format!("{POLICY}\n")), (ZTL_OK, None));
    engine.authorize(&flow, &infer()).is_permitted();
    assert_eq!(*asking.statuses.lock().expect("statuses"), [ZTL_ERR_ARG; 4]);
    // Outside of it whoever asks is answered.
    asking.engine.store(ptr::null_mut(), Ordering::Release);
    engine.authorize(&flow, &infer()).is_permitted();
}

#[test]
fn a_record_that_the_host_does_not_keep_permits_nothing() {
    static RECORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let engine = with_audit(&RECORDS, lose);
    let router = engine.router();
    engine
        .permit(&from_router(&router))
        .0
        .is_denied(ZTL_REASON_AUDIT_UNAVAILABLE);
    let (mut engine, mut error) = (dangling(), dangling());
    // SAFETY: good, and a function that is NULL.
    let status = unsafe {
        ztl_engine_new_with_audit(
            text(POLICY),
            ZTL_FORMAT_TOML,
            None,
            ptr::null_mut(),
            &raw mut engine,
            &raw mut error,
        )
    };
    assert_eq!((status, engine.is_null()), (ZTL_ERR_ARG, true));
    assert_eq!(read_error(error).expect("an error").0, ZTL_ERR_ARG);
}

#[test]
fn authorities_may_come_in_der_and_a_peer_tells_its_id() {
    let authority = Authority::new();
    let engine = Engine::new(POLICY);
    let trust = |ders: &[ztl_str]| {
        let mut error = dangling();
        // SAFETY: all pointers are good.
        let status = unsafe {
            ztl_engine_trust_der(
                engine.0,
                text("prod.example"),
                ders.as_ptr(),
                ders.len(),
                &raw mut error,
            )
        };
        assert_eq!(read_error(error).map_or(ZTL_OK, |(code, _)| code), status);
        status
    };
    let id = "spiffe://prod.example/router";
    let leaf = authority.issue(id);
    let chain = bytes(&leaf);
    let prove = || {
        let router = engine.router();
        let request = ztl_flow_request {
            peer: ptr::null(),
            ..from_router(&router)
        };
        let mut peer = dangling();
        // SAFETY: all pointers are good.
        let status = unsafe {
            ztl_peer_prove(
                engine.0,
                &raw const request,
                &raw const chain,
                1,
                &raw mut peer,
                ptr::null_mut(),
            )
        };
        (status, Peer(peer))
    };
    assert_eq!(prove().0, ZTL_DENIED);
    assert_eq!(trust(&[bytes(&authority.der)]), ZTL_OK);
    let (status, peer) = prove();
    assert_eq!(status, ZTL_OK);
    let (mut at, mut len) = (ptr::null(), 0);
    // SAFETY: a live peer, and good outputs.
    unsafe {
        assert_eq!(ztl_peer_id(peer.0, &raw mut at, &raw mut len), ZTL_OK);
        assert_eq!(slice::from_raw_parts(at, len), id.as_bytes());
        assert_eq!(
            ztl_peer_id(ptr::null(), &raw mut at, &raw mut len),
            ZTL_ERR_ARG
        );
    }
    assert_eq!((at.is_null(), len), (true, 0));
    assert_eq!(trust(&[bytes(b"no certificate")]), ZTL_ERR_BUNDLE);
    assert_eq!(trust(&[ABSENT]), ZTL_ERR_ARG);
    assert_eq!(prove().0, ZTL_OK, "the bundle in force stays");
    assert_eq!(trust(&[]), ZTL_OK);
    assert_eq!(prove().0, ZTL_DENIED);
}
