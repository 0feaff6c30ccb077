//! Why a module was not taken.

use thiserror::Error;

use super::RegoError;

/// Why a module, or the data beside it, was refused. Nothing of it is in force then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// Larger than [`Limits::module_bytes`](super::Limits::module_bytes).
    #[error("the module has {bytes} bytes; at most {most} are taken")]
    TooLong {
        /// How many it has.
        bytes: usize,
        /// How many are taken.
        most: usize,
    },
    /// Not a WebAssembly module, or one that asks for more of WebAssembly than OPA's compiler does.
    #[error("this is no WebAssembly module that can be run here: {0}")]
    Wasm(String),
    /// Without `opa_wasm_abi_version`: built before the ABI had a version, or not by OPA.
    #[error(
        "the module does not say which version of OPA's WebAssembly ABI it has: it was built before there were versions, or not \
         by OPA; build it again, `opa build -t wasm` of OPA 0.20 or later"
    )]
    NoAbi,
    /// Of a version of the ABI that is not known here.
    #[error(
        "the module has version {major}.{minor} of OPA's WebAssembly ABI; 1.0 to 1.3 are known: build it again with `opa build -t wasm`"
    )]
    Abi {
        /// The first number.
        major: i32,
        /// The second number.
        minor: i32,
    },
    /// Imports what no policy imports.
    #[error(
        "the module imports `{0}`, which OPA's WebAssembly ABI does not have; nothing else is given to a policy"
    )]
    Import(String),
    /// Lacks something that the ABI wants, or has it in another form.
    #[error("the module does not export `{0}` as OPA's WebAssembly ABI wants it")]
    Export(&'static str),
    /// Wants a builtin that is not given to policies here.
    #[error("the policy calls the builtin `{name}`: {mend}")]
    Builtin {
        /// The builtin's name in Rego.
        name: String,
        /// Why it is not there, and what to do.
        mend: String,
    },
    /// There is no such entrypoint.
    #[error(
        "the module has no entrypoint `{name}`; it has {known}: name one of them, or build with `-e {name}`"
    )]
    Entrypoint {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The data document is larger than [`Limits::data_bytes`](super::Limits::data_bytes).
    #[error("the data document has {bytes} bytes of JSON; at most {most} are taken")]
    Data {
        /// How many it has.
        bytes: usize,
        /// How many are taken.
        most: usize,
    },
    /// The module stopped while it was made ready.
    #[error("the module could not be made ready: {0}")]
    Start(RegoError),
    /// No thread could be had for the clock that ends evaluations.
    #[error("no thread could be started for the clock that ends evaluations: {0}")]
    Clock(String),
}

impl From<RegoError> for ModuleError {
    fn from(error: RegoError) -> Self {
        Self::Start(error)
    }
}
