//! `ztl_explain` beside the calls that it speaks of: it says what they would say.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;

use ztl_ffi_impl::*;

use crate::authority::Authority;
use crate::harness::*;
use crate::new_verbs::told;
use crate::request_fields::{CART, HOST, MESH, XFCC, asked, caller, to_shop};

/// The decision's reason, or why no rule decides.
fn explained(
    engine: &Engine,
    connection: &ztl_flow_request,
    target: &'static str,
    fields: &[(&'static str, &'static [u8])],
) -> String {
    let fields: Vec<_> = (fields.iter())
        .map(|(name, value)| header(name, value))
        .collect();
    let action = with_headers(request("GET", target), &fields);
    let said = told(|out, error| {
        // SAFETY: all pointers are good.
        unsafe { ztl_explain(engine.0, connection, &raw const action, ABSENT, out, error) }
    });
    match said {
        Ok(json) => json["decision"]["reason"]
            .as_str()
            .expect("a reason")
            .to_owned(),
        Err((status, why)) => {
            assert_eq!(status, ZTL_ERR_ARG, "{why}");
            why
        }
    }
}

/// Whoever answers a call that `front` makes.
fn server(engine: &Engine, authority: &Authority, call: &ztl_flow_request, name: &str) -> Peer {
    let leaf = authority.issue(&format!("spiffe://prod.example/{name}"));
    let (chain, mut server) = (bytes(&leaf), dangling());
    // SAFETY: all pointers are good.
    let status = unsafe {
        ztl_peer_prove(
            engine.0,
            call,
            &raw const chain,
            1,
            &raw mut server,
            ptr::null_mut(),
        )
    };
    assert_eq!(status, ZTL_OK);
    Peer(server)
}

fn call_of_front() -> ztl_flow_request {
    ztl_flow_request {
        flags: ZTL_FLOW_EGRESS,
        me: text("front"),
        to: text("shop"),
        ..to_shop(ptr::null())
    }
}

#[test]
fn it_permits_nothing_that_a_call_denies_before_the_rules() {
    let authority = Authority::new();
    let engine = Engine::new(MESH);
    let (peer, _) = caller(&engine, &authority, "front");
    let from_front = to_shop(peer.0);
    let explain = |fields: &[_]| explained(&engine, &from_front, "/v1/items", fields);
    assert_eq!(explain(&[HOST, (XFCC, CART)]), "permitted");
    for (fields, reason) in [
        (
            [("host", b"evil.example".as_slice()), ("a", b"")],
            "misdirected",
        ),
        (
            [HOST, (XFCC, b"URI=spiffe://prod.example/cart")],
            "forwarded_untrusted",
        ),
        ([HOST, ("X-Original-URL", b"/")], "path_ambiguous"),
    ] {
        let said = explain(&fields);
        assert!(said.contains(reason), "{said}");
    }
    let many = vec![("x", b"y".as_slice()); 65_537];
    let said = explain(&many);
    assert!(said.contains("path_ambiguous"), "{said}");
    // What comes to nothing before that is told as what it is.
    let elsewhere = [("host", b"evil.example".as_slice())];
    let said = explained(&engine, &from_front, "/v1/../items", &elsewhere);
    assert_eq!(said, "path_ambiguous");
    let other_port = ztl_flow_request {
        port: 1,
        ..from_front
    };
    let said = explained(&engine, &other_port, "/v1/items", &elsewhere);
    assert_eq!(said, "no_flow_permitted");
    // Whoever answers is not the one that was called.
    let call = call_of_front();
    let other = server(&engine, &authority, &call, "evil");
    let call = ztl_flow_request {
        peer: other.0,
        ..call
    };
    let said = explained(&engine, &call, "/v1/items", &[]);
    assert!(said.contains("identity_unproven"), "{said}");
    engine
        .permit(&call)
        .0
        .is_denied(ZTL_REASON_IDENTITY_UNPROVEN);
}

#[test]
fn it_takes_no_flags_that_the_call_does_not_take() {
    let authority = Authority::new();
    let engine = Engine::new(MESH);
    let (peer, _) = caller(&engine, &authority, "cart");
    for (flags, peer) in [
        (ZTL_FLOW_ANONYMOUS, peer.0),
        (4, peer.0),
        (4, ptr::null_mut()),
    ] {
        let connection = ztl_flow_request {
            flags,
            ..to_shop(peer)
        };
        engine.permit(&connection).0.says_no(ZTL_ERR_ARG);
        let said = explained(&engine, &connection, "/v1/items", &[HOST]);
        assert!(said.contains("flags"), "{said}");
    }
}

#[test]
fn t12_whom_another_asserts_passes_nobody_on() {
    let hosts = "hosts = [\"shop.example\"]";
    let engine = Engine::new(&MESH.replace(hosts, "asserted_by = [\"host\"]"));
    let front = engine.peer_until("spiffe://prod.example/front", "host", NOW + 3600);
    let from_front = to_shop(front.0);
    let (answer, flow) = engine.permit(&from_front);
    answer.is_permitted();
    let flow = flow.expect("a flow");
    asked(&engine, &flow, "/v1/items", &[]).is_permitted();
    assert_eq!(
        explained(&engine, &from_front, "/v1/items", &[]),
        "permitted"
    );
    // The field that the rule requires is hidden from it.
    let passed = [(XFCC, CART)];
    asked(&engine, &flow, "/v1/field", &passed).is_denied(ZTL_REASON_EVIDENCE_MISSING);
    assert_eq!(
        explained(&engine, &from_front, "/v1/field", &passed),
        "evidence_missing"
    );
}
