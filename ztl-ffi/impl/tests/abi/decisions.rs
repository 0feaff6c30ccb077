//! The walk of a good caller, and what the policy makes of it.

use ztl_ffi_impl::*;

use crate::harness::*;

#[test]
fn what_the_policy_names_is_permitted_and_nothing_else() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let permitted = engine.authorize(&flow, &infer());
    assert_eq!(permitted.is_permitted().rule(), "router-infers");
    assert_eq!(permitted.decision.stage, ZTL_STAGE_ACTION);
    assert_eq!(
        permitted.decision.expires_unix,
        NOW + 3600,
        "the peer's word ends first"
    );
    assert_ne!(permitted.decision.id, [0; 16]);
    engine
        .authorize(&flow, &request("GET", "/v1/models/llama/infer"))
        .is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    engine
        .authorize(&flow, &request("POST", "/v1/models"))
        .is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
}

#[test]
fn t18_an_asserted_peer_counts_only_where_the_policy_trusts_who_asserts() {
    let engine = Engine::new(POLICY);
    let nobody = engine.peer_until("spiffe://prod.example/router", "somebody-else", NOW + 3600);
    let (answer, _) = engine.permit(&from_router(&nobody));
    answer.is_denied(ZTL_REASON_IDENTITY_UNPROVEN);
    assert_eq!(answer.decision.stage, ZTL_STAGE_IDENTITY);
    let untrusting = Engine::new(&POLICY.replace("asserted_by = [\"host\"]\n", ""));
    let router = untrusting.router();
    untrusting
        .permit(&from_router(&router))
        .0
        .is_denied(ZTL_REASON_IDENTITY_UNPROVEN);
}

#[test]
fn a_flow_is_judged_by_peer_place_port_and_time() {
    let engine = Engine::new(POLICY);
    let (router, stranger) = (
        engine.router(),
        engine.peer_until("spiffe://prod.example/stranger", "host", NOW + 3600),
    );
    let good = from_router(&router);
    let expired = engine.peer_until("spiffe://prod.example/router", "host", NOW);
    for (request, reason) in [
        (from_router(&stranger), ZTL_REASON_NO_FLOW_PERMITTED),
        (from_router(&expired), ZTL_REASON_IDENTITY_EXPIRED),
        (
            ztl_flow_request {
                from_addr: ABSENT,
                ..good
            },
            ZTL_REASON_ZONE_UNKNOWN,
        ),
        (
            ztl_flow_request {
                from_addr: text("192.0.2.1"),
                ..good
            },
            ZTL_REASON_ZONE_UNKNOWN,
        ),
        (
            ztl_flow_request { port: 22, ..good },
            ZTL_REASON_NO_FLOW_PERMITTED,
        ),
        (
            ztl_flow_request {
                me: text("nobody"),
                ..good
            },
            ZTL_REASON_NO_FLOW_PERMITTED,
        ),
    ] {
        engine.permit(&request).0.is_denied(reason);
    }
    let mapped = ztl_flow_request {
        from_addr: text("::ffff:10.10.0.7"),
        ..good
    };
    engine.permit(&mapped).0.is_permitted();
    // T23: this one goes back.
    engine
        .permit(&ztl_flow_request {
            now_unix: 0,
            ..good
        })
        .0
        .is_denied(ZTL_REASON_CLOCK_UNTRUSTED);
}

#[test]
fn a_permit_ends_with_the_peer() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let late = ztl_action_request {
        now_unix: NOW + 3600,
        ..infer()
    };
    engine
        .authorize(&flow, &late)
        .is_denied(ZTL_REASON_IDENTITY_EXPIRED);
}

#[test]
fn t3_only_who_says_so_comes_as_the_public() {
    let engine = Engine::new(POLICY);
    let router = engine.router();
    let unproved = ztl_flow_request {
        peer: core::ptr::null(),
        port: 8080,
        ..from_router(&router)
    };
    let (answer, _) = engine.permit(&unproved);
    answer.is_denied(ZTL_REASON_IDENTITY_UNPROVEN);
    let public = ztl_flow_request {
        flags: ZTL_FLOW_ANONYMOUS,
        ..unproved
    };
    let (answer, flow) = engine.permit(&public);
    answer.is_permitted();
    assert_eq!(
        answer.decision.expires_unix,
        u64::MAX,
        "there is no proof that could expire"
    );
    let flow = flow.expect("a flow");
    assert_eq!(
        engine
            .authorize(&flow, &request("GET", "/status"))
            .is_permitted()
            .rule(),
        "everybody-looks"
    );
    engine
        .authorize(&flow, &infer())
        .is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    engine
        .permit(&ztl_flow_request {
            port: 8443,
            ..public
        })
        .0
        .is_denied(ZTL_REASON_IDENTITY_UNPROVEN);
}

#[test]
fn t5_a_flow_is_good_at_its_own_engine_only() {
    let (engine, other) = (Engine::new(POLICY), Engine::new(POLICY));
    let flow = engine.flow();
    other
        .authorize(&flow, &infer())
        .is_denied(ZTL_REASON_FLOW_WITHDRAWN);
}

#[test]
fn a_trust_score_is_missing_until_it_is_given_and_holds_a_minute() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let tune = |score| ztl_action_request {
        trust_score: score,
        ..request("POST", "/v1/models/llama/tune")
    };
    engine
        .authorize(&flow, &tune(-1))
        .is_denied(ZTL_REASON_EVIDENCE_MISSING);
    engine
        .authorize(&flow, &tune(0))
        .is_denied(ZTL_REASON_REQUIREMENT_UNMET);
    engine
        .authorize(&flow, &tune(69))
        .is_denied(ZTL_REASON_REQUIREMENT_UNMET);
    let permitted = engine.authorize(&flow, &tune(70));
    assert_eq!(permitted.is_permitted().decision.expires_unix, NOW + 60);
}

#[test]
fn rule_43_header_names_have_no_case_and_every_value_counts() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let list = request("GET", "/v1/models");
    let ask = |headers: &[ztl_header]| engine.authorize(&flow, &with_headers(list, headers));
    ask(&[header("Accept", b"\xff"), header("X-TENANT", b"blue")]).is_permitted();
    ask(&[]).is_denied(ZTL_REASON_EVIDENCE_MISSING);
    ask(&[header("x-tenant", b"blue"), header("x-tenant", b"red")])
        .is_denied(ZTL_REASON_REQUIREMENT_UNMET);
    ask(&[header("x-tenant", b"\xff\x00")]).is_denied(ZTL_REASON_REQUIREMENT_UNMET);
}

#[test]
fn raw_bytes_are_an_action_of_their_own() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    assert_eq!(
        engine.authorize(&flow, &connect()).is_permitted().rule(),
        "router-streams"
    );
    let without = POLICY.replace("\"connect\"", "\"GET /nothing\"");
    let engine = Engine::new(&without);
    let flow = engine.flow();
    engine
        .authorize(&flow, &connect())
        .is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
}

#[test]
fn t20_an_upgrade_is_an_action_of_its_own() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let ask = |request, headers: &[ztl_header]| {
        let mut all = vec![header("Connection", b"Upgrade")];
        all.extend_from_slice(headers);
        engine.authorize(&flow, &with_headers(request, &all))
    };
    let (chat, live) = (request("GET", "/v1/chat"), request("GET", "/v1/live"));
    ask(chat, &[]).is_permitted();
    ask(chat, &[header("Upgrade", b"websocket")]).is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    ask(chat, &[header("upgrade", b"h2c")]).is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    ask(live, &[]).is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    ask(live, &[header("UPGRADE", b"WebSocket")]).is_permitted();
    ask(
        live,
        &[header("upgrade", b"websocket"), header("upgrade", b"h2c")],
    )
    .is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    ask(
        live,
        &[
            header("upgrade", b"websocket"),
            header("Upgrade", b"websocket"),
        ],
    )
    .is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    ask(live, &[header("upgrade", b"\xff")]).is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    let told = ztl_action_request {
        upgrade: text("websocket"),
        ..live
    };
    ask(told, &[]).is_permitted();
    ask(told, &[header("Upgrade", b"websocket")]).is_permitted();
    ask(told, &[header("Upgrade", b"h2c")]).is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    // RFC 8441: over HTTP/2 the same is asked for by CONNECT, which is permitted in no other sense.
    let extended = ztl_action_request {
        method: text("CONNECT"),
        ..told
    };
    ask(extended, &[]).is_permitted();
    ask(
        ztl_action_request {
            upgrade: ABSENT,
            ..extended
        },
        &[],
    )
    .is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    let nothing = |request| ztl_action_request {
        upgrade: text(""),
        ..request
    };
    ask(nothing(chat), &[]).is_permitted();
    let tunnel = ztl_action_request {
        method: text("CONNECT"),
        ..chat
    };
    ask(nothing(tunnel), &[]).is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
}

/// A server that finds no `Connection: upgrade` serves the request as it stands: what is permitted is the WebSocket, and not that.
#[test]
fn t20_an_upgrade_that_the_connection_does_not_name_is_named_by_no_permit() {
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    let live = request("GET", "/v1/live");
    let ask = |options: &[&'static [u8]]| {
        let mut headers = vec![header("Upgrade", b"websocket")];
        headers.extend(options.iter().map(|options| header("connection", options)));
        engine.authorize(&flow, &with_headers(live, &headers))
    };
    let upgrades: [&'static [u8]; 4] = [
        b"upgrade",
        b"Upgrade",
        b"keep-alive, Upgrade",
        b"\tUPGRADE ,close",
    ];
    for options in upgrades {
        ask(&[options]).is_permitted();
    }
    let serves_it_as_it_stands: [&[&'static [u8]]; 14] = [
        &[],
        &[b""],
        &[b"keep-alive"],
        &[b"upgrades"],
        &[b"x-upgrade"],
        &[b"upgrade websocket"],
        &[b"\"upgrade\""],
        &[b"\x0cupgrade"],
        &[b"upgrade\xff"],
        // Readers differ.
        &[b",upgrade"],
        &[b"(x, upgrade"],
        &[b"upgrade", b"keep-alive"],
        &[b"keep-alive", b"upgrade"],
        &[b"upgrade", b"upgrade"],
    ];
    for options in serves_it_as_it_stands {
        ask(options).is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    }
    // Nor where the host says what it is to become.
    let told = ztl_action_request {
        upgrade: text("websocket"),
        ..live
    };
    engine
        .authorize(
            &flow,
            &with_headers(told, &[header("upgrade", b"websocket")]),
        )
        .is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    // A forbid of the path is a forbid of whatever is served there.
    let forbidding = format!(
        "{POLICY}\n[[forbid]]\nname = \"not-live\"\nfrom = \"router\"\nto = \"model-server\"\nports = 8443\nactions = [\"GET /v1/live\"]\n"
    );
    let engine = Engine::new(&forbidding);
    let asked = [header("upgrade", b"websocket")];
    engine
        .authorize(&engine.flow(), &with_headers(live, &asked))
        .is_denied(ZTL_REASON_FORBIDDEN);
}
