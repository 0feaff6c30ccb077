//! Engines whose policy is in a file.

#![expect(unsafe_code, reason = "exports")]

use core::time::Duration;
use std::fs::Metadata;
use std::io::Read as _;
use std::path::Path;
use std::thread;

use ztl_core::policy::MAX_DOCUMENT_BYTES;

use crate::boundary::{Fault, export, utf8, ztl_str};
use crate::engine::{self, MAX_PATH_BYTES, ztl_engine};
use crate::error::ztl_error;
use crate::handle;
use crate::status::{ZTL_ERR_POLICY, ztl_status};

/// Makes an engine from a file: `ztl_engine_new` of what stands in it. A file that its group or others may write is refused with
/// `ZTL_ERR_POLICY`: whoever writes the policy is the policy.
///
/// The file is read twice, half a second apart, for which this call waits. Where the two differ, or the file was touched in between, that is
/// `ZTL_ERR_POLICY` as well: half of a document may be a wider policy than the whole. Somebody who writes more slowly than that is not
/// noticed, so write another file beside it, and rename that into its place.
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

/// Puts the policy of a file in force: `ztl_engine_swap` to what stands in it now. It is read as by `ztl_engine_new_from_file`, in half a
/// second: one that its group or others may write is refused, and one that changes meanwhile; then the policy in force stays.
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

/// How long the two reads of a document are apart.
const MOMENT: Duration = Duration::from_millis(500);

/// Reads a document twice, a moment apart: half of what somebody writes just now is not what they mean (T6).
fn read(path: &str) -> Result<String, Fault> {
    let once = || read_once(Path::new(path)).map_err(|why| unread(path, &why));
    let before = once()?;
    thread::sleep(MOMENT);
    if once()? != before {
        let why = "it changed while it was read: write another file and rename that into its place, or try again";
        return Err(unread(path, why));
    }
    match utf8(&before.bytes) {
        Some(text) => Ok(text.to_owned()),
        None => Err(unread(path, "it is not UTF-8")),
    }
}

fn unread(path: &str, why: &str) -> Fault {
    Fault::new(
        ZTL_ERR_POLICY,
        format!("cannot read `{}`: {why}", path.escape_debug()),
    )
}

/// What a file held, and how it stood.
#[derive(PartialEq, Eq)]
struct Version {
    bytes: Vec<u8>,
    stamp: Stamp,
}

/// At most one byte more than a document may have: what is too long is refused where it is parsed.
fn read_once(path: &Path) -> Result<Version, String> {
    let most = u64::try_from(MAX_DOCUMENT_BYTES).map_or(u64::MAX, |most| most.saturating_add(1));
    let mut bytes = Vec::new();
    let file = ztl_mtls::open_regular(path)
        .map_err(|error| error.to_string())?
        .ok_or_else(|| "it is no regular file".to_owned())?;
    // Of the file that was opened, whatever its name leads to by now (T6).
    let found = file.metadata().map_err(|error| error.to_string())?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o7777;
        if mode & 0o022 != 0 {
            return Err(format!(
                "group or others may write it (mode {mode:04o}): `chmod go-w` it, and look at what stands in it"
            ));
        }
    }
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    Ok(Version {
        bytes,
        // As it stood before it was read, so that the second read shows a change during the first.
        stamp: Stamp::of(&found),
    })
}

/// Which file it is, and when it was changed: device, number, length, modification and change.
#[derive(PartialEq, Eq)]
struct Stamp([i128; 5]);

impl Stamp {
    #[cfg(unix)]
    fn of(file: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;

        let nanos = |secs: i64, nanos: i64| {
            (i128::from(secs) * 1_000_000_000).saturating_add(i128::from(nanos))
        };
        Self([
            file.dev().into(),
            file.ino().into(),
            file.len().into(),
            nanos(file.mtime(), file.mtime_nsec()),
            nanos(file.ctime(), file.ctime_nsec()),
        ])
    }

    #[cfg(not(unix))]
    fn of(file: &Metadata) -> Self {
        Self([file.len().into(), 0, 0, 0, 0])
    }
}

fn lent(document: &str) -> ztl_str {
    ztl_str {
        ptr: document.as_ptr(),
        len: document.len(),
    }
}
