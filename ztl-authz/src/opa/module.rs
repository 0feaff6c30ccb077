//! A compiled module, and what it says of itself.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use wasmtime::{ExternType, Linker, Module};

use super::clock::Clock;
use super::engine::NAMESPACE;
use super::host::{FUNCTIONS, Host, linker};
use super::instance::Instance;
use super::policy::WasmPolicy;
use super::readers::{bounded, numbers, resolve};
use super::{Limits, ModuleError};
use crate::rego::builtins::{self, Builtin};

/// Longest list of entrypoints or builtins, in bytes of JSON.
const MOST_NAMES: usize = 1 << 20;
/// How every WebAssembly module of version 1 begins (WebAssembly core specification §5.5.16).
const MAGIC: &[u8; 8] = b"\0asm\x01\0\0\0";

/// A policy compiled by `opa build -t wasm`, compiled once more, to machine code. Cheap to clone.
#[derive(Clone)]
pub struct WasmModule(pub(super) Arc<Compiled>);

pub(super) struct Compiled {
    pub(super) clock: Arc<Clock>,
    pub(super) limits: Limits,
    pub(super) module: Module,
    linker: Linker<Host>,
    entrypoints: BTreeMap<String, i32>,
    builtins: Arc<[Builtin]>,
}

impl WasmModule {
    /// Compiles a module, the file `policy.wasm` of a bundle. Takes tenths of a second: for loading, not for deciding.
    ///
    /// # Errors
    ///
    /// Too large; no WebAssembly; of no version or an unknown version of the ABI; an import or a builtin that policies are
    /// not given; a module that does not come to be ready within [`Limits::load_time`] and [`Limits::memory_bytes`].
    pub fn compile(bytes: &[u8], limits: Limits) -> Result<Self, ModuleError> {
        check(bytes, limits.module_bytes)?;
        let clock = Clock::shared()?;
        let module = Module::new(&clock.engine, bytes)
            .map_err(|error| ModuleError::Wasm(bounded(&format!("{error:#}"))))?;
        imports(&module)?;
        let linker = linker(&clock.engine)?;
        let (entrypoints, wanted) = {
            let _running = clock.running();
            let mut instance = Instance::new(&module, &linker, &limits, Arc::new([]))?;
            (
                instance.entrypoints(MOST_NAMES)?,
                instance.builtins(MOST_NAMES)?,
            )
        };
        Ok(Self(Arc::new(Compiled {
            clock,
            limits,
            module,
            linker,
            entrypoints: numbers(entrypoints)?.collect(),
            builtins: resolve(wanted)?,
        })))
    }

    /// The names of the entrypoints, as `opa build -e` was given them: `envoy/authz/allow`.
    pub fn entrypoints(&self) -> impl Iterator<Item = &str> {
        self.0.entrypoints.keys().map(String::as_str)
    }

    /// The builtins that the policy calls and that are not part of its module.
    pub fn builtins(&self) -> impl Iterator<Item = &str> {
        self.0
            .builtins
            .iter()
            .map(|builtin| -> &str { builtin.name() })
            .filter(|name| !name.is_empty())
    }

    /// A policy: one entrypoint, with its data document in the memory of [`Limits::instances`] instances.
    ///
    /// # Errors
    ///
    /// No such entrypoint; data that are too large, or that the module cannot read.
    pub fn policy(&self, entrypoint: &str, data: &Value) -> Result<WasmPolicy, ModuleError> {
        let number = self.entrypoint(entrypoint)?;
        let data = self.data(data)?;
        WasmPolicy::new(Arc::clone(&self.0), number, data.into())
    }

    pub(super) fn entrypoint(&self, name: &str) -> Result<i32, ModuleError> {
        let number = self.0.entrypoints.get(name).copied();
        number.ok_or_else(|| ModuleError::Entrypoint {
            name: bounded(name),
            known: self.known(),
        })
    }

    /// The data document as JSON, if it is not too large.
    pub(super) fn data(&self, data: &Value) -> Result<String, ModuleError> {
        let data = data.to_string();
        let (bytes, most) = (data.len(), self.0.limits.data_bytes);
        if bytes > most {
            return Err(ModuleError::Data { bytes, most });
        }
        Ok(data)
    }

    fn known(&self) -> String {
        let names: Vec<String> = self
            .entrypoints()
            .take(8)
            .map(|name| format!("`{}`", bounded(name)))
            .collect();
        match names.len() {
            0 => "none".into(),
            _ => names.join(", "),
        }
    }
}

impl fmt::Debug for WasmModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.entrypoints().collect();
        f.debug_struct("WasmModule")
            .field("entrypoints", &names)
            .finish_non_exhaustive()
    }
}

impl Compiled {
    /// An instance with the data in it. The clock has to run.
    pub(super) fn instance(&self, data: &str) -> Result<Instance, ModuleError> {
        let builtins = Arc::clone(&self.builtins);
        let mut instance = Instance::new(&self.module, &self.linker, &self.limits, builtins)?;
        instance.load(data, &self.limits)?;
        Ok(instance)
    }

    /// Whether the policy asks what time it is.
    pub(super) fn asks_the_time(&self) -> bool {
        self.builtins.iter().any(|it| it.name() == builtins::NOW)
    }
}

/// What is looked at before a compiler sees the bytes.
pub(super) fn check(bytes: &[u8], most: usize) -> Result<(), ModuleError> {
    if bytes.len() > most {
        return Err(ModuleError::TooLong {
            bytes: bytes.len(),
            most,
        });
    }
    if !bytes.starts_with(MAGIC) {
        return Err(ModuleError::Wasm(
            "it does not begin as one does".to_owned(),
        ));
    }
    Ok(())
}

/// Only what the ABI names may be imported.
pub(super) fn imports(module: &Module) -> Result<(), ModuleError> {
    for import in module.imports() {
        let known = import.module() == NAMESPACE
            && match import.ty() {
                ExternType::Memory(_) => import.name() == "memory",
                ExternType::Func(_) => FUNCTIONS.contains(&import.name()),
                _ => false,
            };
        if !known {
            let name = format!("{}.{}", import.module(), import.name());
            return Err(ModuleError::Import(bounded(&name)));
        }
    }
    Ok(())
}
