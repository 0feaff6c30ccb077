//! Step one: peers that are proved by their certificates, and all that proves nothing.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;
use std::fs;
use std::path::Path;

use ztl_ffi_impl::*;

use crate::authority::Authority;
use crate::harness::*;

pub(crate) const ROUTER: &str = "spiffe://prod.example/router";

/// The policy with nobody who may assert.
pub(crate) fn policy() -> String {
    POLICY.replace("asserted_by = [\"host\"]\n", "")
}

/// The connection that is to be proved.
pub(crate) fn connection() -> ztl_flow_request {
    ztl_flow_request {
        size: u32::try_from(size_of::<ztl_flow_request>()).expect("small"),
        port: 8443,
        flags: 0,
        me: text("model-server"),
        peer: ptr::null(),
        from_addr: text("10.10.0.7"),
        now_unix: NOW,
        to: ABSENT,
    }
}

pub(crate) fn trust(
    engine: &Engine,
    bundle: ztl_str,
) -> (ztl_status, Option<(ztl_status, String)>) {
    trust_domain(engine, text("prod.example"), bundle)
}

fn trust_domain(
    engine: &Engine,
    domain: ztl_str,
    bundle: ztl_str,
) -> (ztl_status, Option<(ztl_status, String)>) {
    let mut error = dangling();
    // SAFETY: good, NULL, or longer than what is read of it.
    let status = unsafe { ztl_engine_trust(engine.0, domain, bundle, &raw mut error) };
    (status, read_error(error))
}

fn ask(
    engine: *const ztl_engine,
    request: *const ztl_flow_request,
    chain: *const ztl_str,
    len: usize,
) -> Result<Peer, (ztl_status, String)> {
    let (mut peer, mut error) = (dangling(), dangling());
    // SAFETY: good, NULL, or longer than what is read of it.
    let status =
        unsafe { ztl_peer_prove(engine, request, chain, len, &raw mut peer, &raw mut error) };
    assert_eq!(
        peer.is_null(),
        status != ZTL_OK,
        "a peer comes with success and with nothing else"
    );
    match read_error(error) {
        None => {
            assert_eq!(status, ZTL_OK);
            Ok(Peer(peer))
        }
        Some((code, message)) => {
            assert_eq!((code, status < ZTL_OK), (status, true));
            Err((status, message))
        }
    }
}

pub(crate) fn prove_at(
    engine: &Engine,
    request: &ztl_flow_request,
    chain: &[&[u8]],
) -> Result<Peer, (ztl_status, String)> {
    let chain: Vec<ztl_str> = chain.iter().map(|der| bytes(der)).collect();
    ask(engine.0, request, chain.as_ptr(), chain.len())
}

#[track_caller]
fn proves_nothing(engine: &Engine, chain: &[&[u8]], why: &str) {
    let (status, message) = prove_at(engine, &connection(), chain)
        .err()
        .expect("it proves nothing");
    assert_eq!(status, ZTL_DENIED, "{message}");
    assert!(message.contains(why), "{message}");
}

#[test]
fn a_proved_peer_needs_nobodys_word() {
    let authority = Authority::new();
    let engine = Engine::new(&policy());
    assert_eq!(trust(&engine, text(&authority.pem)), (ZTL_OK, None));
    let peer = prove_at(&engine, &connection(), &[&authority.issue(ROUTER)]).expect("proved");
    let (answer, flow) = engine.permit(&from_router(&peer));
    assert_eq!(answer.is_permitted().decision.expires_unix, NOW + 3600);
    engine
        .authorize(&flow.expect("a flow"), &infer())
        .is_permitted();
    // A word is still only a word.
    engine
        .permit(&from_router(&engine.router()))
        .0
        .is_denied(ZTL_REASON_IDENTITY_UNPROVEN);
}

#[test]
fn rule_20_nobody_is_trusted_until_told_and_each_domain_by_its_own_authorities() {
    let (authority, other) = (Authority::new(), Authority::new());
    let engine = Engine::new(&policy());
    let leaf = authority.issue(ROUTER);
    proves_nothing(&engine, &[&leaf], "no bundle is held");
    assert_eq!(
        trust_domain(&engine, text("other.example"), text(&authority.pem)).0,
        ZTL_OK
    );
    proves_nothing(&engine, &[&leaf], "no bundle is held");
    assert_eq!(trust(&engine, text(&other.pem)).0, ZTL_OK);
    proves_nothing(
        &engine,
        &[&leaf],
        "a signature that its issuer's key did not make",
    );
    assert_eq!(trust(&engine, text(&authority.pem)).0, ZTL_OK);
    prove_at(&engine, &connection(), &[&leaf]).expect("proved");
}

#[test]
fn t5_a_changed_bundle_ends_what_was_proved_by_the_old_one() {
    let authority = Authority::new();
    let engine = Engine::new(&policy());
    assert_eq!(trust(&engine, text(&authority.pem)).0, ZTL_OK);
    let leaf = authority.issue(ROUTER);
    let old = prove_at(&engine, &connection(), &[&leaf]).expect("proved");
    let (_, flow) = engine.permit(&from_router(&old));
    let flow = flow.expect("a flow");
    engine.authorize(&flow, &infer()).is_permitted();

    assert_eq!(trust(&engine, text(&authority.pem)).0, ZTL_OK);
    engine
        .authorize(&flow, &infer())
        .is_denied(ZTL_REASON_FLOW_WITHDRAWN);
    engine
        .permit(&from_router(&old))
        .0
        .is_denied(ZTL_REASON_IDENTITY_EXPIRED);
    let new = prove_at(&engine, &connection(), &[&leaf]).expect("proved anew");
    let (_, flow) = engine.permit(&from_router(&new));
    engine
        .authorize(&flow.expect("a flow"), &infer())
        .is_permitted();

    assert_eq!(trust(&engine, ABSENT), (ZTL_OK, None));
    proves_nothing(&engine, &[&leaf], "no bundle is held");
    engine
        .permit(&from_router(&new))
        .0
        .is_denied(ZTL_REASON_IDENTITY_EXPIRED);
}

#[test]
fn law_6_a_peer_that_proves_nothing_is_recorded() {
    let path =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("prove-{}.jsonl", std::process::id()));
    let _ = fs::remove_file(&path);
    let authority = Authority::new();
    let engine = Engine::with_audit(&policy(), text(path.to_str().expect("a path in UTF-8")));
    assert_eq!(trust(&engine, text(&authority.pem)).0, ZTL_OK);
    proves_nothing(&engine, &[], "no certificate");
    proves_nothing(
        &engine,
        &[&authority.issue_until(ROUTER, NOW - 1)],
        "identity_expired",
    );
    let lines = fs::read_to_string(&path).expect("the audit");
    let reasons: Vec<_> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["reason"]
                .as_str()
                .expect("a reason")
                .to_owned()
        })
        .collect();
    assert_eq!(reasons, ["identity_unproven", "identity_expired"]);
    fs::remove_file(&path).expect("cleaned up");
}

#[test]
fn rule_31_whatever_a_peer_sends_is_a_denial_and_no_crash() {
    let authority = Authority::new();
    let engine = Engine::new(&policy());
    assert_eq!(trust(&engine, text(&authority.pem)).0, ZTL_OK);
    let leaf = authority.issue(ROUTER);
    let long = vec![0x30; 1 << 20];
    proves_nothing(&engine, &[b""], "denied");
    proves_nothing(&engine, &[b"\x30"], "denied");
    proves_nothing(&engine, &[&long], "bytes");
    proves_nothing(&engine, &vec![leaf.as_slice(); 17], "17 certificates");
    proves_nothing(
        &engine,
        &[&authority.issue("https://prod.example/router")],
        "denied",
    );
    proves_nothing(
        &engine,
        &[&authority.issue("spiffe://prod.example")],
        "denied",
    );
    for end in 0..leaf.len() {
        proves_nothing(&engine, &[&leaf[..end]], "denied");
    }
    let request = connection();
    // A chain that is too long is not read, wherever it points to.
    for len in [17, usize::MAX] {
        let (status, _) = ask(engine.0, &raw const request, dangling(), len)
            .err()
            .expect("refused");
        assert_eq!(status, ZTL_DENIED);
    }
}

#[test]
fn a_host_that_asks_wrongly_gets_no_peer() {
    let authority = Authority::new();
    let engine = Engine::new(POLICY);
    assert_eq!(trust(&engine, text(&authority.pem)).0, ZTL_OK);
    let (leaf, router) = (authority.issue(ROUTER), engine.router());
    let (good, request) = ([bytes(&leaf)], connection());
    let refused = |engine, request, chain, len| {
        let (status, message) = ask(engine, request, chain, len).err().expect("refused");
        assert_eq!(status, ZTL_ERR_ARG, "{message}");
    };
    refused(ptr::null(), &raw const request, good.as_ptr(), 1);
    refused(
        router.0.cast::<ztl_engine>(),
        &raw const request,
        good.as_ptr(),
        1,
    );
    refused(engine.0, ptr::null(), good.as_ptr(), 1);
    refused(engine.0, &raw const request, ptr::null(), 1);
    for bad in [
        ABSENT,
        NULL_WITH_LEN,
        ztl_str {
            len: usize::MAX,
            ..good[0]
        },
    ] {
        refused(engine.0, &raw const request, [good[0], bad].as_ptr(), 2);
    }
    for request in [
        ztl_flow_request { size: 8, ..request },
        ztl_flow_request {
            peer: router.0,
            ..request
        },
        ztl_flow_request {
            flags: ZTL_FLOW_ANONYMOUS,
            ..request
        },
        ztl_flow_request {
            me: ABSENT,
            ..request
        },
        ztl_flow_request {
            from_addr: text("nowhere"),
            ..request
        },
    ] {
        refused(engine.0, &raw const request, good.as_ptr(), 1);
    }
    // SAFETY: NULL or good.
    let status = unsafe {
        ztl_peer_prove(
            engine.0,
            &raw const request,
            good.as_ptr(),
            1,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    assert_eq!(status, ZTL_ERR_ARG);
    let elsewhere = Engine::new(POLICY);
    let peer = prove_at(&engine, &request, &[&leaf]).expect("proved");
    elsewhere.permit(&from_router(&peer)).0.says_no(ZTL_ERR_ARG);
}

#[test]
fn a_bundle_that_cannot_be_read_leaves_the_one_in_force() {
    let authority = Authority::new();
    let engine = Engine::new(&policy());
    assert_eq!(trust(&engine, text(&authority.pem)).0, ZTL_OK);
    let leaf = authority.issue(ROUTER);
    let peer = prove_at(&engine, &connection(), &[&leaf]).expect("proved");
    let cut = &authority.pem.as_bytes()[..authority.pem.len() / 2];
    for (bundle, wanted) in [
        (text(""), ZTL_ERR_BUNDLE),
        (text("prod.example"), ZTL_ERR_BUNDLE),
        (bytes(cut), ZTL_ERR_BUNDLE),
        (bytes(b"\xff"), ZTL_ERR_BUNDLE),
        (NULL_WITH_LEN, ZTL_ERR_ARG),
        (
            ztl_str {
                len: usize::MAX,
                ..text("x")
            },
            ZTL_ERR_ARG,
        ),
        (
            ztl_str {
                len: (1 << 20) + 1,
                ..text("x")
            },
            ZTL_ERR_ARG,
        ),
    ] {
        let (status, error) = trust(&engine, bundle);
        assert_eq!(
            (status, error.map(|(code, _)| code)),
            (wanted, Some(wanted))
        );
    }
    for domain in [
        ABSENT,
        text(""),
        NULL_WITH_LEN,
        text("Prod.Example"),
        text("spiffe://prod.example"),
        bytes(&[b'a'; 256]),
    ] {
        assert_eq!(
            trust_domain(&engine, domain, text(&authority.pem)).0,
            ZTL_ERR_ARG
        );
    }
    assert_eq!(
        trust_domain(&engine, bytes(b"\xff"), text(&authority.pem)).0,
        ZTL_ERR_UTF8
    );
    // SAFETY: NULL or good.
    let status = unsafe {
        ztl_engine_trust(
            ptr::null(),
            text("prod.example"),
            text(&authority.pem),
            ptr::null_mut(),
        )
    };
    assert_eq!(status, ZTL_ERR_ARG);
    engine.permit(&from_router(&peer)).0.is_permitted();
}
