//! The patterns that a policy names ids with.

use core::fmt;
use core::str::FromStr;

use super::{IdError, SCHEME, SpiffeId, TrustDomain};

/// Which ids a rule speaks of. Compared by segments, never by a regular expression (law 5).
///
/// ```
/// use ztl_core::{IdPattern, SpiffeId};
///
/// let agents = IdPattern::parse("spiffe://prod.example/ns/agents/**")?;
/// assert!(agents.matches(&SpiffeId::parse("spiffe://prod.example/ns/agents/sa/router")?));
/// assert!(!agents.matches(&SpiffeId::parse("spiffe://prod.example/ns/agents")?));
/// assert!(!agents.matches(&SpiffeId::parse("spiffe://prod.example/ns/agents-2/sa/x")?));
/// # Ok::<(), ztl_core::IdError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum IdPattern {
    /// This id and no other.
    Exact(SpiffeId),
    /// Every id with one or more segments below this one: `spiffe://td/path/**`.
    Below(SpiffeId),
    /// Every workload of a trust domain.
    TrustDomain(TrustDomain),
}

impl IdPattern {
    /// Reads `spiffe://td/path`, `spiffe://td/path/**` or `trust-domain:td`.
    ///
    /// # Errors
    /// [`IdError`] for anything else; an exact id must have a path.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if let Some(domain) = text.strip_prefix("trust-domain:") {
            return TrustDomain::parse(domain).map(Self::TrustDomain);
        }
        match text.strip_suffix("/**") {
            Some(above) => SpiffeId::parse(above).map(Self::Below),
            None => SpiffeId::parse_workload(text).map(Self::Exact),
        }
    }

    /// Whether the id is one of those.
    #[must_use]
    pub fn matches(&self, id: &SpiffeId) -> bool {
        self.matches_text(id.as_str())
    }

    /// The same for the text of an id.
    pub(crate) fn matches_text(&self, id: &str) -> bool {
        match self {
            Self::Exact(exact) => exact.as_str() == id,
            Self::Below(above) => id
                .strip_prefix(above.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.starts_with('/')),
            Self::TrustDomain(domain) => id
                .strip_prefix(SCHEME)
                .and_then(|rest| rest.strip_prefix(domain.as_str()))
                .is_some_and(|path| path.is_empty() || path.starts_with('/')),
        }
    }
}

impl fmt::Display for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(id) => write!(f, "{id}"),
            Self::Below(id) => write!(f, "{id}/**"),
            Self::TrustDomain(domain) => write!(f, "trust-domain:{domain}"),
        }
    }
}

impl FromStr for IdPattern {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "spiffe://td/a",
            "spiffe://td/a/**",
            "spiffe://td/**",
            "trust-domain:td",
        ] {
            let read: IdPattern = text.parse().expect("a pattern");
            assert_eq!(read.to_string(), text);
        }
        assert_eq!("spiffe://td".parse::<IdPattern>(), Err(IdError::NoPath));
    }

    #[test]
    fn patterns_compare_whole_segments() {
        let id = |text| SpiffeId::parse(text).expect("id");
        let below = IdPattern::parse("spiffe://td/ns/a/**").expect("pattern");
        assert!(below.matches(&id("spiffe://td/ns/a/x")));
        assert!(below.matches(&id("spiffe://td/ns/a/x/y")));
        assert!(!below.matches(&id("spiffe://td/ns/a")));
        assert!(!below.matches(&id("spiffe://td/ns/ab/x")));
        assert!(!below.matches(&id("spiffe://td2/ns/a/x")));
        let domain = IdPattern::parse("spiffe://td/**").expect("pattern");
        assert!(domain.matches(&id("spiffe://td/x")));
        assert!(!domain.matches(&id("spiffe://td")));
        assert!(!domain.matches(&id("spiffe://td.evil/x")));
        assert!(IdPattern::parse("spiffe://td/a*").is_err());
        assert!(IdPattern::parse("spiffe://td/**/b").is_err());
        assert!(IdPattern::parse("trust-domain:*").is_err());
    }
}
