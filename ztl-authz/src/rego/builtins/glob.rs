//! `glob.match`: what a pattern says of a text whose parts are divided by delimiters.

mod read;
mod sound;

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
    // OPA cuts single characters out of a text by its bytes, and so does not find those that have several.
    if pattern.contains(['?', '[']) && !(pattern.is_ascii() && text.is_ascii()) {
        return Err("`?` and brackets are for ASCII alone".into());
    }
    let expression = translate(pattern, &delimiters)?;
    let regex = context.regexes.built(expression)?;
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

/// The pattern as a regular expression of the whole text.
fn translate(pattern: &str, delimiters: &[char]) -> Result<String, Why> {
    let wrong = || Why::from("the pattern is too long or cannot be read");
    let within = (pattern.len() <= MOST_PATTERN).then_some(pattern);
    let parts = within.and_then(read::parts).ok_or_else(wrong)?;
    if !sound::is_sound(&parts, delimiters) {
        return Err("OPA's matcher errs about this pattern: write several in its place".into());
    }
    let mut expression = Expression {
        text: String::from("(?s)^"),
        delimiters,
    };
    expression.either(&[parts]).ok_or_else(wrong)?;
    expression.text.push('$');
    Ok(expression.text)
}

/// A part of a pattern.
#[derive(PartialEq)]
enum Part {
    Text(String),
    /// `*`.
    Any,
    /// `**`.
    All,
    /// `?`.
    One,
    /// `[abc]` and `[!abc]`.
    Listed {
        not: bool,
        chars: Vec<char>,
    },
    /// `[a-c]` and `[!a-c]`.
    Range {
        not: bool,
        first: char,
        last: char,
    },
    /// Braces; of one alternative, a sequence that is matched by itself.
    Either(Vec<Vec<Self>>),
}

impl Part {
    /// Whether nothing stops it.
    fn is_boundless(&self, delimiters: &[char]) -> bool {
        *self == Self::All || *self == Self::Any && delimiters.is_empty()
    }
}

/// An expression that is being written, and is no longer written once it is too long.
struct Expression<'a> {
    text: String,
    delimiters: &'a [char],
}

impl Expression<'_> {
    fn either(&mut self, alternatives: &[Vec<Part>]) -> Option<()> {
        let mut before = "(?:";
        for parts in alternatives {
            self.text.push_str(before);
            self.sequence(parts)?;
            before = "|";
        }
        self.text.push(')');
        Some(())
    }

    fn sequence(&mut self, parts: &[Part]) -> Option<()> {
        for part in parts {
            match part {
                Part::Text(text) => self.literal(text.chars())?,
                part if part.is_boundless(self.delimiters) => self.text.push_str(".*"),
                Part::One if self.delimiters.is_empty() => self.text.push('.'),
                Part::One => self.class(true, self.delimiters)?,
                Part::Any | Part::All => {
                    self.class(true, self.delimiters)?;
                    self.text.push('*');
                }
                Part::Listed { not, chars } => self.class(*not, chars)?,
                Part::Range { not, first, last } => {
                    self.text.push_str(if *not { "[^" } else { "[" });
                    self.literal([*first].into_iter())?;
                    self.text.push('-');
                    self.literal([*last].into_iter())?;
                    self.text.push(']');
                }
                Part::Either(alternatives) => self.either(alternatives)?,
            }
        }
        // OPA asks how such a text begins and how it ends, and the two may share characters: `/**/x` matches `/x`.
        if let [Part::Text(begin), all, Part::Text(end)] = parts
            && all.is_boundless(self.delimiters)
        {
            for (at, _) in begin.char_indices() {
                let shared = begin.get(at..).and_then(|shared| end.strip_prefix(shared));
                if let Some(rest) = shared {
                    self.text.push('|');
                    self.literal(begin.chars().chain(rest.chars()))?;
                }
            }
        }
        Some(())
    }

    fn class(&mut self, not: bool, chars: &[char]) -> Option<()> {
        self.text.push_str(if not { "[^" } else { "[" });
        self.literal(chars.iter().copied())?;
        self.text.push(']');
        Some(())
    }

    /// Characters that mean themselves, in a class and outside of one.
    fn literal(&mut self, chars: impl Iterator<Item = char>) -> Option<()> {
        for c in chars {
            // Writing to a string does not fail.
            let _written = write!(self.text, r"\x{{{:x}}}", u32::from(c));
            if self.text.len() > MOST_BYTES {
                return None;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
