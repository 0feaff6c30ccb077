//! Explanations of attacks: each names the clause that stopped it.

use serde_json::{Value, json};
use ztl_core::policy::Explanation;
use ztl_core::{Clause, Reason};

use super::explained;
use crate::support::{
    CORP, NOW, Question, RETRIEVER, ROUTER, SENSOR, STRANGER, actors, document, load,
};

fn ask(permit: Value, question: &Question) -> Explanation {
    explained(question, &load(&document(&[permit], &[])))
}

fn permit() -> Value {
    json!({ "name": "reads", "from": "router", "to": "gateway", "actions": "GET /v1/{id:int}", "ports": 8443 })
}

fn get(target: &'static str) -> Question {
    Question::get(ROUTER, "gateway", 8443, target)
}

fn failed(why: &Explanation) -> (Clause, &str, &str) {
    let failed = why.rules[0].failed().expect("a clause that failed");
    (failed.clause, &failed.expected, &failed.got)
}

fn nearest(why: &Explanation) -> Vec<String> {
    let all = why.nearest.otherwise.iter();
    all.map(ToString::to_string).collect()
}

#[test]
fn t3_a_caller_that_proved_nothing_is_told_who_may() {
    let why = ask(permit(), &Question::anonymous("gateway", 8443, "/v1/7"));
    assert_eq!(why.decision.reason, Reason::IdentityUnproven);
    let step = &why.steps[0];
    assert_eq!(
        step.failed.as_ref().map(|one| one.clause),
        Some(Clause::Proof)
    );
    assert_eq!(nearest(&why), ["the caller were `router`"]);
    assert!(why.rules.is_empty());
}

#[test]
fn t19_a_path_with_two_readings_is_repaired_by_nobody() {
    let why = ask(permit(), &get("/v1/%2e"));
    assert_eq!(why.decision.reason, Reason::PathAmbiguous);
    let failed = why.steps[2].failed.as_ref().expect("a clause");
    assert_eq!(failed.clause, Clause::Path);
    assert!(failed.got.contains("RFC 3986"), "{}", failed.got);
    assert!(nearest(&why).is_empty());
}

#[test]
fn a_parameter_of_the_wrong_kind_is_the_path() {
    let why = ask(permit(), &get("/v1/seven"));
    assert_eq!(failed(&why), (Clause::Path, "/v1/{id:int}", "/v1/seven"));
    assert_eq!(nearest(&why), ["the path were `/v1/1`"]);
}

#[test]
fn a_port_that_no_rule_speaks_of_is_named() {
    let why = ask(permit(), &Question::get(ROUTER, "gateway", 443, "/v1/7"));
    assert_eq!(failed(&why), (Clause::Port, "8443", "443"));
    assert_eq!(nearest(&why), ["the port were 8443"]);
}

#[test]
fn rule_45_head_is_not_get() {
    let why = ask(permit(), &get("/v1/7").method("HEAD"));
    assert_eq!(failed(&why), (Clause::Method, "GET", "HEAD"));
    assert_eq!(nearest(&why), ["the method were `GET`"]);
}

#[test]
fn t26_a_caller_in_the_wrong_place_is_told_where_it_belongs() {
    let why = ask(permit(), &get("/v1/7").at("10.20.0.5"));
    assert_eq!(why.decision.reason, Reason::ZoneMismatch);
    let failed = why.steps[1].failed.as_ref().expect("a clause");
    assert_eq!(
        (failed.clause, &*failed.expected, &*failed.got),
        (Clause::Zone, "zone:production", "zone:iot")
    );
    assert_eq!(nearest(&why), ["it arrived from the zone `production`"]);
}

#[test]
fn t12_who_comes_along_is_named_as_what_is_forbidden() {
    let forbid = json!({ "name": "no-things", "from": "sensor", "to": "gateway" });
    let policy = load(&document(&[permit()], &[forbid]));
    let token = json!({ "iss": CORP, "sub": SENSOR });
    let why = explained(&get("/v1/7").token(token), &policy);
    assert_eq!(why.decision.reason, Reason::Forbidden);
    assert!(why.rules[0].matches && why.rules[0].decided);
    assert_eq!(&*why.rules[0].rule, "no-things");
    let why = explained(&get("/v1/7").forwards(STRANGER), &policy);
    assert_eq!(why.decision.reason, Reason::ForwardedUntrusted);
    assert_eq!(nearest(&why), ["nothing were passed on"]);
}

#[test]
fn t12_each_requirement_says_what_it_wants_and_what_there_was() {
    let with = |key: &str, clause: Value| {
        let mut permit = permit();
        permit[key] = clause;
        permit
    };
    let require = |clause: Value| with("require", clause);
    let mut scored = get("/v1/7");
    scored.score = Some(30);
    let token = |scope: &str| json!({ "iss": CORP, "sub": "alice", "scope": scope });
    let mut stale = get("/v1/7").token(token("read"));
    stale.stale = true;
    let mut headed = get("/v1/7");
    headed.headers = vec![("x-tenant", b"z")];
    let chain = json!({ "iss": CORP, "sub": "alice", "act": actors(1) });
    let cases = [
        (
            require(json!({ "trust_score": 70 })),
            scored,
            (Clause::TrustScore, "at least 70", "30"),
            "the trust score were at least 70",
        ),
        (
            require(json!({ "zone_trust": 9 })),
            get("/v1/7"),
            (Clause::ZoneTrust, "at least 9", "3 of zone:production"),
            "",
        ),
        (
            require(json!({ "token": { "scopes": ["read"] } })),
            get("/v1/7").token(token("write")),
            (
                Clause::Scope,
                "a token with scope read",
                "scope = \"write\"",
            ),
            "the token had the scope `read`",
        ),
        (
            require(json!({ "token": { "scopes": ["read"] } })),
            stale,
            (Clause::Token, "a token with scope read", "an expired token"),
            "there were a token with scope read",
        ),
        (
            require(json!({ "mfa": "phishing-resistant" })),
            get("/v1/7").token(token("read")),
            (
                Clause::Mfa,
                "a login that cannot be phished",
                "no `amr`, no `acr`",
            ),
            "the token were of a login that cannot be phished",
        ),
        (
            require(json!({ "headers": { "x-tenant": ["a"] } })),
            headed,
            (Clause::Header, "x-tenant: a", "1 values, 1 of them others"),
            "it had the field `x-tenant: a`",
        ),
        (
            with("subject", json!("user:corp/bob")),
            get("/v1/7").token(token("read")),
            (Clause::Subject, "user:corp/bob", "sub = \"alice\""),
            "the token's subject were bob of https://idp.example",
        ),
        (
            with("actors", json!("retriever")),
            get("/v1/7").token(chain),
            (
                Clause::Actors,
                "retriever",
                "act = {\"sub\":\"spiffe://prod.example/agents/router\"}",
            ),
            "the token's actor were spiffe://prod.example/agents/retriever of https://idp.example",
        ),
    ];
    for (permit, question, wanted, otherwise) in cases {
        let why = ask(permit, &question);
        assert_eq!(failed(&why), wanted);
        let otherwise = Some(otherwise.to_owned()).filter(|text| !text.is_empty());
        assert_eq!(nearest(&why).first(), otherwise.as_ref(), "{wanted:?}");
    }
}

#[test]
fn what_hangs_on_a_condition_is_not_guessed() {
    for clause in [
        json!({ "when": "false" }),
        json!({ "when": "error" }),
        json!({ "authorizer": ["agreeable", "objector"] }),
    ] {
        let mut permit = permit();
        permit["require"] = clause.clone();
        let why = ask(permit, &get("/v1/7"));
        assert!(nearest(&why).is_empty());
        assert_eq!(
            why.nearest
                .opaque
                .iter()
                .map(|rule| &**rule)
                .collect::<Vec<_>>(),
            ["reads"]
        );
        let (failed, expected, _) = failed(&why);
        match clause.get("authorizer") {
            Some(_) => assert_eq!(
                (failed, expected),
                (Clause::Authorizer, "no objection of objector")
            ),
            None => assert_eq!(
                (failed, expected),
                (Clause::When, clause["when"].as_str().expect("text"))
            ),
        }
    }
}

#[test]
fn only_some_rules_are_shown_and_the_rest_is_counted() {
    let permits: Vec<_> = (0..40)
        .map(|at| json!({ "from": "retriever", "to": "gateway", "ports": 8443, "actions": format!("GET /a{at}") }))
        .collect();
    let why = explained(&get("/v1/7"), &load(&document(&permits, &[])));
    assert_eq!((why.rules.len(), why.more_rules), (16, 24));
    assert!(why.nearest.decisions <= 64);
    let lines = why.json("");
    assert_eq!(lines["more_rules"], 24);
    assert_eq!(lines["now"], NOW.as_unix_secs());
}

#[test]
fn an_unknown_target_shows_the_rules_about_the_caller() {
    let policy = load(&document(&[permit()], &[]));
    let why = explained(&Question::get(ROUTER, "nobody", 1, "/"), &policy);
    assert_eq!(failed(&why), (Clause::To, "gateway", "nobody"));
    let why = explained(&Question::get(RETRIEVER, "nobody", 1, "/"), &policy);
    assert!(why.rules.is_empty());
}
