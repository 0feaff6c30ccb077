//! Which requests ask a condition that may take long: whoever serves many judges those apart (T34).

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{CORP, Toy, forbid, permit, question};
use ztl_core::HeaderPairs;
use ztl_core::authorizer::{
    AuthorizerError, Condition, ConditionCompiler, ConditionError, Facts, Reads, Setting,
};
use ztl_core::policy::Policy;

use super::*;

/// A language of conditions that hold: `long` and `short` say how long they take, `unsaid` does not.
#[derive(Debug)]
enum Word {
    Long,
    Short,
    Unsaid,
}

#[derive(Debug)]
struct Words;

#[derive(Debug)]
struct Says(bool);

#[derive(Debug)]
struct SaysNothing;

impl ConditionCompiler for Words {
    fn compile(&self, text: &str, _: &Setting<'_>) -> Result<Arc<dyn Condition>, ConditionError> {
        let word = match text {
            "long" => Word::Long,
            "short" => Word::Short,
            _ => Word::Unsaid,
        };
        Ok(match word {
            Word::Long => Arc::new(Says(true)),
            Word::Short => Arc::new(Says(false)),
            Word::Unsaid => Arc::new(SaysNothing),
        })
    }
}

impl Condition for Says {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn holds(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        Ok(true)
    }

    fn is_heavy(&self) -> bool {
        self.0
    }
}

impl Condition for SaysNothing {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn holds(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        Ok(true)
    }
}

fn worded(permits: &[Value], forbids: &[Value]) -> Policy {
    let loader = loader().with_conditions(Arc::new(Words));
    let text = document(permits, forbids).to_string();
    let loaded = loader.load(&text, Format::Json);
    loaded.unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Of the router at the gateway: whether any action asks what is heavy, and whether these do.
fn heavy(policy: Policy) -> (bool, [bool; 4]) {
    let engine = Engine::new(policy, MemorySink::new(8)).expect("engine");
    let flow = permitted(&engine, &peer(ROUTER));
    let upgrade = get("/v1/a").with_upgrade("websocket");
    let actions = [get("/v1/a"), get("/v2/a"), upgrade, Action::Connect];
    let asks = |action| engine.asks_heavy(&flow, Some(&action));
    (engine.asks_heavy(&flow, None), actions.map(asks))
}

/// One that is told at once is asked where a request arrives; so many of them are not, whatever rules they are of.
#[test]
fn t34_many_conditions_about_one_action_take_long_together() {
    let all = json!({ "name": "open", "from": "any", "to": "gateway", "actions": ["any"] });
    let asks = |at: usize, path: &str| json!({ "name": format!("asks-{at}"), "from": "router", "to": "gateway", "actions": [path], "require": { "when": "short" } });
    let forbids = |at: usize| json!({ "name": format!("not-{at}"), "from": "router", "to": "gateway", "actions": ["GET /v1/{id}"], "when": "short" });
    let policy = |asking: usize, path: &str, forbidding: usize| {
        let permits = (0..asking).map(|at| asks(at, path)).chain([all.clone()]);
        let forbids = (0..forbidding).map(forbids);
        worded(&permits.collect::<Vec<_>>(), &forbids.collect::<Vec<_>>())
    };
    let first = [true, false, false, false];
    for (asking, forbidding, expected) in [
        (8, 0, (false, [false; 4])),
        (9, 0, (true, first)),
        (5, 3, (false, [false; 4])),
        (5, 4, (true, first)),
    ] {
        let told = heavy(policy(asking, "GET /v1/{id}", forbidding));
        assert_eq!(told, expected, "{asking} {forbidding}");
    }
    // A forbid of whom the caller is stands there twice, for it and for whoever comes along, and is asked once.
    let permits = (0..2)
        .map(|at| asks(at, "GET /v3/{id}"))
        .chain([all.clone()]);
    let twice = worded(
        &permits.collect::<Vec<_>>(),
        &(0..7).map(forbids).collect::<Vec<_>>(),
    );
    assert_eq!(heavy(twice), (true, [false; 4]));
    // About other actions each of them is alone.
    let told = heavy(policy(9, "GET /v3/{id}", 0));
    assert_eq!(told, (true, [false; 4]));
    // One rule asks once for each of its patterns that may match.
    let many = |patterns: usize| {
        let paths: Vec<_> = (0..patterns)
            .map(|at| format!("GET /v1/{{p{at}}}"))
            .collect();
        let mut rule = asks(0, "");
        rule["actions"] = json!(paths);
        worded(&[rule, all.clone()], &[])
    };
    assert_eq!(heavy(many(8)), (false, [false; 4]));
    assert_eq!(heavy(many(9)), (true, first));
}

#[test]
fn t34_permits_forbids_and_shadow_rules_say_whether_they_ask_what_is_heavy() {
    const NONE: (bool, [bool; 4]) = (false, [false; 4]);
    let on = |paths: [bool; 4]| (true, paths);
    let first = [true, false, false, false];
    let all = "GET /{v}/{id}";
    let open =
        || json!({ "name": "open", "from": "any", "to": "gateway", "actions": ["any", all] });
    let permits = |when: &str, mode: &str| json!({ "name": "asks", "from": "router", "to": "gateway", "mode": mode, "actions": ["GET /v1/{id}"], "require": { "when": when } });
    for (when, mode, expected) in [
        ("long", "enforce", on(first)),
        ("unsaid", "enforce", on(first)),
        ("long", "shadow", on(first)),
        ("long", "off", NONE),
        ("short", "enforce", NONE),
    ] {
        let policy = worded(&[open(), permits(when, mode)], &[]);
        assert_eq!(heavy(policy), expected, "{when} {mode}");
    }

    // A forbid covers more than it names, raw bytes too, and without `actions` everything.
    let covers = [true, false, true, true];
    let forbids = |from: Value, when: &str, mode: &str| json!({ "name": "asks", "from": from, "to": "gateway", "mode": mode, "actions": ["GET /v1/{id}"], "when": when });
    let mut whole = forbids(json!("router"), "long", "enforce");
    whole.as_object_mut().expect("object").remove("actions");
    let mut elsewhere = forbids(json!("router"), "long", "enforce");
    elsewhere["ports"] = json!(443);
    let mut narrowed = forbids(json!("any"), "long", "enforce");
    narrowed["subject"] = json!("user:corp/alice");
    narrowed["actors"] = json!("sensor");
    for (forbid, expected) in [
        (forbids(json!("router"), "long", "enforce"), on(covers)),
        (forbids(json!("any"), "unsaid", "enforce"), on(covers)),
        (
            forbids(json!("zone:production"), "long", "shadow"),
            on(covers),
        ),
        (forbids(json!("router"), "long", "off"), NONE),
        (forbids(json!("router"), "short", "enforce"), NONE),
        (whole, on([true; 4])),
        (narrowed, on(covers)),
        (elsewhere, (true, [false; 4])),
        // Whoever else calls: the router may bring their token, or pass their id on (T12).
        (forbids(json!("sensor"), "long", "enforce"), on(covers)),
        (
            forbids(json!("label:tier=data"), "long", "enforce"),
            on(covers),
        ),
        (forbids(json!("sensor"), "long", "shadow"), on(covers)),
        // Nobody comes along from a place.
        (
            forbids(json!("zone:iot"), "long", "enforce"),
            (true, [false; 4]),
        ),
    ] {
        let shown = forbid.to_string();
        assert_eq!(heavy(worded(&[open()], &[forbid])), expected, "{shown}");
    }
}

#[test]
fn t34_egress_asks_nothing_and_an_earlier_permit_goes_by_the_policy_in_force() {
    let asks = json!({ "name": "asks", "from": "any", "to": "gateway", "actions": ["GET /v1/{id}"], "require": { "when": "long" } });
    let plain = || worded(&[reads()], &[]);
    let engine = Engine::new(worded(std::slice::from_ref(&asks), &[]), MemorySink::new(8));
    let engine = engine.expect("engine");
    let gateway = peer(support::GATEWAY);
    let egress = Flow::egress("router", 8443, &gateway);
    let out = engine.permit_flow(&egress, NOW).expect("permit");
    assert!(!engine.asks_heavy(&out, Some(&get("/v1/a"))));

    let kept = permitted(&engine, &peer(ROUTER));
    assert!(engine.asks_heavy(&kept, Some(&get("/v1/a"))));
    engine.swap_policy(plain()).expect("swap");
    assert!(!engine.asks_heavy(&kept, Some(&get("/v1/a"))));
    let kept = permitted(&engine, &peer(ROUTER));
    let forbid = json!({ "name": "no", "from": "sensor", "to": "gateway", "actions": ["GET /v2/{id}"], "when": "long" });
    engine
        .swap_policy(worded(&[reads()], &[forbid]))
        .expect("swap");
    // What its edge would be is not known before it is permitted again.
    assert!(engine.asks_heavy(&kept, Some(&get("/v1/a"))));
}

/// The toys, each heavy, and how often they were asked.
#[derive(Clone, Debug, Default)]
struct Watched(Arc<AtomicUsize>);

#[derive(Debug)]
struct Heavy(Arc<dyn Condition>, Watched);

impl ConditionCompiler for Watched {
    fn compile(
        &self,
        text: &str,
        setting: &Setting<'_>,
    ) -> Result<Arc<dyn Condition>, ConditionError> {
        let toy = Toy.compile(text, setting)?;
        Ok(Arc::new(Heavy(toy, self.clone())))
    }
}

impl Condition for Heavy {
    fn reads(&self) -> Reads {
        self.0.reads()
    }

    fn holds(&self, facts: &Facts<'_>) -> Result<bool, AuthorizerError> {
        self.1.0.fetch_add(1, Ordering::SeqCst);
        self.0.holds(facts)
    }
}

/// Whatever is written and whoever comes along: no heavy condition is asked where it was said that none would be.
#[test]
fn t34_no_condition_is_asked_that_was_not_announced() {
    let open = json!({ "from": "any", "to": "any", "actions": ["any", "GET /{v}/{id}"], "ports": "1-65535" });
    let rules = (
        prop::collection::vec(permit(), 0..4),
        prop::collection::vec(forbid(), 0..4),
        prop::collection::vec(question(), 16),
    );
    let (asked, light) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config {
        cases: 400,
        failure_persistence: None,
        ..Config::default()
    });
    let held = runner.run(&rules, |(mut permits, forbids, questions)| {
        permits.push(open.clone());
        let watched = Watched::default();
        let loader = loader().with_conditions(Arc::new(watched.clone()));
        let text = document(&permits, &forbids).to_string();
        // Some documents do not load, whatever their conditions are.
        let Ok(policy) = loader.load(&text, Format::Json) else {
            return Ok(());
        };
        let engine = Engine::new(policy, MemorySink::new(1)).expect("engine");
        for mut question in questions {
            if question.from.is_some() {
                (question.addr, question.to, question.port) = (Some("10.10.0.5"), "gateway", 8443);
            }
            let Some(Ok(action)) = question.named() else {
                continue;
            };
            let peer = question.from.map(peer);
            let flow = Flow::ingress(
                question.to,
                question.port,
                question.arrival(),
                peer.as_ref(),
            );
            let Ok(permit) = engine.permit_flow(&flow, NOW) else {
                continue;
            };
            prop_assert_eq!(watched.0.swap(0, Ordering::SeqCst), 0, "a flow asks none");
            let announced = engine.asks_heavy(&permit, Some(&action));
            let (claims, forwarded) = (question.claims(), question.passed_on());
            let headers = HeaderPairs(&question.headers);
            let evidence = question.evidence(claims.as_ref(), &headers, forwarded.as_ref());
            let _ = engine.authorize(&permit, &action, &evidence, NOW);
            let count = watched.0.swap(0, Ordering::SeqCst);
            prop_assert!(announced || count == 0, "{:?} {}", question, text);
            prop_assert!(!announced || engine.asks_heavy(&permit, None));
            asked.set(asked.get() + usize::from(count > 0));
            light.set(light.get() + usize::from(!announced));
        }
        Ok(())
    });
    held.unwrap_or_else(|error| panic!("{error}"));
    assert!(
        asked.get() > 100 && light.get() > 100,
        "{asked:?} {light:?}"
    );
}

/// A forbid is asked about whoever comes along: a subject, an actor, an id that is passed on (T12).
#[test]
fn t34_what_others_are_forbidden_by_is_announced_before_they_are_known() {
    let long = json!({ "name": "asks", "from": "sensor", "to": "gateway", "when": "true" });
    let token = |claims: Value| Question::get(ROUTER, "gateway", 8443, "/v1/a").token(claims);
    let passes = Question::get(ROUTER, "gateway", 8443, "/v1/a").forwards(SENSOR);
    for question in [
        token(json!({ "iss": CORP, "sub": SENSOR })),
        token(json!({ "iss": CORP, "sub": "alice", "act": { "sub": SENSOR } })),
        token(json!({ "iss": CORP, "sub": ["unreadable"] })),
        passes,
    ] {
        let watched = Watched::default();
        let loader = loader().with_conditions(Arc::new(watched.clone()));
        let text = document(&[reads()], std::slice::from_ref(&long)).to_string();
        let policy = loader.load(&text, Format::Json);
        let policy = policy.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(question.ask(&policy).reason.code(), "forbidden");
        assert_eq!(watched.0.load(Ordering::SeqCst), 1, "{question:?}");
        assert!(heavy(policy).1[0]);
    }
}
