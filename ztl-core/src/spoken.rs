//! What an authorizer says, and by which version of what it is made from.

use std::sync::Arc;

use crate::authorizer::{AuthorizerError, Opinion};

/// What an authorizer says, and which version of what it was made from says so.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Spoken {
    /// What it says, or that it cannot tell.
    pub opinion: Result<Opinion, AuthorizerError>,
    /// What says so, where that comes and goes while the document stays.
    pub version: Option<Version>,
}

impl Spoken {
    /// What an authorizer says that is made from nothing but what the document's revision covers.
    #[must_use]
    pub const fn new(opinion: Result<Opinion, AuthorizerError>) -> Self {
        Self {
            opinion,
            version: None,
        }
    }

    /// The same, and what says so.
    #[must_use]
    pub fn by(self, version: Option<Version>) -> Self {
        Self { version, ..self }
    }
}

/// Which of several things that replace one another while a document stays, such as bundles of policies. The document's revision does
/// not cover it, so it stands in the audit record of what it decided (T24). Clones share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(Arc<Held>);

#[derive(Debug, PartialEq, Eq)]
struct Held {
    sha256: [u8; 32],
    revision: Option<Box<str>>,
}

impl Version {
    /// The one whose bytes have this SHA-256, and that calls itself so, where it does.
    #[must_use]
    pub fn new(sha256: [u8; 32], revision: Option<&str>) -> Self {
        Self(Arc::new(Held {
            sha256,
            revision: revision.map(Into::into),
        }))
    }

    /// SHA-256 of its bytes.
    #[must_use]
    pub fn sha256(&self) -> &[u8; 32] {
        &self.0.sha256
    }

    /// What it calls itself: any text.
    #[must_use]
    pub fn revision(&self) -> Option<&str> {
        self.0.revision.as_deref()
    }
}
