//! Which paths a rule speaks of.

use crate::random::Random;

/// Paths, in the syntax of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pattern {
    /// This path.
    Exact(String),
    /// Everything below this path, but not the path itself: `/v1/items/{*rest}`.
    Below(String),
    /// One segment for each `{name}`.
    Template(String),
}

impl Pattern {
    /// As a policy, and as `matchit`, writes it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Exact(text) | Self::Template(text) => text.clone(),
            Self::Below(base) => format!("{base}/{{*rest}}"),
        }
    }

    /// Whether this is one of the paths: the meaning, spelled out segment by segment.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        // A path with an empty segment has two readings and is nobody's.
        if path.contains("//") {
            return false;
        }
        match self {
            Self::Exact(text) => text == path,
            Self::Below(base) => path
                .strip_prefix(base.as_str())
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|rest| !rest.is_empty()),
            Self::Template(text) => {
                let (mut parts, mut segments) = (text.split('/'), path.split('/'));
                loop {
                    match (parts.next(), segments.next()) {
                        (None, None) => return true,
                        (Some(part), Some(segment)) => {
                            let fits = if part.starts_with('{') {
                                !segment.is_empty()
                            } else {
                                part == segment
                            };
                            if !fits {
                                return false;
                            }
                        }
                        _ => return false,
                    }
                }
            }
        }
    }

    /// Whether every path of the other is one of this, for the pairs that one target can have.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match other {
            Self::Exact(path) => self.matches(path),
            Self::Below(_) | Self::Template(_) => self == other,
        }
    }

    /// One of its paths.
    #[must_use]
    pub fn instance(&self, random: &mut Random) -> String {
        match self {
            Self::Exact(text) => text.clone(),
            Self::Below(base) => match random.below(3) {
                0 => format!("{base}/{}", random.below(100_000)),
                1 => format!("{base}/{}/detail", random.below(100_000)),
                _ => format!("{base}/eu-west-1/part-{}/x", random.below(1000)),
            },
            Self::Template(text) => {
                let segments = text.split('/').map(|part| {
                    if part.starts_with('{') {
                        format!("{:08x}", random.next() >> 32)
                    } else {
                        part.to_owned()
                    }
                });
                segments.collect::<Vec<_>>().join("/")
            }
        }
    }
}
