//! What a module says, read: texts in its memory, names and their numbers, arguments of builtins, result sets. No engine is needed for
//! any of it, so that the fuzz target `opa_module` tries it without one.

use std::borrow::Cow;
use std::ffi::CStr;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{ModuleError, RegoError, refused};
use crate::rego::builtins::{self, Builtin, Context};
use crate::rego::term::Term;

/// Longest text of a module that an error repeats, in characters.
const MOST_TEXT: usize = 200;
/// Highest number that a builtin may have.
const MOST_BUILTINS: usize = 1024;

/// Text of a module as an error may repeat it: printable and short.
pub(super) fn bounded(text: &str) -> String {
    let mut out: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST_TEXT)
        .collect();
    if text.chars().nth(MOST_TEXT).is_some() {
        out.push('…');
    }
    out
}

/// The bytes at an address up to the first that is zero, which has to come within `most` bytes.
pub(super) fn text(memory: &[u8], at: i32, most: usize) -> Option<&[u8]> {
    let at = usize::try_from(at.cast_unsigned()).ok()?;
    let rest = memory.get(at..)?;
    let rest = rest.get(..most.saturating_add(1)).unwrap_or(rest);
    CStr::from_bytes_until_nul(rest).ok().map(CStr::to_bytes)
}

/// What `builtins` or `entrypoints` says: names and their numbers.
pub(super) fn names(json: &[u8]) -> Result<Map<String, Value>, RegoError> {
    serde_json::from_slice(json)
        .map_err(|_| wrong("the names of builtins or entrypoints cannot be read"))
}

/// The numbers behind names.
pub(super) fn numbers(
    names: Map<String, Value>,
) -> Result<impl Iterator<Item = (String, i32)>, ModuleError> {
    let read = |(name, value): (String, Value)| {
        let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
        number.map(|number| (name, number))
    };
    let all: Option<Vec<_>> = names.into_iter().map(read).collect();
    all.map(Vec::into_iter).ok_or_else(unreadable)
}

/// The builtins of a module by their numbers; a number that none has stays without a function.
pub(super) fn resolve(wanted: Map<String, Value>) -> Result<Arc<[Builtin]>, ModuleError> {
    let mut table = Vec::new();
    for (name, number) in numbers(wanted)? {
        let builtin = builtins::given(&name).ok_or_else(|| refused::refused(&name))?;
        let number = usize::try_from(number).map_err(|_| unreadable())?;
        if number > MOST_BUILTINS {
            return Err(unreadable());
        }
        if table.len() <= number {
            table.resize(number + 1, Builtin::NONE);
        }
        if let Some(place) = table.get_mut(number) {
            *place = builtin;
        }
    }
    Ok(table.into())
}

/// An argument of a builtin, as the module wrote it.
pub(super) fn argument(written: &[u8]) -> Result<Term, Cow<'static, str>> {
    Term::parse(written).ok_or(Cow::Borrowed("an argument cannot be read"))
}

/// What a builtin answers, as the module is to read it; or why it does not.
pub(super) fn called(
    builtin: Builtin,
    context: &mut Context<'_>,
    arguments: &[Term],
) -> Result<String, Cow<'static, str>> {
    let answer = builtin.call(context, arguments).map_err(|why| why.0)?;
    let (answer, most) = (answer.to_string(), context.most);
    if answer.len() > most {
        return Err(format!("its answer has more than {most} bytes").into());
    }
    Ok(answer)
}

/// The value of a result set: none, or one row with the one member `result`.
pub(super) fn answer(json: &[u8]) -> Result<Option<Value>, RegoError> {
    let set = serde_json::from_slice(json);
    of_set(set.map_err(|_| wrong("the policy's answer is no JSON"))?)
}

pub(super) fn of_set(set: Value) -> Result<Option<Value>, RegoError> {
    let Value::Array(mut rows) = set else {
        return Err(wrong("the policy's answer is no result set"));
    };
    match (rows.pop(), rows.is_empty()) {
        (None, _) => Ok(None),
        (Some(Value::Object(mut row)), true) if row.len() == 1 => match row.remove("result") {
            Some(value) => Ok(Some(value)),
            None => Err(wrong("a row of the policy's answer has no `result`")),
        },
        (Some(_), true) => Err(wrong(
            "a row of the policy's answer is not `{\"result\": ..}`",
        )),
        (Some(_), false) => Err(wrong("the policy gave more than one answer")),
    }
}

pub(super) fn wrong(text: &str) -> RegoError {
    RegoError::Answer(text.to_owned())
}

fn unreadable() -> ModuleError {
    let text = "the numbers of builtins or entrypoints cannot be read";
    ModuleError::Start(RegoError::Answer(text.to_owned()))
}
