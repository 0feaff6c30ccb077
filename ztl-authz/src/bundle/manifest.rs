//! `.manifest`: what a bundle says of itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::error::ManifestError;
use super::limits::{MAX_NAMED, MAX_REVISION_BYTES};
use super::path;
use super::roots::Roots;
use ztl_core::url::shown;

/// A version of Rego.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum RegoVersion {
    /// What OPA took before 1.0.
    V0,
    /// What OPA takes since 1.0, and where nothing is said.
    #[default]
    V1,
}

/// What a bundle says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Manifest {
    /// Which one it is: any text, empty where it does not say.
    pub revision: Box<str>,
    /// The places below `data` that it owns: everything where it does not say.
    pub roots: Roots,
    /// Which modules answer which entrypoints.
    pub wasm: Vec<WasmResolver>,
    /// The version of its Rego modules.
    pub rego_version: RegoVersion,
    /// What its author says, and OPA does not read.
    pub metadata: Map<String, Value>,
    /// Modules of another version, by their path.
    pub(super) file_rego_versions: BTreeMap<Box<str>, RegoVersion>,
}

/// A WebAssembly module and one of its entrypoints.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WasmResolver {
    /// The rule, below `data`, as `a/b/allow`.
    pub entrypoint: Box<str>,
    /// The path of the module in the bundle.
    pub module: Box<str>,
}

impl Manifest {
    pub(super) fn read(mut members: Map<String, Value>) -> Result<Self, ManifestError> {
        let mut manifest = Self::default();
        if let Some(revision) = members.remove("revision") {
            manifest.revision = text(revision, "revision")?;
            let bytes = manifest.revision.len();
            if bytes > MAX_REVISION_BYTES {
                return Err(ManifestError::LongRevision { bytes });
            }
        }
        if let Some(roots) = members.remove("roots") {
            manifest.roots = read_roots(roots)?;
        }
        if let Some(wasm) = members.remove("wasm") {
            manifest.wasm = resolvers(wasm)?;
        }
        if let Some(version) = members.remove("rego_version") {
            manifest.rego_version = rego_version(&version, "rego_version")?;
        }
        if let Some(versions) = members.remove("file_rego_versions") {
            manifest.file_rego_versions = file_versions(versions)?;
        }
        match members.remove("metadata") {
            None | Some(Value::Null) => {}
            Some(Value::Object(metadata)) => manifest.metadata = metadata,
            Some(_) => return Err(ManifestError::Malformed("metadata")),
        }
        match members.keys().next() {
            Some(unknown) => Err(ManifestError::Unknown(shown(unknown))),
            None => Ok(manifest),
        }
    }

    /// `metadata.serial`, where it is a number that can be one.
    #[must_use]
    pub fn serial(&self) -> Option<u64> {
        self.metadata.get("serial").and_then(Value::as_u64)
    }

    pub(super) fn version_of(&self, path: &str) -> RegoVersion {
        let own = self.file_rego_versions.get(path);
        own.copied().unwrap_or(self.rego_version)
    }
}

fn read_roots(roots: Value) -> Result<Roots, ManifestError> {
    let list = match roots {
        Value::Null => return Ok(Roots::default()),
        Value::Array(list) if list.len() <= MAX_NAMED => list,
        Value::Array(_) => return Err(ManifestError::TooMany("roots")),
        _ => return Err(ManifestError::Malformed("roots")),
    };
    let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
    let texts = texts.ok_or(ManifestError::Malformed("roots"))?;
    Roots::new(texts).map_err(|(outer, inner)| ManifestError::Overlap {
        outer: shown(&outer),
        inner: shown(&inner),
    })
}

fn resolvers(wasm: Value) -> Result<Vec<WasmResolver>, ManifestError> {
    let malformed = || ManifestError::Malformed("wasm");
    let list = match wasm {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) if list.len() <= MAX_NAMED => list,
        Value::Array(_) => return Err(ManifestError::TooMany("wasm")),
        _ => return Err(malformed()),
    };
    let mut seen = BTreeSet::new();
    let mut resolvers = Vec::new();
    for one in list {
        let Value::Object(mut members) = one else {
            return Err(malformed());
        };
        let mut take = |name| text(members.remove(name).unwrap_or_default(), "wasm");
        let (entrypoint, module) = (take("entrypoint")?, take("module")?);
        // Documentation of the rule.
        members.remove("annotations");
        if let Some(unknown) = members.keys().next() {
            return Err(ManifestError::Unknown(shown(&format!("wasm.{unknown}"))));
        }
        let module = path::normal(module.as_bytes()).map_err(|_| malformed())?;
        if entrypoint.is_empty() || entrypoint.split('/').any(str::is_empty) {
            return Err(malformed());
        }
        if !seen.insert(entrypoint.clone()) {
            return Err(ManifestError::DuplicateEntrypoint(shown(&entrypoint)));
        }
        resolvers.push(WasmResolver { entrypoint, module });
    }
    Ok(resolvers)
}

fn file_versions(versions: Value) -> Result<BTreeMap<Box<str>, RegoVersion>, ManifestError> {
    const NAME: &str = "file_rego_versions";
    let members = match versions {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(members) => members,
        _ => return Err(ManifestError::Malformed(NAME)),
    };
    let mut all = BTreeMap::new();
    for (written, version) in members {
        if written.contains(['*', '?', '[', ']', '{', '}', '!', '\\']) {
            return Err(ManifestError::Pattern(shown(&written)));
        }
        let path = path::normal(written.as_bytes()).map_err(|_| ManifestError::Malformed(NAME))?;
        if all.insert(path, rego_version(&version, NAME)?).is_some() {
            return Err(ManifestError::Malformed(NAME));
        }
    }
    Ok(all)
}

fn rego_version(version: &Value, name: &'static str) -> Result<RegoVersion, ManifestError> {
    match version.as_u64() {
        Some(0) => Ok(RegoVersion::V0),
        Some(1) => Ok(RegoVersion::V1),
        _ => Err(ManifestError::RegoVersion(name)),
    }
}

fn text(value: Value, name: &'static str) -> Result<Box<str>, ManifestError> {
    match value {
        Value::String(text) => Ok(text.into()),
        _ => Err(ManifestError::Malformed(name)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(manifest: Value) -> Result<Manifest, ManifestError> {
        let Value::Object(members) = manifest else {
            panic!("an object")
        };
        Manifest::read(members)
    }

    #[test]
    fn a_manifest_is_read_whole() {
        let manifest = read(json!({
            "revision": "7", "roots": ["/a", "b/c"], "rego_version": 0,
            "wasm": [{"entrypoint": "a/allow", "module": "/policy.wasm", "annotations": [{}]}],
            "file_rego_versions": {"/a/new.rego": 1},
            "metadata": {"serial": 9, "mine": [1]},
        }))
        .expect("manifest");
        assert_eq!(&*manifest.revision, "7");
        assert_eq!(manifest.roots.iter().collect::<Vec<_>>(), ["a", "b/c"]);
        assert_eq!(&*manifest.wasm[0].module, "policy.wasm");
        assert_eq!(manifest.version_of("a/new.rego"), RegoVersion::V1);
        assert_eq!(manifest.version_of("a/old.rego"), RegoVersion::V0);
        assert_eq!(manifest.serial(), Some(9));
        assert_eq!(read(json!({})), Ok(Manifest::default()));
        assert_eq!(Manifest::default().rego_version, RegoVersion::V1);
    }

    #[test]
    fn law_1_whatever_is_not_known_refuses() {
        for (manifest, refused) in [
            (json!({"reviision": ""}), "`reviision` is not known"),
            (json!({"revision": 7}), "`revision` is malformed"),
            (json!({"roots": "a"}), "`roots` is malformed"),
            (json!({"roots": [1]}), "`roots` is malformed"),
            (json!({"roots": ["a", "a/b"]}), "`a` and `a/b` overlap"),
            (json!({"rego_version": 2}), "neither 0 nor 1"),
            (json!({"rego_version": "1"}), "neither 0 nor 1"),
            (json!({"rego_version": null}), "neither 0 nor 1"),
            (
                json!({"file_rego_versions": {"/*.rego": 0}}),
                "pattern `/*.rego`",
            ),
            (
                json!({"file_rego_versions": {"/a": 0, "a": 1}}),
                "malformed",
            ),
            (json!({"metadata": []}), "`metadata` is malformed"),
            (json!({"wasm": {}}), "`wasm` is malformed"),
            (json!({"wasm": [{"module": "a"}]}), "`wasm` is malformed"),
            (
                json!({"wasm": [{"entrypoint": "a", "module": "../a"}]}),
                "`wasm` is malformed",
            ),
            (
                json!({"wasm": [{"entrypoint": "/a", "module": "a"}]}),
                "`wasm` is malformed",
            ),
            (
                json!({"wasm": [{"entrypoint": "a", "module": "a", "x": 1}]}),
                "`wasm.x` is not known",
            ),
            (
                json!({"wasm": [{"entrypoint": "a", "module": "a"}, {"entrypoint": "a", "module": "b"}]}),
                "`a` is there twice",
            ),
            (json!({"roots": vec!["a"; 1025]}), "more than 1024"),
        ] {
            let error = read(manifest.clone()).expect_err(&manifest.to_string());
            assert!(error.to_string().contains(refused), "{manifest}: {error}");
        }
    }
}
