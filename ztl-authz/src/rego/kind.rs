//! `[authorizers.NAME]` of the kinds `rego` and `opa`.

use core::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use ztl_core::authorizer::{Authorizer, AuthorizerFactory};

use super::{Artefacts, RegoAuthorizer, RegoEngine, Settings};
use crate::data::DataFault;

/// What an engine is made from.
#[derive(Debug)]
#[non_exhaustive]
pub struct Material {
    /// What the document says.
    pub settings: Settings,
    /// The files of the policy, by name, in the order of the document.
    pub policy: Vec<(String, Vec<u8>)>,
    /// Its data documents merged into one object.
    pub data: Value,
}

/// Makes engines of one kind, when a policy document is loaded.
pub trait EngineBuilder: fmt::Debug + Send + Sync {
    /// Makes an engine. What it cannot bound as the settings say it refuses.
    ///
    /// # Errors
    /// What is wrong with the material; the document is refused with it.
    fn build(&self, material: Material) -> Result<Arc<dyn RegoEngine>, String>;
}

/// A kind of authorizer whose engines somebody builds, from files that come from somewhere.
///
/// ```toml
/// [authorizers.models]
/// kind = "rego"
/// policy = "models.rego"             # a file beside the document, or a list of them
/// data = "models.json"               # JSON objects, merged; no two say the same
/// entrypoint = "models/allow"
/// reads = ["token"]                  # what of the evidence is in the input
/// timeout = "20ms"
/// ```
#[derive(Clone, Debug)]
pub struct RegoKind {
    artefacts: Arc<dyn Artefacts>,
    builder: Arc<dyn EngineBuilder>,
}

impl RegoKind {
    /// Engines of this builder.
    #[must_use]
    pub fn new(artefacts: Arc<dyn Artefacts>, builder: Arc<dyn EngineBuilder>) -> Self {
        Self { artefacts, builder }
    }

    /// Kind `rego`: the interpreter.
    #[cfg(feature = "rego")]
    #[must_use]
    pub fn interpreter(artefacts: Arc<dyn Artefacts>) -> Self {
        Self::new(artefacts, Arc::new(InterpreterBuilder))
    }

    /// Kind `opa`: WebAssembly.
    #[cfg(feature = "opa")]
    #[must_use]
    pub fn wasm(artefacts: Arc<dyn Artefacts>) -> Self {
        Self::new(artefacts, Arc::new(crate::opa::WasmBuilder::default()))
    }

    fn files(&self, names: &[String], hash: &mut Sha256) -> Result<Vec<(String, Vec<u8>)>, String> {
        let files = names.iter().map(|name| {
            let read = self.artefacts.read(name);
            let bytes = read.map_err(|fault| format!("`{}` {fault}", name.escape_debug()))?;
            // The document says the names; what they mean is here.
            hash.update(Sha256::digest(&bytes));
            Ok((name.clone(), bytes))
        });
        files.collect()
    }

    /// The authorizer that a section of a document asks for.
    ///
    /// # Errors
    /// What is wrong with the section or with what it names.
    pub fn authorizer(&self, section: &Map<String, Value>) -> Result<RegoAuthorizer, String> {
        let settings = Settings::of(section)?;
        let mut hash = Sha256::new();
        let policy = self.files(&settings.policy, &mut hash)?;
        let mut data = Map::new();
        for (name, bytes) in self.files(&settings.data, &mut hash)? {
            let fault = |what: String| format!("`{}` {what}", name.escape_debug());
            // As bundles are read: a name that stands twice could mean either (rule 22).
            let read = crate::data::read(&bytes);
            let Value::Object(more) = read.map_err(|why| fault(words(why)))? else {
                return Err(fault("is no object".to_owned()));
            };
            merge(&mut data, more).map_err(|path| {
                fault(format!(
                    "says what is said already: `{}`",
                    path.escape_debug()
                ))
            })?;
        }
        let reads = settings.reads;
        let engine = self.builder.build(Material {
            settings,
            policy,
            data: Value::Object(data),
        })?;
        Ok(RegoAuthorizer::new(engine, reads).with_digest(hash.finalize().into()))
    }
}

impl AuthorizerFactory for RegoKind {
    fn build(&self, _: &str, section: &Map<String, Value>) -> Result<Arc<dyn Authorizer>, String> {
        Ok(Arc::new(self.authorizer(section)?))
    }
}

/// What is wrong with a data document, and where.
fn words(fault: DataFault) -> String {
    match fault {
        DataFault::Json(fault) => {
            let what = crate::data::words(fault.kind);
            format!("{what}, at line {} column {}", fault.line, fault.column)
        }
        DataFault::Number => {
            "has a number too large to be held exactly; write it as a text".to_owned()
        }
    }
}

/// Objects become one; where two say the same the path of it is the fault, as in OPA.
fn merge(all: &mut Map<String, Value>, more: Map<String, Value>) -> Result<(), String> {
    for (key, value) in more {
        match (all.get_mut(&key), value) {
            (None, value) => drop(all.insert(key, value)),
            (Some(Value::Object(before)), Value::Object(value)) => {
                merge(before, value).map_err(|path| format!("{key}.{path}"))?;
            }
            (Some(_), _) => return Err(key),
        }
    }
    Ok(())
}

/// Builds interpreters.
#[cfg(feature = "rego")]
#[derive(Clone, Copy, Debug)]
pub(super) struct InterpreterBuilder;

#[cfg(feature = "rego")]
impl EngineBuilder for InterpreterBuilder {
    fn build(&self, material: Material) -> Result<Arc<dyn RegoEngine>, String> {
        let settings = &material.settings;
        if settings.memory.is_some() {
            return Err(
                "`memory` cannot be bounded by the interpreter: compile the policy to WebAssembly and write `kind = \"opa\"`"
                    .to_owned(),
            );
        }
        let modules = material.policy.iter().map(|(name, bytes)| {
            let text = core::str::from_utf8(bytes);
            let text = text.map_err(|_| format!("`{}` is no UTF-8", name.escape_debug()))?;
            Ok((name.as_str(), text))
        });
        let modules: Vec<(&str, &str)> = modules.collect::<Result<_, String>>()?;
        let (entrypoint, timeout) = (&settings.entrypoint, settings.timeout);
        let engine = super::Interpreter::compile(modules, material.data, entrypoint, timeout);
        Ok(Arc::new(engine.map_err(|error| error.to_string())?))
    }
}
