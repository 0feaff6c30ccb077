//! Why a bundle was refused.

use thiserror::Error;
use ztl_core::json::FaultKind;

use super::limits::{
    MAX_MANIFEST_BYTES, MAX_NAMED, MAX_PATH_BYTES, MAX_PATH_FOLDERS, MAX_REVISION_BYTES,
};
use super::signature::SignatureError;
use crate::data::words;

/// Why a bundle was refused. Nothing of it is used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// More bytes came than may.
    #[error("the bundle has {bytes} bytes; at most {most} are read")]
    TooLong {
        /// How many came.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// Not a whole gzip stream (RFC 1952).
    #[error("the bundle is not a whole gzip stream; `opa build` writes one")]
    Gzip,
    /// The archive is longer than it may be.
    #[error("the bundle unpacks to more than {most} bytes")]
    UnpacksTooLong {
        /// The bound.
        most: usize,
    },
    /// The archive is too much longer than what came.
    #[error("the bundle unpacks to more than {ratio} times its own length")]
    Ratio {
        /// The bound.
        ratio: usize,
    },
    /// Something stands behind the gzip stream.
    #[error("something stands behind the end of the bundle's gzip stream")]
    Trailing,
    /// Not a whole tar archive.
    #[error("the bundle is not a whole tar archive")]
    Archive,
    /// More entries than may be.
    #[error("the bundle has more than {most} files and folders")]
    TooManyFiles {
        /// The bound.
        most: usize,
    },
    /// A link, a device or the like.
    #[error("`{path}` in the bundle is neither a file nor a folder; links and devices are refused")]
    Kind {
        /// Its path, cut where it is long.
        path: Box<str>,
    },
    /// A path that no file of a bundle may have.
    #[error("the path `{path}` in the bundle {fault}")]
    Path {
        /// The path, cut where it is long.
        path: Box<str>,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// Two files of one path, a `/` or `./` at the beginning taken off.
    #[error("the bundle has the file `{path}` twice")]
    DuplicateFile {
        /// Their path.
        path: Box<str>,
    },
    /// The signature is missing, wrong, or does not cover the files.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// `patch.json`: a delta bundle.
    #[error(
        "the bundle is a delta bundle (`{path}`); only snapshots are read: serve one where `Prefer` asks for `modes=snapshot`"
    )]
    Delta {
        /// Where the patch is.
        path: Box<str>,
    },
    /// Data in YAML.
    #[error("`{path}` in the bundle is YAML; only `data.json` is read: `opa build` writes that")]
    Yaml {
        /// The file.
        path: Box<str>,
    },
    /// The JSON documents are longer together than they may be.
    #[error("the JSON documents of the bundle have more than {most} bytes together")]
    JsonTooLong {
        /// The bound.
        most: usize,
    },
    /// A document that is not strict JSON.
    #[error("`{path}` in the bundle {}, at line {line} column {column}", words(*.kind))]
    Json {
        /// The file.
        path: Box<str>,
        /// What is wrong.
        kind: FaultKind,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// A number too large to be held exactly.
    #[error("`{path}` in the bundle has a number too large to be held exactly; write it as a text")]
    Number {
        /// The file.
        path: Box<str>,
    },
    /// Two documents have a value in one place, or the outermost is no object.
    #[error(
        "`{path}` in the bundle puts something at `data{at}` where there is something else already, or no object at the top"
    )]
    Conflict {
        /// The file.
        path: Box<str>,
        /// The place.
        at: Box<str>,
    },
    /// A member of the manifest is malformed, or one that is not known.
    #[error("`.manifest` of the bundle: {0}")]
    Manifest(ManifestError),
    /// Data outside the roots.
    #[error("the bundle has data at `{at}`, outside the roots of its manifest")]
    DataOutside {
        /// The place.
        at: Box<str>,
    },
    /// A module of a package outside the roots.
    #[error(
        "`{path}` in the bundle is of the package `{package}`, outside the roots of its manifest"
    )]
    ModuleOutside {
        /// The file.
        path: Box<str>,
        /// The package, as a path.
        package: Box<str>,
    },
    /// An entrypoint outside the roots.
    #[error("the entrypoint `{entrypoint}` is outside the roots of the bundle's manifest")]
    EntrypointOutside {
        /// The entrypoint.
        entrypoint: Box<str>,
    },
    /// The manifest names a module that is not there.
    #[error("the manifest names the module `{module}`, and the bundle has no such `policy.wasm`")]
    NoModule {
        /// Its path.
        module: Box<str>,
    },
    /// The package of a module cannot be told.
    #[error(
        "`{path}` in the bundle is not UTF-8 that begins with `package` and a plain name on one line"
    )]
    Module {
        /// The file.
        path: Box<str>,
    },
    /// There is nothing in it.
    #[error("the bundle has neither a policy nor data")]
    Empty,
}

impl From<ManifestError> for BundleError {
    fn from(error: ManifestError) -> Self {
        Self::Manifest(error)
    }
}

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathFault {
    /// More than [`MAX_PATH_BYTES`].
    #[error("is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// Not UTF-8, or with a control character or `\`.
    #[error("is not plain UTF-8 text")]
    NotText,
    /// An empty segment, or `.`.
    #[error("has an empty segment or `.`")]
    Segment,
    /// `..`.
    #[error("has `..`")]
    Outside,
    /// More folders than [`MAX_PATH_FOLDERS`].
    #[error("has more than {MAX_PATH_FOLDERS} folders")]
    TooDeep,
    /// A name that OPA reads as something else than it is here.
    #[error("has a name that OPA reads otherwise than it stands there")]
    Ambiguous,
}

/// What is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Longer than [`MAX_MANIFEST_BYTES`].
    #[error("it has {bytes} bytes; at most {MAX_MANIFEST_BYTES} are read")]
    TooLong {
        /// The length found.
        bytes: usize,
    },
    /// A revision longer than [`MAX_REVISION_BYTES`].
    #[error(
        "`revision` has {bytes} bytes; at most {MAX_REVISION_BYTES} are read: give it a shorter one, such as a version or a digest"
    )]
    LongRevision {
        /// The length found.
        bytes: usize,
    },
    /// A member that is not known: what it would change is not known either.
    #[error("the member `{0}` is not known; what is your own belongs under `metadata`")]
    Unknown(Box<str>),
    /// A member of the wrong type, or out of range.
    #[error("`{0}` is malformed")]
    Malformed(&'static str),
    /// A version of Rego that is not known.
    #[error("`{0}` is neither 0 nor 1, the versions of Rego that are known")]
    RegoVersion(&'static str),
    /// A pattern where only paths are read.
    #[error("`file_rego_versions` has the pattern `{0}`; only paths of files are read")]
    Pattern(Box<str>),
    /// Two roots overlap.
    #[error("the roots `{outer}` and `{inner}` overlap")]
    Overlap {
        /// The one.
        outer: Box<str>,
        /// The other, in it.
        inner: Box<str>,
    },
    /// One entrypoint is there twice.
    #[error("the entrypoint `{0}` is there twice")]
    DuplicateEntrypoint(Box<str>),
    /// More than [`MAX_NAMED`].
    #[error("`{0}` names more than {MAX_NAMED}")]
    TooMany(&'static str),
}
