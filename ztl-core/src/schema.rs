//! Schemas that bodies have to fit (`[permit.oblige] schema`): core knows their names and what they were made from, and whoever
//! loads a policy brings what reads them.

use core::fmt;
use std::sync::Arc;

use serde_json::Value;

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

    /// Whether a body fits.
    fn fits(&self, body: &Value) -> bool;

    /// Where a body that does not fit fails first: a JSON pointer (RFC 6901), and no piece of a value. That may take more time
    /// and room than to tell whether it fits.
    fn misfit(&self, body: &Value) -> String;
}
