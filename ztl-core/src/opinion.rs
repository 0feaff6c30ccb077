//! What an authorizer says of a request: that it objects, or what it obliges to if it does not.

use std::sync::Arc;

/// What an authorizer says. There is no way to say *permitted*: the least it can do is to have nothing against what rules
/// permit (law 4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opinion {
    /// Nothing against it, if this is discharged as well.
    Agrees(Demands),
    /// It objects, for this reason where it has one.
    Objects(Option<ObjectionCode>),
}

impl Opinion {
    /// Nothing against it, and nothing to discharge.
    #[must_use]
    pub const fn agrees() -> Self {
        Self::Agrees(Demands::none())
    }

    /// It objects and does not say why.
    #[must_use]
    pub const fn objects() -> Self {
        Self::Objects(None)
    }
}

/// What an authorizer obliges to, beside the `oblige` of the rule that asked it. It adds to that and takes nothing away:
///
/// - `max_body`: the smaller of the two counts.
/// - `log`: the fields of both are logged. A field that carries a credential, or that is no name of a field of at most 256 bytes, is
///   refused.
/// - `limit`: one that the document declares.
/// - `schema`: a body has to fit one schema, so that where the rule names another one this cannot be discharged.
///
/// What cannot be added is an error of the authorizer: the permit that asked does not hold (rule 7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Demands {
    /// The name of a limit that the document declares (`[limits.NAME]`).
    pub limit: Option<Arc<str>>,
    /// The file or name of the schema that the body has to fit.
    pub schema: Option<Arc<str>>,
    /// The most bytes that the body may have.
    pub max_body: Option<u64>,
    /// The action is logged, with these header fields of the request.
    pub log: Option<Vec<Arc<str>>>,
}

impl Demands {
    /// Nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            limit: None,
            schema: None,
            max_body: None,
            log: None,
        }
    }

    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.limit.is_none()
            && self.schema.is_none()
            && self.max_body.is_none()
            && self.log.is_none()
    }

    /// These and the limit of this name.
    #[must_use]
    pub fn with_limit(self, name: &str) -> Self {
        Self {
            limit: Some(name.into()),
            ..self
        }
    }

    /// These and this schema.
    #[must_use]
    pub fn with_schema(self, name: &str) -> Self {
        Self {
            schema: Some(name.into()),
            ..self
        }
    }

    /// These and a body of at most so many bytes.
    #[must_use]
    pub fn with_max_body(self, bytes: u64) -> Self {
        Self {
            max_body: Some(bytes),
            ..self
        }
    }

    /// These and a line in the access log, with these header fields.
    #[must_use]
    pub fn with_log<'a>(self, fields: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            log: Some(fields.into_iter().map(Into::into).collect()),
            ..self
        }
    }
}

/// Why an authorizer objects, in a code of its own: it stands in the audit record and in explanations, and is never sent to
/// the caller (law 7). At most [`MAX_BYTES`](Self::MAX_BYTES) of `a-z`, `0-9`, `_`, `-` and `.`, so that no value that was
/// looked at gets into a record by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectionCode(Arc<str>);

impl ObjectionCode {
    /// Longest code.
    pub const MAX_BYTES: usize = 64;

    /// A code; none where the text is no such thing.
    ///
    /// ```
    /// use ztl_core::authorizer::ObjectionCode;
    ///
    /// assert_eq!(ObjectionCode::new("quota_spent").unwrap().as_str(), "quota_spent");
    /// assert!(ObjectionCode::new("alice may not").is_none());
    /// ```
    #[must_use]
    pub fn new(code: &str) -> Option<Self> {
        let fits =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
        ((1..=Self::MAX_BYTES).contains(&code.len()) && code.bytes().all(fits))
            .then(|| Self(code.into()))
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
