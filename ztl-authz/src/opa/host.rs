//! What a module is given: memory within a bound, its builtins, and a way to end itself. Nothing else.

use std::borrow::Cow;
use std::sync::Arc;

use wasmtime::{
    Caller, Linker, Memory, ResourceLimiter, StoreLimits, StoreLimitsBuilder, TypedFunc,
};

use super::engine;
use super::readers::{argument, bounded, called, text};
use super::stop::Halt;
use super::{Limits, ModuleError, RegoError};
use crate::rego::builtins::{Builtin, Context, Regexes};

/// The functions that a module may import beside its memory (OPA's "WebAssembly", *Imports*).
pub(super) const FUNCTIONS: [&str; 7] = [
    "opa_abort",
    "opa_println",
    "opa_builtin0",
    "opa_builtin1",
    "opa_builtin2",
    "opa_builtin3",
    "opa_builtin4",
];
/// Longest message of `opa_abort` that is read, in bytes.
const MOST_MESSAGE: usize = 4096;

/// What the ABI has for a builtin without an answer.
const UNDEFINED: i32 = 0;

/// What belongs to one instance and is not in its memory.
pub(super) struct Host {
    limits: Memories,
    most: usize,
    builtins: Arc<[Builtin]>,
    regexes: Regexes,
    /// The time of the decision, in nanoseconds since 1970, where the policy asks for it.
    now: Option<i64>,
    /// The first builtin of this evaluation that could not answer.
    pub(super) failed: Option<RegoError>,
    /// How values get in and out, once the module is there.
    pub(super) values: Option<Values>,
}

/// How values get in and out of a module.
#[derive(Clone)]
pub(super) struct Values {
    pub(super) memory: Memory,
    pub(super) malloc: TypedFunc<i32, i32>,
    pub(super) parse: TypedFunc<(i32, i32), i32>,
    pub(super) dump: TypedFunc<i32, i32>,
}

impl Host {
    pub(super) fn new(limits: &Limits, builtins: Arc<[Builtin]>) -> Self {
        let memories = StoreLimitsBuilder::new()
            .memory_size(limits.memory_bytes)
            .memories(1)
            .instances(1)
            .tables(4)
            .table_elements(100_000)
            .trap_on_grow_failure(true)
            .build();
        Self {
            limits: Memories {
                inner: memories,
                refused: false,
            },
            most: limits.result_bytes,
            builtins,
            regexes: Regexes::default(),
            now: None,
            failed: None,
            values: None,
        }
    }

    /// An evaluation begins, at this time.
    pub(super) fn begin(&mut self, now: Option<i64>) {
        self.now = now;
        self.failed = None;
    }

    pub(super) const fn memory_refused(&self) -> bool {
        self.limits.refused
    }

    pub(super) fn limiter(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.limits
    }
}

/// The bound on memory, and whether it was met.
struct Memories {
    inner: StoreLimits,
    refused: bool,
}

impl ResourceLimiter for Memories {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = self.inner.memory_growing(current, desired, maximum);
        self.refused |= !matches!(grown, Ok(true));
        grown
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.inner.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.inner.instances()
    }

    fn tables(&self) -> usize {
        self.inner.tables()
    }

    fn memories(&self) -> usize {
        self.inner.memories()
    }
}

/// The functions of the ABI.
pub(super) fn linker(engine: &wasmtime::Engine) -> Result<Linker<Host>, ModuleError> {
    let mut linker = Linker::new(engine);
    define(&mut linker).map_err(|error| ModuleError::Wasm(bounded(&error.to_string())))?;
    Ok(linker)
}

fn define(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let env = engine::NAMESPACE;
    linker.func_wrap(env, "opa_abort", abort)?;
    // What a policy prints goes nowhere: it is told of nothing that the audit record does not hold.
    linker.func_wrap(env, "opa_println", |_: i32| {})?;
    linker.func_wrap(
        env,
        "opa_builtin0",
        |mut c: Caller<'_, Host>, id: i32, _: i32| call(&mut c, id, []),
    )?;
    linker.func_wrap(
        env,
        "opa_builtin1",
        |mut c: Caller<'_, Host>, id: i32, _: i32, a: i32| call(&mut c, id, [a]),
    )?;
    linker.func_wrap(
        env,
        "opa_builtin2",
        |mut c: Caller<'_, Host>, id: i32, _: i32, a: i32, b: i32| call(&mut c, id, [a, b]),
    )?;
    linker.func_wrap(
        env,
        "opa_builtin3",
        |mut c: Caller<'_, Host>, id: i32, _: i32, a: i32, b: i32, d: i32| {
            call(&mut c, id, [a, b, d])
        },
    )?;
    linker.func_wrap(
        env,
        "opa_builtin4",
        |mut c: Caller<'_, Host>, id: i32, _: i32, a: i32, b: i32, d: i32, e: i32| {
            call(&mut c, id, [a, b, d, e])
        },
    )?;
    Ok(())
}

fn halt(why: RegoError) -> wasmtime::Error {
    wasmtime::Error::new(Halt(why))
}

/// `opa_abort`: a conflict between rules, mostly.
fn abort(caller: Caller<'_, Host>, at: i32) -> wasmtime::Result<()> {
    let memory = caller.data().values.as_ref().map(|values| values.memory);
    let text = memory
        .and_then(|memory| text(memory.data(&caller), at, MOST_MESSAGE))
        .map_or_else(
            || "aborted, for a reason that cannot be read".to_owned(),
            |text| String::from_utf8_lossy(text).into_owned(),
        );
    Err(halt(RegoError::Trapped(bounded(&text))))
}

/// A module calls a builtin: its arguments are read, as Rego writes them, and its answer is written back.
///
/// Where it cannot answer that is kept, and the module is told "undefined", so that it comes to an end by itself and can be
/// asked again: callers may well send what a builtin cannot take (T34). What the module then comes to is not looked at.
fn call<const N: usize>(
    caller: &mut Caller<'_, Host>,
    id: i32,
    arguments: [i32; N],
) -> wasmtime::Result<i32> {
    let host = caller.data();
    if host.failed.is_some() {
        return Ok(UNDEFINED);
    }
    let found = usize::try_from(id).ok().and_then(|id| {
        // Ids are few and given in order; a module that lies about them gets nothing.
        host.builtins.get(id).filter(|builtin| builtin.arity() == N)
    });
    let (Some(&builtin), Some(values)) = (found, host.values.clone()) else {
        let why = format!("the policy calls builtin number {id}, which it did not name");
        return Err(halt(RegoError::Trapped(why)));
    };
    match answer(caller, builtin, &values, arguments)? {
        Ok(value) => Ok(value),
        Err(why) => {
            caller.data_mut().failed = Some(RegoError::Builtin {
                name: builtin.name().to_owned(),
                why: bounded(&why),
            });
            Ok(UNDEFINED)
        }
    }
}

/// What a builtin answers, in the module's memory; within, why it does not.
fn answer<const N: usize>(
    caller: &mut Caller<'_, Host>,
    builtin: Builtin,
    values: &Values,
    arguments: [i32; N],
) -> wasmtime::Result<Result<i32, Cow<'static, str>>> {
    let most = caller.data().most;
    let mut terms = Vec::with_capacity(N);
    for value in arguments {
        let at = values.dump.call(&mut *caller, value)?;
        let Some(written) = text(values.memory.data(&*caller), at, most) else {
            return Ok(Err(format!("an argument has more than {most} bytes").into()));
        };
        match argument(written) {
            Ok(term) => terms.push(term),
            Err(why) => return Ok(Err(why)),
        }
    }
    let host = caller.data_mut();
    let mut context = Context {
        now: host.now,
        regexes: &mut host.regexes,
        most,
    };
    let answer = match called(builtin, &mut context, &terms) {
        Ok(answer) => answer,
        Err(why) => return Ok(Err(why)),
    };
    let length = i32::try_from(answer.len()).unwrap_or(i32::MAX);
    let at = values.malloc.call(&mut *caller, length)?;
    let start = usize::try_from(at.cast_unsigned()).unwrap_or(usize::MAX);
    values
        .memory
        .write(&mut *caller, start, answer.as_bytes())?;
    let value = values.parse.call(&mut *caller, (at, length))?;
    Ok(if value == 0 {
        Err("its answer cannot be read by the policy".into())
    } else {
        Ok(value)
    })
}
