//! The WebAssembly engine: what OPA's compiler uses, and nothing more.

use wasmtime::{Config, Engine, OptLevel};

use super::ModuleError;

/// The module that everything is imported from.
pub(super) const NAMESPACE: &str = "env";
/// Stack that a policy may use of the thread that evaluates it.
const STACK_BYTES: usize = 256 << 10;

pub(super) fn build() -> Result<Engine, ModuleError> {
    Engine::new(&config()).map_err(|error| ModuleError::Wasm(error.to_string()))
}

/// Evaluations end by epoch; proposals that OPA's compiler makes no use of are off.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .wasm_simd(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_extended_const(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false);
    if cfg!(debug_assertions) {
        // The compiler is itself not optimised in such a build, and a module would take it half a minute.
        config.cranelift_opt_level(OptLevel::None);
    }
    config
}
