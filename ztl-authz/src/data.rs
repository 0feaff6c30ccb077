//! Data documents of policies, read the same whether they come beside a policy or in a bundle (rule 22).

use serde_json::Value;
use ztl_core::json::{self, Fault, FaultKind};

/// How many objects and lists may stand inside one another in a data document.
pub(crate) const MAX_DEPTH: usize = 64;

/// Why a document was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataFault {
    /// It is no strict JSON.
    Json(Fault),
    /// A number in it cannot be held exactly.
    Number,
}

/// Reads a document: no member name twice, no number that is rounded, bounded depth.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, DataFault> {
    let value = json::value_within(bytes, MAX_DEPTH).map_err(DataFault::Json)?;
    if is_exact(&value) {
        Ok(value)
    } else {
        Err(DataFault::Number)
    }
}

/// What is wrong with a text, in words.
pub(crate) fn words(kind: FaultKind) -> String {
    match kind {
        FaultKind::Duplicate => "has a member name twice".to_owned(),
        FaultKind::TooDeep => {
            format!("has objects and lists more than {MAX_DEPTH} deep")
        }
        _ => "is not one JSON document".to_owned(),
    }
}

/// Whether no whole number was rounded: two account numbers must not become one. Floats of this size have no fraction.
fn is_exact(value: &Value) -> bool {
    const FROM: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            number.as_f64().is_some_and(|it| it.abs() < FROM)
        }
        Value::Array(values) => values.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
        _ => true,
    }
}
