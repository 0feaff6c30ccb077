//! From bytes to a bundle: the signature first, so that nothing of a stranger is read further than that takes.

use serde_json::{Map, Value};
use ztl_core::json;

use aws_lc_rs::digest::{SHA256, digest};

use super::data;
use super::error::{BundleError, ManifestError, PathFault};
use super::limits::{Limits, MAX_MANIFEST_BYTES};
use super::manifest::{Manifest, RegoVersion};
use super::module;
use super::path;
use super::signature::{SIGNATURES, SignatureError, Verification};
use super::unpack::{File, unpack};
use crate::data::DataFault;
use ztl_core::url::shown;

pub(super) const MANIFEST: &str = ".manifest";
pub(super) const DATA: &str = "data.json";

/// A bundle that was read, verified where keys are configured, and found consistent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Bundle {
    /// What it says of itself.
    pub manifest: Manifest,
    /// All its data: an object.
    pub data: Value,
    /// Its Rego modules, sorted by their path.
    pub rego: Vec<RegoFile>,
    /// Its WebAssembly modules, sorted by their path.
    pub wasm: Vec<WasmFile>,
    /// Whether a configured key vouches for it.
    pub signed: bool,
    /// SHA-256 of the bytes that it was read from.
    pub sha256: [u8; 32],
}

/// A Rego module.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegoFile {
    /// Its path in the bundle.
    pub path: Box<str>,
    /// Its package below `data`, as `a/b`.
    pub package: Box<str>,
    /// The version of Rego that it is in.
    pub version: RegoVersion,
    /// The module.
    pub text: Box<str>,
}

/// A WebAssembly module.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WasmFile {
    /// Its path in the bundle.
    pub path: Box<str>,
    /// The entrypoints that the manifest says it answers, as `a/b/allow`.
    pub entrypoints: Vec<Box<str>>,
    /// The module.
    pub bytes: Vec<u8>,
}

/// Reads bundles.
///
/// ```
/// use ztl_authz::bundle::{BundleError, BundleReader};
///
/// let refused = BundleReader::unsigned().read(b"no gzip").unwrap_err();
/// assert_eq!(refused, BundleError::Gzip);
/// ```
#[derive(Clone, Debug)]
pub struct BundleReader {
    verification: Option<Verification>,
    limits: Limits,
}

impl BundleReader {
    /// Bundles with a signature: one without is refused, and so is one of anybody else.
    #[must_use]
    pub fn verified(by: Verification) -> Self {
        Self {
            verification: Some(by),
            limits: Limits::default(),
        }
    }

    /// Bundles without a signature: what vouches for them is where they come from. One with a signature is refused, since nobody
    /// would check it.
    #[must_use]
    pub fn unsigned() -> Self {
        Self {
            verification: None,
            limits: Limits::default(),
        }
    }

    /// Other bounds.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether signatures are verified.
    #[must_use]
    pub const fn verifies(&self) -> bool {
        self.verification.is_some()
    }

    /// How many bytes a bundle may have as it comes.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        self.limits.compressed_bytes
    }

    /// Reads a bundle: a gzip'ed tar archive, as `opa build` writes it.
    ///
    /// # Errors
    /// [`BundleError`]: the signature, a bound, or whatever does not fit together.
    pub fn read(&self, bytes: &[u8]) -> Result<Bundle, BundleError> {
        let mut files = unpack(bytes, &self.limits)?;
        check_names(&files)?;
        // Before the signature: a document is parsed for its digest.
        self.check_lengths(&files)?;
        match &self.verification {
            Some(verification) => verification.check(&files)?,
            None if files.iter().any(|file| &*file.path == SIGNATURES) => {
                return Err(SignatureError::NoKey.into());
            }
            None => {}
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let mut bundle = Self::gather(files)?;
        bundle.signed = self.verifies();
        let sha256 = digest(&SHA256, bytes);
        bundle.sha256 = sha256.as_ref().try_into().unwrap_or_default();
        Ok(bundle)
    }

    /// Refuses what is too long before anything parses it.
    fn check_lengths(&self, files: &[File]) -> Result<(), BundleError> {
        let most = self.limits.json_bytes;
        let mut left = most;
        for File { path, bytes } in files {
            match path::name(path) {
                MANIFEST if bytes.len() > MAX_MANIFEST_BYTES => {
                    let bytes = bytes.len();
                    return Err(ManifestError::TooLong { bytes }.into());
                }
                DATA => {
                    let rest = left.checked_sub(bytes.len());
                    left = rest.ok_or(BundleError::JsonTooLong { most })?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn gather(files: Vec<File>) -> Result<Bundle, BundleError> {
        let (mut manifest, mut rego, mut wasm) = (Manifest::default(), Vec::new(), Vec::new());
        let mut all = Map::new();
        let mut documents = 0_usize;
        for File { path, bytes } in files {
            match path::name(&path) {
                _ if &*path == MANIFEST => manifest = read_manifest(&path, &bytes)?,
                DATA => {
                    documents = documents.saturating_add(1);
                    let document = document(&path, &bytes)?;
                    data::insert(&mut all, path::folders(&path), document).map_err(|at| {
                        BundleError::Conflict {
                            path: shown(&path),
                            at: shown(&at),
                        }
                    })?;
                }
                "policy.wasm" => wasm.push(WasmFile {
                    path,
                    entrypoints: Vec::new(),
                    bytes,
                }),
                name if name.ends_with(".rego") => rego.push(read_module(path, bytes)?),
                // A file that nobody reads; the signature covers it all the same.
                _ => {}
            }
        }
        if documents == 0 && rego.is_empty() && wasm.is_empty() {
            return Err(BundleError::Empty);
        }
        for module in &mut rego {
            module.version = manifest.version_of(&module.path);
            if !manifest.roots.contain(&module.package) {
                return Err(BundleError::ModuleOutside {
                    path: shown(&module.path),
                    package: shown(&module.package),
                });
            }
        }
        bind(&manifest, &mut wasm)?;
        let data = Value::Object(all);
        if let Some(at) = manifest.roots.outside(&data) {
            return Err(BundleError::DataOutside { at: shown(&at) });
        }
        Ok(Bundle {
            manifest,
            data,
            rego,
            wasm,
            signed: false,
            sha256: [0; 32],
        })
    }
}

/// What OPA would read otherwise than it stands here, or not at all, refuses the bundle.
fn check_names(files: &[File]) -> Result<(), BundleError> {
    for File { path, .. } in files {
        let ambiguous = || BundleError::Path {
            path: shown(path),
            fault: PathFault::Ambiguous,
        };
        let hidden = path::folders(path)
            .next()
            .is_some_and(|it| it.starts_with('.'));
        match path::name(path) {
            "patch.json" => return Err(BundleError::Delta { path: shown(path) }),
            "data.yaml" | "data.yml" => return Err(BundleError::Yaml { path: shown(path) }),
            // Without its dot the folder would be another.
            DATA if hidden => return Err(ambiguous()),
            name if name.ends_with("signatures.json") && &**path != SIGNATURES => {
                return Err(ambiguous());
            }
            name if name.ends_with(MANIFEST) && &**path != MANIFEST => return Err(ambiguous()),
            _ => {}
        }
    }
    Ok(())
}

fn read_manifest(path: &str, bytes: &[u8]) -> Result<Manifest, BundleError> {
    match document(path, bytes)? {
        Value::Object(members) => Ok(Manifest::read(members)?),
        _ => Err(BundleError::Json {
            path: shown(path),
            kind: json::FaultKind::Syntax,
            line: 1,
            column: 1,
        }),
    }
}

fn document(path: &str, bytes: &[u8]) -> Result<Value, BundleError> {
    crate::data::read(bytes).map_err(|fault| match fault {
        DataFault::Json(fault) => BundleError::Json {
            path: shown(path),
            kind: fault.kind,
            line: fault.line,
            column: fault.column,
        },
        DataFault::Number => BundleError::Number { path: shown(path) },
    })
}

fn read_module(path: Box<str>, bytes: Vec<u8>) -> Result<RegoFile, BundleError> {
    let refused = || BundleError::Module { path: shown(&path) };
    let text = String::from_utf8(bytes).map_err(|_| refused())?;
    let package = module::package(&text).ok_or_else(refused)?;
    Ok(RegoFile {
        package,
        version: RegoVersion::default(),
        text: text.into(),
        path,
    })
}

/// Gives each module its entrypoints.
fn bind(manifest: &Manifest, wasm: &mut [WasmFile]) -> Result<(), BundleError> {
    for resolver in &manifest.wasm {
        if !manifest.roots.contain(&resolver.entrypoint) {
            return Err(BundleError::EntrypointOutside {
                entrypoint: shown(&resolver.entrypoint),
            });
        }
        let module = wasm.iter_mut().find(|it| it.path == resolver.module);
        let module = module.ok_or_else(|| BundleError::NoModule {
            module: shown(&resolver.module),
        })?;
        module.entrypoints.push(resolver.entrypoint.clone());
    }
    Ok(())
}
