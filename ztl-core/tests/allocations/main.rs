//! P3: a decision under native rules allocates nothing, permitted or denied, and neither does the record of it once a memory ring
//! is full; a flow's permit is the one thing that is made. What has to allocate is listed with the reason.

#![cfg(test)]

mod count;
mod rules;

use std::alloc::System;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use count::{Engines, asked, fewest};
use rules::{FORBIDS, paths, rules};
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use ztl_core::{
    Arrival, Claims, Evidence, Flow, FlowPermit, HeaderPairs, Peer, Proof, SpiffeId, Timestamp,
    TrustScore,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test at a time: they count what the process allocates.
static ALONE: Mutex<()> = Mutex::new(());

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

#[expect(clippy::disallowed_methods, reason = "a test vouches for its own peer")]
fn peer(id: &str) -> Peer {
    Peer::assertion(
        Proof::X509 {
            id: SpiffeId::parse(id).expect("id"),
            leaf_sha256: [7; 32].into(),
            serial: Box::new([1]),
            not_after: Timestamp::MAX,
        },
        "test",
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test vouches for its own claims"
)]
fn claims(claims: Value) -> Claims {
    let claims = claims.as_object().expect("object").clone();
    Claims::assertion(claims, Timestamp::MAX, "test")
}

fn home() -> Arrival {
    Arrival::from_addr("10.0.0.1".parse().expect("address"))
}

fn ingress<'a>(to: &'a str, port: u16, peer: Option<&'a Peer>) -> Flow<'a> {
    Flow::ingress(to, port, home(), peer)
}

/// A token that meets all that the rules ask of one.
fn meets() -> Value {
    json!({
        "iss": "https://id.corp.example", "sub": "alice", "aud": ["api", "web"], "scope": "list read", "team": "red",
        "level": 3, "realm_access": { "roles": ["user", "admin"] }, "amr": ["pwd", "mfa"], "acr": "phr",
        "act": { "sub": "spiffe://prod.example/other" },
    })
}

fn flows(engines: &Engines, flow: Flow<'_>) -> [FlowPermit; 2] {
    let permit = |at: usize| engines.both[at].1.permit_flow(&flow, NOW).expect("flow");
    [permit(0), permit(1)]
}

/// Every native kind, met and unmet, with forbids beside and without, in both sinks.
#[test]
fn p3_authorize_allocates_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let caller = peer("spiffe://prod.example/caller");
    let all = claims(meets());
    let poor = claims(json!({
        "iss": "https://evil.example", "sub": "bob", "aud": "web", "scope": "list", "team": ["blue"], "level": "3",
        "realm_access": { "roles": "user" }, "amr": ["pwd"], "act": { "sub": "spiffe://prod.example/caller" },
    }));
    let [pairs, others]: [[(&str, &[u8]); 1]; 2] = [[("x-tenant", b"a")], [("x-tenant", b"z")]];
    let (headers, wrong) = (HeaderPairs(&pairs), HeaderPairs(&others));
    let score = |value| TrustScore::new(value, NOW, Timestamp::MAX).expect("score");
    let full = Evidence::none()
        .with_claims(&all)
        .with_trust_score(score(90))
        .with_headers(&headers);
    let less = Evidence::none()
        .with_claims(&poor)
        .with_trust_score(score(1))
        .with_headers(&wrong);
    let mut counts = [0, 0];
    let mut unexpected = Vec::new();
    for forbids in ["", FORBIDS] {
        let engines = Engines::new(&format!("{}{forbids}", rules()));
        let permits = flows(&engines, ingress("target", 8443, Some(&caller)));
        let mut ask = |target: &str, rule: Option<&str>, evidence: &Evidence<'_>| {
            for (engine, allocated, answer) in asked(&engines, &permits, target, evidence) {
                // One engine discharges no log.
                let undone = (engine, rule) == ("ring", Some("log"));
                let permitted = rule.filter(|_| !undone);
                match (&answer, permitted) {
                    (Ok(found), Some(rule)) => assert!(found.starts_with(rule), "{found} {rule}"),
                    (Err(_), None) => {}
                    _ => panic!("{target}: {answer:?}"),
                }
                counts[usize::from(answer.is_err())] += 1;
                if allocated > hashed(engine, target, &answer) {
                    unexpected.push((
                        engine,
                        target.to_owned(),
                        forbids.is_empty(),
                        allocated,
                        answer,
                    ));
                }
            }
        };
        // What asks for nothing that a token, a score or a field says.
        let bare = [
            "int", "uuid", "rest", "plain", "labelled", "zoned", "below", "trust", "limit",
            "schema", "max-body", "log",
        ];
        for (target, rule) in paths() {
            ask(&target, Some(rule), &full);
            // Beside forbids of whoever comes along, without a token it cannot be told who does.
            let known = forbids.is_empty() || rule != "plain";
            let holds = bare.contains(&rule);
            ask(
                &target,
                Some(rule).filter(|_| holds && known),
                &Evidence::none(),
            );
            let holds = holds || rule == "token";
            ask(&target, Some(rule).filter(|_| holds), &less);
        }
        for target in [
            "/int/a",
            "/uuid/7",
            "/rest",
            "/nothing",
            "/plain/7/8",
            "/plain/",
            "/many/a/y",
        ] {
            ask(target, None, &full);
        }
        ask(
            "/plain/secret",
            Some("plain").filter(|_| forbids.is_empty()),
            &full,
        );
        let (records, denials) = (&engines.counting.permits, &engines.counting.denials);
        assert!(records.load(Ordering::Relaxed) > 500 && denials.load(Ordering::Relaxed) > 500);
        assert!(engines.ring.taken() > 1_000);
    }
    assert!(counts[0] > 100 && counts[1] > 100, "{counts:?}");
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}

/// What a record shows of a claim that is neither text nor the value that is named is a hash of its text, which is made for that.
fn hashed(engine: &str, target: &str, answer: &Result<String, String>) -> usize {
    match (engine, target, answer.as_deref()) {
        ("ring", "/inside/7", Ok(_)) => 2,
        ("ring", "/claims/7", Err(reason)) if *reason == "requirement_unmet" => 1,
        _ => 0,
    }
}

/// Where a path must allocate: how often, and why.
#[test]
fn p3_what_allocates_is_known() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = rules();
    for at in 0..20 {
        let _ = writeln!(
            text,
            "[[permit]]\nfrom = 'caller'\nto = 'target'\nactions = 'GET /deep/{{a}}/z'\nrequire = {{ trust_score = {} }}",
            100 - at
        );
    }
    let shadow = "[[forbid]]\nname = 'soon'\nmode = 'shadow'\nfrom = 'any'\nto = 'target'\nactions = 'GET /plain/{id}'\n";
    let (caller, alias) = (
        peer("spiffe://prod.example/caller"),
        peer("spiffe://old.example/caller"),
    );
    let other = SpiffeId::parse("spiffe://prod.example/other").expect("id");
    let stranger = SpiffeId::parse("spiffe://prod.example/stranger").expect("id");
    let aliased = claims(
        json!({ "iss": "https://id.corp.example", "sub": "spiffe://old.example/caller", "act": { "sub": "spiffe://old.example/other" } }),
    );
    let all = claims(meets());
    let score = TrustScore::new(90, NOW, Timestamp::MAX).expect("score");
    let full = Evidence::none().with_claims(&all).with_trust_score(score);
    let engines = Engines::new(&format!("{text}{FORBIDS}"));
    let shadowed = Engines::new(&format!("{text}{shadow}"));
    let target = || ingress("target", 8443, Some(&caller));
    let portal = || ingress("portal", 443, None);
    let aliased_peer = ingress("target", 8443, Some(&alias));
    for (name, engines, flow, path, evidence, allocated, answer) in [
        (
            "a path with an escape",
            &engines,
            target(),
            "/plain/a%20b",
            full,
            0,
            Ok("plain"),
        ),
        (
            "an alias of the caller, mapped with the flow",
            &engines,
            aliased_peer,
            "/plain/7",
            full,
            0,
            Ok("plain"),
        ),
        (
            "nobody proved",
            &engines,
            portal(),
            "/portal/7",
            Evidence::none(),
            0,
            Ok("portal"),
        ),
        (
            "the same, denied",
            &engines,
            portal(),
            "/other/7",
            Evidence::none(),
            0,
            Err("no_action_permitted"),
        ),
        (
            "a forwarded id",
            &engines,
            target(),
            "/plain/7",
            full.with_forwarded(&other),
            0,
            Ok("plain"),
        ),
        (
            "one that is not trusted",
            &engines,
            target(),
            "/plain/7",
            full.with_forwarded(&stranger),
            0,
            Err("forwarded_untrusted"),
        ),
        // Whom a token names in an alias is one in the primary trust domain: two texts for each of two.
        (
            "parties in an alias",
            &engines,
            target(),
            "/actors/7",
            Evidence::none().with_claims(&aliased),
            4,
            Ok("actors"),
        ),
        // Their places stand in line up to 16.
        (
            "more than 16 rules about one path",
            &engines,
            target(),
            "/deep/a/z",
            full,
            1,
            Ok("permit-"),
        ),
        // What rules in shadow say is kept beside the judgement: the box, the list of those that are asked, and of what they say.
        (
            "a rule in shadow that says something",
            &shadowed,
            target(),
            "/plain/7",
            full,
            3,
            Ok("plain"),
        ),
        (
            "the same, silent",
            &shadowed,
            target(),
            "/int/7",
            full,
            2,
            Ok("int"),
        ),
    ] {
        let permits = flows(engines, flow);
        for (engine, found, said) in asked(engines, &permits, path, &evidence) {
            assert_eq!(found, allocated, "{name} {engine}: {said:?}");
            let same = match (&said, answer) {
                (Ok(rule), Ok(expected)) => rule.starts_with(expected),
                (Err(reason), Err(expected)) => reason == expected,
                _ => false,
            };
            assert!(same, "{name} {engine}: {said:?}");
        }
    }
}

/// A flow's permit is one allocation, and a refused flow makes none.
#[test]
fn p3_permit_flow_allocates_the_permit() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let engines = Engines::new(&format!("{}{FORBIDS}", rules()));
    let [caller, alias, stranger] = [
        "prod.example/caller",
        "old.example/caller",
        "prod.example/stranger",
    ]
    .map(|id| peer(&format!("spiffe://{id}")));
    let away = Arrival::from_addr("192.0.2.1".parse().expect("address"));
    for (name, flow, allocated, permitted) in [
        ("by name", ingress("portal", 8443, Some(&caller)), 1, true),
        ("nobody proved", ingress("portal", 443, None), 1, true),
        // Five kinds of rules speak of it, by name, label, zone, trust domain and `any`, and four stand in line.
        (
            "in five tables",
            ingress("target", 8443, Some(&caller)),
            2,
            true,
        ),
        (
            "the same, denied",
            ingress("target", 1, Some(&caller)),
            1,
            false,
        ),
        // The id in the primary trust domain is made, and looked at as any other.
        (
            "in an alias",
            ingress("target", 8443, Some(&alias)),
            6,
            true,
        ),
        (
            "forbidden",
            ingress("target", 8443, Some(&stranger)),
            0,
            false,
        ),
        (
            "at a port that is not public",
            ingress("target", 8443, None),
            0,
            false,
        ),
        (
            "at home elsewhere",
            Flow::ingress("portal", 8443, away, Some(&caller)),
            0,
            false,
        ),
        ("to nobody", ingress("nobody", 8443, None), 0, false),
    ] {
        for (engine, of) in &engines.both {
            let ask = || of.permit_flow(&flow, NOW);
            assert_eq!(
                (fewest(ask), ask().is_ok()),
                (allocated, permitted),
                "{name} {engine}"
            );
        }
    }
}
