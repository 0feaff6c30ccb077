//! Lines of a hostile input: bounded, numbered, and never held whole where they are too long.

use std::io::{self, BufRead as _, BufReader, Read};

use ztl_core::policy::MAX_QUERY_BYTES;

use crate::exit::Failure;

/// A line of the input, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    Text(&'a str),
    /// Longer than [`MAX_QUERY_BYTES`].
    TooLong,
    NotUtf8,
}

/// Reads lines.
pub(crate) struct Lines<R> {
    input: BufReader<R>,
    held: Vec<u8>,
    number: u64,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(1 << 16, input),
            held: Vec::new(),
            number: 0,
        }
    }

    /// The next line and its number, counted from 1. Calls `before_waiting` before it asks for more input, which may take
    /// long: time to write out what is held.
    pub(crate) fn next(
        &mut self,
        before_waiting: &mut dyn FnMut() -> Result<(), Failure>,
    ) -> Result<Option<(u64, Line<'_>)>, Failure> {
        self.held.clear();
        let (mut began, mut too_long) = (false, false);
        loop {
            if self.input.buffer().is_empty() {
                before_waiting()?;
            }
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Failure::Usage(format!("cannot read the input: {error}")));
                }
            };
            if chunk.is_empty() {
                if !began {
                    return Ok(None);
                }
                break;
            }
            began = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let piece = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            if self.held.len() + piece.len() > MAX_QUERY_BYTES {
                too_long = true;
                self.held.clear();
            } else if !too_long {
                self.held.extend_from_slice(piece);
            }
            let used = piece.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        self.number = self.number.saturating_add(1);
        let line = match core::str::from_utf8(&self.held) {
            _ if too_long => Line::TooLong,
            Ok(text) => Line::Text(text),
            Err(_) => Line::NotUtf8,
        };
        Ok(Some((self.number, line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(input: &[u8]) -> Vec<(u64, &'static str, usize)> {
        let mut lines = Lines::new(input);
        let mut kinds = Vec::new();
        while let Some((number, line)) = lines.next(&mut || Ok(())).expect("read") {
            kinds.push(match line {
                Line::Text(text) => (number, "text", text.len()),
                Line::TooLong => (number, "too long", 0),
                Line::NotUtf8 => (number, "not utf-8", 0),
            });
        }
        assert!(lines.held.capacity() <= 2 * MAX_QUERY_BYTES);
        kinds
    }

    #[test]
    fn every_line_is_counted_and_the_last_needs_no_end() {
        assert_eq!(kinds(b""), []);
        assert_eq!(
            kinds(b"a\n\nbc"),
            [(1, "text", 1), (2, "text", 0), (3, "text", 2)]
        );
        assert_eq!(kinds(b"\xff\na\n"), [(1, "not utf-8", 0), (2, "text", 1)]);
    }

    #[test]
    fn the_bound_is_exact_and_what_follows_is_read() {
        let mut input = vec![b'x'; MAX_QUERY_BYTES];
        input.extend_from_slice(b"\n");
        input.extend(vec![b'y'; MAX_QUERY_BYTES + 1]);
        input.extend_from_slice(b"\nz\n");
        assert_eq!(
            kinds(&input),
            [
                (1, "text", MAX_QUERY_BYTES),
                (2, "too long", 0),
                (3, "text", 1)
            ]
        );
        // Several times the bound, so that what was cut off is not taken for a line of its own.
        let mut input = vec![b'x'; 5 * MAX_QUERY_BYTES + 17];
        input.extend_from_slice(b"\nz");
        assert_eq!(kinds(&input), [(1, "too long", 0), (2, "text", 1)]);
    }
}
