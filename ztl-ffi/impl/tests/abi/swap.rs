//! Another policy in force.

use core::time::Duration;
use std::path::PathBuf;
use std::{fs, thread};

use ztl_ffi_impl::*;

use crate::harness::*;

#[test]
fn law_8_a_swap_counts_at_once_for_flows_that_were_permitted_before() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    engine.authorize(&flow, &infer()).is_permitted();
    assert_eq!(engine.swap(&policy_without_permits()), (ZTL_OK, None));
    let denied = engine.authorize(&flow, &infer());
    assert_eq!(
        denied
            .is_denied(ZTL_REASON_NO_FLOW_PERMITTED)
            .decision
            .stage,
        ZTL_STAGE_FLOW
    );
    // Twice the same is no different, and back is back.
    assert_eq!(engine.swap(&policy_without_permits()), (ZTL_OK, None));
    engine
        .authorize(&flow, &infer())
        .is_denied(ZTL_REASON_NO_FLOW_PERMITTED);
    assert_eq!(engine.swap(POLICY), (ZTL_OK, None));
    engine.authorize(&flow, &infer()).is_permitted();
}

#[test]
fn a_policy_that_fails_leaves_the_one_in_force() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    for (policy, wanted) in [
        ("", ZTL_ERR_ARG),
        ("schema = 1", ZTL_ERR_POLICY),
        ("x", ZTL_ERR_POLICY),
    ] {
        let (status, error) = engine.swap(policy);
        assert_eq!(status, wanted, "{policy:?}");
        assert_eq!(error.map(|(code, _)| code), Some(status));
        engine.authorize(&flow, &infer()).is_permitted();
    }
}

#[test]
fn a_refused_policy_says_where_and_why() {
    let engine = Engine::new(POLICY);
    let (status, error) = engine.swap("schema = 1\ntrust_domain = \"prod.example\"\nfrm = 1\n");
    assert_eq!(status, ZTL_ERR_POLICY);
    let (_, message) = error.expect("an error");
    assert!(
        message.contains("frm") && message.contains('3'),
        "{message}"
    );
}

#[test]
fn t6_a_serial_never_goes_back() {
    let serial =
        |number: u32| POLICY.replace("schema = 1", &format!("schema = 1\nserial = {number}"));
    let engine = Engine::new(&serial(7));
    assert_eq!(engine.swap(&serial(8)), (ZTL_OK, None));
    for older in [serial(7), POLICY.to_owned()] {
        assert_eq!(engine.swap(&older).0, ZTL_ERR_POLICY);
    }
    assert_eq!(engine.swap(&serial(8)).0, ZTL_OK);
}

#[test]
#[expect(unsafe_code, reason = "calls the C ABI")]
fn json_is_the_same_document() {
    let json = r#"{"schema": 1, "trust_domain": "prod.example", "workloads": {
        "router": {"id": "spiffe://prod.example/router"},
        "model-server": {"id": "spiffe://prod.example/model-server", "ports": [8443], "asserted_by": ["host"]}},
        "permit": [{"name": "json", "from": "router", "to": "model-server", "actions": ["POST /v1/models/{model}/infer"]}]}"#;
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let mut error = dangling();
    // SAFETY: all pointers are good.
    let status = unsafe { ztl_engine_swap(engine.0, text(json), ZTL_FORMAT_JSON, &raw mut error) };
    assert_eq!((status, read_error(error)), (ZTL_OK, None));
    assert_eq!(
        engine.authorize(&flow, &infer()).is_permitted().rule(),
        "json"
    );
}

/// Whoever writes a file in its place has written half of it for a while, and the half of a document may be one.
#[test]
#[expect(unsafe_code, reason = "calls the C ABI")]
fn t6_half_of_a_file_that_is_written_is_not_put_in_force() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("halves-{}.toml", std::process::id()));
    let name = path.to_str().expect("UTF-8");
    let whole =
        format!("{POLICY}[[forbid]]\nfrom = \"any\"\nto = \"model-server\"\nports = 8443\n");
    let swap = |engine: &Engine| {
        let mut error = dangling();
        // SAFETY: all pointers are good.
        let status = unsafe {
            ztl_engine_swap_from_file(engine.0, text(name), ZTL_FORMAT_TOML, &raw mut error)
        };
        (status, read_error(error).map(|(_, said)| said))
    };
    let engine = Engine::new(&whole);
    let router = engine.router();
    let is_forbidden = || {
        let (answer, _) = engine.permit(&from_router(&router));
        answer.is_denied(ZTL_REASON_FORBIDDEN);
    };
    is_forbidden();
    fs::write(&path, &whole).expect("written");
    assert_eq!(swap(&engine), (ZTL_OK, None));
    // The second half comes while it is read, and as long as it was touched it is not read in peace.
    for second in [whole.as_bytes(), POLICY.as_bytes()] {
        fs::write(&path, POLICY).expect("written");
        thread::scope(|scope| {
            let swapped = scope.spawn(|| swap(&engine));
            // However long the reading waits, it does not find the file at rest.
            while !swapped.is_finished() {
                thread::sleep(Duration::from_millis(20));
                fs::write(&path, second).expect("written");
            }
            let (status, said) = swapped.join().expect("a status");
            assert_eq!(status, ZTL_ERR_POLICY);
            let said = said.expect("an error");
            assert!(said.contains("changed while it was read"), "{said}");
        });
        is_forbidden();
    }
    fs::remove_file(&path).expect("removed");
}
