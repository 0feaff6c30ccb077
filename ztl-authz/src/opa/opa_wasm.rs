//! The crate `opa-wasm` as the host of a module, in place of our own.

use core::fmt;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;

use opa_wasm::{DefaultContext, Policy, Runtime};
use serde_json::Value;
use wasmtime::{Store, Trap};

use super::clock::Clock;
use super::host::Host;
use super::module::Compiled;
use super::policy::read;
use super::pool::{Left, Pool};
use super::readers::{bounded, of_set};
use super::{ModuleError, RegoError, WasmModule};
use crate::rego::RegoEngine;

/// The builtins of `opa-wasm` that are taken: it does them, and as OPA does.
const GIVEN: [&str; 2] = ["hex.decode", "hex.encode"];

/// One entrypoint of a module, hosted by the crate `opa-wasm`: fewer builtins than [`WasmPolicy`](super::WasmPolicy), but the same
/// answers within the same bounds. It is there to be compared with.
pub struct OpaWasmPolicy {
    compiled: Arc<Compiled>,
    entrypoint: String,
    pool: Pool<Kept>,
}

/// An instance of theirs.
struct Kept {
    store: Store<Host>,
    policy: Policy<DefaultContext>,
}

impl OpaWasmPolicy {
    /// A policy of this module, as [`WasmModule::policy`] makes one.
    ///
    /// # Errors
    ///
    /// What [`WasmModule::policy`] refuses, and a builtin that `opa-wasm` only has by name.
    pub fn new(module: &WasmModule, entrypoint: &str, data: &Value) -> Result<Self, ModuleError> {
        module.entrypoint(entrypoint)?;
        module.data(data)?;
        if let Some(name) = module.builtins().find(|name| !GIVEN.contains(name)) {
            return Err(ModuleError::Builtin {
                name: name.to_owned(),
                mend: "`opa-wasm` does not give it as OPA does; take the host of feature `opa`"
                    .to_owned(),
            });
        }
        let compiled = Arc::clone(&module.0);
        let count = compiled.limits.instances.max(1);
        let (made, data) = (Arc::clone(&compiled), data.clone());
        let pool = Pool::new(count, move || Kept::new(&made, &data));
        Ok(Self {
            pool: pool.map_err(ModuleError::Start)?,
            entrypoint: entrypoint.to_owned(),
            compiled,
        })
    }
}

impl RegoEngine for OpaWasmPolicy {
    fn evaluate(&self, input: &str) -> Result<Option<Value>, RegoError> {
        let input: Value = read(input)?;
        let limits = &self.compiled.limits;
        let set = self.pool.lend(limits.wait, |kept| {
            let _running = self.compiled.clock.running();
            kept.store.set_epoch_deadline(Clock::ticks(limits.time));
            let answer = kept
                .policy
                .evaluate(&mut kept.store, &self.entrypoint, &input);
            let answer = kept_reason(now(answer), &kept.store);
            // What of it failed cannot be told from outside.
            let left = if answer.is_ok() {
                Left::Whole
            } else {
                Left::Broken
            };
            (answer, left)
        })?;
        // It reads its answer before anyone can look at how long it is; memory bounds it.
        of_set(set)
    }
}

impl fmt::Debug for OpaWasmPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpaWasmPolicy")
            .field("entrypoint", &self.entrypoint)
            .finish_non_exhaustive()
    }
}

impl Kept {
    fn new(compiled: &Compiled, data: &Value) -> Result<Self, RegoError> {
        let _running = compiled.clock.running();
        let limits = &compiled.limits;
        let host = Host::new(limits, Arc::new([]));
        let mut store = Store::new(&compiled.clock.engine, host);
        store.limiter(Host::limiter);
        store.set_epoch_deadline(Clock::ticks(limits.load_time));
        let made = now(async {
            let runtime = Runtime::new(&mut store, &compiled.module).await?;
            runtime.with_data(&mut store, data).await
        });
        let policy = kept_reason(made, &store)?;
        Ok(Self { store, policy })
    }
}

/// Their futures wait for nothing: each is ready when it is first asked.
fn now<T, E>(future: impl Future<Output = Result<T, E>>) -> Option<Result<T, E>> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn kept_reason<T, E>(made: Option<Result<T, E>>, store: &Store<Host>) -> Result<T, RegoError>
where
    E: Into<Box<dyn core::error::Error + Send + Sync>>,
{
    match made {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(why(store, &*error.into())),
        None => Err(RegoError::Trapped("`opa-wasm` waits for something".into())),
    }
}

fn why(store: &Store<Host>, error: &(dyn core::error::Error + 'static)) -> RegoError {
    if store.data().memory_refused() {
        return RegoError::Memory;
    }
    let mut level = Some(error);
    while let Some(error) = level {
        // The engine's error is hidden in another library's: what it says is all there is.
        if error.to_string() == Trap::Interrupt.to_string() {
            return RegoError::Timeout;
        }
        level = error.source();
    }
    RegoError::Trapped(bounded(&error.to_string()))
}
