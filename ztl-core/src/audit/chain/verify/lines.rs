//! Lines of a file that anybody may have written: bounded, and passed on in pieces where they are too long.

use std::io::{self, BufRead as _, BufReader, Read};

use super::super::link::MAX_LINE_BYTES;

pub(super) enum Piece<'a> {
    /// A line without its end, and whether it has one.
    Line { bytes: &'a [u8], ended: bool },
    /// A piece of a line that is too long, its end included.
    Long { bytes: &'a [u8], first: bool },
}

pub(super) struct Lines<R> {
    input: BufReader<R>,
    held: Vec<u8>,
    number: u64,
    /// Inside a line that is too long.
    long: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(MAX_LINE_BYTES, input),
            held: Vec::new(),
            number: 0,
            long: false,
        }
    }

    /// The next line or piece of one, with the number of its line, counted from 1.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Piece<'_>)>> {
        self.held.clear();
        let continues = self.long;
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                self.long = false;
                if self.held.is_empty() {
                    return Ok(None);
                }
                break;
            }
            let room = MAX_LINE_BYTES.saturating_sub(self.held.len());
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let line = end.map_or(chunk.len(), |at| at + 1);
            let used = line.min(room);
            self.held
                .extend_from_slice(chunk.get(..used).unwrap_or_default());
            self.input.consume(used);
            if end.is_some() && used == line {
                self.long = false;
                break;
            }
            if self.held.len() >= MAX_LINE_BYTES {
                self.long = true;
                break;
            }
        }
        if !continues {
            self.number = self.number.saturating_add(1);
        }
        let piece = if continues || self.long {
            Piece::Long {
                bytes: &self.held,
                first: !continues,
            }
        } else {
            match self.held.strip_suffix(b"\n") {
                Some(bytes) => Piece::Line { bytes, ended: true },
                None => Piece::Line {
                    bytes: &self.held,
                    ended: false,
                },
            }
        };
        Ok(Some((self.number, piece)))
    }
}
