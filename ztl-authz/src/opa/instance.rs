//! One instance of a module: its memory, with the data in it, and the way a question is put to it.

use std::sync::Arc;

use serde_json::{Map, Value};
use wasmtime::{
    Instance as WasmInstance, Linker, Memory, Module, Store, TypedFunc, WasmParams, WasmResults,
};

use super::clock::Clock;
use super::engine::NAMESPACE;
use super::host::{Host, Values};
use super::pool::Left;
use super::readers::{answer, names, text, wrong};
use super::stop::reason;
use super::{Limits, ModuleError, RegoError};
use crate::rego::builtins::Builtin;

/// The newest version of the ABI that is known.
const NEWEST_MINOR: i32 = 3;

/// An instance. Once a call into it was cut short it is in no state to be asked again.
pub(super) struct Instance {
    store: Store<Host>,
    exports: Exports,
    most: usize,
    /// Where the data document is.
    data: i32,
    /// Where the heap begins, above the data: each evaluation begins with it.
    heap: i32,
    /// Whether a call into it was cut short.
    broken: bool,
}

/// What the ABI lets a host call.
struct Exports {
    memory: Memory,
    malloc: TypedFunc<i32, i32>,
    json_parse: TypedFunc<(i32, i32), i32>,
    json_dump: TypedFunc<i32, i32>,
    heap_get: TypedFunc<(), i32>,
    heap_set: TypedFunc<i32, ()>,
    context: TypedFunc<(), i32>,
    set_input: TypedFunc<(i32, i32), ()>,
    set_data: TypedFunc<(i32, i32), ()>,
    set_entrypoint: TypedFunc<(i32, i32), ()>,
    eval: TypedFunc<i32, i32>,
    result: TypedFunc<i32, i32>,
    builtins: TypedFunc<(), i32>,
    entrypoints: TypedFunc<(), i32>,
}

impl Instance {
    /// An instance without data.
    pub(super) fn new(
        module: &Module,
        linker: &Linker<Host>,
        limits: &Limits,
        builtins: Arc<[Builtin]>,
    ) -> Result<Self, ModuleError> {
        let mut store = Store::new(module.engine(), Host::new(limits, builtins));
        store.limiter(Host::limiter);
        store.set_epoch_deadline(Clock::ticks(limits.load_time));
        let made = Self::link(&mut store, module, linker);
        let instance = made.map_err(|error| ModuleError::Start(reason(&store, &error)))?;
        abi(&mut store, &instance)?;
        let exports = Exports::of(&mut store, &instance)?;
        let dump = match instance.get_typed_func(&mut store, "opa_value_dump") {
            Ok(dump) => dump,
            // Absent in the oldest: a set is a list there.
            Err(_) => exports.json_dump.clone(),
        };
        let parse = match instance.get_typed_func(&mut store, "opa_value_parse") {
            Ok(parse) => parse,
            Err(_) => exports.json_parse.clone(),
        };
        store.data_mut().values = Some(Values {
            memory: exports.memory,
            malloc: exports.malloc.clone(),
            parse,
            dump,
        });
        let mut made = Self {
            store,
            exports,
            most: limits.result_bytes,
            data: 0,
            heap: 0,
            broken: false,
        };
        made.heap = made.run(|exports, store| exports.heap_get.call(store, ()))?;
        Ok(made)
    }

    fn link(
        store: &mut Store<Host>,
        module: &Module,
        linker: &Linker<Host>,
    ) -> wasmtime::Result<WasmInstance> {
        let mut linker = linker.clone();
        for import in module.imports() {
            if let Some(ty) = import.ty().memory() {
                let memory = Memory::new(&mut *store, ty.clone())?;
                linker.define(&mut *store, NAMESPACE, import.name(), memory)?;
            }
        }
        linker.instantiate(store, module)
    }

    /// The data document is put beneath the heap, where it stays.
    pub(super) fn load(&mut self, data: &str, limits: &Limits) -> Result<(), RegoError> {
        self.store
            .set_epoch_deadline(Clock::ticks(limits.load_time));
        self.data = self.parse(data)?;
        self.heap = self.run(|exports, store| exports.heap_get.call(store, ()))?;
        Ok(())
    }

    /// Puts a question. `Ok(None)` where the entrypoint is undefined.
    pub(super) fn evaluate(
        &mut self,
        entrypoint: i32,
        input: &str,
        now: Option<i64>,
        ticks: u64,
    ) -> Result<Option<Value>, RegoError> {
        self.store.set_epoch_deadline(ticks);
        self.store.data_mut().begin(now);
        let heap = self.heap;
        self.run(|exports, store| exports.heap_set.call(store, heap))?;
        let input = self.parse(input)?;
        let data = self.data;
        let at = self.run(|exports, store| {
            let context = exports.context.call(&mut *store, ())?;
            exports.set_input.call(&mut *store, (context, input))?;
            exports.set_data.call(&mut *store, (context, data))?;
            exports
                .set_entrypoint
                .call(&mut *store, (context, entrypoint))?;
            if exports.eval.call(&mut *store, context)? != 0 {
                return Ok(0);
            }
            let result = exports.result.call(&mut *store, context)?;
            exports.json_dump.call(store, result)
        });
        // First of all what it was not told: whatever it came to after that rests on nothing.
        if let Some(failed) = self.store.data_mut().failed.take() {
            return Err(failed);
        }
        let at = at?;
        answer(self.text(at, self.most)?)
    }

    /// What the evaluations so far left of it. One that came to its end, with whatever answer, left it whole: the next begins
    /// with the heap as it was.
    pub(super) const fn left(&self) -> Left {
        if self.broken {
            Left::Broken
        } else {
            Left::Whole
        }
    }

    /// What `builtins` or `entrypoints` says: names and their numbers.
    pub(super) fn builtins(&mut self, most: usize) -> Result<Map<String, Value>, RegoError> {
        let names = self.exports.builtins.clone();
        self.names(&names, most)
    }

    /// The entrypoints, by name.
    pub(super) fn entrypoints(&mut self, most: usize) -> Result<Map<String, Value>, RegoError> {
        let names = self.exports.entrypoints.clone();
        self.names(&names, most)
    }

    fn names(
        &mut self,
        all: &TypedFunc<(), i32>,
        most: usize,
    ) -> Result<Map<String, Value>, RegoError> {
        let at = self.run(|exports, store| {
            let value = all.call(&mut *store, ())?;
            exports.json_dump.call(store, value)
        })?;
        names(self.text(at, most)?)
    }

    /// A JSON text becomes a value in the module's memory.
    fn parse(&mut self, json: &str) -> Result<i32, RegoError> {
        let length = i32::try_from(json.len()).map_err(|_| RegoError::Memory)?;
        let value = self.run(|exports, store| {
            let at = exports.malloc.call(&mut *store, length)?;
            let start = usize::try_from(at.cast_unsigned()).unwrap_or(usize::MAX);
            exports.memory.write(&mut *store, start, json.as_bytes())?;
            exports.json_parse.call(store, (at, length))
        })?;
        // Without this, what cannot be read would be judged as if nothing had been said.
        if value == 0 {
            return Err(wrong("the policy cannot read the document as JSON"));
        }
        Ok(value)
    }

    fn text(&self, at: i32, most: usize) -> Result<&[u8], RegoError> {
        text(self.exports.memory.data(&self.store), at, most)
            .filter(|_| at != 0)
            .ok_or_else(|| {
                RegoError::Answer(format!(
                    "the policy's answer is not there or has more than {most} bytes"
                ))
            })
    }

    fn run<T>(
        &mut self,
        calls: impl FnOnce(&Exports, &mut Store<Host>) -> wasmtime::Result<T>,
    ) -> Result<T, RegoError> {
        calls(&self.exports, &mut self.store).map_err(|error| {
            self.broken = true;
            reason(&self.store, &error)
        })
    }
}

/// The version of the ABI, if it is one that is known.
pub(super) fn version(store: &mut Store<Host>, instance: &WasmInstance) -> Option<(i32, i32)> {
    let mut number = |name: &str| {
        let global = instance.get_global(&mut *store, name)?;
        global.get(&mut *store).i32()
    };
    Some((
        number("opa_wasm_abi_version")?,
        number("opa_wasm_abi_minor_version").unwrap_or(0),
    ))
}

fn abi(store: &mut Store<Host>, instance: &WasmInstance) -> Result<(), ModuleError> {
    match version(store, instance) {
        None => Err(ModuleError::NoAbi),
        Some((1, 0..=NEWEST_MINOR)) => Ok(()),
        Some((major, minor)) => Err(ModuleError::Abi { major, minor }),
    }
}

impl Exports {
    fn of(store: &mut Store<Host>, instance: &WasmInstance) -> Result<Self, ModuleError> {
        let memory = instance
            .get_memory(&mut *store, "memory")
            .ok_or(ModuleError::Export("memory"))?;
        let from = &mut From { store, instance };
        Ok(Self {
            memory,
            malloc: from.function("opa_malloc")?,
            json_parse: from.function("opa_json_parse")?,
            json_dump: from.function("opa_json_dump")?,
            heap_get: from.function("opa_heap_ptr_get")?,
            heap_set: from.function("opa_heap_ptr_set")?,
            context: from.function("opa_eval_ctx_new")?,
            set_input: from.function("opa_eval_ctx_set_input")?,
            set_data: from.function("opa_eval_ctx_set_data")?,
            set_entrypoint: from.function("opa_eval_ctx_set_entrypoint")?,
            eval: from.function("eval")?,
            result: from.function("opa_eval_ctx_get_result")?,
            builtins: from.function("builtins")?,
            entrypoints: from.function("entrypoints")?,
        })
    }
}

struct From<'a> {
    store: &'a mut Store<Host>,
    instance: &'a WasmInstance,
}

impl From<'_> {
    fn function<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &'static str,
    ) -> Result<TypedFunc<P, R>, ModuleError> {
        self.instance
            .get_typed_func(&mut *self.store, name)
            .map_err(|_| ModuleError::Export(name))
    }
}
