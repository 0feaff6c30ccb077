//! `regex.*` beside those that OPA compiles into the module: the syntax is RE2's, read by the `regex` crate, in linear time.

use std::collections::HashMap;

use regex::{Regex, RegexBuilder};

use super::{Answer, Context, Term, Why, string, whole};

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
pub(in super::super) struct Regexes(HashMap<String, Regex>);

impl Regexes {
    fn get(&mut self, pattern: &str) -> Result<&Regex, Why> {
        if !self.0.contains_key(pattern) {
            if self.0.len() >= KEPT {
                self.0.clear();
            }
            let compiled = compile(pattern)?;
            self.0.insert(pattern.to_owned(), compiled);
        }
        self.0.get(pattern).ok_or_else(bad)
    }
}

fn bad() -> Why {
    "the expression is too long, too large or cannot be read".into()
}

fn compile(pattern: &str) -> Result<Regex, Why> {
    if pattern.len() > MOST_PATTERN {
        return Err(bad());
    }
    let built = RegexBuilder::new(&translate(pattern).ok_or_else(bad)?)
        .size_limit(MOST_COMPILED)
        .dfa_size_limit(MOST_COMPILED)
        .nest_limit(64)
        .build();
    built.map_err(|_| bad())
}

/// RE2's syntax as that of the `regex` crate: its classes of ASCII, and no operators within brackets.
fn translate(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    // Whether a bracket is open, and whether something stands in it already.
    let mut class = None;
    while let Some(c) = chars.next() {
        match (c, class) {
            ('\\', _) => {
                match (chars.next()?, class) {
                    ('d', _) => out.push_str("[0-9]"),
                    ('D', _) => out.push_str("[^0-9]"),
                    ('w', _) => out.push_str("[0-9A-Za-z_]"),
                    ('W', _) => out.push_str("[^0-9A-Za-z_]"),
                    ('s', _) => out.push_str(r"[\t\n\f\r ]"),
                    ('S', _) => out.push_str(r"[^\t\n\f\r ]"),
                    ('b', None) => out.push_str(r"(?-u:\b)"),
                    ('B', None) => out.push_str(r"(?-u:\B)"),
                    (plain @ ('<' | '>'), _) => out.push(plain),
                    (other, _) => out.extend(['\\', other]),
                }
                class = class.map(|_| true);
            }
            ('[', None) => {
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                class = Some(false);
            }
            ('[', Some(_)) if chars.peek() == Some(&':') => {
                // `[:alpha:]` as it stands.
                out.push('[');
                for c in chars.by_ref() {
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
                class = Some(true);
            }
            // First in brackets it means itself.
            (']', Some(false)) => {
                out.push_str(r"\]");
                class = Some(true);
            }
            (']', Some(true)) => {
                out.push(']');
                class = None;
            }
            (c @ ('[' | '&' | '~'), Some(_)) => {
                out.extend(['\\', c]);
                class = Some(true);
            }
            ('-', Some(_)) if chars.peek() == Some(&'-') => return None,
            (c, within) => {
                out.push(c);
                class = within.map(|_| true);
            }
        }
    }
    Some(out)
}

pub(super) fn find_n(context: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let regex = context.regexes.get(string(arguments, 0)?)?;
    let text = string(arguments, 1)?;
    // Less than none is all.
    let most = usize::try_from(whole(arguments, 2)?).unwrap_or(MOST_MATCHES);
    let found = regex.find_iter(text).take(most.min(MOST_MATCHES));
    Ok(Term::Array(
        found.map(|it| Term::text(it.as_str())).collect(),
    ))
}

pub(super) fn split(context: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let regex = context.regexes.get(string(arguments, 0)?)?;
    let text = string(arguments, 1)?;
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in regex.find_iter(text).take(MOST_MATCHES) {
        end = found.start();
        // An empty match at the very beginning divides nothing.
        if found.end() != 0 {
            parts.push(Term::text(text.get(begin..end).unwrap_or_default()));
        }
        begin = found.end();
    }
    if end != text.len() || text.is_empty() {
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
