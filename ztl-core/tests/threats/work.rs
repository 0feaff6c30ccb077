//! How often a decision asks what is dear to ask.

use std::sync::atomic::{AtomicUsize, Ordering};

use ztl_core::authorizer::{
    Authorizer, AuthorizerError, Condition, ConditionCompiler, ConditionError, Facts, Reads,
    Setting,
};

use super::*;

/// A condition that is false and an authorizer that objects, counted.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<AtomicUsize>);

impl Counting {
    fn count(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl ConditionCompiler for Counting {
    fn compile(&self, _: &str, _: &Setting<'_>) -> Result<Arc<dyn Condition>, ConditionError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Condition for Counting {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn holds(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(false)
    }
}

impl Authorizer for Counting {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn objects(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(true)
    }
}

/// A caller that a rule means in several ways, alone and with eight actors and an id that it passes on, which it means as well.
#[test]
fn t34_a_rule_is_asked_once_however_many_it_speaks_of() {
    let everyone = [
        "router",
        "label:tier=agent",
        "trust-domain:prod.example",
        "any",
    ];
    let permit = json!({
        "name": "asks", "from": everyone, "to": "gateway", "actions": ["GET /v1/{id}"], "require": { "authorizer": "counting" }
    });
    let forbid = |mode: &str| json!({ "name": format!("asks-{mode}"), "from": everyone, "to": "gateway", "when": "counted", "mode": mode });
    let crowd = Question {
        claims: Some(
            json!({ "iss": "https://idp.example", "sub": ROUTER, "act": super::support::actors(8) }),
        ),
        forwarded: Some(RETRIEVER),
        ..Question::get(ROUTER, "gateway", 8443, "/v1/a")
    };
    let alone = Question::get(ROUTER, "gateway", 8443, "/v1/a");
    for (permits, forbids, reason) in [
        (vec![permit.clone()], vec![], "objected"),
        (vec![reads()], vec![forbid("enforce")], "permitted"),
        (vec![reads()], vec![forbid("shadow")], "permitted"),
    ] {
        let counting = Counting::default();
        let loader = loader()
            .with_conditions(Arc::new(counting.clone()))
            .with_authorizer("counting", Arc::new(counting.clone()));
        let text = document(&permits, &forbids).to_string();
        let policy = loader.load(&text, Format::Json);
        let policy = policy.unwrap_or_else(|error| panic!("{error}"));
        for question in [&alone, &crowd] {
            assert_eq!(question.ask(&policy).reason.code(), reason, "{text}");
            assert_eq!(counting.count(), 1, "{text}");
        }
    }
}
