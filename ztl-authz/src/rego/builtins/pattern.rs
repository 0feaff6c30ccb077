//! `regex.*`: the syntax is RE2's, read by the `regex` crate, in linear time.

use std::collections::HashMap;

use regex::{Regex, RegexBuilder};

use super::{Answer, Context, Term, Why, string, whole};
use crate::re2::translate;

/// How many compiled expressions an instance keeps.
const KEPT: usize = 64;
/// Longest expression, in bytes, and how large it may be compiled.
const MOST_PATTERN: usize = 4096;
const MOST_COMPILED: usize = 1 << 20;
/// Most matches of one call.
const MOST_MATCHES: usize = 65_536;
/// How many times the longest answer one replacement could at most be, before it is known how long it is.
const MOST_EXPANSION: usize = 16;

/// Expressions compiled before.
#[derive(Default)]
pub(crate) struct Regexes {
    /// By what a policy wrote.
    written: HashMap<String, Regex>,
    /// By what was made of patterns in another language.
    #[cfg(feature = "rego")]
    built: HashMap<String, Regex>,
}

impl Regexes {
    fn get(&mut self, pattern: &str) -> Result<&Regex, Why> {
        keep(&mut self.written, pattern, || compile(pattern))
    }

    /// One in the syntax of the `regex` crate.
    #[cfg(feature = "rego")]
    pub(super) fn built(&mut self, expression: String) -> Result<&Regex, Why> {
        keep(&mut self.built, &expression, || build(&expression))
    }
}

fn keep<'a>(
    kept: &'a mut HashMap<String, Regex>,
    key: &str,
    make: impl FnOnce() -> Result<Regex, Why>,
) -> Result<&'a Regex, Why> {
    if !kept.contains_key(key) {
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key.to_owned(), make()?);
    }
    kept.get(key).ok_or_else(bad)
}

fn bad() -> Why {
    "the expression is too long, too large or cannot be read".into()
}

fn compile(pattern: &str) -> Result<Regex, Why> {
    if pattern.len() > MOST_PATTERN {
        return Err(bad());
    }
    build(&translate(pattern).map_err(|_| bad())?)
}

/// What is cut off in silence would be good news to whoever counts.
fn too_many() -> Why {
    "there are too many matches".into()
}

fn build(expression: &str) -> Result<Regex, Why> {
    let built = RegexBuilder::new(expression)
        .size_limit(MOST_COMPILED)
        .dfa_size_limit(MOST_COMPILED)
        .nest_limit(64)
        .build();
    built.map_err(|_| bad())
}

#[cfg(feature = "rego")]
pub(super) fn matches(context: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let regex = context.regexes.get(string(arguments, 0)?)?;
    Ok(Term::Bool(regex.is_match(string(arguments, 1)?)))
}

/// Whether RE2 reads it. What it reads and is not read here, or is too large, is neither.
#[cfg(feature = "rego")]
pub(super) fn is_valid(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let Some(pattern) = arguments.first().and_then(Term::as_str) else {
        return Ok(Term::Bool(false));
    };
    if pattern.len() > MOST_PATTERN {
        return Err(bad());
    }
    match translate(pattern) {
        Ok(expression) => build(&expression).map(|_| Term::Bool(true)),
        Err(crate::re2::Fault::Wrong(_)) => Ok(Term::Bool(false)),
        Err(crate::re2::Fault::Unread(_)) => Err(bad()),
    }
}

/// Each match with what its groups matched.
#[cfg(feature = "rego")]
pub(super) fn find_all_submatches(context: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let regex = context.regexes.get(string(arguments, 0)?)?;
    let text = string(arguments, 1)?;
    let most = usize::try_from(whole(arguments, 2)?).unwrap_or(usize::MAX);
    let mut all = Vec::new();
    let mut groups = 0_usize;
    for found in regex.captures_iter(text).take(most) {
        groups = groups.saturating_add(found.len());
        if groups > MOST_MATCHES {
            return Err(too_many());
        }
        let group = |it: Option<regex::Match<'_>>| Term::text(it.map_or("", |it| it.as_str()));
        all.push(Term::Array(found.iter().map(group).collect()));
    }
    Ok(Term::Array(all))
}

/// `regex.template_match(template, text, start, end)`: between the two delimiters stand expressions, beside them text.
#[cfg(feature = "rego")]
pub(super) fn template_matches(context: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let (template, text) = (string(arguments, 0)?, string(arguments, 1)?);
    let wrong = || Why::from("the template is too long, or its delimiters do not pair");
    let delimiter = |at| {
        let mut chars = string(arguments, at)?.chars();
        let one = chars.next().filter(|_| chars.next().is_none());
        one.filter(char::is_ascii).ok_or_else(wrong)
    };
    let (start, end) = (delimiter(2)?, delimiter(3)?);
    if template.len() > MOST_PATTERN || start == end {
        return Err(wrong());
    }
    let mut expression = String::from("^");
    let (mut depth, mut begin) = (0_usize, 0);
    for (at, c) in template.char_indices() {
        let part = || template.get(begin..at).unwrap_or_default();
        if c == start {
            if depth == 0 {
                expression.push_str(&regex::escape(part()));
                begin = at + 1;
            }
            depth += 1;
        } else if c == end {
            depth = depth.checked_sub(1).ok_or_else(wrong)?;
            if depth == 0 {
                // By itself as well: it may not close the group that is put around it.
                compile(part())?;
                let part = translate(part()).map_err(|_| bad())?;
                expression.extend(["(?:", &part, ")"]);
                begin = at + 1;
            }
        }
    }
    if depth > 0 {
        return Err(wrong());
    }
    expression.push_str(&regex::escape(template.get(begin..).unwrap_or_default()));
    expression.push('$');
    let regex = context.regexes.built(expression)?;
    Ok(Term::Bool(regex.is_match(text)))
}

pub(super) fn find_n(context: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let regex = context.regexes.get(string(arguments, 0)?)?;
    let text = string(arguments, 1)?;
    // Less than none is all.
    let most = usize::try_from(whole(arguments, 2)?).unwrap_or(usize::MAX);
    let mut all = Vec::new();
    for found in regex.find_iter(text).take(most) {
        if all.len() >= MOST_MATCHES {
            return Err(too_many());
        }
        all.push(Term::text(found.as_str()));
    }
    Ok(Term::Array(all))
}

pub(super) fn split(context: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let pattern = string(arguments, 0)?;
    let regex = context.regexes.get(pattern)?;
    let text = string(arguments, 1)?;
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in regex.find_iter(text) {
        if parts.len() >= MOST_MATCHES {
            return Err(too_many());
        }
        end = found.start();
        // An empty match at the very beginning divides nothing.
        if found.end() != 0 {
            parts.push(Term::text(text.get(begin..end).unwrap_or_default()));
        }
        begin = found.end();
    }
    // An empty expression has nothing to say of an empty text, says OPA.
    if end != text.len() || (text.is_empty() && !pattern.is_empty()) {
        parts.push(Term::text(text.get(begin..).unwrap_or_default()));
    }
    Ok(Term::Array(parts))
}

/// `regex.replace(text, expression, replacement)`: `$1`, `${name}` stand for what a group matched.
pub(super) fn replace(context: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let text = string(arguments, 0)?;
    let regex = context.regexes.get(string(arguments, 1)?)?;
    let replacement = string(arguments, 2)?;
    // Each may be written once for a match, and no group is longer than the match.
    let groups = replacement.matches('$').count();
    let bound = context.most.saturating_mul(MOST_EXPANSION);
    let mut out = String::new();
    let mut end = 0;
    for found in regex.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        let before = text.get(end..whole.start()).unwrap_or_default();
        let most = groups
            .saturating_mul(whole.len())
            .saturating_add(replacement.len())
            .saturating_add(before.len())
            .saturating_add(out.len());
        // Before it is written: one match alone can ask for gigabytes.
        if most > bound {
            return Err("the text becomes too long".into());
        }
        out.push_str(before);
        found.expand(replacement, &mut out);
        end = whole.end();
        if out.len() > context.most {
            return Err("the text becomes too long".into());
        }
    }
    out.push_str(text.get(end..).unwrap_or_default());
    Ok(Term::String(out))
}
