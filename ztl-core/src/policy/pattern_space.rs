//! One path for everything that a set of action patterns tells apart.
//!
//! Patterns compare a path segment by segment: with a text, with what an int or a uuid looks like, or not at all. So paths
//! that agree in all of this are answered alike, and it is enough to try one of each kind. What a pattern says of such a path
//! is never decided here: that is asked of [`ActionPattern::permits`] and [`ActionPattern::forbids`].

use super::pattern::ActionPattern;
use super::template::Template;

/// Deepest path that is made up. Templates of more segments cannot be compared.
const MAX_SEGMENTS: usize = 256;

/// What a pattern compares, segment by segment. A slash at the end is no part of it: every path is made up with and without.
struct Shape {
    parts: Vec<Part>,
    /// Whether more segments may follow.
    open: bool,
    /// Whether paths are looked for where this pattern speaks.
    sought: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Escaped, as it stands in a path.
    Text(String),
    Any,
    Int,
    Uuid,
}

impl Shape {
    /// None for raw bytes, which have no path.
    fn of(pattern: &ActionPattern, sought: bool) -> Option<Self> {
        let template = match pattern {
            ActionPattern::Http { path, .. }
            | ActionPattern::WebSocket(path)
            | ActionPattern::Upgrade { path, .. } => path.clone(),
            ActionPattern::Grpc { service, method } => {
                Template::of_grpc(service, method.as_deref())
            }
            ActionPattern::Any => return Some(Self::everything(sought)),
            ActionPattern::Connect => return None,
        };
        let mut shape = Self {
            parts: Vec::new(),
            open: false,
            sought,
        };
        // A template shows itself with all text escaped, so that a brace can only be a parameter's.
        for piece in template.to_string().split('/').skip(1) {
            let inside = piece
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            match inside {
                None if piece.is_empty() => {}
                None => shape.parts.push(Part::Text(piece.to_owned())),
                Some(name) if name.starts_with('*') => shape.open = true,
                Some(name) if name.ends_with(":int") => shape.parts.push(Part::Int),
                Some(name) if name.ends_with(":uuid") => shape.parts.push(Part::Uuid),
                Some(_) => shape.parts.push(Part::Any),
            }
        }
        Some(shape)
    }

    const fn everything(sought: bool) -> Self {
        Self {
            parts: Vec::new(),
            open: true,
            sought,
        }
    }

    /// Whether a path that went along so far could go on with this segment. In the wider view, in which a parameter takes
    /// anything: too much here is a path too many, never one too few.
    fn goes_on(&self, depth: usize, segment: &Part) -> bool {
        match self.parts.get(depth) {
            None => self.open,
            Some(Part::Text(text)) => matches!(segment, Part::Text(other) if other == text),
            Some(_) => true,
        }
    }

    /// Whether everything below the path is alike to it.
    const fn covers_the_rest(&self, depth: usize) -> bool {
        self.open && depth > self.parts.len()
    }
}

/// The patterns of which paths are made up.
#[derive(Default)]
pub(crate) struct PathSpace {
    shapes: Vec<Shape>,
}

/// There are more paths to tell apart than were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl PathSpace {
    /// Takes in a pattern; `sought` where paths that it speaks of are wanted.
    pub(crate) fn add(&mut self, pattern: &ActionPattern, sought: bool) {
        self.shapes.extend(Shape::of(pattern, sought));
    }

    /// Takes in what speaks of every path.
    pub(crate) fn add_everything(&mut self, sought: bool) {
        self.shapes.push(Shape::everything(sought));
    }

    /// A path of every kind that a sought pattern could speak of, at most so many.
    pub(crate) fn paths(&self, most: usize) -> Result<Vec<String>, TooMany> {
        let mut walk = Walk {
            shapes: &self.shapes,
            fresh: Fresh::beside(&self.shapes),
            paths: Vec::new(),
            most,
        };
        let all: Vec<usize> = (0..self.shapes.len()).collect();
        if self.shapes.iter().any(|shape| shape.sought) {
            walk.visit(&mut String::new(), 0, &all)?;
        }
        Ok(walk.paths)
    }
}

/// Segments that no pattern names.
struct Fresh {
    any: String,
    int: String,
    uuid: String,
}

impl Fresh {
    fn beside(shapes: &[Shape]) -> Self {
        let named = |text: &String| {
            let mut parts = shapes.iter().flat_map(|shape| &shape.parts);
            parts.any(|part| matches!(part, Part::Text(other) if other == text))
        };
        // There are more candidates than parts, so that one is always found.
        let first = |make: &dyn Fn(u32) -> String| {
            (0..u32::MAX)
                .map(make)
                .find(|text| !named(text))
                .unwrap_or_default()
        };
        Self {
            any: first(&|at| {
                if at == 0 {
                    "x".to_owned()
                } else {
                    format!("x{at}")
                }
            }),
            int: first(&|at| at.saturating_add(1).to_string()),
            uuid: first(&|at| format!("00000000-0000-4000-8000-{at:012}")),
        }
    }
}

struct Walk<'a> {
    shapes: &'a [Shape],
    fresh: Fresh,
    paths: Vec<String>,
    most: usize,
}

impl Walk<'_> {
    fn visit(&mut self, path: &mut String, depth: usize, alive: &[usize]) -> Result<(), TooMany> {
        if depth > 0 {
            self.push(path.clone())?;
        }
        self.push(format!("{path}/"))?;
        let shapes = self.shapes;
        let alive = || alive.iter().filter_map(|at| Some((*at, shapes.get(*at)?)));
        if alive().all(|(_, shape)| shape.covers_the_rest(depth)) {
            return Ok(());
        }
        if depth == MAX_SEGMENTS {
            return Err(TooMany);
        }
        let mut segments = vec![Part::Any];
        for part in alive().filter_map(|(_, shape)| shape.parts.get(depth)) {
            if !segments.contains(part) {
                segments.push(part.clone());
            }
        }
        for segment in segments {
            let on: Vec<usize> = alive()
                .filter(|(_, shape)| shape.goes_on(depth, &segment))
                .map(|(at, _)| at)
                .collect();
            let sought = |at: &usize| shapes.get(*at).is_some_and(|shape| shape.sought);
            if !on.iter().any(sought) {
                continue;
            }
            let length = path.len();
            path.push('/');
            path.push_str(match &segment {
                Part::Text(text) => text,
                Part::Any => &self.fresh.any,
                Part::Int => &self.fresh.int,
                Part::Uuid => &self.fresh.uuid,
            });
            let deeper = self.visit(path, depth + 1, &on);
            path.truncate(length);
            deeper?;
        }
        Ok(())
    }

    fn push(&mut self, path: String) -> Result<(), TooMany> {
        if self.paths.len() >= self.most {
            return Err(TooMany);
        }
        self.paths.push(path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action;

    fn space(patterns: &[(&str, bool)]) -> PathSpace {
        let mut space = PathSpace::default();
        for (text, sought) in patterns {
            space.add(&ActionPattern::parse(text).expect("pattern"), *sought);
        }
        space
    }

    fn answers(patterns: &[(&str, bool)], path: &str) -> Vec<(bool, bool)> {
        let action = Action::request("GET", path).expect("path");
        let parse = |(text, _): &(&str, bool)| ActionPattern::parse(text).expect("pattern");
        let all = patterns.iter().map(parse);
        all.map(|pattern| (pattern.permits(&action), pattern.forbids(&action)))
            .collect()
    }

    #[test]
    fn every_path_has_one_like_it() {
        let patterns = [
            ("GET /", true),
            ("GET /a", true),
            ("GET /a/", true),
            ("GET /a/{id:int}", true),
            ("GET /a/7/{x:uuid}", true),
            ("GET /{v}/b", true),
            ("GET /a/{*rest}", true),
            ("GET /a%7B", true),
            ("GET /c/{*rest}", true),
            ("grpc a/b", true),
        ];
        let made = space(&patterns).paths(10_000).expect("few");
        let known: Vec<_> = made.iter().map(|path| answers(&patterns, path)).collect();
        let segments = [
            "a",
            "b",
            "7",
            "8",
            "-1",
            "c",
            "a%7B",
            "zz",
            "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
        ];
        let mut paths = vec![String::new()];
        for _ in 0..3 {
            let longer: Vec<String> = paths
                .iter()
                .flat_map(|path| segments.map(|segment| format!("{path}/{segment}")))
                .collect();
            for path in &longer {
                for path in [path.clone(), format!("{path}/")] {
                    assert!(known.contains(&answers(&patterns, &path)), "{path}");
                }
            }
            paths = longer;
        }
        assert!(known.contains(&answers(&patterns, "/")));
    }

    #[test]
    fn only_what_is_sought_is_walked_and_within_the_bound() {
        let texts: Vec<String> = (0..50).map(|at| format!("GET /s{at}/{{id}}")).collect();
        let mut patterns: Vec<_> = texts.iter().map(|text| (text.as_str(), false)).collect();
        assert_eq!(space(&patterns).paths(10), Ok(Vec::new()));
        patterns.push(("GET /s7/x", true));
        let few = space(&patterns).paths(100).expect("few");
        assert!(
            few.len() < 10 && few.contains(&"/s7/x".to_owned()),
            "{few:?}"
        );
        patterns.push(("GET /{*all}", true));
        assert_eq!(space(&patterns).paths(100), Err(TooMany));
    }
}
