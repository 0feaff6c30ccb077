//! What Python holds between two calls.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;
use core::slice;

use pyo3::prelude::*;
use ztl_ffi_impl::{ZTL_OK, ztl_claims, ztl_flow, ztl_peer, ztl_peer_id};

use crate::handle::Owned;

/// The other end of a connection, proved. Good at the engine that proved it, and at no other.
#[pyclass(frozen, module = "ztl")]
pub(crate) struct Peer(pub(crate) Owned<ztl_peer>);

#[pymethods]
impl Peer {
    /// Its SPIFFE ID.
    #[getter]
    pub(crate) fn id(&self) -> String {
        let (mut at, mut len) = (ptr::null(), 0);
        // SAFETY: the peer is live, and both may be written.
        if unsafe { ztl_peer_id(self.0.get(), &raw mut at, &raw mut len) } != ZTL_OK {
            return String::new();
        }
        // SAFETY: the peer lends that many bytes, and lives.
        let bytes = unsafe { slice::from_raw_parts(at, len) };
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn __repr__(&self) -> String {
        format!("Peer('{}')", self.id())
    }
}

/// A flow that the policy permits: what `Engine.authorize` takes. Good at the engine that permitted it, until what it rests on
/// changes or expires.
#[pyclass(frozen, module = "ztl")]
pub(crate) struct Flow {
    pub(crate) flow: Owned<ztl_flow>,
    /// Whose it is; `None` of the public.
    #[pyo3(get)]
    pub(crate) peer_id: Option<String>,
    /// Seconds since 1970 from when on it no longer holds; `None` if it does not expire.
    #[pyo3(get)]
    pub(crate) expires_at: Option<u64>,
}

#[pymethods]
impl Flow {
    fn __repr__(&self) -> String {
        format!(
            "Flow(peer_id='{}')",
            self.peer_id.as_deref().unwrap_or("public")
        )
    }
}

/// The claims of a token that was verified for the caller of a flow.
#[pyclass(frozen, module = "ztl")]
pub(crate) struct Claims(pub(crate) Owned<ztl_claims>);
