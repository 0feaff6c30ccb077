//! `semver.*` (Semantic Versioning 2.0.0).

use core::cmp::Ordering;

use semver::{Error, Version};

use super::{Answer, Context, Term, Why, string};

/// A `v` may stand before it.
fn read(text: &str) -> Result<Version, Error> {
    Version::parse(text.strip_prefix('v').unwrap_or(text))
}

pub(super) fn is_valid(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let text = arguments.first().and_then(Term::as_str);
    Ok(Term::Bool(text.is_some_and(|text| read(text).is_ok())))
}

/// Build metadata count for nothing (clause 10).
pub(super) fn compare(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let version = |at| {
        let text = string(arguments, at)?;
        read(text).map_err(|_| Why::from(format!("argument {} is no semantic version", at + 1)))
    };
    Ok(Term::number(
        match version(0)?.cmp_precedence(&version(1)?) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        },
    ))
}
