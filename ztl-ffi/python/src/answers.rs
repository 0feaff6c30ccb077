//! What Python hears: decisions, and exceptions.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ffi::CStr;
use core::ptr;
use core::slice;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use ztl_ffi_impl as c;
use ztl_ffi_impl::{ZTL_DENIED, ztl_decision, ztl_text};

use crate::handle::{Outcome, Owned};

/// A permit, as it was recorded. What is denied has none: it raises `Denied`. Its texts are made when they are asked for.
#[pyclass(frozen, module = "ztl")]
#[derive(Clone, Copy)]
pub(crate) struct Decision(ztl_decision);

#[pymethods]
impl Decision {
    /// The decision's id in the audit, as 32 hexadecimal digits; empty where nothing was decided, and on a permitted flow.
    #[getter]
    pub(crate) fn decision_id(&self) -> String {
        if self.0.id == [0; 16] {
            return String::new();
        }
        let digits = self.0.id.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits
            .filter_map(|digit| char::from_digit(digit.into(), 16))
            .collect()
    }

    /// The rule that decided; empty where none came near.
    #[getter]
    pub(crate) fn rule(&self) -> String {
        // SAFETY: the C ABI ends it with NUL, within the array.
        let rule = unsafe { CStr::from_ptr(self.0.rule.as_ptr()) };
        rule.to_string_lossy().into_owned()
    }

    /// The last stage that was reached: `none`, `identity`, `flow`, `action`.
    #[getter]
    pub(crate) fn stage(&self) -> &'static str {
        stage(self.0.stage)
    }

    /// `permitted`, or why not.
    #[getter]
    fn reason(&self) -> &'static str {
        reason_name(self.0.reason)
    }

    /// Seconds since 1970 from when on the permit no longer holds; `None` if it does not expire.
    #[getter]
    pub(crate) fn expires_at(&self) -> Option<u64> {
        Some(self.0.expires_unix).filter(|at| *at != u64::MAX)
    }

    fn __repr__(&self) -> String {
        format!(
            "Decision(reason='{}', stage='{}', rule='{}', decision_id='{}')",
            self.reason(),
            self.stage(),
            self.rule(),
            self.decision_id()
        )
    }
}

impl Decision {
    /// What a call writes its decision into. The call's first act is to make a denial of it.
    pub(crate) fn blank() -> ztl_decision {
        ztl_decision {
            size: u32::try_from(size_of::<ztl_decision>()).unwrap_or(0),
            permit: 0,
            reserved: [0; 3],
            stage: c::ZTL_STAGE_NONE,
            reason: c::ZTL_REASON_NOT_JUDGED,
            id: [0; 16],
            expires_unix: 0,
            rule: [0; c::ZTL_RULE_SIZE],
        }
    }

    pub(crate) const fn read(decision: &ztl_decision) -> Self {
        Self(*decision)
    }
}

fn stage(number: u32) -> &'static str {
    match number {
        c::ZTL_STAGE_IDENTITY => "identity",
        c::ZTL_STAGE_FLOW => "flow",
        c::ZTL_STAGE_ACTION => "action",
        _ => "none",
    }
}

/// What the audit calls each reason. A test holds it against the header.
const REASONS: [(u32, &str); 25] = [
    (c::ZTL_REASON_NOT_JUDGED, "not_judged"),
    (c::ZTL_REASON_PERMITTED, "permitted"),
    (c::ZTL_REASON_IDENTITY_UNPROVEN, "identity_unproven"),
    (c::ZTL_REASON_IDENTITY_EXPIRED, "identity_expired"),
    (c::ZTL_REASON_IDENTITY_REVOKED, "identity_revoked"),
    (c::ZTL_REASON_ZONE_UNKNOWN, "zone_unknown"),
    (c::ZTL_REASON_ZONE_MISMATCH, "zone_mismatch"),
    (c::ZTL_REASON_NO_FLOW_PERMITTED, "no_flow_permitted"),
    (c::ZTL_REASON_FLOW_WITHDRAWN, "flow_withdrawn"),
    (c::ZTL_REASON_PATH_AMBIGUOUS, "path_ambiguous"),
    (c::ZTL_REASON_NO_ACTION_PERMITTED, "no_action_permitted"),
    (c::ZTL_REASON_FORBIDDEN, "forbidden"),
    (c::ZTL_REASON_REQUIREMENT_UNMET, "requirement_unmet"),
    (c::ZTL_REASON_EVIDENCE_MISSING, "evidence_missing"),
    (c::ZTL_REASON_EVIDENCE_STALE, "evidence_stale"),
    (c::ZTL_REASON_OBJECTED, "objected"),
    (c::ZTL_REASON_AUTHORIZER_FAILED, "authorizer_failed"),
    (c::ZTL_REASON_CLOCK_UNTRUSTED, "clock_untrusted"),
    (c::ZTL_REASON_AUDIT_UNAVAILABLE, "audit_unavailable"),
    (c::ZTL_REASON_FORWARDED_UNTRUSTED, "forwarded_untrusted"),
    (c::ZTL_REASON_OBLIGATION_UNKNOWN, "obligation_unknown"),
    (c::ZTL_REASON_LIMIT_EXCEEDED, "limit_exceeded"),
    (c::ZTL_REASON_BODY_TOO_LARGE, "body_too_large"),
    (c::ZTL_REASON_BODY_UNFIT, "body_unfit"),
    (c::ZTL_REASON_MISDIRECTED, "misdirected"),
];

/// What the audit calls a reason.
#[pyfunction]
pub(crate) fn reason_name(number: u32) -> &'static str {
    let known = REASONS.into_iter().find(|(reason, _)| *reason == number);
    known.map_or("other", |(_, name)| name)
}

/// The reason that the audit calls so.
pub(crate) fn reason_number(name: &str) -> Option<u32> {
    let known = REASONS.into_iter().find(|(_, reason)| *reason == name);
    known.map(|(number, _)| number)
}

/// What a flow reads, by name.
pub(crate) fn read_names(bits: u32) -> impl Iterator<Item = &'static str> {
    [
        (c::ZTL_READS_TOKEN, "token"),
        (c::ZTL_READS_TRUST_SCORE, "trust_score"),
        (c::ZTL_READS_XFCC, "x-forwarded-client-cert"),
        (c::ZTL_READS_FORWARDED, "forwarded"),
    ]
    .into_iter()
    .filter(move |(bit, _)| bits & bit != 0)
    .map(|(_, name)| name)
}

/// What a requirement that did not hold is called; empty where that was not why.
#[pyfunction]
pub(crate) fn lack_name(number: u32) -> &'static str {
    match number {
        c::ZTL_LACK_NONE => "",
        c::ZTL_LACK_TOKEN => "token",
        c::ZTL_LACK_SUBJECT => "subject",
        c::ZTL_LACK_ACTORS => "actors",
        c::ZTL_LACK_SCOPE => "scope",
        c::ZTL_LACK_CLAIM => "claim",
        c::ZTL_LACK_MFA => "mfa",
        c::ZTL_LACK_TRUST_SCORE => "trust_score",
        c::ZTL_LACK_ZONE_TRUST => "zone_trust",
        c::ZTL_LACK_HEADER => "header",
        c::ZTL_LACK_CONDITION => "condition",
        c::ZTL_LACK_AUTHORIZER => "authorizer",
        _ => "other",
    }
}

/// The exception of a call that did not do what it says: `ztl.errors.raised` knows which class it is.
pub(crate) fn raised(py: Python<'_>, outcome: &Outcome) -> PyErr {
    static RAISED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let make = || -> PyResult<Bound<'_, PyAny>> {
        let raised = RAISED.import(py, "ztl.errors", "raised")?;
        let told = PyDict::new(py);
        if outcome.status == ZTL_DENIED {
            // SAFETY: live or NULL.
            let reason = unsafe { c::ztl_error_reason(outcome.error.get()) };
            told.set_item("reason", reason_name(reason))?;
            // SAFETY: as above.
            let lack = unsafe { c::ztl_error_lack(outcome.error.get()) };
            told.set_item("lack", lack_name(lack))?;
            // Without a decision it was the peer that was not proved.
            told.set_item("stage", "identity")?;
            if let Some(decision) = &outcome.decision {
                told.set_item("stage", decision.stage())?;
                told.set_item("rule", decision.rule())?;
                told.set_item("decision_id", decision.decision_id())?;
            }
        }
        raised.call((outcome.status, message(outcome)), Some(&told))
    };
    make().map_or_else(|error| error, PyErr::from_value)
}

fn message(outcome: &Outcome) -> String {
    let (mut ptr, mut len) = (ptr::null(), 0);
    // SAFETY: the error is live or NULL, and both may be written.
    let status = unsafe { c::ztl_error_message(outcome.error.get(), &raw mut ptr, &raw mut len) };
    if status != c::ZTL_OK {
        return String::new();
    }
    // SAFETY: the error lends that many bytes, and lives.
    let bytes = unsafe { slice::from_raw_parts(ptr, len) };
    String::from_utf8_lossy(bytes).into_owned()
}

/// The text that a call gave.
pub(crate) fn text(text: &Owned<ztl_text>) -> String {
    let (mut ptr, mut len) = (ptr::null(), 0);
    // SAFETY: the text is live or NULL, and both may be written.
    let status = unsafe { c::ztl_text_bytes(text.get(), &raw mut ptr, &raw mut len) };
    if status != c::ZTL_OK {
        return String::new();
    }
    // SAFETY: the text lends that many bytes, and lives.
    let bytes = unsafe { slice::from_raw_parts(ptr, len) };
    String::from_utf8_lossy(bytes).into_owned()
}
