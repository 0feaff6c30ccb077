//! Fields of a request that say for whom it is and on whose behalf: hosts (T21), ids that a proxy passes on (T12), and what a host
//! program learns of both.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;

use ztl_ffi_impl::*;

use crate::authority::Authority;
use crate::harness::*;

pub(crate) const MESH: &str = r#"
schema = 1
trust_domain = "prod.example"

[workloads.front]
id = "spiffe://prod.example/front"
forwards = ["cart", "evil"]
forwards_in = "xfcc"

[workloads.cart]
id = "spiffe://prod.example/cart"

[workloads.evil]
id = "spiffe://prod.example/evil"

[workloads.shop]
id = "spiffe://prod.example/shop"
ports = [8443]
hosts = ["shop.example"]

[[permit]]
name = "reads"
from = ["front", "cart"]
to = "shop"
actions = ["GET /v1/items"]

[[permit]]
name = "passed-on"
from = ["front", "cart"]
to = "shop"
actions = ["GET /v1/field"]
[permit.require]
headers = { x-forwarded-client-cert = ["By=spiffe://prod.example/front;URI=spiffe://prod.example/cart"] }

[[forbid]]
name = "no-evil"
from = "evil"
to = "shop"
"#;

pub(crate) const XFCC: &str = "X-Forwarded-Client-Cert";
pub(crate) const CART: &[u8] = b"By=spiffe://prod.example/front;URI=spiffe://prod.example/cart";
pub(crate) const HOST: (&str, &[u8]) = ("host", b"shop.example:8443");

/// A caller that proved itself, and its permitted flow.
pub(crate) fn caller(engine: &Engine, authority: &Authority, name: &str) -> (Peer, Flow) {
    let mut error = dangling();
    let pem = text(&authority.pem);
    // SAFETY: all pointers are good.
    let status = unsafe { ztl_engine_trust(engine.0, text("prod.example"), pem, &raw mut error) };
    assert_eq!((status, read_error(error)), (ZTL_OK, None));
    let leaf = authority.issue(&format!("spiffe://prod.example/{name}"));
    let (chain, mut peer) = (bytes(&leaf), dangling());
    let request = to_shop(ptr::null());
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
    assert_eq!(status, ZTL_OK);
    let peer = Peer(peer);
    let (answer, flow) = engine.permit(&to_shop(peer.0));
    answer.is_permitted();
    (peer, flow.expect("a flow"))
}

pub(crate) fn to_shop(peer: *const ztl_peer) -> ztl_flow_request {
    ztl_flow_request {
        size: u32::try_from(size_of::<ztl_flow_request>()).expect("small"),
        port: 8443,
        flags: 0,
        me: text("shop"),
        peer,
        from_addr: ABSENT,
        now_unix: NOW,
        to: ABSENT,
    }
}

pub(crate) fn asked(
    engine: &Engine,
    flow: &Flow,
    target: &'static str,
    fields: &[(&'static str, &'static [u8])],
) -> Answer {
    let fields: Vec<_> = (fields.iter())
        .map(|(name, value)| header(name, value))
        .collect();
    engine.authorize(flow, &with_headers(request("GET", target), &fields))
}

fn reads(engine: &Engine, flow: &Flow) -> (ztl_status, u32) {
    let (mut reads, mut error) = (u32::MAX, dangling());
    // SAFETY: all pointers are good.
    let status = unsafe { ztl_flow_reads(engine.0, flow.0, NOW, &raw mut reads, &raw mut error) };
    assert_eq!(read_error(error).map_or(ZTL_OK, |(code, _)| code), status);
    (status, reads)
}

#[test]
fn t12_a_forbidden_caller_does_not_come_in_behind_a_proxy() {
    let authority = Authority::new();
    let engine = Engine::new(MESH);
    let (_, front) = caller(&engine, &authority, "front");
    let ask = |value: &'static [u8]| asked(&engine, &front, "/v1/items", &[HOST, (XFCC, value)]);
    asked(&engine, &front, "/v1/items", &[HOST]).is_permitted();
    ask(CART).is_permitted();
    ask(b"By=spiffe://prod.example/front;URI=spiffe://prod.example/evil")
        .is_denied(ZTL_REASON_FORBIDDEN);
    for untrusted in [
        b"By=spiffe://prod.example/cart;URI=spiffe://prod.example/cart".as_slice(),
        b"URI=spiffe://prod.example/cart",
        b"By=spiffe://prod.example/front;URI=spiffe://prod.example/front",
        b"By=spiffe://prod.example/front;URI=spiffe://prod.example/unknown",
        b"By=spiffe://prod.example/front",
        b"URI=\"",
        b"\xff",
        b"",
    ] {
        ask(untrusted).is_denied(ZTL_REASON_FORWARDED_UNTRUSTED);
    }
    let twice = [HOST, (XFCC, CART), (XFCC, CART)];
    asked(&engine, &front, "/v1/items", &twice).is_denied(ZTL_REASON_FORWARDED_UNTRUSTED);
    // `Forwarded` is not the field in which it passes ids on: nobody reads it.
    let other = [
        HOST,
        (
            "Forwarded",
            b"spiffe=\"spiffe://prod.example/evil\"".as_slice(),
        ),
    ];
    asked(&engine, &front, "/v1/items", &other).is_permitted();
}

#[test]
fn t12_what_anybody_may_write_meets_no_requirement() {
    let authority = Authority::new();
    let engine = Engine::new(MESH);
    let field = [HOST, (XFCC, CART)];
    let (_, front) = caller(&engine, &authority, "front");
    asked(&engine, &front, "/v1/field", &field).is_permitted();
    // CGI takes `_` for `-`, so that nobody knows what a service would read.
    for other in ["x_forwarded_client_cert", "X-Forwarded_Client-Cert"] {
        let both = [HOST, (XFCC, CART), (other, CART)];
        asked(&engine, &front, "/v1/field", &both).says_no(ZTL_DENIED);
    }
    let (_, cart) = caller(&engine, &authority, "cart");
    // Read of nobody but the proxy: a bad one of anybody else denies nothing, and a good one permits nothing.
    asked(&engine, &cart, "/v1/items", &[HOST, (XFCC, b"\"")]).is_permitted();
    asked(&engine, &cart, "/v1/field", &field).says_no(ZTL_DENIED);
}

#[test]
fn a_host_program_is_told_what_to_take_away() {
    let authority = Authority::new();
    let engine = Engine::new(MESH);
    let (_, front) = caller(&engine, &authority, "front");
    // The forbid speaks of an id, which a token could name as well.
    let xfcc = ZTL_READS_TOKEN | ZTL_READS_XFCC;
    assert_eq!(reads(&engine, &front), (ZTL_OK, xfcc));
    // By the policy in force, and not by that under which the flow was permitted.
    let forwarded = MESH.replace("\"xfcc\"", "\"forwarded\"");
    assert_eq!(engine.swap(&forwarded), (ZTL_OK, None));
    let forwarded = ZTL_READS_TOKEN | ZTL_READS_FORWARDED;
    assert_eq!(reads(&engine, &front), (ZTL_OK, forwarded));
    let scored = MESH.replace("[permit.require]", "[permit.require]\ntrust_score = 50");
    assert_eq!(engine.swap(&scored), (ZTL_OK, None));
    let scored = xfcc | ZTL_READS_TRUST_SCORE;
    assert_eq!(reads(&engine, &front), (ZTL_OK, scored));
    let (_, cart) = caller(&engine, &authority, "cart");
    let neither = ZTL_READS_TOKEN | ZTL_READS_TRUST_SCORE;
    assert_eq!(reads(&engine, &cart), (ZTL_OK, neither));
    let none = MESH.split_once("[[permit]]").expect("permits").0;
    assert_eq!(engine.swap(none), (ZTL_OK, None));
    assert_eq!(reads(&engine, &cart), (ZTL_DENIED, 0));
    let mut told = u32::MAX;
    // SAFETY: NULL where a handle was to be.
    let status =
        unsafe { ztl_flow_reads(ptr::null(), cart.0, NOW, &raw mut told, ptr::null_mut()) };
    assert_eq!((status, told), (ZTL_ERR_ARG, 0));
}

#[test]
fn t21_rule_42_a_request_for_another_host_is_misdirected() {
    let authority = Authority::new();
    let engine = Engine::new(MESH);
    let (_, cart) = caller(&engine, &authority, "cart");
    let ask = |fields: &[(&'static str, &'static [u8])]| asked(&engine, &cart, "/v1/items", fields);
    for good in [
        b"shop.example".as_slice(),
        b"SHOP.example.:8443",
        b"shop:8443",
    ] {
        ask(&[("Host", good)]).is_permitted();
        ask(&[(":authority", good)]).is_permitted();
        ask(&[(":authority", good), ("host", good)]).is_permitted();
    }
    for bad in [b"evil.example".as_slice(), b"", b"shop.example.evil"] {
        ask(&[("Host", bad)]).is_denied(ZTL_REASON_MISDIRECTED);
    }
    ask(&[]).is_denied(ZTL_REASON_MISDIRECTED);
    for two in [
        [
            (":authority", b"shop.example".as_slice()),
            ("host", b"evil.example".as_slice()),
        ],
        [("host", b"shop.example"), ("Host", b"shop.example")],
        [(":authority", b"shop"), (":authority", b"shop")],
    ] {
        ask(&two).is_denied(ZTL_REASON_PATH_AMBIGUOUS);
    }
    // Without a list any host is one; two are still not.
    assert_eq!(engine.swap(&MESH.replace("hosts = ", "# ")), (ZTL_OK, None));
    ask(&[("Host", b"any.example")]).is_permitted();
    ask(&[]).is_permitted();
    ask(&[(":authority", b"a"), ("host", b"b")]).is_denied(ZTL_REASON_PATH_AMBIGUOUS);
}

#[test]
fn rule_42_what_is_no_host_has_no_one_reading() {
    let authority = Authority::new();
    let engine = Engine::new(MESH);
    let (peer, cart) = caller(&engine, &authority, "cart");
    let ask = |fields: &[(&'static str, &'static [u8])]| asked(&engine, &cart, "/v1/items", fields);
    // With a list of hosts and without one.
    for policy in [MESH, &MESH.replace("hosts = ", "# ")] {
        assert_eq!(engine.swap(policy), (ZTL_OK, None));
        for none in [
            b"u@shop.example".as_slice(),
            b"shop.example, evil.example",
            b"shop.example/admin",
            b"shop.example:99999",
            b"shop.example:x",
            b":8443",
            b" ",
            b"[::1",
            b"shop.example\0",
            b"\xff",
        ] {
            for fields in [
                &[("Host", none)][..],
                &[(":authority", none)],
                &[(":authority", none), ("host", none)],
            ] {
                ask(fields).is_denied(ZTL_REASON_PATH_AMBIGUOUS);
            }
        }
        ask(&[HOST]).is_permitted();
    }
    let fields = [header("host", b"u@shop.example")];
    let (connection, action) = (
        to_shop(peer.0),
        with_headers(request("GET", "/v1/items"), &fields),
    );
    let (mut text, mut error) = (dangling(), dangling());
    // SAFETY: all pointers are good.
    let status = unsafe {
        ztl_explain(
            engine.0,
            &raw const connection,
            &raw const action,
            ABSENT,
            &raw mut text,
            &raw mut error,
        )
    };
    let (_, said) = read_error(error).expect("no rule decides this");
    assert!(status == ZTL_ERR_ARG && text.is_null(), "{status}");
    assert!(said.contains("path_ambiguous"), "{said}");
}

#[test]
fn t05_a_flow_that_holds_no_more_is_denied_as_that_whatever_is_asked_for() {
    let authority = Authority::new();
    let engine = Engine::new(MESH);
    let (_, cart) = caller(&engine, &authority, "cart");
    let (elsewhere, again) = (
        ("host", b"evil.example".as_slice()),
        ("X-Original-URL", b"/".as_slice()),
    );
    asked(&engine, &cart, "/v1/items", &[elsewhere]).is_denied(ZTL_REASON_MISDIRECTED);
    asked(&engine, &cart, "/v1/../items", &[HOST]).is_denied(ZTL_REASON_PATH_AMBIGUOUS);
    // Another authority takes the place of the one that proved it.
    drop(caller(&engine, &Authority::new(), "cart"));
    for (target, fields) in [
        ("/v1/items", [HOST, ("a", b"")]),
        ("/v1/items", [elsewhere, ("a", b"")]),
        ("/v1/items", [HOST, again]),
        ("/v1/../items", [HOST, ("a", b"")]),
    ] {
        asked(&engine, &cart, target, &fields).is_denied(ZTL_REASON_FLOW_WITHDRAWN);
    }
}

#[test]
fn t21_raw_bytes_name_no_host() {
    let policy = format!(
        "{MESH}\n[[permit]]\nname = 'streams'\nfrom = 'cart'\nto = 'shop'\nactions = ['connect']\n"
    );
    let authority = Authority::new();
    let engine = Engine::new(&policy);
    let (peer, cart) = caller(&engine, &authority, "cart");
    let permitted = engine.authorize(&cart, &connect());
    assert_eq!(permitted.is_permitted().rule(), "streams");
    asked(&engine, &cart, "/v1/items", &[]).is_denied(ZTL_REASON_MISDIRECTED);
    let (connection, action) = (to_shop(peer.0), connect());
    let (mut text, mut error) = (dangling(), dangling());
    // SAFETY: all pointers are good.
    unsafe {
        let status = ztl_explain(
            engine.0,
            &raw const connection,
            &raw const action,
            ABSENT,
            &raw mut text,
            &raw mut error,
        );
        ztl_text_free(text);
        assert_eq!((status, read_error(error)), (ZTL_OK, None));
    }
    let (_, front) = caller(&engine, &authority, "front");
    engine
        .authorize(&front, &connect())
        .is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
}

#[test]
fn t19_no_field_asks_for_another_method_or_target() {
    let authority = Authority::new();
    let engine = Engine::new(MESH);
    let (_, cart) = caller(&engine, &authority, "cart");
    for field in [
        "X-HTTP-Method-Override",
        "x-http-method",
        "x-method-override",
        "X-Original-URL",
        "x-rewrite-url",
        // As CGI takes them.
        "X_HTTP_Method_Override",
        "x-original_url",
    ] {
        asked(&engine, &cart, "/v1/items", &[HOST, (field, b"")])
            .is_denied(ZTL_REASON_PATH_AMBIGUOUS);
    }
}

#[test]
fn an_error_says_what_to_ask_the_caller_for() {
    let policy = format!(
        "{MESH}\n[issuers.sso]\nissuer = 'https://sso.example'\naudience = 'shop'\n[[permit]]\nfrom = 'cart'\nto = 'shop'\n\
         actions = ['GET /v1/mine']\n[permit.require]\ntoken = {{ issuer = 'sso' }}\n"
    );
    let authority = Authority::new();
    let engine = Engine::new(&policy);
    let (_, cart) = caller(&engine, &authority, "cart");
    assert_eq!(reads(&engine, &cart), (ZTL_OK, ZTL_READS_TOKEN));
    let lack = |target| {
        let fields = [header(HOST.0, HOST.1)];
        let request = with_headers(request("GET", target), &fields);
        let (mut decision, mut error) = (forged(), dangling());
        // SAFETY: all pointers are good.
        unsafe {
            let status = ztl_action_authorize(
                engine.0,
                cart.0,
                &raw const request,
                &raw mut decision,
                &raw mut error,
            );
            assert_eq!(status, ZTL_DENIED);
            let lack = ztl_error_lack(error);
            ztl_error_free(error);
            lack
        }
    };
    assert_eq!(lack("/v1/mine"), ZTL_LACK_TOKEN);
    assert_eq!(lack("/v1/field"), ZTL_LACK_HEADER);
    assert_eq!(lack("/v1/other"), ZTL_LACK_NONE);
    // SAFETY: NULL is none.
    assert_eq!(unsafe { ztl_error_lack(ptr::null()) }, ZTL_LACK_NONE);
}
