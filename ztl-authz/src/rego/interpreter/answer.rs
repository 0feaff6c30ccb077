//! A value of the interpreter as JSON.

use regorus::Value;
use serde_json::Value as Json;

use crate::rego::RegoError;

/// Most parts of an answer, and how deep it may nest. Parts of a value may be shared, so that a short policy can make one that
/// is endless when it is written out.
const MAX_PARTS: usize = 10_000;
const MAX_DEPTH: usize = 64;

/// The value as JSON: a set is a list. None where it is undefined.
pub(super) fn json(value: &Value) -> Result<Option<Json>, RegoError> {
    if matches!(value, Value::Undefined) {
        return Ok(None);
    }
    let mut left = MAX_PARTS;
    part(value, MAX_DEPTH, &mut left).map(Some)
}

fn part(value: &Value, depth: usize, left: &mut usize) -> Result<Json, RegoError> {
    let fault = |what: &str| RegoError::Answer(what.to_owned());
    *left = (left.checked_sub(1)).ok_or_else(|| fault("it has too many parts"))?;
    let depth = (depth.checked_sub(1)).ok_or_else(|| fault("it nests too deep"))?;
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::String(text) => Json::from(&**text),
        Value::Number(_) => {
            serde_json::to_value(value).map_err(|_| fault("it has a number that is none"))?
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| part(item, depth, left));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Set(items) => {
            let items = items.iter().map(|item| part(item, depth, left));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| {
                let Value::String(name) = name else {
                    return Err(fault("it has a member without a name"));
                };
                Ok((name.to_string(), part(member, depth, left)?))
            });
            Json::Object(members.collect::<Result<_, _>>()?)
        }
        Value::Undefined => return Err(fault("a part of it is undefined")),
    })
}
