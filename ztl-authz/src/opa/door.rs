//! The readers, for the fuzz target `opa_module`. No part of the public API.

use serde_json::Value;

use super::{ModuleError, RegoError, readers};
use crate::rego::builtins::{self, Builtin, Context, Regexes};
use crate::rego::term::Term;

/// What of a module's memory is a text.
#[must_use]
pub fn text(memory: &[u8], at: i32, most: usize) -> Option<&[u8]> {
    readers::text(memory, at, most)
}

/// How many entrypoints these are.
///
/// # Errors
/// [`ModuleError`] where the module would be refused.
pub fn entrypoints(json: &[u8]) -> Result<usize, ModuleError> {
    Ok(readers::numbers(readers::names(json)?)?.count())
}

/// The builtins that these are, by their numbers; none where a number has none.
///
/// # Errors
/// [`ModuleError`] where the module would be refused.
pub fn builtins(json: &[u8]) -> Result<Vec<Option<&'static str>>, ModuleError> {
    let all = readers::resolve(readers::names(json)?)?;
    let name = |builtin: &Builtin| Some(builtin.name()).filter(|name| !name.is_empty());
    Ok(all.iter().map(name).collect())
}

/// The value of a result set.
///
/// # Errors
/// [`RegoError`] where it is none.
pub fn answer(json: &[u8]) -> Result<Option<Value>, RegoError> {
    readers::answer(json)
}

/// A value, read and written again.
#[must_use]
pub fn term(text: &[u8]) -> Option<String> {
    Term::parse(text).map(|term| term.to_string())
}

/// What an instance would be answered that calls builtins.
#[derive(Default)]
pub struct Calls(Regexes);

impl Calls {
    /// One call: none where there is no such builtin, or it takes another number of arguments.
    pub fn call(
        &mut self,
        name: &str,
        arguments: &[&[u8]],
        now: Option<i64>,
        most: usize,
    ) -> Option<Result<String, String>> {
        let builtin = builtins::given(name)?;
        if builtin.arity() != arguments.len() {
            return None;
        }
        let read: Result<Vec<Term>, _> = arguments.iter().map(|it| readers::argument(it)).collect();
        let mut context = Context {
            now,
            regexes: &mut self.0,
            most,
        };
        let answer = read.and_then(|terms| readers::called(builtin, &mut context, &terms));
        Some(answer.map_err(std::borrow::Cow::into_owned))
    }
}

impl core::fmt::Debug for Calls {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}
