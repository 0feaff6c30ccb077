//! One line of a field that passes an id on, from left to right.

use super::{Forwarding, ForwardingError};
use crate::policy::is_token_byte;

/// What of a line is still to be read.
pub(super) struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    pub(super) const fn new(line: &'a [u8]) -> Self {
        Self(line)
    }

    /// Whether nothing is left but blanks, which it skips.
    pub(super) fn is_done(&mut self) -> bool {
        self.blanks();
        self.0.is_empty()
    }

    /// The comma between two elements (RFC 9110 §5.6.1).
    pub(super) fn comma(&mut self) -> Result<(), ForwardingError> {
        self.blanks();
        if self.eat(b',') {
            Ok(())
        } else {
            Err(ForwardingError::Form("an element does not end with `,`"))
        }
    }

    /// Whether another pair of the same element follows.
    pub(super) fn semicolon(&mut self) -> bool {
        self.blanks();
        self.eat(b';')
    }

    /// The name of a pair, and the `=` after it.
    pub(super) fn name(&mut self) -> Result<&'a [u8], ForwardingError> {
        self.blanks();
        let name = self.run(is_token_byte);
        if name.is_empty() || !self.eat(b'=') {
            return Err(ForwardingError::Form("a pair is not `name=value`"));
        }
        Ok(name)
    }

    /// The value of a pair.
    pub(super) fn value(&mut self, forwarding: Forwarding) -> Result<&'a [u8], ForwardingError> {
        if self.eat(b'"') {
            return self.quoted(forwarding);
        }
        Ok(match forwarding {
            // Envoy: what holds one of these has to be quoted.
            Forwarding::Xfcc => self
                .run(|byte| byte.is_ascii_graphic() && !matches!(byte, b',' | b';' | b'=' | b'"')),
            // RFC 7239 §4
            Forwarding::Forwarded => self.run(is_token_byte),
        })
    }

    /// The rest of a quoted value (RFC 9110 §5.6.4), as it stands: no SPIFFE ID has anything that has to be escaped.
    fn quoted(&mut self, forwarding: Forwarding) -> Result<&'a [u8], ForwardingError> {
        let mut end = None;
        // Backslashes just before where we are.
        let mut slashes = 0_usize;
        for (at, byte) in self.0.iter().enumerate() {
            match byte {
                b'\\' => {
                    slashes = slashes.saturating_add(1);
                    continue;
                }
                b'"' if slashes.is_multiple_of(2) => {
                    // Envoy puts a backslash before a quotation mark and leaves backslashes as they are; others double them. Where
                    // the two come to different ends, neither is taken (rule 48).
                    if slashes > 0 && forwarding == Forwarding::Xfcc {
                        return Err(ForwardingError::Quotation);
                    }
                    end = Some(at);
                    break;
                }
                b'\t' | b' '..=b'~' | 0x80.. => {}
                _ => return Err(ForwardingError::Form("it has a control character")),
            }
            slashes = 0;
        }
        let (value, rest) = end
            .and_then(|end| self.0.split_at_checked(end))
            .ok_or(ForwardingError::Form("a quotation does not end"))?;
        self.0 = rest;
        self.eat(b'"');
        Ok(value)
    }

    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|byte| !belongs(*byte));
        let (run, rest) = end
            .and_then(|end| self.0.split_at_checked(end))
            .unwrap_or((self.0, &[]));
        self.0 = rest;
        run
    }

    fn blanks(&mut self) {
        self.run(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn eat(&mut self, wanted: u8) -> bool {
        match self.0.split_first() {
            Some((&first, rest)) if first == wanted => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }
}
