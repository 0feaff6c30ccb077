//! Schemas that requests have to fit (`[permit.oblige] schema`), read from files and compiled when a policy is loaded: a JSON
//! Schema for bodies, or an OpenAPI document for whole requests.

mod circle;
mod effort;
mod openapi;
#[cfg(test)]
mod suites;
#[cfg(test)]
mod tests;

use core::fmt;
use std::sync::Arc;

use jsonschema::{Draft, PatternOptions, ValidationOptions, Validator};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use ztl_core::json;
use ztl_core::schema::{BodySchema, SchemaCompiler};

use self::effort::Effort;
use crate::artefacts::Artefacts;

/// Largest JSON Schema.
const MAX_BYTES: usize = 1024 * 1024;
/// Largest OpenAPI document.
const MAX_OPENAPI_BYTES: usize = 4 * 1024 * 1024;
/// Objects and lists of them inside one another.
const DEPTH: usize = 64;

/// Reads the schemas that a policy names ([`Loader::with_schemas`](ztl_core::policy::Loader::with_schemas)). A guard of
/// `ztl-tower` that reads its policy from a file does so by itself, with the files beside it.
///
/// A JSON Schema is of draft 2020-12 where it does not say `$schema`; drafts 4 to 2019-09 are read as well. `format` is asserted: those
/// of its draft, and OpenAPI's `byte` and `password`. An unknown one refuses the document, as a `$ref` does that leads out of the file,
/// or back to itself without looking further into a value. Keywords that JSON Schema does not have say nothing, as it has it (Core
/// §6.5). Patterns are matched in linear time (T36): those with look-around or back references are refused.
///
/// A file with a member `openapi` is an OpenAPI 3.1 document in JSON, which whole requests have to fit: an operation of it by path
/// and method, with its parameters, its media types and its bodies. What of it that asks something of requests cannot be kept to
/// refuses the document, and says where: unknown keys, those of schemas too, the style `matrix`, lists within objects that are text,
/// schemas of what is neither JSON nor a form, `discriminator`. Nothing is fetched.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::Arc;
/// use ztl_authz::schema::Schemas;
/// use ztl_core::policy::{Format, Loader};
///
/// let files = BTreeMap::from([("tune.json".to_owned(), br#"{"type": "object"}"#.to_vec())]);
/// let loader = Loader::new().with_schemas(Arc::new(Schemas::new(Arc::new(files))));
/// let policy = loader.load("schema = 1\ntrust_domain = 'prod.example'\n", Format::Toml)?;
/// # let _ = policy;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Schemas(Arc<dyn Artefacts>);

impl Schemas {
    /// Those of these files.
    #[must_use]
    pub fn new(files: Arc<dyn Artefacts>) -> Self {
        Self(files)
    }
}

impl SchemaCompiler for Schemas {
    fn compile(&self, name: &str) -> Result<Arc<dyn BodySchema>, String> {
        let bytes = self.0.read(name)?;
        if [".yaml", ".yml"].iter().any(|end| name.ends_with(end)) {
            return Err(
                "is YAML, and JSON is read: convert it, such as by `yq -o json`".to_owned(),
            );
        }
        compile(&bytes)
    }
}

fn compile(bytes: &[u8]) -> Result<Arc<dyn BodySchema>, String> {
    within(bytes, MAX_OPENAPI_BYTES)?;
    let document = json::value_within(bytes, DEPTH).map_err(|fault| match fault.kind {
        json::FaultKind::TooDeep => format!("has objects and lists more than {DEPTH} deep"),
        _ => fault.to_string(),
    })?;
    let digest = Sha256::digest(bytes).into();
    if document.get("openapi").is_some() || document.get("swagger").is_some() {
        return Ok(Arc::new(openapi::OpenApi::new(document, digest)?));
    }
    within(bytes, MAX_BYTES)?;
    let mut options = options();
    if document.get("$schema").is_none() {
        options = options.with_draft(Draft::Draft202012);
    }
    let validator = options.build(&document);
    let validator = validator.map_err(|error| unusable(&error))?;
    let effort = circle::effort(&document)?;
    Ok(Arc::new(Compiled {
        validator,
        effort,
        digest,
    }))
}

fn within(bytes: &[u8], most: usize) -> Result<(), String> {
    if bytes.len() > most {
        return Err(format!("is longer than {most} bytes"));
    }
    Ok(())
}

/// How all schemas are compiled here.
fn options() -> ValidationOptions<'static> {
    jsonschema::options()
        .offline()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_format("byte", is_base64)
        // For who shows it (OpenAPI 3.1.1 §4.4): any text.
        .with_format("password", |_: &str| true)
        .with_pattern_options(PatternOptions::regex())
}

/// Base64 with its padding (RFC 4648 §4), which is the format `byte` of OpenAPI.
fn is_base64(text: &str) -> bool {
    let digits = text
        .strip_suffix("==")
        .or(text.strip_suffix('='))
        .unwrap_or(text);
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    text.len().is_multiple_of(4) && digits.bytes().all(is_digit)
}

/// What a schema that does not compile is told.
fn unusable(error: &jsonschema::ValidationError<'_>) -> String {
    let said = error.to_string();
    let format = said
        .strip_prefix("Unknown format: '")
        .and_then(|rest| rest.split_once('\''));
    match format {
        Some((format, _)) => format!(
            "asks for the format `{}`, which is not known here: take it out, or say by `pattern` what it means",
            format.escape_debug()
        ),
        None => format!("is no schema that can be used: {said}"),
    }
}

/// One schema.
struct Compiled {
    validator: Validator,
    /// What it takes to say where a value does not fit.
    effort: Effort,
    digest: [u8; 32],
}

impl BodySchema for Compiled {
    fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn fits(&self, body: &Value) -> bool {
        self.validator.is_valid(body)
    }

    fn misfit(&self, body: &Value) -> String {
        if !self.effort.is_little(body) {
            return String::new();
        }
        let found = self.validator.validate(body).err();
        found.map_or_else(String::new, |error| error.instance_path().to_string())
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").finish_non_exhaustive()
    }
}
