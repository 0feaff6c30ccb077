//! Engines for `[authorizers.NAME]` of kind `opa`.

use std::sync::Arc;

use super::{Limits, WasmModule};
use crate::rego::{EngineBuilder, Material, RegoEngine};

/// Makes engines of modules that `opa build -t wasm` made. The settings say time and memory of an evaluation; the rest is as
/// [`Limits`] have it.
#[derive(Clone, Copy, Debug, Default)]
pub struct WasmBuilder {
    limits: Limits,
}

impl WasmBuilder {
    /// Within these bounds, where the settings say nothing else.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits }
    }
}

impl EngineBuilder for WasmBuilder {
    fn build(&self, material: Material) -> Result<Arc<dyn RegoEngine>, String> {
        let settings = &material.settings;
        let [(name, bytes)] = &*material.policy else {
            return Err(
                "`policy` takes one module: several policies are built into one by `opa build -t wasm`, with an `-e` for each \
                 entrypoint"
                    .to_owned(),
            );
        };
        let mut limits = self.limits.with_time(settings.timeout);
        if let Some(memory) = settings.memory {
            limits = limits.with_memory_bytes(usize::try_from(memory).unwrap_or(usize::MAX));
        }
        let fault = |error| format!("`{}`: {error}", name.escape_debug());
        let module = WasmModule::compile(bytes, limits).map_err(fault)?;
        let entrypoint = slashed(&settings.entrypoint);
        let policy = module.policy(&entrypoint, &material.data).map_err(fault)?;
        Ok(Arc::new(policy))
    }
}

/// An entrypoint as modules name it: `a/b/allow`, where `a.b.allow` was written.
fn slashed(entrypoint: &str) -> String {
    if entrypoint.contains('/') {
        entrypoint.to_owned()
    } else {
        entrypoint.replace('.', "/")
    }
}
