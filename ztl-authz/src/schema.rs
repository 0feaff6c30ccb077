//! JSON Schemas that bodies have to fit (`[permit.oblige] schema`), read from files and compiled when a policy is loaded.

use core::fmt;
use std::sync::Arc;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use ztl_core::json;
use ztl_core::schema::{BodySchema, SchemaCompiler};

use crate::artefacts::Artefacts;

/// Largest schema.
const MAX_BYTES: usize = 1024 * 1024;
/// Objects and lists of it inside one another.
const DEPTH: usize = 64;

/// Reads the JSON Schemas that a policy names ([`Loader::with_schemas`](ztl_core::policy::Loader::with_schemas)). A guard of
/// `ztl-tower` that reads its policy from a file does so by itself, with the files beside it.
///
/// A schema is of draft 2020-12 where it does not say `$schema`; drafts 4 to 2019-09 are read as well. `format` is asserted, and
/// an unknown one refuses the document, as a `$ref` does that leads out of the file. Patterns are matched in linear time (T36): those with
/// look-around or back references are refused.
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
        Ok(Arc::new(Compiled::new(&bytes)?))
    }
}

/// One schema.
struct Compiled {
    validator: Validator,
    digest: [u8; 32],
}

impl Compiled {
    fn new(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_BYTES {
            return Err(format!("is longer than {MAX_BYTES} bytes"));
        }
        let schema = json::value_within(bytes, DEPTH).map_err(|fault| fault.to_string())?;
        Ok(Self {
            validator: validator(&schema)?,
            digest: Sha256::digest(bytes).into(),
        })
    }
}

/// Compiles a schema as all are compiled here.
fn validator(schema: &Value) -> Result<Validator, String> {
    let mut options = jsonschema::options();
    if schema.get("$schema").is_none() {
        options = options.with_draft(Draft::Draft202012);
    }
    options
        .offline()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|error| format!("is no schema that can be used: {error}"))
}

impl BodySchema for Compiled {
    fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn fits(&self, body: &Value) -> bool {
        self.validator.is_valid(body)
    }

    fn misfit(&self, body: &Value) -> String {
        let found = self.validator.validate(body).err();
        found.map_or_else(String::new, |error| error.instance_path().to_string())
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").finish_non_exhaustive()
    }
}
