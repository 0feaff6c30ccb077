//! Builtins on strings.

use super::{Answer, Context, Term, string, strings};

/// `strings.any_prefix_match(search, base)`.
pub(super) fn any_prefix(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    any(arguments, |text, start| text.starts_with(start))
}

/// `strings.any_suffix_match(search, base)`.
pub(super) fn any_suffix(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    any(arguments, |text, end| text.ends_with(end))
}

/// Most comparisons of one call.
const MOST_PAIRS: usize = 1 << 20;

fn any(arguments: &[Term], is: fn(&str, &str) -> bool) -> Answer {
    let (search, base) = (strings(arguments, 0)?, strings(arguments, 1)?);
    if search.len().saturating_mul(base.len()) > MOST_PAIRS {
        return Err("the two lists are too long to be compared".into());
    }
    let found = search
        .iter()
        .any(|text| base.iter().any(|part| is(text, part)));
    Ok(Term::Bool(found))
}

/// How often one text stands in another, without overlaps.
pub(super) fn count(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let (text, part) = (string(arguments, 0)?, string(arguments, 1)?);
    let count = if part.is_empty() {
        text.chars().count() + 1
    } else {
        text.matches(part).count()
    };
    Ok(Term::Number(count.to_string()))
}

/// Where one text stands in another, in characters, overlaps included.
pub(super) fn indexof_n(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let (text, part) = (string(arguments, 0)?, string(arguments, 1)?);
    if part.is_empty() {
        return Err("the text that is searched for is empty".into());
    }
    let places = text
        .char_indices()
        .enumerate()
        .filter(|(_, (at, _))| text.get(*at..).is_some_and(|rest| rest.starts_with(part)))
        .map(|(index, _)| Term::Number(index.to_string()));
    Ok(Term::Array(places.collect()))
}

/// The pattern of `glob.match` that matches just this text.
pub(super) fn quote_meta(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let mut out = String::new();
    for c in string(arguments, 0)?.chars() {
        if matches!(c, '*' | '?' | '\\' | '[' | ']' | '{' | '}') {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(Term::String(out))
}

/// Notes go nowhere: nothing is traced while a decision is made.
pub(super) fn trace(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    string(arguments, 0).map(|_| Term::Bool(true))
}
