//! Files that are signed as a guard with `policy_key` asks.

use std::io;
use std::path::Path;
use std::sync::Arc;

#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
use ztl_authz::artefacts::{Artefacts, Folder};
use ztl_mtls::{FileKeys, open_regular, provider};

use crate::bounded;
use crate::exit::{Failure, Refusal};
use crate::policy_file::open;

/// The keys, one of which has to have signed each file. The signature of `policy.toml` stands in `policy.toml.sig`.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Arc<FileKeys>);

/// Why a file does not count as signed.
#[derive(Debug)]
enum Unvouched {
    /// What is wrong with its signature.
    Signature(String),
    /// Its signature cannot be read.
    Unreadable(String),
}

impl Keys {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let pem = bounded::read(open(path)?, FileKeys::MAX_PEM_BYTES)
            .map_err(|error| Failure::Usage(unreadable(path, &error)))?;
        FileKeys::from_pem(&pem, &provider())
            .map(|keys| Self(Arc::new(keys)))
            .map_err(|error| Failure::Usage(format!("`{}` {error}", path.display())))
    }

    /// Whether one of them signed these bytes of a policy, which messages call by this name.
    pub(crate) fn vouch(&self, path: &Path, name: &str, document: &[u8]) -> Result<(), Failure> {
        self.verify(path, document).map_err(|error| match error {
            Unvouched::Unreadable(message) => Failure::Usage(message),
            Unvouched::Signature(why) => Failure::Policy(Refusal::Unreadable {
                line: 1,
                column: 1,
                message: format!("a guard with this key refuses it: its signature {why}"),
                name: name.to_owned(),
            }),
        })
    }

    /// Holds a file against the signature beside it.
    fn verify(&self, path: &Path, bytes: &[u8]) -> Result<(), Unvouched> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".sig");
        let beside = Path::new(&beside);
        let wrong = |why: &dyn core::fmt::Display| {
            Unvouched::Signature(format!("`{}` {why}", beside.display()))
        };
        let unread = |error| Unvouched::Unreadable(unreadable(beside, &error));
        // Nobody named it: it may be whatever came with the file.
        let signature = match open_regular(beside) {
            Ok(Some(file)) => bounded::read(file, FileKeys::MAX_SIGNATURE_BYTES).map_err(unread)?,
            Ok(None) => return Err(wrong(&"is no regular file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(wrong(&"is not there"));
            }
            Err(error) => return Err(unread(error)),
        };
        let signed = self.0.verify(bytes, &signature);
        signed.map_err(|error| wrong(&error))
    }
}

fn unreadable(at: &Path, error: &io::Error) -> String {
    format!("cannot read `{}`: {error}", at.display())
}

/// Files that a policy names, of which nothing is seen that none of the keys signed: a compiler is no place for what nobody vouches for.
#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
#[derive(Debug)]
pub(crate) struct Vouched {
    pub(crate) folder: Folder,
    pub(crate) keys: Keys,
}

#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
impl Artefacts for Vouched {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let path = self.folder.path(name)?;
        let bytes = self.folder.read(name)?;
        match self.keys.verify(&path, &bytes) {
            Ok(()) => Ok(bytes),
            Err(Unvouched::Signature(why)) => Err(format!(
                "is refused by a guard with this key: its signature {why}"
            )),
            Err(Unvouched::Unreadable(message)) => {
                Err(format!("is refused by a guard with this key: {message}"))
            }
        }
    }
}
