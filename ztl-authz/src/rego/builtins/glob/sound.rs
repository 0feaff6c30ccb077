//! Where OPA's matcher finds what a pattern says. It looks for the parts that have a length, and from there to both sides; of what
//! stands between, it knows less than it takes itself to know.

use super::Part;

/// What OPA's matcher takes a part or a sequence to be.
struct Shape {
    /// How many characters it has, where all that it matches have as many.
    length: Option<usize>,
    /// Whether OPA is wrong about the length.
    is_wrong: bool,
    may_be_empty: bool,
    is_ascii: bool,
}

/// Whether OPA's matcher finds what the pattern says.
pub(super) fn is_sound(parts: &[Part], delimiters: &[char]) -> bool {
    Sound { delimiters }.sequence(parts).is_some()
}

struct Sound<'a> {
    delimiters: &'a [char],
}

impl Sound<'_> {
    fn part(&self, part: &Part) -> Option<Shape> {
        let (length, is_ascii) = match part {
            Part::Text(text) => (Some(text.chars().count()), text.is_ascii()),
            Part::Any | Part::All => (None, true),
            Part::One | Part::Listed { .. } | Part::Range { .. } => (Some(1), true),
            Part::Either(alternatives) => {
                let all: Option<Vec<_>> = (alternatives.iter())
                    .map(|parts| self.sequence(parts))
                    .collect();
                return Some(either(&all?));
            }
        };
        Some(Shape {
            length,
            is_wrong: false,
            may_be_empty: length.is_none(),
            is_ascii,
        })
    }

    /// None where OPA errs.
    fn sequence(&self, parts: &[Part]) -> Option<Shape> {
        match parts {
            // By itself it matches an empty text as well.
            [Part::One | Part::Listed { not: true, .. } | Part::Range { not: true, .. }] => {
                return None;
            }
            [only] => return self.part(only),
            _ => {}
        }
        let shapes: Option<Vec<_>> = parts.iter().map(|part| self.part(part)).collect();
        let shapes = shapes?;
        let glued = |at: usize| {
            let pair = parts.get(at).zip(parts.get(at.checked_add(1)?))?;
            let (one, next) = (self.stops(pair.0)?, self.stops(pair.1)?);
            (one == next).then_some(one.len())
        };
        let mut whole = Shape {
            length: Some(0),
            is_wrong: false,
            may_be_empty: true,
            is_ascii: true,
        };
        // Whether what follows may be empty, up to the next part that has a length.
        let mut rest: Option<bool> = None;
        for (at, (part, shape)) in parts.iter().zip(&shapes).enumerate().rev() {
            let next = parts.get(at + 1).zip(shapes.get(at + 1));
            let errs = |(next, next_shape): (&Part, &Shape)| {
                // It cuts texts in a row by their bytes.
                let in_row = shape.length.and(next_shape.length).is_some();
                let is_cut = in_row && !(shape.is_ascii && next_shape.is_ascii);
                is_cut || self.overlaps(part, next)
            };
            let (with_last, with_next) = (at.checked_sub(1).and_then(glued), glued(at));
            if shape.is_wrong
                || shape.length == Some(0)
                || next.is_some_and(errs)
                // Of what several characters stop, it asks whether these are there in a row.
                || with_next.is_some_and(|stops| stops > 1)
            {
                return None;
            }
            let has_length = shape.length.is_some() && with_next.or(with_last).is_none();
            if has_length {
                rest = None;
            } else {
                if let Some(rest_may_be_empty) = rest
                    && with_next.is_none()
                    && (shape.may_be_empty && rest_may_be_empty
                        || with_last.is_none() && !self.divides(part))
                {
                    return None;
                }
                rest = Some(rest.unwrap_or(true) && shape.may_be_empty);
            }
            // It may take them for one that has no length, or for some that have.
            whole.is_wrong |= with_next.is_some();
            whole.length = (whole.length.zip(shape.length).filter(|_| has_length))
                .map(|(sum, length)| sum + length);
            whole.may_be_empty &= shape.may_be_empty;
            whole.is_ascii &= shape.is_ascii;
        }
        Some(whole)
    }

    /// The characters that a part does not match, by which OPA puts parts together.
    fn stops<'b>(&'b self, part: &'b Part) -> Option<&'b [char]> {
        match part {
            Part::All => Some(&[]),
            Part::Any | Part::One => Some(self.delimiters),
            Part::Listed { not: true, chars } => Some(chars),
            _ => None,
        }
    }

    /// Whether OPA finds each place where it may end, though it has no length.
    fn divides(&self, part: &Part) -> bool {
        let is_text = |parts: &Vec<Part>| matches!(parts.as_slice(), [Part::Text(_)]);
        match part {
            Part::Either(alternatives) => alternatives.iter().all(is_text),
            // Of several that stop it OPA looks for the first, and not for that which is first in the text.
            Part::Any => self.delimiters.len() < 2,
            part => *part == Part::All,
        }
    }

    /// Whether they are a text and a group such as `**x`, whose begin and end may share characters then, or the other way round; or
    /// match anything both.
    fn overlaps(&self, part: &Part, next: &Part) -> bool {
        let is_boundless = |part: &Part| part.is_boundless(self.delimiters);
        if is_boundless(part) && is_boundless(next) {
            return true;
        }
        let group = |part: &'_ Part, at_end: bool| match part {
            Part::Either(alternatives) => match alternatives.as_slice() {
                [parts] => match parts.as_slice() {
                    [all, Part::Text(_)] => at_end && is_boundless(all),
                    [Part::Text(_), all] => !at_end && is_boundless(all),
                    _ => false,
                },
                _ => false,
            },
            _ => false,
        };
        matches!(part, Part::Text(_)) && group(next, true)
            || matches!(next, Part::Text(_)) && group(part, false)
    }
}

/// Alternatives: OPA looks at their lengths from the first that has one.
fn either(all: &[Shape]) -> Shape {
    let mut lengths = all.iter().skip_while(|shape| shape.length.is_none());
    let first = lengths.next().and_then(|shape| shape.length);
    let length = first.filter(|_| lengths.all(|shape| shape.length == first));
    let has_none = all.iter().any(|shape| shape.length.is_none());
    Shape {
        length,
        is_wrong: length.is_some() && has_none || all.iter().any(|shape| shape.is_wrong),
        may_be_empty: all.iter().any(|shape| shape.may_be_empty),
        is_ascii: all.iter().all(|shape| shape.is_ascii),
    }
}
