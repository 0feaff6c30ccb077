//! The patterns of `matches`: they stand in the condition, and are compiled with it.

use regex::{Regex, RegexBuilder};
use ztl_core::authorizer::ConditionError;

use super::MAX_PATTERN_BYTES;
use super::plan::{Kind, Node};
use super::value::text_of;
use crate::re2::{self, translate};

/// Most bytes of a compiled pattern.
const PATTERN_SIZE: usize = 64 << 10;
/// How deep a pattern may nest.
const PATTERN_NEST: u32 = 16;

/// A pattern that stands in the condition, compiled when it is loaded.
pub(super) fn compile(node: &Node) -> Result<Regex, ConditionError> {
    let wrong = |message: String| ConditionError::new(message).at(node.at.clone());
    let Kind::Literal(literal) = &node.kind else {
        let error = wrong("the pattern of `matches` has to stand in the condition".to_owned());
        return Err(error.with_help("no pattern is made from what a request holds"));
    };
    let pattern = text_of(&**literal).unwrap_or_default();
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(wrong(format!(
            "the pattern has more than {MAX_PATTERN_BYTES} bytes"
        )));
    }
    let unreadable = |fault| match fault {
        re2::Fault::Wrong(why) => wrong(format!("the pattern is none: {why}"))
            .with_help("its syntax is RE2's, where no count is above 1000"),
        re2::Fault::Unread(why) => wrong(format!("the pattern cannot be read: {why}")),
    };
    let built = RegexBuilder::new(&translate(pattern).map_err(unreadable)?)
        .size_limit(PATTERN_SIZE)
        .dfa_size_limit(4 * PATTERN_SIZE)
        .nest_limit(PATTERN_NEST)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            wrong("the pattern is too large when it is compiled".to_owned())
                .with_help("write smaller counts")
        }
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let why = last.strip_prefix("error: ").unwrap_or(last);
            wrong(format!("the pattern is none: {why}"))
        }
    })
}
