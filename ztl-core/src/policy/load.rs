//! Loading: text to document, document to policy. All or nothing.

use std::collections::HashMap;
use std::sync::Arc;

use crate::authorizer::{Authorizer, AuthorizerFactory, ConditionCompiler};
use crate::schema::SchemaCompiler;

use super::diagnostic::{LoadError, Report};
use super::read::{Format, parse};
use super::{Document, Policy, never, resolve};

/// Loads policies, with the condition language and the authorizers that their rules may ask for.
///
/// A document that needs one which is not registered does not load: a condition that nobody can judge must not be skipped.
///
/// ```
/// use ztl_core::policy::{Format, Loader};
///
/// let text = "schema = 1\ntrust_domain = \"prod.example\"\nfrom = \"x\"\n";
/// let error = Loader::new().source("policy.toml").load(text, Format::Toml).unwrap_err();
/// assert!(error.to_string().contains("policy.toml:3:1: unknown key `from`"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Loader {
    source: Option<Box<str>>,
    pub(super) conditions: Option<Arc<dyn ConditionCompiler>>,
    pub(super) authorizers: HashMap<Box<str>, Arc<dyn Authorizer>>,
    pub(super) kinds: HashMap<Box<str>, Arc<dyn AuthorizerFactory>>,
    pub(super) schemas: Option<Arc<dyn SchemaCompiler>>,
}

impl Loader {
    /// Knows neither conditions nor authorizers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What errors call the text: its file's name.
    #[must_use]
    pub fn source(mut self, name: &str) -> Self {
        self.source = Some(name.into());
        self
    }

    /// Registers the language of `when`.
    #[must_use]
    pub fn with_conditions(mut self, compiler: Arc<dyn ConditionCompiler>) -> Self {
        self.conditions = Some(compiler);
        self
    }

    /// Registers an authorizer under the name that rules call it by.
    #[must_use]
    pub fn with_authorizer(mut self, name: &str, authorizer: Arc<dyn Authorizer>) -> Self {
        self.authorizers.insert(name.into(), authorizer);
        self
    }

    /// Registers a kind of authorizer, which `[authorizers.NAME]` asks for by `kind`.
    #[must_use]
    pub fn authorizer_kind(mut self, kind: &str, factory: Arc<dyn AuthorizerFactory>) -> Self {
        self.kinds.insert(kind.into(), factory);
        self
    }

    /// Registers what reads the schemas that permits name under `oblige`. Without it they are names, and a schema that nobody
    /// reads fits nothing: whoever enforces the policy denies.
    #[must_use]
    pub fn with_schemas(mut self, compiler: Arc<dyn SchemaCompiler>) -> Self {
        self.schemas = Some(compiler);
        self
    }

    /// Reads a document and checks every value by itself; what its names mean, and what its rules come to, is not looked at.
    /// For tools that work on documents.
    ///
    /// # Errors
    /// [`LoadError`] with file, line, column and a suggestion.
    pub fn read(&self, text: &str, format: Format) -> Result<Document, LoadError> {
        parse(text, format).map_err(|report| report.into_error(self.source.as_deref(), text))
    }

    /// Reads, resolves and proves a document.
    ///
    /// # Errors
    /// [`LoadError`] with file, line, column and a suggestion for everything that was found wrong.
    pub fn load(&self, text: &str, format: Format) -> Result<Policy, LoadError> {
        let load = || {
            let document = parse(text, format)?;
            let mut report = Report::default();
            match resolve::resolve(self, document, &mut report) {
                Some(policy) if report.is_empty() => {
                    never::prove(&policy, &mut report);
                    if report.is_empty() {
                        Ok(policy)
                    } else {
                        Err(report)
                    }
                }
                _ => Err(report),
            }
        };
        load().map_err(|report: Report| report.into_error(self.source.as_deref(), text))
    }
}
