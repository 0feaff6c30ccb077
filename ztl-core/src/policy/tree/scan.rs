//! A first look at a hostile text, before a parser recurses into it or allocates for it.
//!
//! It walks the bytes once, keeps a bounded stack, and refuses what would make the tree too deep or too large. It knows of
//! each syntax only where texts and comments end, in the same way as that syntax's parser does.

use super::{SyntaxError, too_deep};
use crate::policy::document::Span;
use crate::policy::limits::{MAX_DEPTH, MAX_KEY_PARTS, MAX_PIECES};

/// Bounds a TOML text: brackets in each other, the parts of a key, the number of pieces.
pub(super) fn toml(text: &str) -> Result<(), SyntaxError> {
    toml_within(text, MAX_DEPTH, MAX_KEY_PARTS)
}

/// Whatever parser recovers from a text that passes: its tree is no deeper than a header's parts, each a table or a list
/// of tables, a key's parts, and for every bracket itself and a key's parts more.
pub(super) fn toml_within(text: &str, depth: usize, parts: usize) -> Result<(), SyntaxError> {
    let mut scan = Scan::new(text);
    let mut open = Vec::new();
    let mut dots = 0;
    while let Some(byte) = scan.peek() {
        let start = scan.at;
        scan.at += 1;
        match byte {
            b' ' | b'\t' => continue,
            b'#' => scan.skip_until(|byte| matches!(byte, b'\r' | b'\n')),
            b'"' | b'\'' => scan.skip_toml_text(byte),
            b'=' | b',' | b'\n' | b'\r' => dots = 0,
            b'.' => {
                dots += 1;
                if dots >= parts {
                    return Err(SyntaxError::at(
                        scan.span_from(start),
                        format!("a key has more than {parts} parts"),
                    ));
                }
            }
            b'[' | b'{' => {
                dots = 0;
                open.push(byte);
                if open.len() > depth {
                    return Err(too_deep(scan.span_from(start)));
                }
            }
            b']' | b'}' => {
                dots = 0;
                let opener = if byte == b']' { b'[' } else { b'{' };
                // A bracket that closes nothing is the parser's to refuse; here it must not hide the depth.
                if open.last() == Some(&opener) {
                    open.pop();
                }
            }
            _ => scan.skip_until(|byte| b".=,[]{} \t#\r\n".contains(&byte)),
        }
        scan.count(start)?;
    }
    Ok(())
}

/// Bounds a JSON text in the same way, and refuses what RFC 8259 does not know but a lenient parser would pass over.
pub(super) fn json(text: &str) -> Result<(), SyntaxError> {
    let mut scan = Scan::new(text);
    let mut depth = 0_usize;
    while let Some(byte) = scan.peek() {
        let start = scan.at;
        scan.at += 1;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'"' => scan.skip_json_text()?,
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(too_deep(scan.span_from(start)));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'/' | b'#' => {
                return Err(SyntaxError::at(
                    scan.span_from(start),
                    "not JSON: there are no comments",
                )
                .help("for comments write the document in TOML"));
            }
            b'!'..=b'~' => {}
            _ => return Err(scan.stray(start)),
        }
        scan.count(start)?;
    }
    Ok(())
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    pieces: usize,
}

impl<'a> Scan<'a> {
    const fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            pieces: 0,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn follows(&self, bytes: &[u8]) -> bool {
        let rest = self.text.as_bytes().get(self.at..);
        rest.is_some_and(|rest| rest.starts_with(bytes))
    }

    const fn span_from(&self, start: usize) -> Span {
        Span {
            start,
            end: self.at,
        }
    }

    fn count(&mut self, start: usize) -> Result<(), SyntaxError> {
        self.pieces += 1;
        if self.pieces > MAX_PIECES {
            return Err(SyntaxError::at(
                self.span_from(start),
                format!("the document has more than {MAX_PIECES} pieces"),
            ));
        }
        Ok(())
    }

    fn skip_until(&mut self, stop: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(|byte| !stop(byte)) {
            self.at += 1;
        }
    }

    /// TOML's four kinds of text; one that is not closed ends where the parser takes it to end.
    fn skip_toml_text(&mut self, quote: u8) {
        let three = [quote; 3];
        let rest = three.get(1..).unwrap_or_default();
        if !self.follows(rest) {
            return self.skip_toml_line_text(quote);
        }
        self.at += 2;
        while let Some(byte) = self.peek() {
            if self.follows(&three) {
                self.at += 3;
                // Up to two quotes more belong to the text.
                for _ in 0..2 {
                    if self.peek() == Some(quote) {
                        self.at += 1;
                    }
                }
                return;
            }
            self.at += 1;
            self.skip_toml_escape(quote, byte);
        }
    }

    fn skip_toml_line_text(&mut self, quote: u8) {
        while let Some(byte) = self.peek() {
            if byte == b'\n' {
                return;
            }
            self.at += 1;
            if byte == quote {
                return;
            }
            self.skip_toml_escape(quote, byte);
        }
    }

    /// In a text with escapes, a backslash takes the quote or the backslash after it along.
    fn skip_toml_escape(&mut self, quote: u8, byte: u8) {
        if quote == b'"' && byte == b'\\' && matches!(self.peek(), Some(b'"' | b'\\')) {
            self.at += 1;
        }
    }

    fn skip_json_text(&mut self) -> Result<(), SyntaxError> {
        while let Some(byte) = self.peek() {
            let start = self.at;
            self.at += 1;
            match byte {
                b'"' => return Ok(()),
                b'\\' if self.peek().is_some_and(|next| next >= b' ') => self.at += 1,
                0..b' ' => {
                    return Err(SyntaxError::at(
                        self.span_from(start),
                        "not JSON: a control character in a text has to be escaped (RFC 8259 §7)",
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn stray(&self, start: usize) -> SyntaxError {
        let stray = self.text.get(start..).and_then(|rest| rest.chars().next());
        let stray = stray.unwrap_or(char::REPLACEMENT_CHARACTER);
        let span = Span {
            start,
            end: start + stray.len_utf8(),
        };
        SyntaxError::at(
            span,
            format!("not JSON: the character `{stray}` stands outside of a text"),
        )
    }
}
