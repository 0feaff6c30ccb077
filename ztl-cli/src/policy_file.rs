//! A policy file: read whole, within the bound, and loaded.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ztl_core::policy::{Format, Loader, MAX_DOCUMENT_BYTES, Policy};

use crate::bounded;
use crate::exit::{Failure, Refusal};
use crate::places::{Place, Places};
use crate::signed::Keys;

/// What stands for standard input where a file is asked for.
pub(crate) const STDIN: &str = "-";

/// A policy and the text it was read from.
#[derive(Debug)]
pub(crate) struct PolicyFile {
    /// What messages call it.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) policy: Policy,
    /// Others than its owner may write it.
    pub(crate) open_to_others: bool,
}

impl PolicyFile {
    /// Reads and loads a file, or standard input for `-`. There a document that begins with `{` is JSON.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        Self::load_signed(path, None)
    }

    /// The same, where one of the keys, if any are given, signed it and each file that it names: before anything of either is read.
    pub(crate) fn load_signed(path: &Path, keys: Option<&Keys>) -> Result<Self, Failure> {
        let (name, bytes, open_to_others) = if path.as_os_str() == STDIN {
            (
                "<stdin>".to_owned(),
                read(io::stdin().lock(), "standard input")?,
                false,
            )
        } else {
            let name = path.display().to_string();
            let file = open(path)?;
            let open_to_others = writable_by_others(&file);
            (
                name.clone(),
                read(file, &format!("`{name}`"))?,
                open_to_others,
            )
        };
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(Failure::Policy(Refusal::Unreadable {
                line: 1,
                column: 1,
                message: format!("the document has more than {MAX_DOCUMENT_BYTES} bytes"),
                name,
            }));
        }
        if let Some(keys) = keys {
            keys.vouch(path, &name, &bytes)?;
        }
        let text = text(bytes, &name).map_err(Failure::Policy)?;
        let format = match path.as_os_str() == STDIN && text.trim_start().starts_with('{') {
            true => Format::Json,
            false => Format::of_path(path),
        };
        let policy = loader(path, keys)
            .source(&name)
            .load(&text, format)
            .map_err(|error| Failure::Policy(Refusal::Load(error)))?;
        Ok(Self {
            name,
            text,
            policy,
            open_to_others,
        })
    }
}

/// Loads with all that a service could have registered for what a policy may ask. Files that the document names lie beside it.
#[cfg_attr(
    not(any(feature = "opa", feature = "rego", feature = "schema")),
    expect(
        unused_variables,
        reason = "only policies in Rego and schemas are files of their own"
    )
)]
fn loader(path: &Path, keys: Option<&Keys>) -> Loader {
    let loader = Loader::new();
    #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
    let loader = {
        use std::sync::Arc;
        use ztl_authz::artefacts::{Artefacts, Folder};
        #[cfg(any(feature = "opa", feature = "rego"))]
        use ztl_authz::rego::RegoKind;
        #[cfg(feature = "schema")]
        use ztl_authz::schema::Schemas;
        let folder = Folder::new(path.parent().unwrap_or(Path::new("")));
        let files: Arc<dyn Artefacts> = match keys.cloned() {
            Some(keys) => Arc::new(crate::signed::Vouched { folder, keys }),
            None => Arc::new(folder),
        };
        #[cfg(feature = "rego")]
        let loader = loader.authorizer_kind("rego", Arc::new(RegoKind::interpreter(files.clone())));
        #[cfg(feature = "opa")]
        let loader = loader.authorizer_kind("opa", Arc::new(RegoKind::wasm(files.clone())));
        #[cfg(feature = "schema")]
        let loader = loader.with_schemas(Arc::new(Schemas::new(files)));
        loader
    };
    #[cfg(feature = "cel")]
    let loader = loader.with_conditions(std::sync::Arc::new(ztl_authz::cel::Cel::new()));
    loader
}

/// Opens a file that was named on the command line.
pub(crate) fn open(path: &Path) -> Result<File, Failure> {
    File::open(path)
        .map_err(|error| Failure::Usage(format!("cannot open `{}`: {error}", path.display())))
}

fn read(input: impl Read, name: &str) -> Result<Vec<u8>, Failure> {
    bounded::read(input, MAX_DOCUMENT_BYTES)
        .map_err(|error| Failure::Usage(format!("cannot read {name}: {error}")))
}

fn text(bytes: Vec<u8>, name: &str) -> Result<String, Refusal> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before =
            String::from_utf8_lossy(error.as_bytes().get(..good).unwrap_or_default()).into_owned();
        let Place { line, column } = Places::new(&before).of(before.len());
        Refusal::Unreadable {
            line,
            column,
            message: "the document is not UTF-8 here".to_owned(),
            name: name.to_owned(),
        }
    })
}

#[cfg(unix)]
fn writable_by_others(file: &File) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o022 != 0)
}

#[cfg(not(unix))]
fn writable_by_others(_: &File) -> bool {
    false
}
