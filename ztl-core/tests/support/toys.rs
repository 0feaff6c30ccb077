//! Toy conditions and authorizers, and the loader that knows them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use ztl_core::authorizer::{
    Authorizer, AuthorizerError, AuthorizerFactory, Condition, ConditionCompiler, ConditionError,
    Demands, Facts, Opinion, Reads, Setting,
};
use ztl_core::policy::{Effect, Loader};

pub(crate) fn loader() -> Loader {
    Loader::new()
        .with_conditions(Arc::new(Toy))
        .with_authorizer("objector", Arc::new(Fixed(Ok(true))))
        .with_authorizer(
            "broken",
            Arc::new(Fixed(Err(AuthorizerError("broken".into())))),
        )
        .with_authorizer("agreeable", Arc::new(Fixed(Ok(false))))
        .with_authorizer(
            "careful",
            obliging(
                Demands::none()
                    .with_max_body(32768)
                    .with_log(["x-tenant", "x-more"]),
            ),
        )
        .with_authorizer("limiting", obliging(Demands::none().with_limit("slow")))
        .with_authorizer(
            "shaping",
            obliging(Demands::none().with_schema("other.json").with_log([])),
        )
        .with_authorizer("nosy", obliging(Demands::none().with_log(["cookie"])))
        .with_authorizer("lost", obliging(Demands::none().with_limit("nowhere")))
        .authorizer_kind("fixed", Arc::new(FixedKind))
}

/// Conditions for tests: `true`, `false`, `error`, `token` (true, and reads the token), `score` (true, and reads the score), `posture` and
/// `context` (the same), `not-token` and `not-score` (false, and read them), `soon` (true from half a minute after [`NOW`](super::NOW) on, and
/// goes by the clock), `in-a-forbid` (true, and refused in a permit), `name-is-admin`
/// (the parameter `name`), `dear` (true, where 30 000 steps are left to it).
#[derive(Debug)]
pub(crate) struct Toy;

#[derive(Debug)]
struct ToyCondition(String);

impl ConditionCompiler for Toy {
    fn compile(
        &self,
        source: &str,
        setting: &Setting<'_>,
    ) -> Result<Arc<dyn Condition>, ConditionError> {
        match source {
            "true" | "false" | "error" | "token" | "score" | "posture" | "context"
            | "not-token" | "not-score" | "soon" | "name-is-admin" | "dear" => {
                Ok(Arc::new(ToyCondition(source.to_owned())))
            }
            "in-a-forbid" if setting.effect == Effect::Forbid => {
                Ok(Arc::new(ToyCondition("true".to_owned())))
            }
            _ => {
                let start = source.find(' ').map_or(0, |at| at + 1);
                let error = ConditionError::new(format!("`{source}` is no condition"));
                Err(error
                    .with_help(format!("the paths have {:?}", setting.params))
                    .at(start..source.len()))
            }
        }
    }
}

impl Condition for ToyCondition {
    fn reads(&self) -> Reads {
        match self.0.as_str() {
            "token" | "not-token" => Reads::nothing().with_token(),
            "soon" => Reads::nothing().with_clock(),
            "score" | "not-score" => Reads::nothing().with_trust_score(),
            "posture" => Reads::nothing().with_posture(),
            "context" => Reads::nothing().with_context(),
            _ => Reads::nothing(),
        }
    }

    fn holds(&self, facts: &Facts<'_>) -> Result<bool, AuthorizerError> {
        // T7: what is not declared is not passed.
        assert!(self.reads().token || facts.claims.is_none());
        assert!(self.reads().trust_score || facts.trust_score.is_none());
        assert!(self.reads().posture || facts.posture.is_none());
        assert!(self.reads().context || facts.context.is_none());
        match self.0.as_str() {
            "false" | "not-token" | "not-score" => Ok(false),
            "soon" => Ok(facts.now >= super::NOW.saturating_add(Duration::from_secs(30))),
            "name-is-admin" => Ok(facts
                .params
                .iter()
                .any(|(name, value)| &**name == "name" && value == "admin")),
            "error" => Err(AuthorizerError("`error` fails".into())),
            "dear" if facts.steps < 30_000 => Err(AuthorizerError("`dear` takes more".into())),
            _ => Ok(true),
        }
    }
}

#[derive(Debug)]
struct Fixed(Result<bool, AuthorizerError>);

impl Authorizer for Fixed {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn objects(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        self.0.clone()
    }
}

/// An authorizer that agrees and obliges to more.
#[derive(Debug)]
struct Obliging(Demands);

fn obliging(demands: Demands) -> Arc<dyn Authorizer> {
    Arc::new(Obliging(demands))
}

impl Authorizer for Obliging {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn objects(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        Ok(false)
    }

    fn opinion(&self, _: &Facts<'_>) -> Result<Opinion, AuthorizerError> {
        Ok(Opinion::Agrees(self.0.clone()))
    }
}

/// Builds authorizers that say `objects`.
#[derive(Debug)]
struct FixedKind;

impl AuthorizerFactory for FixedKind {
    fn build(&self, _: &str, settings: &Map<String, Value>) -> Result<Arc<dyn Authorizer>, String> {
        match settings.get("objects") {
            Some(Value::Bool(objects)) if settings.len() == 1 => Ok(Arc::new(Fixed(Ok(*objects)))),
            _ => Err("takes `objects`, true or false".to_owned()),
        }
    }
}
