//! A source to a tree, within bounds and on a stack of its own.
//!
//! The parser descends without end into brackets, so that a text of a few hundred bytes ends the process on a small stack.
//! What it is given is therefore bounded before: by its length, and by how many brackets stand in it at all, within texts and
//! comments too, so that nothing hangs on this module and the parser agreeing where a text ends.

use core::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use cel::common::ast::{IdedExpr, SourceInfo};
use cel::{Env, ParseErrors};
use ztl_core::authorizer::ConditionError;

use super::place::{byte_at, place};
use super::{MAX_BRACKETS, MAX_DEPTH, MAX_NODES, MAX_SOURCE_BYTES};

/// The parser takes less than 200 KiB a bracket, without optimisation.
const STACK_BYTES: usize = 32 << 20;

/// A tree that is small enough to be walked on any stack, and where its parts stand.
pub(super) struct Parsed {
    pub(super) root: IdedExpr,
    pub(super) info: SourceInfo,
}

pub(super) fn parse(source: &str) -> Result<Parsed, ConditionError> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(ConditionError::new(format!(
            "the condition has more than {MAX_SOURCE_BYTES} bytes"
        ))
        .with_help("split the rule: several permits are an or, several requirements an and"));
    }
    if source.trim().is_empty() {
        return Err(ConditionError::new("the condition is empty")
            .with_help("leave `when` out where nothing is asked"));
    }
    let mut brackets = source.match_indices(['(', '[', '{']);
    if let Some((at, _)) = brackets.nth(MAX_BRACKETS) {
        return Err(ConditionError::new(format!(
            "the condition has more than {MAX_BRACKETS} opening brackets"
        ))
        .with_help("split the rule: several permits are an or")
        .at(at..at.saturating_add(1)));
    }
    thread::scope(|scope| {
        let builder = thread::Builder::new()
            .name("ztl-cel".to_owned())
            .stack_size(STACK_BYTES);
        let thread = builder.spawn_scoped(scope, || {
            catch_unwind(AssertUnwindSafe(|| parse_here(source)))
        });
        match thread.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(Ok(parsed))) => parsed,
            Ok(_) => Err(ConditionError::new("the condition cannot be parsed")),
            Err(error) => Err(ConditionError::new(format!(
                "no thread to parse the condition on: {error}"
            ))),
        }
    })
}

/// On a large stack. What is too deep for a small one does not leave it.
fn parse_here(source: &str) -> Result<Parsed, ConditionError> {
    // Macros are not expanded: what they mean is in `check`.
    let parser = Env::default().with_optional_support(false).parser();
    let (root, info) = parser
        .parse_with_source_info(source)
        .map_err(|errors| first(source, errors))?;
    let mut nodes = 0_usize;
    measure(&root, 1, &mut nodes, &mut |deep| place(deep, &info, source))?;
    Ok(Parsed { root, info })
}

/// Refuses a tree that is too deep or too large.
fn measure(
    node: &IdedExpr,
    depth: usize,
    nodes: &mut usize,
    place: &mut dyn FnMut(&IdedExpr) -> Range<usize>,
) -> Result<(), ConditionError> {
    *nodes = nodes.saturating_add(1);
    if depth > MAX_DEPTH {
        return Err(ConditionError::new(format!(
            "the condition nests more than {MAX_DEPTH} deep here"
        ))
        .at(place(node)));
    }
    if *nodes > MAX_NODES {
        return Err(
            ConditionError::new(format!("the condition has more than {MAX_NODES} parts"))
                .at(place(node)),
        );
    }
    super::place::parts(node).try_for_each(|part| measure(part, depth + 1, nodes, place))
}

/// The first thing that the parser found wrong, in words of ours.
fn first(source: &str, errors: ParseErrors) -> ConditionError {
    let Some(error) = errors.errors.into_iter().next() else {
        return ConditionError::new("the condition is no expression");
    };
    let at = byte_at(source, error.pos.0, error.pos.1);
    let end = source.get(at..).and_then(|rest| rest.chars().next());
    let end = at.saturating_add(end.map_or(0, char::len_utf8));
    let here = match source.get(at..end).map(str::trim) {
        Some("") | None => "ends too early, or lacks something here".to_owned(),
        Some(text) => format!("is no expression at `{text}`"),
    };
    let error = ConditionError::new(format!("the condition {here}")).at(at..end);
    match source.get(..at).unwrap_or_default().trim_end() {
        // The parser skips a sign that it does not know, and stumbles over what stands behind it.
        before if before.ends_with('=') || source.get(at..end) == Some("=") => {
            error.with_help("two things are compared with `==`")
        }
        before
            if before.ends_with(['&', '|']) || matches!(source.get(at..end), Some("&" | "|")) =>
        {
            error.with_help("and is `&&`, or is `||`")
        }
        _ => error,
    }
}
