//! `glob.match`: what a pattern says of a text whose parts are divided by delimiters.

use core::fmt::Write;

use super::{Answer, Context, Term, Why, string};

/// Longest pattern, in bytes.
const MOST_PATTERN: usize = 4096;
/// Longest expression that it may become, in bytes.
const MOST_BYTES: usize = 64 << 10;

/// `glob.match(pattern, delimiters, text)`: `*` and `?` stop at a delimiter, `**` does not.
pub(super) fn matches(context: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let (pattern, text) = (string(arguments, 0)?, string(arguments, 2)?);
    let delimiters = delimiters(arguments.get(1))?;
    let wrong = || Why::from("the pattern is too long or cannot be read");
    let within = (pattern.len() <= MOST_PATTERN).then_some(pattern);
    let expression = within.and_then(|pattern| translate(pattern, &delimiters));
    // OPA cuts single characters out of a text by its bytes, and so does not find those that have several.
    if pattern.contains(['?', '[']) && !(pattern.is_ascii() && text.is_ascii()) {
        return Err("`?` and brackets are for ASCII alone".into());
    }
    let regex = context.regexes.built(expression.ok_or_else(wrong)?)?;
    Ok(Term::Bool(regex.is_match(text)))
}

/// None where there is `null`; a point where the list is empty.
fn delimiters(given: Option<&Term>) -> Result<Vec<char>, Why> {
    let wrong = || Why::from("the delimiters are neither `null` nor a list of single characters");
    let one = |term: &Term| {
        let mut chars = term.as_str()?.chars();
        chars.next().filter(|_| chars.next().is_none())
    };
    match given {
        Some(Term::Null) => Ok(Vec::new()),
        Some(Term::Array(all)) if all.is_empty() => Ok(vec!['.']),
        Some(Term::Array(all)) => (all.iter().map(one).collect::<Option<_>>()).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

/// A part of a pattern.
enum Part {
    Text(String),
    /// Anything, delimiters too.
    All,
    /// A regular expression.
    Of(String),
}

/// The pattern as a regular expression of the whole text.
fn translate(pattern: &str, delimiters: &[char]) -> Option<String> {
    // OPA ends a pattern at the one, and refuses the other.
    if pattern.contains(['\0', char::REPLACEMENT_CHARACTER]) {
        return None;
    }
    let one = (!delimiters.is_empty()).then(|| class(true, delimiters));
    // The alternatives of each brace that is open, the last of which is being read.
    let mut open: Vec<Vec<Vec<Part>>> = vec![vec![Vec::new()]];
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let within = open.len() > 1;
        let part = match c {
            // At the very end it means nothing.
            '\\' => chars.next().map(|c| Part::Text(c.to_string())),
            '*' if chars.next_if_eq(&'*').is_some() => {
                // Of three, OPA makes what matches anything but nothing.
                if chars.peek() == Some(&'*') {
                    return None;
                }
                Some(Part::All)
            }
            '*' => Some(match &one {
                Some(one) => Part::Of(format!("{one}*")),
                None => Part::All,
            }),
            '?' => Some(Part::Of(one.clone().unwrap_or_else(|| ".".to_owned()))),
            '[' => Some(Part::Of(bracket(&mut chars)?)),
            '{' => {
                open.push(vec![Vec::new()]);
                None
            }
            ',' if within => {
                open.last_mut()?.push(Vec::new());
                None
            }
            '}' if within => Some(Part::Of(either(open.pop()?))),
            c => Some(Part::Text(c.to_string())),
        };
        let parts = open.last_mut()?.last_mut()?;
        match (parts.last_mut(), part) {
            (Some(Part::Text(text)), Some(Part::Text(more))) => text.push_str(&more),
            (_, part) => parts.extend(part),
        }
    }
    // One that nobody closed ends with the pattern.
    while open.len() > 1 {
        let closed = Part::Of(either(open.pop()?));
        open.last_mut()?.last_mut()?.push(closed);
    }
    let expression = either(open.pop()?);
    (expression.len() <= MOST_BYTES).then(|| format!("(?s)^{expression}$"))
}

fn either(alternatives: Vec<Vec<Part>>) -> String {
    let all: Vec<String> = alternatives.iter().map(|parts| sequence(parts)).collect();
    format!("(?:{})", all.join("|"))
}

fn sequence(parts: &[Part]) -> String {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => text.chars().for_each(|c| literal(&mut out, c)),
            Part::All => out.push_str(".*"),
            Part::Of(expression) => out.push_str(expression),
        }
    }
    // OPA asks how such a text begins and how it ends, and the two may share characters: `/**/x` matches `/x`.
    if let [Part::Text(begin), Part::All, Part::Text(end)] = parts {
        for (at, _) in begin.char_indices() {
            let shared = begin.get(at..).and_then(|shared| end.strip_prefix(shared));
            if let Some(rest) = shared {
                out.push('|');
                let whole = begin.chars().chain(rest.chars());
                whole.for_each(|c| literal(&mut out, c));
            }
        }
    }
    out
}

/// What stands in brackets: one range, or the characters that are listed, or with `!` all but these.
fn bracket(chars: &mut core::iter::Peekable<core::str::Chars<'_>>) -> Option<String> {
    let not = chars.next_if_eq(&'!').is_some();
    let first = chars.next()?;
    if chars.next_if_eq(&'-').is_some() {
        let last = chars.next()?;
        let closed = chars.next()? == ']' && first <= last;
        return closed.then(|| {
            let (first, last) = (u32::from(first), u32::from(last));
            let not = if not { "^" } else { "" };
            format!(r"[{not}\x{{{first:x}}}-\x{{{last:x}}}]")
        });
    }
    let mut listed = Vec::new();
    let mut next = first;
    loop {
        match next {
            ']' => break,
            '\\' => listed.push(chars.next()?),
            c => listed.push(c),
        }
        next = chars.next()?;
    }
    (!listed.is_empty()).then(|| class(not, &listed))
}

fn class(not: bool, chars: &[char]) -> String {
    let mut out = String::from(if not { "[^" } else { "[" });
    chars.iter().for_each(|&c| literal(&mut out, c));
    out.push(']');
    out
}

/// A character that means itself, in a class and outside of one.
fn literal(out: &mut String, c: char) {
    // Writing to a string does not fail.
    let _written = write!(out, r"\x{{{:x}}}", u32::from(c));
}
