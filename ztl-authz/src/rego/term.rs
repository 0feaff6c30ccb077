//! A value as Rego has it, sets and all, read from and written as the text that OPA's modules dump and parse.

use core::cmp::Ordering;
use core::fmt;

/// How deep a value may be nested.
#[cfg(any(test, feature = "opa", feature = "opa-readers"))]
const MOST_DEPTH: usize = 64;

/// A value of Rego.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number, with all the digits it was written with.
    Number(String),
    /// A string.
    String(String),
    /// `[1, 2]`
    Array(Vec<Term>),
    /// `{"a": 1}`: keys may be any value, sorted as Rego sorts them.
    Object(Vec<(Term, Term)>),
    /// `{1, 2}`, `set()`: sorted as Rego sorts them.
    Set(Vec<Term>),
}

impl Term {
    /// Reads what `opa_value_dump` or `opa_json_dump` wrote.
    #[cfg(any(test, feature = "opa", feature = "opa-readers"))]
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut reader = Reader {
            text: core::str::from_utf8(text).ok()?,
        };
        let term = reader.term(0)?;
        reader.space();
        reader.text.is_empty().then_some(term)
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    pub(crate) fn number(number: impl Into<i64>) -> Self {
        Self::Number(number.into().to_string())
    }

    pub(crate) const fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The number, if it is a whole one that fits.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// The elements of an array or a set.
    pub(crate) fn elements(&self) -> Option<&[Self]> {
        match self {
            Self::Array(all) | Self::Set(all) => Some(all),
            _ => None,
        }
    }
}

impl Term {
    /// The order of Rego: by kind, then by worth.
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => one.cmp(other),
            (Self::Number(one), Self::Number(other)) => {
                let worth = |digits: &str| digits.parse::<f64>().unwrap_or(f64::NAN);
                worth(one).total_cmp(&worth(other))
            }
            (Self::String(one), Self::String(other)) => one.cmp(other),
            (Self::Array(one), Self::Array(other)) | (Self::Set(one), Self::Set(other)) => {
                lists(one.iter(), other.iter())
            }
            (Self::Object(one), Self::Object(other)) => {
                let keys = lists(one.iter().map(|it| &it.0), other.iter().map(|it| &it.0));
                keys.then_with(|| lists(one.iter().map(|it| &it.1), other.iter().map(|it| &it.1)))
            }
            (one, other) => one.rank().cmp(&other.rank()),
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Number(_) => 2,
            Self::String(_) => 3,
            Self::Array(_) => 4,
            Self::Object(_) => 5,
            Self::Set(_) => 6,
        }
    }

    pub(crate) fn object(mut members: Vec<(Self, Self)>) -> Self {
        members.sort_by(|(one, _), (other, _)| one.order(other));
        Self::Object(members)
    }

    /// A set of these, none of which is there twice.
    pub(crate) fn set(mut all: Vec<Self>) -> Self {
        all.sort_by(Self::order);
        Self::Set(all)
    }
}

fn lists<'a>(
    mut one: impl Iterator<Item = &'a Term>,
    mut other: impl Iterator<Item = &'a Term>,
) -> Ordering {
    loop {
        match (one.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(one), Some(other)) => match one.order(other) {
                Ordering::Equal => {}
                decided => return decided,
            },
        }
    }
}

/// As OPA prints a value, which its modules can parse.
impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(digits) => f.write_str(digits),
            Self::String(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::Array(all) => list(f, "[", all, "]"),
            Self::Set(all) if all.is_empty() => f.write_str("set()"),
            Self::Set(all) => list(f, "{", all, "}"),
            Self::Object(members) => {
                f.write_str("{")?;
                for (at, (key, value)) in members.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{key}: {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, open: &str, all: &[Term], close: &str) -> fmt::Result {
    f.write_str(open)?;
    for (at, term) in all.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        write!(f, "{comma}{term}")?;
    }
    f.write_str(close)
}

#[cfg(any(test, feature = "opa", feature = "opa-readers"))]
struct Reader<'a> {
    /// What is still to be read.
    text: &'a str,
}

#[cfg(any(test, feature = "opa", feature = "opa-readers"))]
impl<'a> Reader<'a> {
    fn space(&mut self) {
        self.text = self.text.trim_ascii_start();
    }

    /// Takes `token` if it is next.
    fn takes(&mut self, token: &str) -> bool {
        self.space();
        let rest = self.text.strip_prefix(token);
        if let Some(rest) = rest {
            self.text = rest;
        }
        rest.is_some()
    }

    fn term(&mut self, depth: usize) -> Option<Term> {
        if depth > MOST_DEPTH {
            return None;
        }
        self.space();
        match self.text.bytes().next()? {
            b'"' => self.string().map(Term::String),
            b'[' => {
                self.takes("[");
                self.list("]", depth).map(Term::Array)
            }
            b'{' => {
                self.takes("{");
                self.braces(depth)
            }
            _ if self.takes("null") => Some(Term::Null),
            _ if self.takes("true") => Some(Term::Bool(true)),
            _ if self.takes("false") => Some(Term::Bool(false)),
            _ if self.takes("set()") => Some(Term::Set(Vec::new())),
            _ => self.number(),
        }
    }

    fn list(&mut self, close: &str, depth: usize) -> Option<Vec<Term>> {
        if self.takes(close) {
            return Some(Vec::new());
        }
        let first = self.term(depth + 1)?;
        self.rest(first, close, depth)
    }

    /// What follows the first element.
    fn rest(&mut self, first: Term, close: &str, depth: usize) -> Option<Vec<Term>> {
        let mut all = vec![first];
        while !self.takes(close) {
            if !self.takes(",") {
                return None;
            }
            all.push(self.term(depth + 1)?);
        }
        Some(all)
    }

    /// What follows an opening brace: an object or a set.
    fn braces(&mut self, depth: usize) -> Option<Term> {
        if self.takes("}") {
            return Some(Term::Object(Vec::new()));
        }
        let mut key = self.term(depth + 1)?;
        if !self.takes(":") {
            return self.rest(key, "}", depth).map(Term::set);
        }
        let mut members = Vec::new();
        loop {
            members.push((key, self.term(depth + 1)?));
            if self.takes("}") {
                return Some(Term::object(members));
            }
            if !self.takes(",") {
                return None;
            }
            key = self.term(depth + 1)?;
            if !self.takes(":") {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let mut escaped = false;
        let end = self.text.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        let (literal, rest) = self.text.split_at_checked(end + 2)?;
        self.text = rest;
        serde_json::from_str(literal).ok()
    }

    fn number(&mut self) -> Option<Term> {
        let of_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
        let end = self.text.find(|c| !of_number(c));
        let (digits, rest) = self.text.split_at_checked(end.unwrap_or(self.text.len()))?;
        serde_json::from_str::<serde_json::Number>(digits).ok()?;
        self.text = rest;
        Some(Term::Number(digits.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_again() {
        for text in [
            "null",
            "true",
            "-12.50",
            "123456789012345678901234567890",
            r#""a\"b\\cä""#,
            r#"[1, [2], {"a": {1, 2}}, set(), {}]"#,
            r#"{[1]: "x", {"k": 1}: null}"#,
        ] {
            let term = Term::parse(text.as_bytes()).expect(text);
            assert_eq!(term.to_string(), text);
        }
        let tight = Term::parse(br#"{"a":[1,2],"b":{3,4}}"#).expect("tight");
        assert_eq!(tight.to_string(), r#"{"a": [1, 2], "b": {3, 4}}"#);
    }

    #[test]
    fn rule_15_what_is_no_value_is_refused() {
        for text in [
            "",
            "nul",
            "[1",
            "[1,]",
            "{1,}",
            "{1:2,}",
            "{1:2,3}",
            r#""a"#,
            "1 2",
            "1-",
            "+1",
            "--",
            "[,]",
            "\"\u{1}\"",
        ] {
            assert_eq!(Term::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Term::parse(&[b'"', 0xff, b'"']), None);
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Term::parse(deep(60).as_bytes()).is_some());
        assert!(Term::parse(deep(100_000).as_bytes()).is_none());
    }
}
