//! The syntax of regular expressions that OPA and CEL have, RE2's, for the `regex` crate, which reads nearly the same.

/// The highest count that RE2 takes.
const MOST_COUNT: u32 = 1000;

/// RE2's syntax as that of the `regex` crate: its classes of ASCII, and no operators within brackets.
pub(crate) fn translate(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    // Whether a bracket is open, and whether something stands in it already.
    let mut class = None;
    // Whether an operator was last that repeats, and whether a `?` may follow it still.
    let mut repeated = None;
    while let Some(c) = chars.next() {
        let repeats =
            class.is_none() && (matches!(c, '*' | '+' | '?') || c == '{' && counts(chars.clone())?);
        if repeats {
            repeated = match (repeated, c) {
                (None, _) => Some(true),
                (Some(true), '?') => Some(false),
                // What is repeated is not repeated again.
                _ => return None,
            };
            out.push(c);
            if c == '{' {
                through(&mut out, &mut chars, '}');
            }
            continue;
        }
        repeated = None;
        match (c, class) {
            ('\\', _) => {
                match (chars.next()?, class) {
                    ('d', _) => out.push_str("[0-9]"),
                    ('D', _) => out.push_str("[^0-9]"),
                    ('w', _) => out.push_str("[0-9A-Za-z_]"),
                    ('W', _) => out.push_str("[^0-9A-Za-z_]"),
                    ('s', _) => out.push_str(r"[\t\n\f\r ]"),
                    ('S', _) => out.push_str(r"[^\t\n\f\r ]"),
                    (one @ ('p' | 'P' | 'x'), _) => {
                        out.extend(['\\', one]);
                        // What stands in braces belongs to it: the name of a class, the number of a character.
                        if chars.next_if_eq(&'{').is_some() {
                            out.push('{');
                            through(&mut out, &mut chars, '}');
                        }
                    }
                    ('u' | 'U', _) => return None,
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
                through(&mut out, &mut chars, ']');
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
            // It means itself where no count follows.
            ('{', None) => out.push_str(r"\{"),
            ('(', None) => {
                out.push('(');
                if chars.next_if_eq(&'?').is_some() {
                    out.push('?');
                    while let Some(flag) = chars.next_if(|c| c.is_ascii_alphabetic() || *c == '-') {
                        // Those that RE2 has not.
                        if matches!(flag, 'x' | 'u' | 'R') {
                            return None;
                        }
                        out.push(flag);
                    }
                }
            }
            ('-', Some(_)) if chars.peek() == Some(&'-') => return None,
            // No range ends in a class.
            ('-', Some(true)) if is_class(chars.clone()) => return None,
            (c, within) => {
                out.push(c);
                class = within.map(|_| true);
            }
        }
    }
    Some(out)
}

/// Copies up to a character, and that one.
fn through(out: &mut String, chars: &mut impl Iterator<Item = char>, end: char) {
    for c in chars {
        out.push(c);
        if c == end {
            break;
        }
    }
}

/// Whether a class follows: `\d`, say.
fn is_class(mut chars: impl Iterator<Item = char>) -> bool {
    let classes = ['d', 'D', 'w', 'W', 's', 'S', 'p', 'P'];
    chars.next() == Some('\\') && chars.next().is_some_and(|c| classes.contains(&c))
}

/// Whether what follows a brace is a count: `2}`, `2,}`, `2,3}`. None where it is one that RE2 refuses.
fn counts(mut chars: impl Iterator<Item = char> + Clone) -> Option<bool> {
    let mut count = || {
        let mut digits = String::new();
        loop {
            match chars.next() {
                Some(digit) if digit.is_ascii_digit() => digits.push(digit),
                end => return (digits, end),
            }
        }
    };
    let is_none = |digits: &str| digits.len() > 1 && digits.starts_with('0');
    let (least, end) = count();
    let (most, end) = match end {
        Some(',') => count(),
        end => (String::new(), end),
    };
    if end != Some('}') || least.is_empty() || is_none(&least) || is_none(&most) {
        return Some(false);
    }
    let fits = |digits: &str| {
        digits.is_empty() || (digits.parse()).is_ok_and(|count: u32| count <= MOST_COUNT)
    };
    (fits(&least) && fits(&most)).then_some(true)
}
