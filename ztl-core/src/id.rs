//! SPIFFE IDs, trust domains, and the patterns a policy names them with.
//!
//! The grammar is that of the SPIFFE-ID standard, section 2, in its strict reading: nothing is folded, decoded or trimmed,
//! so two texts that differ are two identities.

mod pattern;

use core::borrow::Borrow;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

pub use self::pattern::IdPattern;
use crate::texts;

/// Longest SPIFFE ID in bytes (SPIFFE-ID §2.3).
pub const MAX_ID_BYTES: usize = 2048;
/// Longest trust domain name in bytes (SPIFFE-ID §2.1).
pub const MAX_TRUST_DOMAIN_BYTES: usize = 255;

const SCHEME: &str = "spiffe://";

/// Why a text is no SPIFFE ID, trust domain or pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text is longer than [`MAX_ID_BYTES`].
    #[error("is longer than 2048 bytes (SPIFFE-ID §2.3)")]
    TooLong,
    /// The text does not begin with `spiffe://` in lower case.
    #[error("does not begin with `spiffe://` (SPIFFE-ID §2)")]
    Scheme,
    /// No trust domain follows the scheme.
    #[error("has no trust domain (SPIFFE-ID §2.1)")]
    NoTrustDomain,
    /// The trust domain is longer than [`MAX_TRUST_DOMAIN_BYTES`].
    #[error("has a trust domain of more than 255 bytes (SPIFFE-ID §2.1)")]
    TrustDomainTooLong,
    /// The trust domain holds another character than `a-z 0-9 . - _`: an upper-case letter, a port, user information.
    #[error(
        "has a trust domain with a character other than `a-z`, `0-9`, `.`, `-`, `_` (SPIFFE-ID §2.1)"
    )]
    TrustDomainChar,
    /// The path ends with a slash.
    #[error("ends with `/` (SPIFFE-ID §2.2)")]
    TrailingSlash,
    /// Two slashes follow each other.
    #[error("has an empty path segment (SPIFFE-ID §2.2)")]
    EmptySegment,
    /// A segment is `.` or `..`.
    #[error("has a path segment `.` or `..` (SPIFFE-ID §2.2)")]
    DotSegment,
    /// The path holds another character than `A-Z a-z 0-9 . - _`: a query, a fragment, an escape.
    #[error(
        "has a path with a character other than letters, digits, `.`, `-`, `_` (SPIFFE-ID §2.2)"
    )]
    PathChar,
    /// A workload's id needs a path: the bare trust domain is no workload.
    #[error("has no path: the id of a trust domain is not the id of a workload (X509-SVID §5.2)")]
    NoPath,
}

impl IdError {
    /// A stable code for programs: `empty`, `too_long`, `scheme` and so on.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::Scheme => "scheme",
            Self::NoTrustDomain => "no_trust_domain",
            Self::TrustDomainTooLong => "trust_domain_too_long",
            Self::TrustDomainChar => "trust_domain_char",
            Self::TrailingSlash => "trailing_slash",
            Self::EmptySegment => "empty_segment",
            Self::DotSegment => "dot_segment",
            Self::PathChar => "path_char",
            Self::NoPath => "no_path",
        }
    }
}

impl IdError {
    /// How an author mends the text.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Empty | Self::Scheme | Self::NoTrustDomain | Self::NoPath => {
                "write `spiffe://trust-domain/path`"
            }
            Self::TooLong | Self::TrustDomainTooLong => "choose a shorter one",
            Self::TrustDomainChar => {
                "write the trust domain in lower case, without port, user information or escape"
            }
            Self::TrailingSlash => "remove the `/` at the end",
            Self::EmptySegment => "write one `/` between two segments",
            Self::DotSegment => "write the path without `.` and `..`",
            Self::PathChar => {
                "write the path without query, fragment, escape or wildcard; for every id below one end it with `/**`"
            }
        }
    }
}

/// The name of a trust domain: 1 to 255 bytes of `a-z 0-9 . - _` (SPIFFE-ID §2.1).
///
/// ```
/// use ztl_core::TrustDomain;
///
/// assert_eq!(TrustDomain::parse("prod.example")?.as_str(), "prod.example");
/// assert!(TrustDomain::parse("Prod.example").is_err());
/// # Ok::<(), ztl_core::IdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// Reads a bare trust domain name, without scheme.
    ///
    /// # Errors
    /// [`IdError`] says which rule of SPIFFE-ID §2.1 the text breaks.
    pub fn parse(name: &str) -> Result<Self, IdError> {
        check_trust_domain(name)?;
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustDomain({})", self.0)
    }
}

impl FromStr for TrustDomain {
    type Err = IdError;

    fn from_str(name: &str) -> Result<Self, IdError> {
        Self::parse(name)
    }
}

impl AsRef<str> for TrustDomain {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// A SPIFFE ID: `spiffe://trust-domain/path`, or the id of a trust domain without a path (SPIFFE-ID §2).
///
/// Comparison is by bytes; the path is case-sensitive (rule 18).
///
/// ```
/// use ztl_core::SpiffeId;
///
/// let id = SpiffeId::parse("spiffe://prod.example/ns/models/sa/model-server")?;
/// assert_eq!(id.trust_domain_name(), "prod.example");
/// assert_eq!(id.path(), "/ns/models/sa/model-server");
/// assert!(SpiffeId::parse("spiffe://prod.example/a/../b").is_err());
/// # Ok::<(), ztl_core::IdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpiffeId {
    text: Arc<str>,
    // The path begins here; equals the length of the text where there is none. Bounded by MAX_ID_BYTES.
    path_at: u16,
    /// Of the text.
    hash: u64,
}

impl SpiffeId {
    /// Reads an id, strictly: nothing is repaired.
    ///
    /// # Errors
    /// [`IdError`] says which rule of SPIFFE-ID §2 the text breaks.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let (domain, _) = split(text)?;
        let path_at = u16::try_from(SCHEME.len() + domain.len()).map_err(|_| IdError::TooLong)?;
        Ok(Self {
            text: text.into(),
            path_at,
            hash: texts::hash(text),
        })
    }

    /// Reads the id of a workload, which has a path (X509-SVID §2; rule 18).
    ///
    /// # Errors
    /// [`IdError`]; [`IdError::NoPath`] where only a trust domain is named.
    pub fn parse_workload(text: &str) -> Result<Self, IdError> {
        let id = Self::parse(text)?;
        if id.path().is_empty() {
            Err(IdError::NoPath)
        } else {
            Ok(id)
        }
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its text, to share.
    pub(crate) fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The hash of its text, by [`texts::hash`].
    pub(crate) const fn text_hash(&self) -> u64 {
        self.hash
    }

    /// The name of its trust domain.
    #[must_use]
    pub fn trust_domain_name(&self) -> &str {
        self.text
            .get(SCHEME.len()..usize::from(self.path_at))
            .unwrap_or_default()
    }

    /// Its trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> TrustDomain {
        TrustDomain(self.trust_domain_name().into())
    }

    /// Its path with the leading slash; empty for the id of a trust domain.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text
            .get(usize::from(self.path_at)..)
            .unwrap_or_default()
    }

    /// The same path in another trust domain.
    ///
    /// # Errors
    /// [`IdError::TooLong`] where the result would be.
    pub fn with_trust_domain(&self, domain: &TrustDomain) -> Result<Self, IdError> {
        Self::parse(&format!("{SCHEME}{domain}{}", self.path()))
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpiffeId({})", self.text)
    }
}

impl FromStr for SpiffeId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

impl Hash for SpiffeId {
    /// As its text has it, so that a table of ids can be asked with a text.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for SpiffeId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for SpiffeId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// The trust domain of an id and its path with the leading slash, without keeping either.
pub(crate) fn split(text: &str) -> Result<(&str, &str), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong);
    }
    let rest = text.strip_prefix(SCHEME).ok_or(IdError::Scheme)?;
    let slash = rest.bytes().position(|b| b == b'/');
    let at = slash.unwrap_or(rest.len());
    let (domain, path) = rest.split_at_checked(at).unwrap_or((rest, ""));
    check_trust_domain(domain)?;
    if let Some(path) = path.strip_prefix('/') {
        check_path(path)?;
    }
    Ok((domain, path))
}

fn check_trust_domain(name: &str) -> Result<(), IdError> {
    if name.is_empty() {
        return Err(IdError::NoTrustDomain);
    }
    // SPIFFE-ID §2.1: lower case, digits, dot, dash, underscore; so neither port nor user information nor an escape.
    if !name
        .bytes()
        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'))
    {
        return Err(IdError::TrustDomainChar);
    }
    if name.len() > MAX_TRUST_DOMAIN_BYTES {
        return Err(IdError::TrustDomainTooLong);
    }
    Ok(())
}

/// Checks a path without its leading slash.
fn check_path(path: &str) -> Result<(), IdError> {
    // SPIFFE-ID §2.2: no trailing slash, no empty or relative segment, no escape.
    if path.is_empty() || path.ends_with('/') {
        return Err(IdError::TrailingSlash);
    }
    for segment in path.as_bytes().split(|b| *b == b'/') {
        match segment {
            b"" => return Err(IdError::EmptySegment),
            b"." | b".." => return Err(IdError::DotSegment),
            _ if segment.iter().all(
                |b| matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_'),
            ) => {}
            _ => return Err(IdError::PathChar),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_17_and_18_of_semantics() {
        let ok = [
            "spiffe://td/a",
            "spiffe://td",
            "spiffe://a.b-c_d9/X/y.z/-",
            "spiffe://td/...",
        ];
        for text in ok {
            assert_eq!(
                SpiffeId::parse(text).map(|id| id.to_string()),
                Ok(text.to_owned())
            );
        }
        let bad = [
            ("", IdError::Empty),
            ("SPIFFE://td/a", IdError::Scheme),
            ("https://td/a", IdError::Scheme),
            ("spiffe:///a", IdError::NoTrustDomain),
            ("spiffe://TD/a", IdError::TrustDomainChar),
            ("spiffe://td:443/a", IdError::TrustDomainChar),
            ("spiffe://u@td/a", IdError::TrustDomainChar),
            ("spiffe://td/", IdError::TrailingSlash),
            ("spiffe://td/a/", IdError::TrailingSlash),
            ("spiffe://td//a", IdError::EmptySegment),
            ("spiffe://td/./a", IdError::DotSegment),
            ("spiffe://td/a/..", IdError::DotSegment),
            ("spiffe://td/a%2fb", IdError::PathChar),
            ("spiffe://td/a?b", IdError::PathChar),
            ("spiffe://td/a#b", IdError::PathChar),
            ("spiffe://td/é", IdError::PathChar),
            ("spiffe://td?x", IdError::TrustDomainChar),
        ];
        for (text, error) in bad {
            assert_eq!(SpiffeId::parse(text), Err(error), "{text}");
        }
        assert_eq!(
            SpiffeId::parse_workload("spiffe://td"),
            Err(IdError::NoPath)
        );
    }

    #[test]
    fn bounds_are_exact() {
        let domain = "d".repeat(MAX_TRUST_DOMAIN_BYTES);
        assert!(TrustDomain::parse(&domain).is_ok());
        assert_eq!(
            TrustDomain::parse(&format!("{domain}d")),
            Err(IdError::TrustDomainTooLong)
        );
        let long = format!(
            "spiffe://td/{}",
            "p".repeat(MAX_ID_BYTES - "spiffe://td/".len())
        );
        assert!(SpiffeId::parse(&long).is_ok());
        assert_eq!(SpiffeId::parse(&format!("{long}p")), Err(IdError::TooLong));
    }
}
