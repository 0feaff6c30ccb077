//! The native half of ztl for Python: the C ABI's own functions, called from Rust, behind classes of Python.
//!
//! Nothing is decided here. Every decision, bound and refusal is that of `ztl-ffi-impl`, so that Python has the same as C and Go.

mod analysis;
mod answers;
mod asked;
mod engine;
mod handle;
mod held;
mod recipe;
mod refusal;
mod requests;
mod state;

use pyo3::prelude::*;

/// The module `ztl._ztl`; what is public is in `ztl`.
#[pymodule]
fn _ztl(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<engine::Engine>()?;
    module.add_class::<held::Peer>()?;
    module.add_class::<held::Flow>()?;
    module.add_class::<held::Claims>()?;
    module.add_class::<answers::Decision>()?;
    module.add_function(wrap_pyfunction!(answers::reason_name, module)?)?;
    module.add_function(wrap_pyfunction!(answers::lack_name, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    recipe::watch_forks(module)
}
