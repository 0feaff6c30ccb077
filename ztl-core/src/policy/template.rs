//! Path templates: which paths a rule speaks of.

use core::fmt;
use std::sync::Arc;

use crate::path::{CanonicalPath, Escaped, PathError, Segment};

use super::pattern::{PatternError, is_name};

/// A path with parameters, in the syntax of axum and OpenAPI: `/v1/models/{model}/infer`, `/files/{*rest}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// This text, compared with the decoded segment. Empty only at the end: a trailing slash.
    Text(Arc<str>),
    /// One segment that is not empty.
    Param(Arc<str>, ParamKind),
    /// One or more segments, the first of them not empty. Only at the end.
    Rest(Arc<str>),
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
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`PatternError`] where no request could match, or a segment is no parameter and no text.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let rest = text.strip_prefix('/').ok_or(PathError::NoLeadingSlash)?;
        let mut segments = Vec::new();
        let mut names: Vec<Arc<str>> = Vec::new();
        let mut pieces = rest.split('/').peekable();
        while let Some(piece) = pieces.next() {
            let last = pieces.peek().is_none();
            let part = parse_part(piece, last)?;
            if let Part::Param(name, _) | Part::Rest(name) = &part {
                if names.contains(name) {
                    return Err(PatternError::Repeated(name.to_string()));
                }
                names.push(Arc::clone(name));
            }
            segments.push(part);
        }
        Ok(Self { segments })
    }

    /// Whether the path is one of those.
    #[must_use]
    pub fn matches(&self, path: CanonicalPath<'_>) -> bool {
        let mut segments = path.segments();
        for part in &self.segments {
            let Some(segment) = segments.next() else {
                return false;
            };
            match part {
                Part::Text(text) if !segment.means(text) => return false,
                Part::Param(_, kind) if !kind.accepts(segment) => return false,
                Part::Rest(_) => return !segment.is_empty(),
                Part::Text(_) | Part::Param(..) => {}
            }
        }
        segments.next().is_none()
    }

    /// Whether a forbid on this template covers the path: also with a slash more or less at the end, and without regard to
    /// what a parameter must look like, since another router may be less exact.
    pub(super) fn forbids(&self, path: CanonicalPath<'_>) -> bool {
        let mut segments = path.segments().filter(|segment| !segment.is_empty());
        for part in self
            .segments
            .iter()
            .filter(|part| !matches!(part, Part::Text(text) if text.is_empty()))
        {
            let Some(segment) = segments.next() else {
                return false;
            };
            match part {
                Part::Text(text) if !segment.means(text) => return false,
                Part::Rest(_) => return true,
                Part::Text(_) | Part::Param(..) => {}
            }
        }
        segments.next().is_none()
    }

    /// The parameters of a path that matches, by name and decoded. Allocates.
    #[must_use]
    pub fn params(&self, path: CanonicalPath<'_>) -> Option<Vec<(Arc<str>, String)>> {
        if !self.matches(path) {
            return None;
        }
        let mut segments = path.segments();
        let mut params = Vec::new();
        for part in &self.segments {
            let segment = segments.next()?;
            match part {
                Part::Text(_) => {}
                Part::Param(name, _) => params.push((Arc::clone(name), segment.decoded())),
                Part::Rest(name) => {
                    let rest = segments.by_ref().map(|segment| segment.decoded());
                    let all: Vec<_> = core::iter::once(segment.decoded()).chain(rest).collect();
                    params.push((Arc::clone(name), all.join("/")));
                }
            }
        }
        Some(params)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.segments {
            match part {
                Part::Text(text) => write!(f, "/{}", Escaped(text))?,
                Part::Param(name, ParamKind::Text) => write!(f, "/{{{name}}}")?,
                Part::Param(name, ParamKind::Uuid) => write!(f, "/{{{name}:uuid}}")?,
                Part::Param(name, ParamKind::Int) => write!(f, "/{{{name}:int}}")?,
                Part::Rest(name) => write!(f, "/{{*{name}}}")?,
            }
        }
        Ok(())
    }
}

impl ParamKind {
    fn accepts(self, segment: Segment<'_>) -> bool {
        let raw = segment.raw();
        match self {
            Self::Text => !raw.is_empty(),
            Self::Uuid => {
                raw.len() == 36
                    && raw.bytes().enumerate().all(|(at, byte)| match at {
                        8 | 13 | 18 | 23 => byte == b'-',
                        _ => byte.is_ascii_hexdigit(),
                    })
            }
            Self::Int => {
                let digits = raw.strip_prefix('-').unwrap_or(raw);
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            }
        }
    }
}

impl Template {
    pub(super) fn of_grpc(service: &Arc<str>, method: Option<&Arc<str>>) -> Self {
        let method = method.map_or_else(
            || Part::Param("method".into(), ParamKind::Text),
            |method| Part::Text(Arc::clone(method)),
        );
        Self {
            segments: vec![Part::Text(Arc::clone(service)), method],
        }
    }

    /// Whether some path could be meant by both, without regard to slashes at the end.
    pub(super) fn may_overlap(&self, other: &Self) -> bool {
        let whole = |part: &&Part| !matches!(part, Part::Text(text) if text.is_empty());
        let (mut one, mut two) = (
            self.segments.iter().filter(whole),
            other.segments.iter().filter(whole),
        );
        loop {
            match (one.next(), two.next()) {
                (None, None) | (Some(Part::Rest(_)), Some(_)) | (Some(_), Some(Part::Rest(_))) => {
                    return true;
                }
                (None, Some(_)) | (Some(_), None) => return false,
                (Some(Part::Text(one)), Some(Part::Text(two))) if one != two => return false,
                _ => {}
            }
        }
    }
}

fn parse_part(piece: &str, last: bool) -> Result<Part, PatternError> {
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
        let text: String = path.segments().map(|segment| segment.decoded()).collect();
        return Ok(Part::Text(text.into()));
    };
    if let Some(name) = inside.strip_prefix('*') {
        return if last && is_name(name) {
            Ok(Part::Rest(name.into()))
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
        Ok(Part::Param(name.into(), kind))
    } else {
        Err(bad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_shown_is_the_template_read() {
        for text in [
            "/",
            "/a/",
            "/a/%7Bid%7D",
            "/%3Ca/{id:uuid}",
            "/u/bob@x/{n:int}/{*rest}",
            "/caf%C3%A9",
        ] {
            assert_eq!(
                Template::parse(text).map(|template| template.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!(
            Template::parse("/a%40b").map(|template| template.to_string()),
            Ok("/a@b".to_owned())
        );
    }
}
