//! Schemas that requests have to fit (`[permit.oblige] schema`): core knows their names and what they were made from, and whoever
//! loads a policy brings what reads them.

use core::fmt;
use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use crate::action::Method;
use crate::headers::Headers;
use crate::path::CanonicalPath;

/// Makes schemas of the names that a document has for them.
pub trait SchemaCompiler: fmt::Debug + Send + Sync {
    /// The schema of this name, such as that of a file beside the document.
    ///
    /// # Errors
    /// What is wrong with it; the document is refused with that.
    fn compile(&self, name: &str) -> Result<Arc<dyn BodySchema>, String>;
}

/// A schema, compiled once.
pub trait BodySchema: fmt::Debug + Send + Sync {
    /// SHA-256 over all that it was made from. The policy's revision covers it (T24).
    fn digest(&self) -> [u8; 32];

    /// Whether a body fits. Where the schema speaks of whole requests none does: who asks for a body alone has not looked at the
    /// rest.
    fn fits(&self, body: &Value) -> bool;

    /// Where a body that does not fit fails first: a JSON pointer (RFC 6901), and no piece of a value. That may take more time
    /// and room than to tell whether it fits.
    fn misfit(&self, body: &Value) -> String;

    /// Looks at what stands before the body, and says which body has to follow. `None` where the schema speaks of bodies alone.
    ///
    /// # Errors
    /// [`HeadMisfit`]: the request does not fit, whatever its body.
    fn head(&self, head: &RequestHead<'_>) -> Result<Option<WantedBody<'_>>, HeadMisfit> {
        let _ = head;
        Ok(None)
    }
}

/// How the fields of a form are read (`application/x-www-form-urlencoded`; WHATWG URL §5): text has no types by itself.
pub trait BodyForm: fmt::Debug + Send + Sync {
    /// The object that the fields of a whole body are.
    ///
    /// # Errors
    /// [`FormMisfit`]: they are none, or not one alone.
    fn read(&self, body: &[u8]) -> Result<Value, FormMisfit>;

    /// The place of a member of that object in what was sent: a JSON pointer without the names of objects whose members are
    /// fields of their own.
    fn sent<'p>(&self, pointer: &'p str) -> &'p str;
}

/// What stands before the body of a request. Holds credentials: it has no `Debug`.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "header fields and queries may be credentials (law 7)"
)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: CanonicalPath<'a>,
    /// What follows the `?`, as it was sent.
    pub query: Option<&'a str>,
    /// The header fields.
    pub headers: &'a dyn Headers,
}

impl<'a> RequestHead<'a> {
    /// One without a query.
    #[must_use]
    pub const fn new(method: Method, path: CanonicalPath<'a>, headers: &'a dyn Headers) -> Self {
        Self {
            method,
            path,
            query: None,
            headers,
        }
    }

    /// The same with this behind the `?`.
    #[must_use]
    pub const fn with_query(mut self, query: Option<&'a str>) -> Self {
        self.query = query;
        self
    }
}

/// The body that has to follow the head of a request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum WantedBody<'a> {
    /// JSON that fits this.
    Json {
        /// What it has to fit.
        schema: &'a dyn BodySchema,
        /// Whether it has to be there.
        required: bool,
    },
    /// A form.
    Form {
        /// How it is read.
        form: &'a dyn BodyForm,
        /// What the object that it is has to fit.
        schema: &'a dyn BodySchema,
        /// Whether it has to be there.
        required: bool,
    },
    /// Any bytes.
    Bytes {
        /// Whether there has to be one.
        required: bool,
    },
    /// None: the operation takes no body, or not of this media type.
    Nothing {
        /// Whether there has to be one all the same, of another media type.
        required: bool,
    },
}

/// Where a parameter of a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ParameterPlace {
    /// A segment of the path.
    Path,
    /// Behind the `?`.
    Query,
    /// A header field.
    Header,
    /// A pair of `Cookie`.
    Cookie,
}

impl fmt::Display for ParameterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        })
    }
}

/// Why a request does not fit, whatever its body. Names a parameter, and never a value (law 7).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeadMisfit {
    /// No operation has this method and path.
    #[error("is no operation of the document")]
    Operation,
    /// A parameter that has to be there is not.
    #[error("lacks the {0} parameter `{name}`", name = .1.escape_debug())]
    Missing(ParameterPlace, String),
    /// A parameter does not fit.
    #[error("has the {0} parameter `{name}`, which does not fit", name = .1.escape_debug())]
    Unfit(ParameterPlace, String),
    /// A parameter that the operation does not name.
    #[error("has the {0} parameter `{name}`, which the operation does not name", name = .1.escape_debug())]
    Unknown(ParameterPlace, String),
    /// A parameter that two readers may read differently: sent twice, or with escapes that not all of them resolve.
    #[error("has the {0} parameter `{name}` in more than one reading", name = .1.escape_debug())]
    Ambiguous(ParameterPlace, String),
}

/// Why a form cannot be read. Names a field that was sent, and never a value (law 7).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FormMisfit {
    /// Bytes that are sent with an escape alone, or not at all: blanks, controls, what is not ASCII.
    #[error("is no form")]
    Syntax,
    /// More fields, or longer names of them, than are read.
    #[error("has more fields or longer names than are read")]
    TooMany,
    /// A field that nobody asked for.
    #[error("has the field `{name}`, which nobody asked for", name = .0.escape_debug())]
    Unknown(String),
    /// A field that two readers may read differently: sent twice, or with escapes that not all of them resolve.
    #[error("has the field `{name}` in more than one reading", name = .0.escape_debug())]
    Ambiguous(String),
    /// A field that is not of its type.
    #[error("has the field `{name}`, which does not fit", name = .0.escape_debug())]
    Unfit(String),
}
