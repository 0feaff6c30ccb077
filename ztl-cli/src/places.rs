//! Lines and columns of a text, for many places in it.

use ztl_core::policy::Span;

/// Line and column, both counted from 1; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A text and where its lines begin.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Places<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = core::iter::once(0)
            .chain(ends.map(|(at, _)| at + 1))
            .collect();
        Self { text, starts }
    }

    /// The place of a byte.
    pub(crate) fn of(&self, byte: usize) -> Place {
        let byte = self.text.floor_char_boundary(byte);
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = self
            .starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or_default();
        let before = self.text.get(start..byte).unwrap_or_default();
        Place {
            line,
            column: 1 + before.chars().count(),
        }
    }

    /// Where a span begins and ends; white space at its end is left out.
    pub(crate) fn ends(&self, span: Span) -> (Place, Place) {
        let inside = self.text.get(span.start..span.end).unwrap_or_default();
        let end = span.start.saturating_add(inside.trim_end().len());
        (self.of(span.start), self.of(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters_and_every_byte_has_a_place() {
        let places = Places::new("é = 1\n\nx");
        let at = |byte| {
            let place = places.of(byte);
            (place.line, place.column)
        };
        assert_eq!(
            [at(0), at(1), at(2), at(6)],
            [(1, 1), (1, 1), (1, 2), (1, 6)]
        );
        assert_eq!(
            [at(7), at(8), at(9), at(99)],
            [(2, 1), (3, 1), (3, 2), (3, 2)]
        );
        let mut span = Span::default();
        span.end = 8;
        let (start, end) = places.ends(span);
        assert_eq!(
            (start.line, start.column, end.line, end.column),
            (1, 1, 1, 6)
        );
    }
}
