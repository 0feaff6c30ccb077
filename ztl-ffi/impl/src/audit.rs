//! An engine whose records go to the host.

#![expect(unsafe_code, reason = "exports, and calls what C gave")]

use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ztl_core::audit::{AuditError, Record, Sink};

use crate::boundary::{Fault, export, ztl_str};
use crate::engine::{self, ztl_engine};
use crate::error::ztl_error;
use crate::handle;
use crate::status::ztl_status;

/// Takes a record of the audit: one line of JSON in UTF-8, without its newline, borrowed until this returns.
///
/// It is called before the decision is returned, by whichever thread decides, so by several at once. It returns 0 once the record
/// is kept; anything else says that it is not, and a permit becomes a denial, `ZTL_REASON_AUDIT_UNAVAILABLE`. It must return, be
/// quick, throw nothing, and not free this engine. A call with this engine that it makes itself is `ZTL_ERR_ARG`.
///
/// @param context what the engine was made with
/// @param line the first byte of the record
/// @param len how many
pub type ztl_audit_fn =
    Option<unsafe extern "C" fn(context: *mut c_void, line: *const u8, len: usize) -> i32>;

/// Makes an engine whose records go to a function of the host, as `ztl_engine_new` does otherwise.
///
/// @param policy the document
/// @param format `ZTL_FORMAT_TOML` or `ZTL_FORMAT_JSON`
/// @param audit takes each record; must not be NULL
/// @param context is handed to it; may be NULL. The library reads nothing of it and does not free it: keep it until the engine is
///   freed
/// @param engine receives the engine; NULL unless `ZTL_OK` is returned. End it with `ztl_engine_free`
/// @param error receives the reason; may be NULL
///
/// # Safety
/// The text is readable; `audit` may be called with `context` by any thread until the engine is freed; `engine` and `error` are
/// NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_engine_new_with_audit(
    policy: ztl_str,
    format: u32,
    audit: ztl_audit_fn,
    context: *mut c_void,
    engine: *mut *mut ztl_engine,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (engine), error: error, || {
        let call = audit.ok_or_else(|| Fault::arg("`audit` is NULL; it has to take the records"))?;
        // SAFETY: as promised to this function.
        let policy = unsafe { engine::read_policy(policy, format) }?;
        let inside = Arc::new(Inside::default());
        let host = Host { call, context, inside: Arc::clone(&inside) };
        let mut body = engine::Body::new(policy, host)?;
        body.inside = inside;
        Ok(handle::give(body))
    })
}

/// The host, as it takes records.
struct Host {
    call: unsafe extern "C" fn(*mut c_void, *const u8, usize) -> i32,
    context: *mut c_void,
    inside: Arc<Inside>,
}

/// The threads that are in the function just now. A decision waits for each of them, with what it holds locked: one that asked its engine
/// would wait for itself, or be asked to record that in turn, without an end.
#[derive(Debug, Default)]
pub(crate) struct Inside {
    /// How many, so that nobody waits to learn that there is none.
    count: AtomicUsize,
    threads: Mutex<Vec<usize>>,
}

impl Inside {
    /// Whether this thread is one of them.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        // What this thread itself has counted it sees.
        self.count.load(Ordering::Relaxed) != 0 && self.threads().contains(&this_thread())
    }

    fn enter(&self) -> Entered<'_> {
        self.threads().push(this_thread());
        self.count.fetch_add(1, Ordering::Relaxed);
        Entered(self)
    }

    fn threads(&self) -> MutexGuard<'_, Vec<usize>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that is in the function, until this is dropped.
struct Entered<'a>(&'a Inside);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        let mut threads = self.0.threads();
        if let Some(at) = threads.iter().position(|thread| *thread == this_thread()) {
            threads.swap_remove(at);
        }
    }
}

/// A number that no other thread has while this one lives: where its own byte is, which is never written.
fn this_thread() -> usize {
    thread_local!(static BYTE: u8 = const { 0 });
    BYTE.with(|byte| core::ptr::from_ref(byte).addr())
}

// SAFETY: who made the engine vouches that any thread may call the function with the context.
unsafe impl Send for Host {}
// SAFETY: as above, and several threads at once.
unsafe impl Sync for Host {}

impl Sink for Host {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        let mut line = String::new();
        record.write_json(&mut line);
        let _inside = self.inside.enter();
        // SAFETY: who made the engine vouches for it.
        match unsafe { (self.call)(self.context, line.as_ptr(), line.len()) } {
            0 => Ok(()),
            said => Err(AuditError(format!("the host's function returned {said}"))),
        }
    }
}
