//! Engines whose policy is in a file.

#![expect(unsafe_code, reason = "exports")]

use std::io::Read as _;
use std::path::Path;

use ztl_core::policy::MAX_DOCUMENT_BYTES;

use crate::boundary::{Fault, export, utf8, ztl_str};
use crate::engine::{self, MAX_PATH_BYTES, ztl_engine};
use crate::error::ztl_error;
use crate::handle;
use crate::status::{ZTL_ERR_POLICY, ztl_status};

/// Makes an engine from a file, which is read once: `ztl_engine_new` of what stands in it. A file that its group or others may
/// write is refused with `ZTL_ERR_POLICY`: whoever writes the policy is the policy.
///
/// @param path the policy document: a path in UTF-8
/// @param format `ZTL_FORMAT_TOML` or `ZTL_FORMAT_JSON`
/// @param audit_file as for `ztl_engine_new`
/// @param engine receives the engine; NULL unless `ZTL_OK` is returned. End it with `ztl_engine_free`
/// @param error receives the reason; may be NULL
///
/// # Safety
/// The texts are readable; `engine` and `error` are NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_engine_new_from_file(
    path: ztl_str,
    format: u32,
    audit_file: ztl_str,
    engine: *mut *mut ztl_engine,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (engine), error: error, || {
        // SAFETY: as promised to this function.
        let document = read(unsafe { path.required("path", MAX_PATH_BYTES) }?)?;
        // SAFETY: the document is lent to a call that keeps nothing of it; the rest as promised to this function.
        let policy = unsafe { engine::read_policy(lent(&document), format) }?;
        // SAFETY: as promised to this function.
        Ok(handle::give(unsafe { engine::with_audit_file(policy, audit_file) }?))
    })
}

/// Puts the policy of a file in force: `ztl_engine_swap` to what stands in it now. A file that its group or others may write is
/// refused, as by `ztl_engine_new_from_file`.
///
/// @param engine the engine
/// @param path the policy document: a path in UTF-8
/// @param format `ZTL_FORMAT_TOML` or `ZTL_FORMAT_JSON`
/// @param error receives the reason; may be NULL
///
/// # Safety
/// `engine` is NULL or live; the text is readable; `error` is NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_engine_swap_from_file(
    engine: *const ztl_engine,
    path: ztl_str,
    format: u32,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (), error: error, || {
        // SAFETY: as promised to this function.
        let body = unsafe { engine::lent(engine) }?;
        // SAFETY: as promised to this function.
        let document = read(unsafe { path.required("path", MAX_PATH_BYTES) }?)?;
        // SAFETY: the document is lent to a call that keeps nothing of it.
        let policy = unsafe { engine::read_policy(lent(&document), format) }?;
        Ok(body.swap(policy)?)
    })
}

/// Reads a document, at most one byte more than one may have: what is too long is refused where it is parsed.
fn read(path: &str) -> Result<String, Fault> {
    let unread = |why: String| {
        Fault::new(
            ZTL_ERR_POLICY,
            format!("cannot read `{}`: {why}", path.escape_debug()),
        )
    };
    let most = u64::try_from(MAX_DOCUMENT_BYTES).map_or(u64::MAX, |most| most.saturating_add(1));
    let mut bytes = Vec::new();
    let file = ztl_mtls::open_regular(Path::new(path))
        .map_err(|error| unread(error.to_string()))?
        .ok_or_else(|| unread("it is no regular file".to_owned()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // Of the file that was opened, whatever its name leads to by now (T6).
        let found = file.metadata().map_err(|error| unread(error.to_string()))?;
        let mode = found.permissions().mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(unread(format!(
                "group or others may write it (mode {mode:04o}): `chmod go-w` it, and look at what stands in it"
            )));
        }
    }
    let read = file.take(most).read_to_end(&mut bytes);
    read.map_err(|error| unread(error.to_string()))?;
    match utf8(&bytes) {
        Some(text) => Ok(text.to_owned()),
        None => Err(unread("it is not UTF-8".to_owned())),
    }
}

fn lent(document: &str) -> ztl_str {
    ztl_str {
        ptr: document.as_ptr(),
        len: document.len(),
    }
}
