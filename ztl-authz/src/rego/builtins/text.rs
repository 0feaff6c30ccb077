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

/// Where one text stands first in another, in characters; -1 where it does not.
#[cfg(feature = "rego")]
pub(super) fn indexof(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let (text, part) = (string(arguments, 0)?, string(arguments, 1)?);
    if part.is_empty() {
        return Err("the text that is searched for is empty".into());
    }
    let before = text.find(part).and_then(|at| text.get(..at));
    let index = before.map(|before| i64::try_from(before.chars().count()).unwrap_or(i64::MAX));
    Ok(Term::number(index.unwrap_or(-1)))
}

/// Replaces all at once: what was put in is not looked at again. Where several fit, the first in the order of their names.
#[cfg(feature = "rego")]
pub(super) fn replace_n(context: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let text = string(arguments, 1)?;
    let Some(Term::Object(members)) = arguments.first() else {
        return Err("argument 1 is no object".into());
    };
    let pairs: Option<Vec<(&str, &str)>> = (members.iter())
        .map(|(old, new)| old.as_str().zip(new.as_str()))
        .collect();
    let pairs = pairs.ok_or("a member of argument 1 is not of two strings")?;
    if pairs.len().saturating_mul(text.len()) > MOST_PAIRS {
        return Err("the text is too long for so many replacements".into());
    }
    let empty = pairs.iter().any(|(old, _)| old.is_empty());
    if empty && !text.is_ascii() {
        return Err("an empty text is not replaced but within ASCII".into());
    }
    let mut out = String::new();
    let mut rest = text;
    let mut after_empty = false;
    loop {
        let fits =
            |(old, _): &&(&str, &str)| rest.starts_with(old) && !(after_empty && old.is_empty());
        let found = pairs.iter().find(fits);
        after_empty = found.is_some_and(|(old, _)| old.is_empty());
        if let Some((old, new)) = found {
            out.push_str(new);
            rest = rest.strip_prefix(old).unwrap_or_default();
        } else {
            let mut chars = rest.chars();
            let Some(c) = chars.next() else {
                return Ok(Term::String(out));
            };
            out.push(c);
            rest = chars.as_str();
        }
        if out.len() > context.most {
            return Err("the text becomes too long".into());
        }
    }
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

/// Each character in small letters by itself, as Go does it: not the sigma at the end of a word, and `i` for the dotted capital.
#[cfg(feature = "rego")]
pub(super) fn lower(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let of = |c: char| c.to_lowercase().next().unwrap_or(c);
    Ok(Term::String(
        string(arguments, 0)?.chars().map(of).collect(),
    ))
}

/// Each character as one capital letter by itself, as Go does it: what would become several stays, such as the German sharp s.
#[cfg(feature = "rego")]
pub(super) fn upper(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let of = |c: char| {
        let mut all = c.to_uppercase();
        match (all.next(), all.next()) {
            (Some(one), None) => one,
            _ => titled(c),
        }
    };
    Ok(Term::String(
        string(arguments, 0)?.chars().map(of).collect(),
    ))
}

/// The Greek letters with an iota below have one capital letter (Unicode's simple mapping), and two without it.
#[cfg(feature = "rego")]
fn titled(c: char) -> char {
    let up = match c {
        '\u{1f80}'..='\u{1faf}' if u32::from(c) & 8 == 0 => 8,
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => 9,
        _ => 0,
    };
    char::from_u32(u32::from(c) + up).unwrap_or(c)
}

/// Notes go nowhere: nothing is traced while a decision is made.
pub(super) fn trace(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    string(arguments, 0).map(|_| Term::Bool(true))
}
