//! Path templates: which paths a rule speaks of.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use crate::path::{CanonicalPath, Escaped, PathError};
use crate::texts::same;

use super::pattern::{PatternError, is_name};

/// A path with parameters, in the syntax of axum and OpenAPI: `/v1/models/{model}/infer`, `/files/{*rest}`. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(Arc<Runs>);

/// Text and parameters in turn, as a path is compared with them: text before each parameter, and text behind the last.
#[derive(Debug, PartialEq, Eq)]
struct Runs {
    /// All text, decoded, one run behind the other: `/v1/models/` and `/infer`.
    text: Box<str>,
    params: Box<[Param]>,
    /// How many slashes the text has.
    slashes: usize,
    form: Form,
}

/// What most templates are like, so that most paths are compared in one straight line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Text alone.
    Text,
    /// One parameter of one segment, at this place in the text.
    One { at: usize, kind: ParamKind },
    /// Text, and all that is below.
    Rest,
    /// Several parameters.
    Several,
}

impl Runs {
    fn new(text: String, params: Vec<Param>) -> Self {
        Self {
            slashes: text.bytes().filter(|byte| *byte == b'/').count(),
            form: match params.as_slice() {
                [] => Form::Text,
                [one] if one.kind == ParamKind::Rest => Form::Rest,
                [Param { at, kind, .. }] => Form::One {
                    at: *at,
                    kind: *kind,
                },
                _ => Form::Several,
            },
            text: text.into(),
            params: params.into(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Param {
    /// Where in the text it stands.
    at: usize,
    name: Arc<str>,
    kind: ParamKind,
}

/// One segment of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    /// This text, compared with the decoded segment. Empty only at the end: a trailing slash.
    Text(&'a str),
    /// One segment that is not empty, or at the end one or more.
    Param(&'a Arc<str>, ParamKind),
}

impl Part<'_> {
    const fn is_rest(&self) -> bool {
        matches!(self, Self::Param(_, ParamKind::Rest))
    }
}

/// What one segment of a path has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// This text, decoded. Empty only at the end: a trailing slash.
    Text(&'a str),
    /// Some value of a parameter.
    Param,
    /// One or more segments.
    Rest,
}

/// What a parameter's value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParamKind {
    /// Anything but nothing.
    Text,
    /// RFC 9562 in its text form, either case.
    Uuid,
    /// Decimal digits with an optional `-`.
    Int,
    /// One or more segments, the first of them not empty. Only at the end.
    Rest,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`PatternError`] where no request could match, or a segment is no parameter and no text.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let rest = text.strip_prefix('/').ok_or(PathError::NoLeadingSlash)?;
        let mut text = String::new();
        let mut params: Vec<Param> = Vec::new();
        let mut pieces = rest.split('/').peekable();
        while let Some(piece) = pieces.next() {
            let last = pieces.peek().is_none();
            text.push('/');
            match parse_piece(piece, last)? {
                Piece::Text(piece) => text.push_str(&piece),
                Piece::Param(name, kind) => {
                    if params.iter().any(|param| *param.name == *name) {
                        return Err(PatternError::Repeated(name.to_owned()));
                    }
                    params.push(Param {
                        at: text.len(),
                        name: name.into(),
                        kind,
                    });
                }
            }
        }
        Ok(Self(Arc::new(Runs::new(text, params))))
    }

    /// Whether the path is one of those.
    #[must_use]
    pub fn matches(&self, path: CanonicalPath<'_>) -> bool {
        if path.is_escaped() {
            self.matches_decoded(path)
        } else {
            self.matches_plain(&path)
        }
    }

    /// The same of a path without escapes.
    #[inline(always)]
    pub(super) fn matches_plain(&self, path: &CanonicalPath<'_>) -> bool {
        let (bytes, text) = (path.as_str().as_bytes(), self.0.text.as_bytes());
        match self.0.form {
            Form::Text => same(bytes, text),
            Form::Rest => (bytes.split_at_checked(text.len()))
                .is_some_and(|(start, value)| ParamKind::Rest.accepts(value) && same(start, text)),
            // All the slashes stand in the text around the value, so none is left for the value.
            Form::One { .. } if path.slashes() != self.0.slashes => false,
            Form::One { at, kind } => (|| {
                let (before, behind) = text.split_at_checked(at)?;
                let (start, rest) = bytes.split_at_checked(before.len())?;
                let end = rest.len().checked_sub(behind.len())?;
                let (value, end) = rest.split_at_checked(end)?;
                Some(same(start, before) && same(end, behind) && kind.accepts(value))
            })()
            .unwrap_or_default(),
            Form::Several => self.matches_runs(bytes),
        }
    }

    /// How many slashes a path without escapes has to have for this, and whether it may have more.
    pub(super) fn slashes(&self) -> (usize, bool) {
        let rest = (self.0.params.last()).is_some_and(|param| param.kind == ParamKind::Rest);
        (self.0.slashes, rest)
    }

    /// The same, run by run, with any number of parameters.
    #[inline(never)]
    fn matches_runs(&self, path: &[u8]) -> bool {
        let mut rest = path;
        let mut from = 0;
        for param in &self.0.params {
            let Some(value) = rest.strip_prefix(self.run(from, param.at)) else {
                return false;
            };
            from = param.at;
            let end = match param.kind {
                ParamKind::Rest => value.len(),
                _ => (value.iter().position(|byte| *byte == b'/')).unwrap_or(value.len()),
            };
            let (value, behind) = value.split_at_checked(end).unwrap_or_default();
            if !param.kind.accepts(value) {
                return false;
            }
            rest = behind;
        }
        rest == self.run(from, self.0.text.len())
    }

    fn run(&self, from: usize, to: usize) -> &[u8] {
        (self.0.text.as_bytes().get(from..to)).unwrap_or_default()
    }

    /// The same, segment by segment, where what a segment means is not what stands in it.
    fn matches_decoded(&self, path: CanonicalPath<'_>) -> bool {
        let mut segments = path.segments();
        for part in self.parts() {
            let Some(segment) = segments.next() else {
                return false;
            };
            match part {
                Part::Text(text) if !segment.means(text) => return false,
                Part::Param(_, kind) if !kind.accepts(segment.raw().as_bytes()) => return false,
                part if part.is_rest() => return true,
                _ => {}
            }
        }
        segments.next().is_none()
    }

    /// Whether a forbid on this template covers the path: also with a slash more or less at the end, and without regard to
    /// what a parameter must look like, since another router may be less exact.
    pub(super) fn forbids(&self, path: CanonicalPath<'_>) -> bool {
        let mut segments = path.segments().filter(|segment| !segment.is_empty());
        for part in self.parts().filter(is_whole) {
            let Some(segment) = segments.next() else {
                return false;
            };
            match part {
                Part::Text(text) if !segment.means(text) => return false,
                part if part.is_rest() => return true,
                _ => {}
            }
        }
        segments.next().is_none()
    }

    /// The names of its parameters, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.params.iter().map(|param| &*param.name)
    }

    /// The parameters of a path that matches, by name and decoded. Allocates.
    #[must_use]
    pub fn params(&self, path: CanonicalPath<'_>) -> Option<Vec<(Arc<str>, String)>> {
        if !self.matches(path) {
            return None;
        }
        let mut segments = path.segments();
        let mut params = Vec::new();
        for part in self.parts() {
            let segment = segments.next()?;
            let Part::Param(name, kind) = part else {
                continue;
            };
            let mut value = segment.decoded();
            if kind == ParamKind::Rest {
                for segment in segments.by_ref() {
                    value.push('/');
                    value.push_str(&segment.decoded());
                }
            }
            params.push((Arc::clone(name), value));
        }
        Some(params)
    }

    /// The path among those that is most like another: each parameter keeps the segment in its place where it can, and has
    /// a made-up value where it cannot.
    pub(super) fn like(&self, path: &str) -> String {
        let segments = path.strip_prefix('/').unwrap_or(path);
        let mut segments = segments.split('/');
        let mut like = String::new();
        for part in self.parts() {
            let segment = segments.next();
            like.push('/');
            match part {
                Part::Text(text) => like.push_str(&Escaped(text).to_string()),
                Part::Param(name, kind) => {
                    let keep = segment.filter(|segment| kind.accepts(segment.as_bytes()));
                    like.push_str(keep.unwrap_or(match kind {
                        ParamKind::Text | ParamKind::Rest => name,
                        ParamKind::Uuid => "00000000-0000-0000-0000-000000000000",
                        ParamKind::Int => "1",
                    }));
                    if let (ParamKind::Rest, Some(_)) = (kind, keep) {
                        for segment in segments.by_ref() {
                            like.push('/');
                            like.push_str(segment);
                        }
                    }
                }
            }
        }
        like
    }

    /// Segment by segment, without names and kinds of parameters.
    pub(super) fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        self.parts().map(|part| match part {
            Part::Text(text) => Step::Text(text),
            Part::Param(_, ParamKind::Rest) => Step::Rest,
            Part::Param(..) => Step::Param,
        })
    }

    /// Segment by segment.
    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let mut from = 0;
        let before = self.0.params.iter().flat_map(move |param| {
            let run = self.0.text.get(from..param.at).unwrap_or_default();
            from = param.at;
            // The slash before the parameter ends the text before it.
            let texts = run.strip_suffix('/').unwrap_or(run);
            texts_of(texts).chain(core::iter::once(Part::Param(&param.name, param.kind)))
        });
        let last = self.0.params.last().map_or(0, |param| param.at);
        before.chain(texts_of(self.0.text.get(last..).unwrap_or_default()))
    }
}

/// The segments of a run of text, each behind its slash.
fn texts_of(run: &str) -> impl Iterator<Item = Part<'_>> {
    let rest = run.strip_prefix('/');
    rest.into_iter()
        .flat_map(|rest| rest.split('/'))
        .map(Part::Text)
}

/// Not the nothing behind a slash at the end.
fn is_whole(part: &Part<'_>) -> bool {
    !matches!(part, Part::Text(text) if text.is_empty())
}

impl FromStr for Template {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.parts() {
            match part {
                Part::Text(text) => write!(f, "/{}", Escaped(text))?,
                Part::Param(name, ParamKind::Text) => write!(f, "/{{{name}}}")?,
                Part::Param(name, ParamKind::Uuid) => write!(f, "/{{{name}:uuid}}")?,
                Part::Param(name, ParamKind::Int) => write!(f, "/{{{name}:int}}")?,
                Part::Param(name, ParamKind::Rest) => write!(f, "/{{*{name}}}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({self})")
    }
}

impl ParamKind {
    /// Whether a value, as it stands in a path, looks like this.
    #[inline]
    fn accepts(self, value: &[u8]) -> bool {
        match self {
            Self::Text => !value.is_empty(),
            Self::Rest => value.first().is_some_and(|byte| *byte != b'/'),
            Self::Uuid => {
                value.len() == 36
                    && value.iter().enumerate().all(|(at, byte)| match at {
                        8 | 13 | 18 | 23 => *byte == b'-',
                        _ => byte.is_ascii_hexdigit(),
                    })
            }
            Self::Int => {
                let digits = value.strip_prefix(b"-").unwrap_or(value);
                !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
            }
        }
    }
}

impl Template {
    pub(super) fn of_grpc(service: &str, method: Option<&str>) -> Self {
        let mut text = format!("/{service}/");
        let param = Param {
            at: text.len(),
            name: "method".into(),
            kind: ParamKind::Text,
        };
        text.push_str(method.unwrap_or_default());
        let params = method.is_none().then_some(param).into_iter().collect();
        Self(Arc::new(Runs::new(text, params)))
    }

    /// Whether some path could be meant by both, slashes at the end included.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let ((one, more), (two, others)) = (self.slashes(), other.slashes());
        let fits = match (more, others) {
            (false, false) => one == two,
            (true, false) => one <= two,
            (false, true) => two <= one,
            (true, true) => true,
        };
        fits && self.may_overlap(other)
    }

    /// Whether some path could be meant by both, without regard to slashes at the end.
    pub(super) fn may_overlap(&self, other: &Self) -> bool {
        let (mut one, mut two) = (
            self.parts().filter(is_whole),
            other.parts().filter(is_whole),
        );
        loop {
            match (one.next(), two.next()) {
                (None, None) => return true,
                (Some(one), Some(two)) if one.is_rest() || two.is_rest() => return true,
                (None, Some(_)) | (Some(_), None) => return false,
                (Some(Part::Text(one)), Some(Part::Text(two))) if one != two => return false,
                _ => {}
            }
        }
    }
}

/// What stands between two slashes.
enum Piece<'a> {
    Text(String),
    Param(&'a str, ParamKind),
}

fn parse_piece(piece: &str, last: bool) -> Result<Piece<'_>, PatternError> {
    let bad = || PatternError::Segment(piece.to_owned());
    let Some(inside) = piece
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
    else {
        if piece.contains(['{', '}']) {
            return Err(bad());
        }
        if piece.is_empty() && !last {
            return Err(PathError::EmptySegment.into());
        }
        // A template's text obeys the rules of a request's path, escapes included, and is kept decoded.
        let target = format!("/{piece}");
        let path = CanonicalPath::parse(&target)?;
        if piece.contains('?') {
            return Err(bad());
        }
        return Ok(Piece::Text(
            path.segments().map(|segment| segment.decoded()).collect(),
        ));
    };
    if let Some(name) = inside.strip_prefix('*') {
        return if last && is_name(name) {
            Ok(Piece::Param(name, ParamKind::Rest))
        } else {
            Err(bad())
        };
    }
    let (name, kind) = match inside.split_once(':') {
        None => (inside, ParamKind::Text),
        Some((name, "uuid")) => (name, ParamKind::Uuid),
        Some((name, "int")) => (name, ParamKind::Int),
        Some(_) => return Err(bad()),
    };
    if is_name(name) {
        Ok(Piece::Param(name, kind))
    } else {
        Err(bad())
    }
}

#[cfg(test)]
mod tests;
