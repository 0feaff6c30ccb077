//! The path of a request: canonical or refused, never repaired.
//!
//! Every bypass of the class "the gate saw another path than the router" needs a target with two readings. A path with two
//! readings is refused here, before any rule is looked at (rules 46, 48 and 49), so that the gate, the router and whatever
//! stands behind them can only agree.

use core::cmp::Ordering;
use core::fmt;

use thiserror::Error;

/// Longest request target in bytes, query included.
pub const MAX_TARGET_BYTES: usize = 8192;

/// Why a request target is refused as ambiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum PathError {
    /// Longer than [`MAX_TARGET_BYTES`].
    #[error("the request target is longer than 8192 bytes")]
    TooLong,
    /// Does not begin with `/`.
    #[error("the path does not begin with `/`")]
    NoLeadingSlash,
    /// Two slashes follow each other.
    #[error("the path has an empty segment (`//`)")]
    EmptySegment,
    /// A segment is `.` or `..`, written plainly or escaped.
    #[error("the path has a segment `.` or `..`")]
    DotSegment,
    /// A `\`, which some servers read as `/`.
    #[error("the path has a backslash")]
    Backslash,
    /// A `;`, behind which some servers expect parameters and which they cut off.
    #[error("the path has a `;`")]
    Semicolon,
    /// A raw `#`: a fragment is never sent.
    #[error("the request target has a raw `#`")]
    Fragment,
    /// A byte that RFC 3986 does not allow in a path unescaped: a blank, a control, a quote, non-ASCII.
    #[error("the path has a byte that RFC 3986 §3.3 does not allow unescaped")]
    RawByte,
    /// A `%` without two hexadecimal digits.
    #[error("the path has a `%` without two hexadecimal digits")]
    BadEscape,
    /// A letter, digit, `-`, `.`, `_` or `~` is escaped; RFC 3986 §2.3 says that it must not be.
    #[error("the path escapes a character that needs no escape (RFC 3986 §2.3)")]
    EscapedUnreserved,
    /// `%2f`, `%5c`, `%3b`, `%25`, `%3f` or `%23`: a second decoding would change the path's shape.
    #[error("the path escapes `/`, `\\`, `;`, `%`, `?` or `#`")]
    EscapedDelimiter,
    /// An escaped control character, `%00` among them.
    #[error("the path escapes a control character")]
    EscapedControl,
    /// The hexadecimal digits of an escape are in lower case (RFC 3986 §2.1 writes them in upper case).
    #[error("the path has an escape in lower case; RFC 3986 §2.1 writes `%C3`, not `%c3`")]
    LowerCaseEscape,
    /// The escapes do not decode to UTF-8.
    #[error("the path's escapes do not decode to UTF-8")]
    NotUtf8,
}

impl PathError {
    /// A stable code for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NoLeadingSlash => "no_leading_slash",
            Self::EmptySegment => "empty_segment",
            Self::DotSegment => "dot_segment",
            Self::Backslash => "backslash",
            Self::Semicolon => "semicolon",
            Self::Fragment => "fragment",
            Self::RawByte => "raw_byte",
            Self::BadEscape => "bad_escape",
            Self::EscapedUnreserved => "escaped_unreserved",
            Self::EscapedDelimiter => "escaped_delimiter",
            Self::EscapedControl => "escaped_control",
            Self::LowerCaseEscape => "lower_case_escape",
            Self::NotUtf8 => "not_utf8",
        }
    }
}

/// A path with one reading. Borrows the raw target; the query is cut off and takes part in no decision (rule 46).
///
/// ```
/// use ztl_core::CanonicalPath;
///
/// let path = CanonicalPath::parse("/v1/models/llama/infer?stream=1")?;
/// assert_eq!(path.as_str(), "/v1/models/llama/infer");
/// assert!(CanonicalPath::parse("/v1/models/%2e%2e/admin").is_err());
/// # Ok::<(), ztl_core::PathError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CanonicalPath<'a> {
    path: &'a str,
    escaped: bool,
    slashes: usize,
}

impl<'a> CanonicalPath<'a> {
    /// Reads a request target in origin form (RFC 9112 §3.2.1): a path and, after `?`, a query.
    ///
    /// # Errors
    /// [`PathError`] says why the path has more than one reading.
    pub fn parse(target: &'a str) -> Result<Self, PathError> {
        let plain = plain_path(target.as_bytes());
        match plain.and_then(|(end, slashes)| Some((target.get(..end)?, slashes))) {
            Some((path, slashes)) => Ok(Self {
                path,
                escaped: false,
                slashes,
            }),
            None => Self::parse_any(target),
        }
    }

    /// Byte by byte, with what is wrong where something is.
    fn parse_any(target: &'a str) -> Result<Self, PathError> {
        if target.len() > MAX_TARGET_BYTES {
            return Err(PathError::TooLong);
        }
        if target.contains('#') {
            return Err(PathError::Fragment);
        }
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let rest = path.strip_prefix('/').ok_or(PathError::NoLeadingSlash)?;
        let escaped = check_bytes(rest.as_bytes())?;
        // One empty segment may end the path (`/a/` is not `/a`); none may stand inside it.
        if rest.starts_with('/') || rest.contains("//") {
            return Err(PathError::EmptySegment);
        }
        if rest.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(PathError::DotSegment);
        }
        if escaped && !decodes_to_utf8(rest) {
            return Err(PathError::NotUtf8);
        }
        Ok(Self {
            path,
            escaped,
            slashes: path.bytes().filter(|byte| *byte == b'/').count(),
        })
    }

    /// The path as it was sent, with its leading slash and its escapes.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.path
    }

    /// Whether anything in it is escaped, so that it means something else than what stands there.
    pub(crate) const fn is_escaped(&self) -> bool {
        self.escaped
    }

    /// How many slashes stand in it.
    pub(crate) const fn slashes(&self) -> usize {
        self.slashes
    }

    /// The segments between the slashes. `/` has one empty segment; so has the end of `/a/`.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + use<'a> {
        let segments = self.path.get(1..).unwrap_or_default();
        segments.split('/').map(Segment)
    }
}

impl fmt::Display for CanonicalPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

impl fmt::Debug for CanonicalPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CanonicalPath({})", self.path)
    }
}

/// One segment of a canonical path; compared decoded.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a>(&'a str);

impl<'a> Segment<'a> {
    pub(crate) const fn new(segment: &'a str) -> Self {
        Self(segment)
    }

    /// As it was sent.
    #[must_use]
    pub const fn raw(&self) -> &'a str {
        self.0
    }

    /// Whether nothing stands between its slashes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it means this text, escapes resolved.
    #[must_use]
    pub fn means(&self, text: &str) -> bool {
        if self.0.contains('%') {
            Decoded(self.0.as_bytes()).eq(text.bytes())
        } else {
            self.0 == text
        }
    }

    /// How what it means stands to this text in the order of texts.
    pub(crate) fn order(&self, text: &str) -> Ordering {
        if self.0.contains('%') {
            Decoded(self.0.as_bytes()).cmp(text.bytes())
        } else {
            self.0.cmp(text)
        }
    }

    /// What it means. Allocates.
    #[must_use]
    pub fn decoded(&self) -> String {
        String::from_utf8(Decoded(self.0.as_bytes()).collect()).unwrap_or_default()
    }
}

/// A decoded segment, as a canonical path writes it.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match u8::try_from(character) {
                Ok(byte) if byte != b'/' && is_plain(byte) => fmt::Write::write_char(f, character)?,
                _ => {
                    let mut bytes = [0; 4];
                    for byte in character.encode_utf8(&mut bytes).bytes() {
                        write!(f, "%{byte:02X}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The bytes that checked escapes stand for.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        match *self.0 {
            [b'%', high, low, ref rest @ ..] => {
                self.0 = rest;
                Some((hex(high)? << 4) | hex(low)?)
            }
            [byte, ref rest @ ..] => {
                self.0 = rest;
                Some(byte)
            }
            [] => None,
        }
    }
}

/// Where the path ends in a target that is canonical at first sight, and how many slashes it has: plain bytes, and no segment
/// that is empty or begins with a dot. Most targets are; about all others `None` is no verdict.
fn plain_path(target: &[u8]) -> Option<(usize, usize)> {
    if target.len() > MAX_TARGET_BYTES || target.first() != Some(&b'/') {
        return None;
    }
    let (mut before, mut slashes) = (0, 0);
    for (at, byte) in target.iter().enumerate() {
        let class = CLASSES.get(usize::from(*byte))?;
        match class {
            Class::Plain => {}
            Class::SlashOrDot if before != b'/' => slashes += usize::from(*byte == b'/'),
            Class::Query => {
                let query = target.get(at..)?;
                return (!query.contains(&b'#')).then_some((at, slashes));
            }
            Class::SlashOrDot | Class::Other => return None,
        }
        before = *byte;
    }
    Some((target.len(), slashes))
}

/// How a byte of a target is looked at first.
#[derive(Clone, Copy)]
enum Class {
    Plain,
    SlashOrDot,
    Query,
    Other,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(
            clippy::as_conversions,
            clippy::cast_possible_truncation,
            clippy::indexing_slicing,
            reason = "in a constant there is no other way, and a wrong one would not compile"
        )]
        {
            classes[byte] = match byte as u8 {
                b'/' | b'.' => Class::SlashOrDot,
                b'?' => Class::Query,
                other if is_plain(other) => Class::Plain,
                _ => Class::Other,
            };
        }
        byte += 1;
    }
    classes
};

/// Checks each byte; says whether there was an escape.
fn check_bytes(mut bytes: &[u8]) -> Result<bool, PathError> {
    let mut escaped = false;
    while let [byte, rest @ ..] = bytes {
        bytes = rest;
        match *byte {
            byte if is_plain(byte) => {}
            b'%' => {
                let [high, low, rest @ ..] = bytes else {
                    return Err(PathError::BadEscape);
                };
                bytes = rest;
                check_escape(*high, *low)?;
                escaped = true;
            }
            b'\\' => return Err(PathError::Backslash),
            b';' => return Err(PathError::Semicolon),
            _ => return Err(PathError::RawByte),
        }
    }
    Ok(escaped)
}

/// RFC 3986 §3.3: a slash, or a pchar that needs no escape: unreserved, sub-delims without `;`, `:` and `@`.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b':' | b'@')
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'='
        )
}

fn check_escape(high: u8, low: u8) -> Result<(), PathError> {
    let byte = match (hex(high), hex(low)) {
        (Some(high), Some(low)) => (high << 4) | low,
        _ => return Err(PathError::BadEscape),
    };
    match byte {
        b'.' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
            Err(PathError::EscapedUnreserved)
        }
        b'/' | b'\\' | b';' | b'%' | b'?' | b'#' => Err(PathError::EscapedDelimiter),
        0..=0x1f | 0x7f => Err(PathError::EscapedControl),
        _ if high.is_ascii_lowercase() || low.is_ascii_lowercase() => {
            Err(PathError::LowerCaseEscape)
        }
        _ => Ok(()),
    }
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Whether the escapes decode to UTF-8, character by character and without a buffer of their length.
fn decodes_to_utf8(text: &str) -> bool {
    let mut character = [0_u8; 4];
    let mut held = 0;
    for byte in Decoded(text.as_bytes()) {
        let Some(slot) = character.get_mut(held) else {
            return false;
        };
        *slot = byte;
        held += 1;
        match core::str::from_utf8(character.get(..held).unwrap_or_default()) {
            Ok(_) => held = 0,
            Err(error) if error.error_len().is_none() => {}
            Err(_) => return false,
        }
    }
    held == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_48_ambiguous_paths_are_refused() {
        let bad = [
            ("", PathError::NoLeadingSlash),
            ("*", PathError::NoLeadingSlash),
            ("S/M", PathError::NoLeadingSlash),
            ("http://h/p", PathError::NoLeadingSlash),
            ("//a", PathError::EmptySegment),
            ("/a//b", PathError::EmptySegment),
            ("/a//", PathError::EmptySegment),
            ("/a/./b", PathError::DotSegment),
            ("/a/..", PathError::DotSegment),
            ("/a/%2e%2e/b", PathError::EscapedUnreserved),
            ("/%61pi", PathError::EscapedUnreserved),
            ("/a%2fb", PathError::EscapedDelimiter),
            ("/a%5Cb", PathError::EscapedDelimiter),
            ("/a%3Bb", PathError::EscapedDelimiter),
            ("/a%3Fb", PathError::EscapedDelimiter),
            ("/%252e", PathError::EscapedDelimiter),
            ("/a%00", PathError::EscapedControl),
            ("/a%0d%0a", PathError::EscapedControl),
            ("/a\\b", PathError::Backslash),
            ("/a;b", PathError::Semicolon),
            ("/a#b", PathError::Fragment),
            ("/a?b#c", PathError::Fragment),
            ("/a b", PathError::RawByte),
            ("/é", PathError::RawByte),
            ("/a\"b", PathError::RawByte),
            ("/a%", PathError::BadEscape),
            ("/a%zz", PathError::BadEscape),
            ("/a%c3%a9", PathError::LowerCaseEscape),
            ("/%C0%AF", PathError::NotUtf8),
        ];
        for (target, error) in bad {
            assert_eq!(CanonicalPath::parse(target), Err(error), "{target}");
        }
        assert_eq!(
            CanonicalPath::parse(&"/a".repeat(MAX_TARGET_BYTES)),
            Err(PathError::TooLong)
        );
    }

    /// Every target of up to six bytes of an alphabet that holds each kind of byte.
    #[test]
    fn the_quick_look_and_the_long_one_agree() {
        let alphabet = "/.a?#%2";
        let mut targets = vec![String::new()];
        let mut seen = 0;
        for _ in 0..=6 {
            for target in &targets {
                assert_eq!(
                    CanonicalPath::parse(target),
                    CanonicalPath::parse_any(target),
                    "{target}"
                );
            }
            seen += targets.len();
            let longer = targets.iter().flat_map(|target| {
                let more = alphabet.chars();
                more.map(move |character| format!("{target}{character}"))
            });
            targets = longer.collect();
        }
        assert_eq!(seen, (7_usize.pow(7) - 1) / 6);
    }

    #[test]
    fn rule_46_the_query_takes_no_part() {
        assert_eq!(
            CanonicalPath::parse("/a?/../b=%2e").map(|p| p.as_str()),
            Ok("/a")
        );
    }

    #[test]
    fn segments_are_compared_decoded() {
        let path = CanonicalPath::parse("/u/bob%40example/%C3%A9/").expect("path");
        let segments: Vec<_> = path.segments().collect();
        assert_eq!(segments.len(), 4);
        assert!(segments[1].means("bob@example") && !segments[1].means("bob%40example"));
        assert_eq!(segments[2].decoded(), "é");
        assert!(segments[3].is_empty());
        assert!(
            CanonicalPath::parse("/")
                .expect("root")
                .segments()
                .all(|s| s.is_empty())
        );
    }
}
