//! Behaviour, from the records of a real engine.

use core::time::Duration;

use ztl_authz::trust::{About, Behaviour, Measure, Signals, Whom};
use ztl_core::audit::MemorySink;
use ztl_core::{
    Action, Arrival, Claims, Engine, Evidence, Flow, Peer, Proof, Reason, SpiffeId, Timestamp,
    Verdict,
};

use super::{NOW, id, policy};

const WINDOW: Duration = Duration::from_secs(80);

struct Run {
    engine: Engine,
    behaviour: Behaviour,
    signals: Signals,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test vouches for its own peers"
)]
fn peer(id: &SpiffeId) -> Peer {
    let proof = Proof::Asserted {
        id: id.clone(),
        by: "test".into(),
        expires_at: Timestamp::MAX,
        leaf_sha256: None,
    };
    Peer::assertion(proof, "test")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test vouches for its own claims"
)]
fn claims(user: &str) -> Claims {
    let claims = serde_json::json!({ "iss": "https://idp.example", "sub": user });
    Claims::assertion(
        claims.as_object().expect("object").clone(),
        Timestamp::MAX,
        "test",
    )
}

impl Run {
    fn new() -> Self {
        Self::with("")
    }

    fn with(more: &str) -> Self {
        let calm = "[trust.signals.calm]\nweight = 100\nmax_age = 60\n";
        Self::weighing(&format!("{calm}{more}"), "calm", Measure::Calm)
    }

    /// One whose policy weighs this measure alone.
    fn weighing(trust: &str, name: &str, measure: Measure) -> Self {
        let policy = policy(trust);
        let behaviour = Behaviour::new(WINDOW, 100);
        let signals = Signals::none().with(name, behaviour.measure(measure));
        signals.check(&policy).expect("it has a source");
        let sink = behaviour.watching(MemorySink::new(10));
        Self {
            engine: Engine::new(policy, sink).expect("engine"),
            behaviour,
            signals,
        }
    }

    fn ask(&self, of: &SpiffeId, path: &str, now: Timestamp) -> Verdict {
        self.ask_for(of, None, path, now)
    }

    fn ask_for(&self, of: &SpiffeId, user: Option<&str>, path: &str, now: Timestamp) -> Verdict {
        let peer = peer(of);
        let claims = user.map(claims);
        let flow = Flow::ingress("one", 8443, Arrival::unknown(), Some(&peer));
        let permit = self.engine.permit_flow(&flow, now).expect("flow");
        let policy = self.engine.policy();
        let scorer = policy.scorer().expect("[trust]");
        let score = self.signals.score(scorer, Whom::peer(of), now);
        let mut evidence = Evidence::none().with_trust_score(score);
        evidence.claims = claims.as_ref();
        let action = Action::request("GET", path).expect("path");
        match self.engine.authorize(&permit, &action, &evidence, now) {
            Ok(_) => Verdict::Permit,
            Err(_) => Verdict::Deny,
        }
    }

    fn value(&self, measure: Measure, of: &SpiffeId, now: Timestamp) -> Option<u8> {
        self.behaviour.value(measure, About::Peer(of), now)
    }
}

fn later(seconds: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(seconds))
}

#[test]
fn a_caller_that_was_never_seen_is_not_known() {
    let run = Run::new();
    let client = id("/client");
    assert_eq!(run.value(Measure::Calm, &client, NOW), None);
    // T4: nothing known adds nothing.
    assert_eq!(run.ask(&client, "/scored", NOW), Verdict::Deny);
    assert_eq!(run.ask(&client, "/open/a", NOW), Verdict::Permit);
    assert_eq!(run.value(Measure::Novelty, &client, NOW), Some(5));
    assert_eq!(run.ask(&client, "/scored", NOW), Verdict::Permit);
}

#[test]
fn shares_are_of_all_decisions_within_the_window() {
    let run = Run::new();
    let (client, other) = (id("/client"), id("/other"));
    for _ in 0..30 {
        assert_eq!(run.ask(&client, "/open/a", NOW), Verdict::Permit);
    }
    for _ in 0..10 {
        assert_eq!(run.ask(&client, "/closed", NOW), Verdict::Deny);
    }
    assert_eq!(run.value(Measure::Denials, &client, NOW), Some(25));
    assert_eq!(run.value(Measure::Rate, &client, NOW), Some(40));
    assert_eq!(run.value(Measure::Novelty, &client, NOW), Some(5));
    assert_eq!(run.value(Measure::Calm, &client, NOW), Some(60));
    assert_eq!(run.value(Measure::Denials, &other, NOW), None);
    assert_eq!(run.value(Measure::Denials, &client, later(69)), Some(25));
    assert_eq!(run.value(Measure::Denials, &client, later(80)), None);
}

#[test]
fn who_probes_loses_its_trust_and_gets_it_back_when_it_is_quiet() {
    let run = Run::new();
    let client = id("/client");
    for _ in 0..20 {
        assert_eq!(run.ask(&client, "/open/a", NOW), Verdict::Permit);
    }
    assert_eq!(run.ask(&client, "/scored", NOW), Verdict::Permit);
    for n in 0..30 {
        assert_eq!(run.ask(&client, &format!("/probe{n}"), NOW), Verdict::Deny);
    }
    assert_eq!(run.ask(&client, "/scored", NOW), Verdict::Deny);
    let quiet = later(90);
    for _ in 0..20 {
        assert_eq!(run.ask(&client, "/open/a", quiet), Verdict::Permit);
    }
    assert_eq!(run.ask(&client, "/scored", quiet), Verdict::Permit);
}

#[test]
fn a_denial_for_want_of_trust_does_not_lower_trust() {
    let run = Run::new();
    let client = id("/client");
    for _ in 0..50 {
        assert_eq!(run.ask(&client, "/scored", NOW), Verdict::Deny);
    }
    assert_eq!(run.value(Measure::Denials, &client, NOW), None);
}

/// T4: whoever is not known cannot make itself known by being denied for that.
#[test]
fn t4_with_a_negative_weight_a_caller_is_known_from_a_decision_without_a_score() {
    let trust = "[trust]\nbase = 100\n[trust.signals.denials]\nweight = -100\nmax_age = 60\n";
    let run = Run::weighing(trust, "denials", Measure::Denials);
    let client = id("/client");
    // Once, and again after each window in which it was quiet.
    for since in [NOW, later(90)] {
        for _ in 0..30 {
            assert_eq!(run.ask(&client, "/scored", since), Verdict::Deny);
        }
        assert_eq!(run.value(Measure::Denials, &client, since), None);
        assert_eq!(run.ask(&client, "/open/a", since), Verdict::Permit);
        assert_eq!(run.ask(&client, "/scored", since), Verdict::Permit);
    }
    // Nor are denials that count watered down by those that do not.
    for n in 0..20 {
        assert_eq!(
            run.ask(&client, &format!("/probe{n}"), later(90)),
            Verdict::Deny
        );
    }
    let denials = run.value(Measure::Denials, &client, later(90));
    assert_eq!(run.ask(&client, "/scored", later(90)), Verdict::Deny);
    assert!(denials >= Some(60), "{denials:?}");
    assert_eq!(run.value(Measure::Denials, &client, later(90)), denials);
}

#[test]
fn an_id_in_a_path_is_not_new_every_time() {
    let run = Run::new();
    let client = id("/client");
    for n in 0..40 {
        assert_eq!(
            run.ask(&client, &format!("/open/items/{n}"), NOW),
            Verdict::Permit
        );
    }
    assert_eq!(run.value(Measure::Novelty, &client, NOW), Some(2));
}

#[test]
fn t35_memory_is_bounded_and_the_quietest_is_forgotten() {
    let run = Run::new();
    let first = id("/first");
    run.ask(&first, "/open/a", NOW);
    for n in 0..12_000 {
        run.ask(&id(&format!("/many/{n}")), "/open/a", later(11));
    }
    let known = (0..12_000).filter(|n| {
        let one = id(&format!("/many/{n}"));
        run.value(Measure::Rate, &one, later(11)).is_some()
    });
    let known = known.count();
    assert!((8_000..=10_240).contains(&known), "{known}");
    assert_eq!(run.value(Measure::Rate, &first, later(11)), None);
}

#[test]
fn a_clock_that_is_set_back_loses_nothing() {
    let run = Run::new();
    let client = id("/client");
    run.ask(&client, "/open/a", later(30));
    run.ask(&client, "/open/a", later(1));
    assert_eq!(run.value(Measure::Rate, &client, later(30)), Some(2));
}

#[test]
fn t33_a_gateway_does_not_fall_by_what_its_users_do() {
    let run = Run::new();
    let (gateway, other) = (id("/gateway"), id("/other"));
    let user = |through, subject| About::Subject {
        issuer: "https://idp.example",
        subject,
        through,
    };
    for _ in 0..20 {
        assert_eq!(run.ask(&gateway, "/open/a", NOW), Verdict::Permit);
    }
    for n in 0..40 {
        let path = format!("/users/{n}");
        assert_eq!(
            run.ask_for(&gateway, Some("mallory"), &path, NOW),
            Verdict::Deny
        );
        // A token that is missing or bad: whose doing that is was not proved.
        assert_eq!(run.ask_for(&gateway, None, "/users/x", NOW), Verdict::Deny);
    }
    assert_eq!(run.value(Measure::Denials, &gateway, NOW), Some(0));
    let denials = |about| run.behaviour.value(Measure::Denials, about, NOW);
    assert_eq!(denials(user(Some(&gateway), "mallory")), Some(100));
    assert_eq!(denials(user(Some(&gateway), "alice")), None);
    assert_eq!(denials(user(Some(&other), "mallory")), None);
}

/// Nor by what they are refused after they were permitted, nor by a forbid that fires because no token is good.
#[test]
fn t33_a_gateway_does_not_fall_by_what_is_refused_of_its_users_otherwise() {
    let forbids =
        "[[forbid]]\nname = \"barred\"\nfrom = \"any\"\nto = \"one\"\nactions = \"GET /barred\"";
    let of_user = format!("{forbids}\nsubject = \"issuer:idp\"\n");
    for (forbid, of_gateway) in [(of_user.as_str(), Some(0)), (forbids, Some(50))] {
        let run = Run::with(forbid);
        let gateway = id("/gateway");
        for _ in 0..40 {
            let asked = run.ask_for(&gateway, None, "/barred", NOW);
            assert_eq!(asked, Verdict::Deny);
            assert_eq!(run.ask(&gateway, "/open/a", NOW), Verdict::Permit);
        }
        assert_eq!(run.value(Measure::Denials, &gateway, NOW), of_gateway);
    }

    // Its flows read tokens, as a permit asks for one; those of the other target do not.
    let run = Run::new();
    let gateway = id("/gateway");
    let mallory = claims("mallory");
    let of_mallory = About::Subject {
        issuer: "https://idp.example",
        subject: "mallory",
        through: Some(&gateway),
    };
    let peer = peer(&gateway);
    for (target, claims, denied) in [("one", Some(&mallory), None), ("two", None, Some(50))] {
        let flow = Flow::ingress(target, 8443, Arrival::unknown(), Some(&peer));
        let flow = run.engine.permit_flow(&flow, NOW).expect("flow");
        let action = Action::request("GET", "/open/a").expect("path");
        let mut evidence = Evidence::none();
        evidence.claims = claims;
        for _ in 0..40 {
            let permit = run.engine.authorize(&flow, &action, &evidence, NOW);
            let permit = permit.expect("permitted");
            let limit = Reason::LimitExceeded;
            let refused = run
                .engine
                .refuse_permitted(&flow, &permit, Some(&action), limit, NOW);
            assert_eq!(refused.decision().reason, limit);
        }
        assert_eq!(
            run.value(Measure::Denials, &gateway, NOW),
            denied,
            "{target}"
        );
    }
    let of_mallory = run.behaviour.value(Measure::Rate, of_mallory, NOW);
    assert_eq!(
        of_mallory,
        Some(40),
        "who asked is known where it was permitted"
    );
}

/// T13: whoever comes by another name of its workload is seen under the one that its score is asked for by.
#[test]
fn t13_a_workload_has_one_behaviour_under_all_its_names() {
    let run = Run::new();
    // A workload of the policy, and one that it does not declare.
    for path in ["/client", "/jobs/7"] {
        let (client, alias) = (id(path), format!("spiffe://old.example{path}"));
        let alias = SpiffeId::parse(&alias).expect("id");
        for of in [&client, &alias] {
            assert_eq!(run.ask(of, "/open/a", NOW), Verdict::Permit);
            assert_eq!(run.ask(of, "/closed", NOW), Verdict::Deny);
        }
        assert_eq!(run.value(Measure::Denials, &client, NOW), Some(10));
        assert_eq!(run.value(Measure::Rate, &client, NOW), Some(4));
        assert_eq!(run.value(Measure::Rate, &alias, NOW), None);
    }
}

#[test]
fn law_8_what_runs_already_and_is_judged_again_counts_for_nobody() {
    let run = Run::new();
    let client = id("/client");
    assert_eq!(run.signals.drift(), 0);
    assert_eq!(run.ask(&client, "/open/a", NOW), Verdict::Permit);
    assert_eq!(run.signals.drift(), 1, "a measure of it may be another");
    assert_eq!(run.signals.generation(), 0, "nobody else's is");
    let peer = peer(&client);
    let flow = Flow::ingress("one", 8443, Arrival::unknown(), Some(&peer));
    let permit = run.engine.permit_flow(&flow, NOW).expect("flow");
    for path in ["/open/a", "/closed"] {
        let action = Action::request("GET", path).expect("path");
        let renew = || Ok(permit.clone());
        let again = run
            .engine
            .authorize_again(&permit, renew, &action, &Evidence::none(), NOW);
        assert_eq!(again.is_ok(), path == "/open/a");
        // Nor where it is ended because nobody judged it in time, or at a time that cannot be.
        let (engine, late) = (&run.engine, Reason::AuthorizerFailed);
        engine.refuse_again(&permit, Some(&action), late, NOW);
        let over = permit.expires_at();
        let ended = engine.authorize_again(&permit, renew, &action, &Evidence::none(), over);
        let ended = ended.map(|_| ()).expect_err("no such time");
        assert_eq!(ended.decision().reason, Reason::ClockUntrusted);
    }
    assert_eq!(run.value(Measure::Rate, &client, NOW), Some(1));
    assert_eq!(run.value(Measure::Denials, &client, NOW), Some(0));
    assert_eq!(run.signals.drift(), 1);
}
