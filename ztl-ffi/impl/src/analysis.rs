//! Questions about the whole policy, answered in JSON.

#![expect(unsafe_code, reason = "exports")]

use serde_json::{Value, json};
use ztl_core::analysis::{self, Change, DocumentChange, ReachOptions};

use crate::boundary::{Fault, export, ztl_str};
use crate::engine::{self, ztl_engine};
use crate::error::ztl_error;
use crate::flow::MAX_NAME_BYTES;
use crate::handle;
use crate::status::{ZTL_ERR_POLICY, ztl_status};
use crate::text::ztl_text;

/// What a workload can reach under the policy in force, over any number of hops: its blast radius. Of `external:NAME` it says
/// who reaches that destination outside the mesh. Decides and records nothing.
///
/// @param engine the engine
/// @param workload its name in the policy, or `external:` and the name of a destination outside the mesh
/// @param text receives one object of JSON, as `ztl reach --json` prints it; NULL unless `ZTL_OK` is returned. End it with
///   `ztl_text_free`
/// @param error receives the reason; may be NULL
///
/// # Safety
/// `engine` is NULL or live; `workload` is readable; `text` and `error` are NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_reach(
    engine: *const ztl_engine,
    workload: ztl_str,
    text: *mut *mut ztl_text,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (text), error: error, || {
        // SAFETY: as promised to this function.
        let engine = unsafe { engine::lent(engine) }?;
        // SAFETY: as promised to this function.
        let workload = unsafe { workload.required("workload", MAX_NAME_BYTES) }?;
        let (policy, options) = (engine.engine.policy(), ReachOptions::new());
        let told = match workload.strip_prefix("external:") {
            Some(external) => analysis::reached_by(&policy, external, &options).map(|by| by.to_json()),
            None => analysis::reach(&policy, workload, &options).map(|reach| reach.to_json()),
        };
        let told = told.map_err(|error| Fault::arg(error.to_string()))?;
        Ok(handle::give(told.to_string()))
    })
}

/// What another policy would change, if it were put in force: what would be permitted that is denied now, and denied that is
/// permitted. Exact, each change with a request that shows it. Decides and records nothing, and puts nothing in force.
///
/// @param engine the engine
/// @param policy the document
/// @param format `ZTL_FORMAT_TOML` or `ZTL_FORMAT_JSON`
/// @param text receives one object of JSON: `permits_more`, `denies_more`, `newly_permitted`, `newly_denied`, `document`, and
///   the revisions `old` and `new`; NULL unless `ZTL_OK` is returned. End it with `ztl_text_free`
/// @param error receives the reason; may be NULL
///
/// # Safety
/// `engine` is NULL or live; the text is readable; `text` and `error` are NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_diff(
    engine: *const ztl_engine,
    policy: ztl_str,
    format: u32,
    text: *mut *mut ztl_text,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (text), error: error, || {
        // SAFETY: as promised to this function.
        let engine = unsafe { engine::lent(engine) }?;
        // SAFETY: as promised to this function.
        let new = unsafe { engine::read_policy(policy, format) }?;
        let old = engine.engine.policy();
        let found = analysis::diff(&old, &new).map_err(|error| Fault::new(ZTL_ERR_POLICY, error.to_string()))?;
        let changes = |changes: &[Change]| changes.iter().map(Change::to_json).collect::<Value>();
        let object = json!({
            "old": old.revision().to_string(),
            "new": new.revision().to_string(),
            "permits_more": found.permits_more(),
            "denies_more": found.denies_more(),
            "newly_permitted": changes(&found.newly_permitted),
            "newly_denied": changes(&found.newly_denied),
            "document": found.document.iter().map(DocumentChange::to_json).collect::<Value>(),
        });
        Ok(handle::give(object.to_string()))
    })
}
