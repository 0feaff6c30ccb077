//! A policy that can be asked: one entrypoint of a module, with its data, in instances kept ready.

use core::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::clock::Clock;
use super::instance::Instance;
use super::module::Compiled;
use super::pool::Pool;
use super::{ModuleError, RegoError};
use crate::rego::RegoEngine;
use crate::rego::input::{self, MAX_INPUT_BYTES};

/// One entrypoint of a [`WasmModule`](super::WasmModule), with its data document, in a pool of instances.
pub struct WasmPolicy {
    compiled: Arc<Compiled>,
    entrypoint: i32,
    pool: Pool<Instance>,
    /// Deadline of an evaluation, in ticks.
    ticks: u64,
    asks_the_time: bool,
}

impl WasmPolicy {
    pub(super) fn new(
        compiled: Arc<Compiled>,
        entrypoint: i32,
        data: Arc<str>,
    ) -> Result<Self, ModuleError> {
        let count = compiled.limits.instances.max(1);
        let made = Arc::clone(&compiled);
        let pool = Pool::new(count, move || {
            let _running = made.clock.running();
            made.instance(&data).map_err(|error| match error {
                ModuleError::Start(why) => why,
                other => RegoError::Trapped(other.to_string()),
            })
        });
        Ok(Self {
            ticks: Clock::ticks(compiled.limits.time),
            asks_the_time: compiled.asks_the_time(),
            entrypoint,
            pool: pool.map_err(ModuleError::Start)?,
            compiled,
        })
    }
}

/// What a policy computes is bounded by [`Limits`](super::Limits); beyond a bound is an error, and so is a builtin of the host that
/// cannot answer: unlike in OPA at large, that is never "undefined", which a `not` would take for good news (T7). What OPA compiled
/// into the module is undefined where it cannot answer, and no host sees it: write `f(x) == false`, never `not f(x)`.
impl RegoEngine for WasmPolicy {
    fn evaluate(&self, input: &str) -> Result<Option<Value>, RegoError> {
        let limits = &self.compiled.limits;
        // OPA's own reader stops where a value ends, whatever follows.
        read::<IgnoredAny>(input)?;
        let now = if self.asks_the_time {
            now(input)?
        } else {
            None
        };
        self.pool.lend(limits.wait, |instance| {
            let _running = self.compiled.clock.running();
            let answer = instance.evaluate(self.entrypoint, input, now, self.ticks);
            (answer, instance.left())
        })
    }
}

impl fmt::Debug for WasmPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmPolicy")
            .field("limits", &self.compiled.limits)
            .finish_non_exhaustive()
    }
}

/// The input document, if it is one and not too long.
pub(super) fn read<'a, T: Deserialize<'a>>(input: &'a str) -> Result<T, RegoError> {
    if input.len() > MAX_INPUT_BYTES {
        let bytes = input.len();
        return Err(RegoError::Input { bytes });
    }
    serde_json::from_str(input)
        .map_err(|_| RegoError::Answer("the input document is no JSON".into()))
}

/// The time of the decision, in nanoseconds since 1970.
fn now(input: &str) -> Result<Option<i64>, RegoError> {
    let document: Value = read(input)?;
    Ok(input::now(&document).and_then(|now| i64::try_from(now).ok()))
}
