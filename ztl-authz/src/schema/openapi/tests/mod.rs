//! Documents that are refused, requests that fit and do not, and the tables of the JSON-Schema-Test-Suite.

mod documents;
mod forms;
mod requests;
mod styles;
mod suites;

use std::sync::Arc;

use serde_json::{Value, json};
use ztl_core::schema::{BodySchema, RequestHead, WantedBody};
use ztl_core::{CanonicalPath, HeaderPairs, Method};

use crate::schema::compile;

fn load(document: &Value) -> Result<Arc<dyn BodySchema>, String> {
    compile(document.to_string().as_bytes())
}

/// A document with these paths.
fn document(paths: Value) -> Value {
    json!({
        "openapi": "3.1.1",
        "info": { "title": "pets", "version": "1" },
        "servers": [{ "url": "https://api.example/v1/" }],
        "paths": paths,
        "components": { "schemas": {
            "Id": { "type": "integer", "format": "int32", "minimum": 1 },
            "Pet": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": false,
                "properties": {
                    "name": { "type": "string", "pattern": "^[a-z]+$" },
                    "parent": { "$ref": "#/components/schemas/Pet" },
                    "born": { "type": "string", "format": "date", "readOnly": true }
                }
            }
        }}
    })
}

/// A document with one operation that has these parameters.
fn with_parameters(parameters: Value) -> Value {
    document(json!({ "/x": { "get": { "parameters": parameters } } }))
}

/// A document with one operation that takes bodies of this schema.
fn with_body(schema: Value) -> Value {
    let content = json!({ "application/json": { "schema": schema } });
    document(json!({ "/x": { "post": { "requestBody": { "content": content } } } }))
}

/// What a document says of the head of a request, in a word or as the misfit's own text.
fn ask(api: &dyn BodySchema, request: &str, fields: &[(&str, &str)]) -> String {
    match head(api, request, fields) {
        Ok(WantedBody::Json { required, .. }) => format!("json {required}"),
        Ok(WantedBody::Form { required, .. }) => format!("form {required}"),
        Ok(WantedBody::Bytes { required }) => format!("bytes {required}"),
        Ok(WantedBody::Nothing { required }) => format!("nothing {required}"),
        Ok(other) => format!("{other:?}"),
        Err(misfit) => misfit,
    }
}

fn head<'a>(
    api: &'a dyn BodySchema,
    request: &str,
    fields: &[(&str, &str)],
) -> Result<WantedBody<'a>, String> {
    let (method, target) = request.split_once(' ').expect("a method and a target");
    let query = target.split_once('?').map(|(_, query)| query);
    let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_bytes())).collect();
    let fields = HeaderPairs(&fields);
    let path = CanonicalPath::parse(target).expect(target);
    let head = RequestHead::new(Method::parse(method), path, &fields).with_query(query);
    match api.head(&head) {
        Ok(wanted) => Ok(wanted.expect("whole requests")),
        Err(misfit) => Err(misfit.to_string()),
    }
}

/// Whether a body fits that is sent to `POST /v1/x`.
fn takes(api: &dyn BodySchema, body: &Value) -> bool {
    let fields = [("content-type", "application/json")];
    match head(api, "POST /v1/x", &fields) {
        Ok(WantedBody::Json { schema, .. }) => schema.fits(body),
        other => panic!("{other:?}"),
    }
}
