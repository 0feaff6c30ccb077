//! A policy that comes in bundles.

use core::time::Duration;
use std::sync::Arc;

use serde_json::Value;
use ztl_core::authorizer::{Reads, Version};

use super::{
    DEFAULT_TIMEOUT, EngineBuilder, Material, RegoAuthorizer, RegoEngine, RegoError, Settings,
};
#[cfg(feature = "rego")]
use crate::bundle::RegoVersion;
use crate::bundle::{Bundle, BundleConsumer, BundleFault};

/// What of a bundle is the policy.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// All its `.rego` files.
    #[cfg(feature = "rego")]
    Rego,
    /// The module that answers the entrypoint.
    #[cfg(feature = "opa")]
    Wasm,
}

/// An authorizer whose policy, with its data, is that of the bundle in force.
///
/// It is compiled beside the one before, and then takes its place as a whole. Where a bundle does not compile the one before stays.
/// Before the first bundle, and when it is withdrawn, each question is an error, which denies (law 1). The record of a decision names
/// the bundle that spoke, by its SHA-256 and its `revision` (T24).
///
/// ```
/// # #[cfg(feature = "rego")] {
/// use std::sync::Arc;
/// use ztl_authz::rego::RegoBundle;
/// use ztl_core::authorizer::Reads;
/// use ztl_core::policy::Loader;
///
/// // Handed to what pulls the bundle, and its authorizer to the policy document: `require.authorizer = "models"`.
/// let bundle = Arc::new(RegoBundle::interpreter("models/allow", Reads::nothing()));
/// let loader = Loader::new().with_authorizer("models", bundle.authorizer());
/// # drop(loader);
/// # }
/// ```
#[derive(Debug)]
pub struct RegoBundle {
    part: Part,
    builder: Arc<dyn EngineBuilder>,
    settings: Settings,
    authorizer: Arc<RegoAuthorizer>,
}

impl RegoBundle {
    /// The `.rego` files of the bundle, by the interpreter. Hands the policy of the evidence what `reads` names.
    #[cfg(feature = "rego")]
    #[must_use]
    pub fn interpreter(entrypoint: &str, reads: Reads) -> Self {
        let builder = super::kind::InterpreterBuilder;
        Self::new(Part::Rego, Arc::new(builder), entrypoint, reads)
    }

    /// The WebAssembly module that the bundle's manifest names for the entrypoint, `a/b/allow`.
    #[cfg(feature = "opa")]
    #[must_use]
    pub fn wasm(entrypoint: &str, reads: Reads) -> Self {
        let builder = crate::opa::WasmBuilder::default();
        Self::new(Part::Wasm, Arc::new(builder), entrypoint, reads)
    }

    fn new(part: Part, builder: Arc<dyn EngineBuilder>, entrypoint: &str, reads: Reads) -> Self {
        Self {
            part,
            builder,
            settings: Settings {
                policy: Vec::new(),
                data: Vec::new(),
                entrypoint: entrypoint.to_owned(),
                reads,
                timeout: DEFAULT_TIMEOUT,
                memory: None,
            },
            authorizer: Arc::new(RegoAuthorizer::new(Arc::new(Nothing), reads)),
        }
    }

    /// How long one evaluation may take; [`DEFAULT_TIMEOUT`] where not set.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How much memory one evaluation may take, in bytes. The interpreter cannot bound it, and takes no bundle then.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.settings.memory = Some(bytes);
        self
    }

    /// The authorizer, for the policy document.
    #[must_use]
    pub fn authorizer(&self) -> Arc<RegoAuthorizer> {
        Arc::clone(&self.authorizer)
    }

    fn policy(&self, bundle: Bundle) -> Result<Vec<(String, Vec<u8>)>, String> {
        match self.part {
            #[cfg(feature = "rego")]
            Part::Rego => {
                if bundle.rego.is_empty() {
                    return Err("the bundle has no policy in Rego".to_owned());
                }
                let modules = bundle.rego.into_iter().map(|module| match module.version {
                    RegoVersion::V1 => Ok((module.path.into(), String::from(module.text).into())),
                    RegoVersion::V0 => Err(format!(
                        "`{}` in the bundle is in version 0 of Rego: write it anew with `opa fmt --rego-v1`",
                        module.path.escape_debug()
                    )),
                });
                modules.collect()
            }
            #[cfg(feature = "opa")]
            Part::Wasm => {
                let wanted = self.settings.entrypoint.as_str();
                let answers = |names: &[Box<str>]| names.iter().any(|name| &**name == wanted);
                let mut modules = bundle.wasm.into_iter();
                let module = modules.find(|module| answers(&module.entrypoints));
                let module = module.ok_or_else(|| {
                    format!(
                        "the bundle's manifest names no module for `{}`: build it with `opa build -t wasm -e {0}`",
                        wanted.escape_debug()
                    )
                })?;
                Ok(vec![(module.path.into(), module.bytes)])
            }
        }
    }
}

impl BundleConsumer for RegoBundle {
    fn put_in_force(&self, mut bundle: Bundle) -> Result<(), BundleFault> {
        let data = core::mem::take(&mut bundle.data);
        let revision = &*bundle.manifest.revision;
        let version = Version::new(bundle.sha256, Some(revision).filter(|it| !it.is_empty()));
        let engine = self.builder.build(Material {
            settings: self.settings.clone(),
            policy: self.policy(bundle)?,
            data,
        })?;
        self.authorizer.replace_by(engine, Some(version));
        Ok(())
    }

    fn withdraw(&self) {
        self.authorizer.replace(Arc::new(Nothing));
    }
}

/// Stands where no bundle is in force.
#[derive(Debug)]
struct Nothing;

impl RegoEngine for Nothing {
    fn evaluate(&self, _: &str) -> Result<Option<Value>, RegoError> {
        Err(RegoError::NotInForce)
    }
}
