//! Policies as they are written, evaluated by [`regorus`].
//!
//! It is the crate's interpreter that evaluates, not its register VM: of `every v in xs { .. }` that VM has said true where the
//! interpreter and OPA say false, so that it fails open. A test holds the two against each other.
//!
//! An evaluation is bounded in time and its input in length. Its memory is bounded by the time alone, and a builtin is not
//! interrupted while it runs: what can make much of little is refused ([`Refused`]) or bounded. A policy whose author is not
//! trusted belongs into WebAssembly, where memory is bounded too.

mod answer;
mod bounds;
mod builtins;
mod calls;
mod error;
mod missing;
mod strict;
mod value;

use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, LimitError};
use serde_json::Value;

pub use builtins::{MAX_RANGE, Refused};
pub use calls::MAX_CHAIN;
pub use error::InterpreterError;

use super::{RegoEngine, RegoError, input};

/// How often the time is looked at: once in so many steps.
const STEPS: NonZeroU32 = match NonZeroU32::new(32) {
    Some(steps) => steps,
    None => NonZeroU32::MIN,
};

/// A policy that was read and checked, with one entrypoint.
///
/// ```
/// use std::time::Duration;
/// use ztl_authz::rego::{Interpreter, RegoEngine};
///
/// let source = "package demo\nallow if input.params.model in data.models";
/// let data = serde_json::json!({ "models": ["llama"] });
/// let policy = Interpreter::compile([("demo.rego", source)], data, "demo/allow", Duration::from_millis(50))?;
/// assert_eq!(policy.evaluate(r#"{"params":{"model":"llama"}}"#)?, Some(true.into()));
/// assert_eq!(policy.evaluate(r#"{"params":{"model":"gpt"}}"#)?, None);
///
/// let error = Interpreter::compile([("a.rego", "package a\nb if http.send({})")], data_none(), "a.b", Duration::from_secs(1));
/// assert!(error.unwrap_err().to_string().starts_with("a.rego:2:6: the builtin `http.send`"));
/// # fn data_none() -> serde_json::Value { serde_json::json!({}) }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Interpreter {
    engine: Engine,
    entrypoint: String,
}

impl Interpreter {
    /// Reads the modules (name and source) and the data, and checks what they call. `entrypoint` is the path of a rule, as
    /// `package.path.rule` or `package/path/rule`.
    ///
    /// # Errors
    /// [`InterpreterError`] says what is wrong, and where.
    pub fn compile<N: AsRef<str>, S: AsRef<str>>(
        modules: impl IntoIterator<Item = (N, S)>,
        data: Value,
        entrypoint: &str,
        timeout: Duration,
    ) -> Result<Self, InterpreterError> {
        let path = error::entrypoint(entrypoint)?;
        let mut engine = Engine::new();
        engine.set_strict_builtin_errors(true);
        // What a policy prints goes nowhere: it may be what it looked at (law 7).
        engine.set_gather_prints(true);
        engine.set_execution_timer_config(ExecutionTimerConfig {
            limit: timeout,
            check_interval: STEPS,
        });
        for (name, source) in modules {
            let (name, source) = (name.as_ref().to_owned(), source.as_ref().to_owned());
            let read = engine.add_policy(name.clone(), source);
            read.map_err(|fault| error::syntax(&name, &fault.to_string()))?;
        }
        let called = calls::check(engine.get_modules())?;
        builtins::install(&mut engine, &called)?;
        if !data.is_object() {
            return Err(InterpreterError::Data("it is no object".to_owned()));
        }
        let added = engine.add_data(regorus::Value::from(data));
        added.map_err(|fault| InterpreterError::Data(fault.to_string()))?;
        let compiled = engine.compile_with_entrypoint(&path.as_str().into());
        compiled.map_err(|fault| error::compile(entrypoint, &fault.to_string()))?;
        Ok(Self {
            engine,
            entrypoint: path,
        })
    }

    fn ask(&self, input: &str) -> Result<Option<Value>, RegoError> {
        let no_input = || RegoError::Trapped("its input cannot be read".to_owned());
        let read: Value = serde_json::from_str(input).map_err(|_| no_input())?;
        let now = input::now(&read).unwrap_or_default();
        let mut engine = self.engine.clone();
        engine.set_input(regorus::Value::from(read));
        let answer = builtins::at(now, || engine.eval_rule(self.entrypoint.clone()));
        answer::json(&answer.map_err(|fault| failure(&fault))?)
    }
}

impl RegoEngine for Interpreter {
    fn evaluate(&self, input: &str) -> Result<Option<Value>, RegoError> {
        if input.len() > input::MAX_INPUT_BYTES {
            return Err(RegoError::Input { bytes: input.len() });
        }
        // What is inside holds nothing that outlives it.
        catch_unwind(AssertUnwindSafe(|| self.ask(input)))
            .unwrap_or_else(|_| Err(RegoError::Trapped("the interpreter panicked".to_owned())))
    }
}

impl fmt::Debug for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interpreter")
            .field("entrypoint", &self.entrypoint)
            .finish_non_exhaustive()
    }
}

/// What failed, without a value that was looked at (law 7).
fn failure<E>(fault: &E) -> RegoError
where
    E: AsRef<dyn core::error::Error + Send + Sync> + fmt::Display,
{
    match fault.as_ref().downcast_ref::<LimitError>() {
        Some(LimitError::TimeLimitExceeded { .. }) => return RegoError::Timeout,
        Some(LimitError::MemoryLimitExceeded { .. }) => return RegoError::Memory,
        _ => {}
    }
    let told = fault.to_string();
    // Out of a function an error comes as text alone.
    if told.contains("execution exceeded time limit") {
        return RegoError::Timeout;
    }
    RegoError::Trapped(match error::place(&told) {
        Some((place, _)) => format!("an expression at {place} cannot be evaluated"),
        None => "it cannot be evaluated".to_owned(),
    })
}

#[cfg(test)]
mod tests;
