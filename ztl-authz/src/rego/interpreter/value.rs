//! Values of the interpreter as builtins take them, and back.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;

use crate::rego::term::Term;

/// Most bytes that the arguments of one call may have, each part with as many beside its text. Parts of a value may be shared, so
/// that a short policy can make one that is endless when it is written out.
pub(super) const MOST_BYTES: usize = 4 << 20;
pub(super) const PART_BYTES: usize = 16;
const MOST_DEPTH: usize = 64;

/// The arguments of a call; none where they are too much.
pub(super) fn terms(given: &[Value]) -> Option<Vec<Term>> {
    let mut left = MOST_BYTES;
    let term = |value| term(value, MOST_DEPTH, &mut left);
    given.iter().map(term).collect()
}

fn term(value: &Value, depth: usize, left: &mut usize) -> Option<Term> {
    *left = left.checked_sub(PART_BYTES)?;
    let depth = depth.checked_sub(1)?;
    Some(match value {
        Value::Null => Term::Null,
        Value::Bool(value) => Term::Bool(*value),
        Value::Number(number) => Term::Number(number.format_decimal()),
        Value::String(text) => {
            *left = left.checked_sub(text.len())?;
            Term::text(&**text)
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| term(item, depth, left));
            Term::Array(items.collect::<Option<_>>()?)
        }
        Value::Set(items) => {
            let items = items.iter().map(|item| term(item, depth, left));
            Term::set(items.collect::<Option<_>>()?)
        }
        Value::Object(members) => {
            let mut all = Vec::with_capacity(members.len());
            for (key, member) in members.iter() {
                all.push((term(key, depth, left)?, term(member, depth, left)?));
            }
            Term::object(all)
        }
        Value::Undefined => return None,
    })
}

/// What a builtin answers.
pub(super) fn value(term: Term) -> Option<Value> {
    Some(match term {
        Term::Null => Value::Null,
        Term::Bool(value) => Value::from(value),
        Term::Number(digits) => Value::from_numeric_string(&digits).ok()?,
        Term::String(text) => Value::from(text),
        Term::Array(items) => {
            Value::from(items.into_iter().map(value).collect::<Option<Vec<_>>>()?)
        }
        Term::Set(items) => {
            let items = items.into_iter().map(value);
            Value::from(items.collect::<Option<BTreeSet<_>>>()?)
        }
        Term::Object(members) => {
            let members = members
                .into_iter()
                .map(|(key, member)| Some((value(key)?, value(member)?)));
            Value::from(members.collect::<Option<BTreeMap<_, _>>>()?)
        }
    })
}
