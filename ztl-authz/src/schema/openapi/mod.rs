//! OpenAPI 3.1 documents that whole requests have to fit.
//!
//! 1. A request is an operation of the document: its path is one of `paths`, under the path of one of `servers`, text before
//!    parameters from the left; and that path has its method.
//! 2. Each parameter that has to be there is there, once, and fits its schema. A query has no other parameters.
//! 3. The body is of a media type that the operation takes, and where that is JSON or a form with a schema, fits it.
//! 4. What two readings may read differently does not fit: a parameter, a member or a field sent twice, an escape that is none, `;` in a
//!    query or a form, what parts values within one, quotes and escapes in cookies.
//! 5. What asks something of requests and cannot be kept to refuses the document. What speaks of answers, callbacks and credentials
//!    is not read: who may ask is the policy's to say.

mod form;
mod given;
mod keyword;
mod media;
mod members;
mod node;
mod operation;
mod parameter;
mod routes;
mod shape;
mod sites;
mod style;
#[cfg(test)]
mod tests;
mod text;
mod types;
mod values;

use core::fmt;

use serde_json::Value;
use ztl_core::schema::{BodySchema, HeadMisfit, RequestHead, WantedBody};

use self::node::Node;
use self::routes::Routes;
use self::sites::Sites;
use super::{Compiled, DEPTH};

const KEYS: [&str; 10] = [
    "components",
    "externalDocs",
    "info",
    "jsonSchemaDialect",
    "openapi",
    "paths",
    "security",
    "servers",
    "tags",
    "webhooks",
];

/// A document.
pub(super) struct OpenApi {
    routes: Routes,
    schemas: Vec<Compiled>,
    digest: [u8; 32],
}

impl OpenApi {
    pub(super) fn new(document: Value, digest: [u8; 32]) -> Result<Self, String> {
        let root = Node::root(&document);
        if !root
            .text_of("openapi")
            .is_ok_and(|it| it.starts_with("3.1."))
        {
            return Err(
                "is an OpenAPI document of another version than 3.1: convert it, since schemas mean something else there"
                    .to_owned(),
            );
        }
        root.only(&KEYS)?;
        if let Some(dialect) = root.child("jsonSchemaDialect") {
            sites::of_dialect(&dialect)?;
        }
        let mut sites = Sites::default();
        let routes = Routes::new(&root, &mut sites)?;
        Ok(Self {
            routes,
            schemas: sites.compiled(document, digest)?,
            digest,
        })
    }
}

impl BodySchema for OpenApi {
    fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn fits(&self, _: &Value) -> bool {
        false
    }

    fn misfit(&self, _: &Value) -> String {
        String::new()
    }

    fn head(&self, head: &RequestHead<'_>) -> Result<Option<WantedBody<'_>>, HeadMisfit> {
        let (route, operation) = self.routes.find(head)?;
        let body = operation.head(&route.segments, head, &self.schemas)?;
        Ok(Some(body))
    }
}

impl fmt::Debug for OpenApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenApi").finish_non_exhaustive()
    }
}
