//! T30 and law 7: what a record holds of the evidence, and what masks leave of it.

use ztl_core::audit::{Field, HashKey, Mask, Masks, MemorySink};
use ztl_core::{Action, Arrival, HeaderPairs, Timestamp};

use super::support::Question;
use super::*;

fn rules() -> Value {
    document(
        &[
            json!({
                "name": "reads-much", "from": "router", "to": "gateway", "actions": ["GET /v1/{id}"],
                "require": {
                    "trust_score": 50,
                    "token": { "issuer": "i", "scopes": ["read"], "claims": { "team": "red", "level": 3 } },
                    "headers": { "x-tenant": ["a", "b"] },
                },
            }),
            json!({ "name": "reads-nothing", "from": "router", "to": "gateway", "actions": ["GET /v2/{id}"] }),
        ],
        &[],
    )
}

/// The record of one request.
fn record(
    masks: Masks,
    target: &'static str,
    tenant: &'static [u8],
    team: &str,
) -> (Value, String) {
    let audit = Arc::new(MemorySink::new(10).with_masks(masks));
    let engine = Engine::new(load(&rules()), Arc::clone(&audit)).expect("engine");
    let caller = peer(ROUTER);
    let arrival = Arrival::from_addr("10.10.0.5".parse().expect("address"));
    let flow = Flow::ingress("gateway", 8443, arrival, Some(&caller));
    let permit = engine.permit_flow(&flow, NOW).expect("flow");
    let question = Question {
        claims: Some(
            json!({ "iss": "i", "sub": "alice", "scope": "read write", "team": team, "level": 3, "secret": "hunter2" }),
        ),
        headers: vec![("x-tenant", tenant), ("authorization", b"Bearer hunter2")],
        score: Some(70),
        ..Question::get(ROUTER, "gateway", 8443, target)
    };
    let (claims, headers) = (question.claims(), HeaderPairs(&question.headers));
    let action = Action::request("GET", target).expect("action");
    let evidence = question.evidence(claims.as_ref(), &headers, None);
    let _ = engine.authorize(&permit, &action, &evidence, NOW);
    let line = audit.lines()[1].clone();
    (serde_json::from_str(&line).expect("json"), line)
}

#[test]
fn t30_a_record_holds_what_the_rules_read_and_no_more() {
    let (value, line) = record(Masks::none(), "/v1/a", b"a", "red");
    assert_eq!(value["verdict"], "permit", "{line}");
    let inputs = &value["inputs"];
    assert_eq!(inputs["trust_score"]["value"], 70);
    assert_eq!(inputs["trust_score"]["observed_at"], NOW.as_unix_secs());
    assert_eq!(inputs["token"]["scopes"], json!(["read"]));
    assert_eq!(
        inputs["token"]["claims"],
        json!({ "team": "red", "level": 3 })
    );
    assert_eq!(inputs["headers"], json!({ "x-tenant": ["a"] }));
    assert_eq!(
        (&value["issuer"], &value["subject"]),
        (&json!("i"), &json!("alice"))
    );
    assert!(
        !line.contains("hunter2") && !line.contains("write"),
        "{line}"
    );
    // The rule of this action reads nothing.
    let (value, _) = record(Masks::none(), "/v2/a", b"a", "red");
    assert_eq!(
        (&value["verdict"], &value["inputs"]),
        (&json!("permit"), &Value::Null)
    );
}

#[test]
fn t30_values_that_the_policy_does_not_name_are_hashed_with_a_key() {
    let hashed = |tenant, team| {
        let key = HashKey::from_bytes(&[9; 32]).expect("key");
        let (value, line) = record(Masks::none().with_key(key), "/v1/a", tenant, team);
        assert!(!line.contains("mallory"), "{line}");
        value["inputs"].clone()
    };
    let one = hashed(b"mallory", "mallory");
    assert_eq!(
        one,
        hashed(b"mallory", "mallory"),
        "equal values are known as equal"
    );
    let header = one["headers"]["x-tenant"][0]["hash"]
        .as_str()
        .expect("hash");
    let claim = one["token"]["claims"]["team"]["hash"]
        .as_str()
        .expect("hash");
    assert_eq!((header.len(), claim.len()), (32, 32));
    assert_ne!(header, claim);
    assert_ne!(
        header,
        hashed(b"mallory2", "red")["headers"]["x-tenant"][0]["hash"]
    );
    // Bytes that are no text are no matter.
    assert!(hashed(b"\xff\n\x1b", "red")["headers"]["x-tenant"][0]["hash"].is_string());
}

#[test]
fn t30_masked_fields_are_nowhere_in_the_line() {
    let secrets = [
        (Field::Peer, "agents/router"),
        (Field::Issuer, "\"i\""),
        (Field::Subject, "alice"),
        (Field::Addr, "10.10.0.5"),
        (Field::Zone, "production"),
        (Field::Path, "/v1/a"),
        (Field::TrustScore, "70"),
        (Field::Headers, "\"a\""),
        (Field::Claims, "\"red\""),
    ];
    for (field, secret) in secrets {
        for mask in [Mask::Hash, Mask::Drop] {
            let masks = Masks::none().with(field, mask);
            let (value, line) = record(masks, "/v1/a", b"a", "red");
            // A hash may hold digits by chance.
            let shown = if field == Field::TrustScore {
                value["inputs"]["trust_score"]["value"] == 70
            } else {
                line.contains(secret)
            };
            assert!(!shown, "{field:?} {mask:?}: {line}");
            assert_eq!(value["reason"], "permitted");
            assert_eq!(value["rule"], "reads-much");
        }
    }
    let (value, _) = record(
        Masks::none().with(Field::Path, Mask::Hash),
        "/v1/a",
        b"a",
        "red",
    );
    assert_eq!(value["action"], "GET");
    assert!(value["path"]["hash"].is_string());
}

#[test]
fn t30_masks_come_before_the_chain_and_are_named_in_it() {
    let disk = Disk::default();
    let masks = Masks::from_names([("addr", "hash"), ("peer", "drop")]).expect("masks");
    let sink = quiet()
        .masks(masks)
        .to_writer(disk.clone(), NOW)
        .expect("sink");
    let engine = engine(sink);
    assert_eq!(permit(&engine), Ok(()));
    for _ in 0..3 {
        let _ = ask(&engine, None, "192.0.2.7");
    }
    drop(engine);
    let bytes = disk.bytes();
    let text = String::from_utf8(bytes.clone()).expect("text");
    assert!(!text.contains("10.10.0.5") && !text.contains("192.0.2") && !text.contains("router\""));
    assert_eq!(
        lines(&bytes)[0]["masks"],
        json!({ "addr": "hash", "peer": "drop" })
    );
    assert!(verify(&bytes).expect("holds").is_whole());
}

#[test]
fn t30_the_longest_record_is_a_line_that_can_be_verified() {
    let name = |n: usize| format!("x-{n:03}-{}", "n".repeat(200));
    let headers: serde_json::Map<_, _> = (0..60)
        .map(|n| (name(n), json!(["v".repeat(4000)])))
        .collect();
    let mut permits = vec![
        json!({ "name": "wide", "from": "router", "to": "gateway", "actions": ["GET /{*rest}"], "require": { "headers": headers } }),
    ];
    for n in 0..100 {
        permits.push(json!({ "name": format!("shadow-{n}"), "from": "router", "to": "gateway", "actions": ["GET /{*rest}"], "mode": "shadow" }));
    }
    let disk = Disk::default();
    let sink = quiet().to_writer(disk.clone(), NOW).expect("sink");
    let engine = Engine::new(load(&document(&permits, &[])), sink).expect("engine");
    let caller = peer(ROUTER);
    let arrival = Arrival::from_addr("10.10.0.5".parse().expect("address"));
    let permit = engine
        .permit_flow(&Flow::ingress("gateway", 8443, arrival, Some(&caller)), NOW)
        .expect("flow");
    let names: Vec<_> = (0..60).map(name).collect();
    let value = "v".repeat(4000);
    let pairs: Vec<_> = names
        .iter()
        .flat_map(|name| [(name.as_str(), value.as_bytes()); 20])
        .collect();
    let headers = HeaderPairs(&pairs);
    let target = format!("/{}", "p".repeat(8000));
    let action = Action::request("GET", &target).expect("action");
    assert!(
        engine
            .authorize(
                &permit,
                &action,
                &ztl_core::Evidence::none().with_headers(&headers),
                Timestamp::from_unix_secs(NOW.as_unix_secs() + 1)
            )
            .is_ok()
    );
    drop(engine);
    let bytes = disk.bytes();
    assert!(verify(&bytes).expect("holds").is_whole());
    let record = &lines(&bytes)[2];
    assert_eq!(
        (&record["inputs"]["more"], &record["shadow_more"]),
        (&json!(true), &json!(68))
    );
    let longest = bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::len)
        .max()
        .expect("line");
    assert!(longest < 32 * 1024, "{longest}");
}

#[test]
fn t30_of_an_object_only_what_the_rule_names_is_recorded() {
    let inner = |count: usize| {
        let members: serde_json::Map<String, Value> = (0..count)
            .map(|at| (format!("n{at}"), json!("red")))
            .collect();
        Value::Object(members)
    };
    let record = |wanted: &Value, found: &Value| {
        let rule = json!({
            "from": "router", "to": "gateway", "actions": ["GET /v1"],
            "require": { "token": { "claims": { "access": wanted } } },
        });
        let audit = Arc::new(MemorySink::new(10));
        let engine =
            Engine::new(load(&document(&[rule], &[])), Arc::clone(&audit)).expect("engine");
        let caller = peer(ROUTER);
        let arrival = Arrival::from_addr("10.10.0.5".parse().expect("address"));
        let flow = Flow::ingress("gateway", 8443, arrival, Some(&caller));
        let permit = engine.permit_flow(&flow, NOW).expect("flow");
        let question = Question {
            claims: Some(json!({ "iss": "i", "sub": "alice", "access": found })),
            ..Question::get(ROUTER, "gateway", 8443, "/v1")
        };
        let claims = question.claims();
        let headers = HeaderPairs(&question.headers);
        let action = Action::request("GET", "/v1").expect("action");
        let evidence = question.evidence(claims.as_ref(), &headers, None);
        let _ = engine.authorize(&permit, &action, &evidence, NOW);
        let line = audit.lines()[1].clone();
        assert!(!line.contains("hunter2"), "{line}");
        serde_json::from_str::<Value>(&line).expect("json")
    };
    let wanted = json!({ "team": "red", "deep": { "on": true }, "gone": 1 });
    let found =
        json!({ "team": "red", "deep": { "on": true, "secret": "hunter2" }, "x": "hunter2" });
    let one = record(&wanted, &found);
    assert_eq!(one["reason"], "requirement_unmet");
    assert_eq!(
        one["inputs"]["token"]["claims"],
        json!({ "access": { "team": "red", "deep": { "on": true }, "gone": null } })
    );
    let whole = record(&inner(200), &inner(200));
    assert_eq!(whole["verdict"], "permit");
    assert_eq!(whole["inputs"]["more"], true);
    let told = whole["inputs"]["token"]["claims"]["access"].as_object();
    assert_eq!(told.map(serde_json::Map::len), Some(31));
}

#[test]
fn rule_7_a_record_says_what_failed_of_a_condition_or_an_authorizer() {
    let permit = |require: Value| {
        let rule = json!({ "name": "asks", "from": "router", "to": "gateway", "actions": ["GET /v1/{id}"], "require": require });
        document(&[rule], &[])
    };
    let open =
        json!({ "name": "open", "from": "router", "to": "gateway", "actions": ["GET /v1/{id}"] });
    let forbid = |when: &str| {
        let rule = json!({ "name": "asks", "from": "router", "to": "gateway", "when": when });
        document(std::slice::from_ref(&open), &[rule])
    };
    for (document, reason, failed) in [
        (
            permit(json!({ "when": "error" })),
            "authorizer_failed",
            json!("`error` fails"),
        ),
        (
            permit(json!({ "authorizer": "broken" })),
            "authorizer_failed",
            json!("broken"),
        ),
        (forbid("error"), "forbidden", json!("`error` fails")),
        (permit(json!({ "when": "false" })), "objected", Value::Null),
        (forbid("true"), "forbidden", Value::Null),
        (forbid("token"), "forbidden", Value::Null),
    ] {
        let audit = Arc::new(MemorySink::new(10));
        let engine = Engine::new(load(&document), Arc::clone(&audit)).expect("engine");
        let caller = peer(ROUTER);
        let arrival = Arrival::from_addr("10.10.0.5".parse().expect("address"));
        let flow = Flow::ingress("gateway", 8443, arrival, Some(&caller));
        let permit = engine.permit_flow(&flow, NOW).expect("flow");
        let action = Action::request("GET", "/v1/a").expect("action");
        let evidence = ztl_core::Evidence::none();
        assert!(engine.authorize(&permit, &action, &evidence, NOW).is_err());
        let line: Value = serde_json::from_str(&audit.lines()[1]).expect("json");
        assert_eq!(
            (&line["reason"], &line["failed"]),
            (&json!(reason), &failed),
            "{line}"
        );
        // And so does an explanation.
        let input = ztl_core::policy::Input::new(flow).with_action(Ok(action));
        let shown = format!("{:?}", engine.explain(&input, NOW));
        assert_eq!(
            failed.as_str().is_some_and(|text| shown.contains(text)),
            failed.is_string(),
            "{shown}"
        );
    }
}

/// An authorizer that counts how often it is asked, and can never tell.
#[derive(Debug, Default)]
struct Counting(std::sync::atomic::AtomicUsize);

impl ztl_core::authorizer::Authorizer for Counting {
    fn reads(&self) -> ztl_core::authorizer::Reads {
        ztl_core::authorizer::Reads::nothing()
    }

    fn objects(
        &self,
        facts: &ztl_core::authorizer::Facts<'_>,
    ) -> Result<bool, ztl_core::authorizer::AuthorizerError> {
        let asked = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let target = facts.target;
        Err(ztl_core::authorizer::AuthorizerError(format!(
            "question {asked} about {target}"
        )))
    }
}

#[test]
fn t34_what_failed_is_not_asked_again_for_the_record() {
    let counting = Arc::new(Counting::default());
    let rule = |name: &str, path: &str| json!({ "name": name, "from": "router", "to": "gateway", "actions": [path], "require": { "authorizer": "counting" } });
    let document = document(
        &[
            rule("first", "GET /v1/{id}"),
            rule("second", "GET /v1/{*rest}"),
        ],
        &[],
    );
    let loader = super::support::loader().with_authorizer("counting", counting.clone());
    let text = document.to_string();
    let policy = loader.load(&text, ztl_core::policy::Format::Json);
    let policy = policy.unwrap_or_else(|error| panic!("{error}"));
    let (one, two) = (Arc::new(MemorySink::new(10)), Arc::new(MemorySink::new(10)));
    let engine = Engine::new(policy, (Arc::clone(&one), Arc::clone(&two))).expect("engine");
    let caller = peer(ROUTER);
    let arrival = Arrival::from_addr("10.10.0.5".parse().expect("address"));
    let flow = Flow::ingress("gateway", 8443, arrival, Some(&caller));
    let permit = engine.permit_flow(&flow, NOW).expect("flow");
    let action = Action::request("GET", "/v1/a").expect("action");
    let evidence = ztl_core::Evidence::none();
    assert!(engine.authorize(&permit, &action, &evidence, NOW).is_err());
    // Once for each rule that names the action, whoever writes it down; and what is told is of the rule that is named.
    assert_eq!(counting.0.load(std::sync::atomic::Ordering::SeqCst), 2);
    for sink in [one, two] {
        let line: Value = serde_json::from_str(&sink.lines()[1]).expect("json");
        assert_eq!(
            (&line["rule"], &line["failed"]),
            (&json!("first"), &json!("question 0 about gateway")),
            "{line}"
        );
    }
}

/// Law 8: a record of what runs already says that nobody asked.
#[test]
fn law_8_a_record_tells_that_nobody_asked() {
    let audit = Arc::new(MemorySink::new(10));
    let engine = Engine::new(load(&rules()), Arc::clone(&audit)).expect("engine");
    let caller = peer(ROUTER);
    let arrival = Arrival::from_addr("10.10.0.5".parse().expect("address"));
    let flow = Flow::ingress("gateway", 8443, arrival, Some(&caller));
    let permit = engine.permit_flow(&flow, NOW).expect("flow");
    let action = Action::request("GET", "/v2/a").expect("action");
    let evidence = ztl_core::Evidence::none();
    let renew = || Ok(permit.clone());
    let asked = engine.authorize(&permit, &action, &evidence, NOW);
    let again = engine.authorize_again(&permit, renew, &action, &evidence, NOW);
    assert!(asked.is_ok() && again.is_ok());
    engine.refuse_on(&permit, Some(&action), Reason::LimitExceeded, NOW);
    engine.refuse_again(&permit, Some(&action), Reason::AuthorizerFailed, NOW);
    let expired = engine.authorize_again(&permit, renew, &action, &evidence, Timestamp::MAX);
    assert!(expired.is_err());
    let said = audit.lines();
    let said = said.iter().map(|line| {
        let line: Value = serde_json::from_str(line).expect("json");
        line.get("again").cloned()
    });
    let again = || Some(json!(true));
    let wanted = [None, None, again(), None, again(), again()];
    assert_eq!(said.collect::<Vec<_>>(), wanted);
}

/// T12: whoever comes along and was judged stands in the record, so that it says for whom it was, and can be decided again.
#[test]
fn t12_a_record_tells_who_came_along() {
    let permits = [json!({
        "name": "by-login", "from": "router", "to": "gateway", "actions": ["GET /v1/{id}"],
        "actors": ["any"],
        "require": { "mfa": true, "token": { "claims": { "team": "red", "level": 3 } } },
    })];
    let forbids = [
        json!({ "name": "no-things", "from": "label:tier=thing", "to": "gateway", "actions": ["GET /v1/secret"] }),
    ];
    let policy = load(&document(&permits, &forbids));
    let audit = Arc::new(MemorySink::new(10));
    let masked = Masks::from_names([("peer", "hash"), ("subject", "drop"), ("issuer", "hash")]);
    let hidden = Arc::new(MemorySink::new(10).with_masks(masked.expect("masks")));
    let engine = Engine::new(policy, (Arc::clone(&audit), Arc::clone(&hidden))).expect("engine");
    let caller = peer(ROUTER);
    let arrival = Arrival::from_addr("10.10.0.5".parse().expect("address"));
    let flow = Flow::ingress("gateway", 8443, arrival, Some(&caller));
    let permit = engine.permit_flow(&flow, NOW).expect("flow");
    let chain = json!({ "sub": super::support::RETRIEVER, "act": { "iss": "https://b.example", "sub": "batch" } });
    let ask = |target: &'static str, passed_on: Option<&'static str>| {
        let question = Question {
            claims: Some(
                json!({ "iss": "i", "sub": "alice", "amr": ["pwd", "mfa"], "team": "red", "level": 3, "act": chain }),
            ),
            forwarded: passed_on,
            ..Question::get(ROUTER, "gateway", 8443, target)
        };
        let (claims, forwarded) = (question.claims(), question.passed_on());
        let headers = HeaderPairs(&question.headers);
        let evidence = question.evidence(claims.as_ref(), &headers, forwarded.as_ref());
        let action = Action::request("GET", target).expect("action");
        let _ = engine.authorize(&permit, &action, &evidence, NOW);
        let line = |audit: &MemorySink| audit.lines().pop().expect("a record");
        (line(&audit), line(&hidden))
    };
    let actors = json!([
        { "subject": super::support::RETRIEVER },
        { "issuer": "https://b.example", "subject": "batch" },
    ]);
    for (target, passed_on, reason) in [
        ("/v1/a", None, "permitted"),
        ("/v1/secret", Some(super::support::SENSOR), "forbidden"),
        ("/v1/a", Some(super::support::STORE), "forwarded_untrusted"),
    ] {
        let (line, hidden) = ask(target, passed_on);
        let value: Value = serde_json::from_str(&line).expect("json");
        assert_eq!(value["reason"], reason, "{line}");
        assert_eq!(value["actors"], actors, "{line}");
        assert_eq!(value["forwarded"], json!(passed_on), "{line}");
        // What is masked of a peer and a subject is masked of these.
        for secret in [
            "alice",
            "batch",
            "b.example",
            "things/sensor",
            "data/store",
            "agents/",
        ] {
            assert!(!hidden.contains(secret), "{secret}: {hidden}");
        }
        // The same question again, from the record alone.
        let recorded = ztl_core::policy::Query::from_record(&line).expect("a record");
        let again = recorded
            .query
            .decide(&load(&document(&permits, &forbids)), NOW);
        assert_eq!(again.expect("a question").reason.code(), reason, "{line}");
        if reason == "permitted" {
            assert_eq!(value["inputs"]["token"]["login"], "mfa", "{line}");
        }
    }
}
