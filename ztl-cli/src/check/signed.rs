//! Whether a policy is signed, as a guard with `policy_key` asks.

use std::io::{self, Read as _};
use std::path::Path;

use ztl_mtls::{FileKeys, open_regular, provider};

use crate::exit::{Failure, Refusal};
use crate::policy_file::{PolicyFile, open};

/// Most bytes of the keys that are read; who reads them takes less by one.
const MAX_KEYS_BYTES: u64 = 64 * 1024 + 1;
/// Most bytes of a signature that are read; who verifies it takes less.
const MAX_SIGNATURE_BYTES: u64 = 4096 + 1;

/// The keys, one of which has to have signed each file. The signature of `policy.toml` stands in `policy.toml.sig`.
pub(super) struct Keys(FileKeys);

impl Keys {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let pem = bounded(open(path)?, MAX_KEYS_BYTES).map_err(|error| unreadable(path, &error))?;
        FileKeys::from_pem(&pem, &provider())
            .map(Self)
            .map_err(|error| Failure::Usage(format!("`{}` {error}", path.display())))
    }

    /// Whether one of them signed these bytes of a policy.
    pub(super) fn vouch(&self, path: &Path, name: &str, document: &[u8]) -> Result<(), Failure> {
        self.verify(path, document)?
            .map_err(|why| refused(name, "it", &why))
    }

    /// Whether one of them signed each file that a policy names, as it was loaded.
    pub(super) fn vouch_named(&self, file: &PolicyFile) -> Result<(), Failure> {
        for (named, bytes) in &file.named {
            let what = format!("`{}`, which it names", named.display());
            self.verify(named, bytes)?
                .map_err(|why| refused(&file.name, &what, &why))?;
        }
        Ok(())
    }

    /// What is wrong with the signature beside a file.
    fn verify(&self, path: &Path, bytes: &[u8]) -> Result<Result<(), String>, Failure> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".sig");
        let beside = Path::new(&beside);
        let wrong = |why: &dyn core::fmt::Display| format!("`{}` {why}", beside.display());
        // Nobody named it: it may be whatever came with the file.
        let signature = match open_regular(beside) {
            Ok(Some(file)) => {
                bounded(file, MAX_SIGNATURE_BYTES).map_err(|error| unreadable(beside, &error))?
            }
            Ok(None) => return Ok(Err(wrong(&"is no regular file"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err(wrong(&"is not there")));
            }
            Err(error) => return Err(unreadable(beside, &error)),
        };
        let signed = self.0.verify(bytes, &signature);
        Ok(signed.map_err(|error| wrong(&error)))
    }
}

fn refused(name: &str, what: &str, why: &str) -> Failure {
    Failure::Policy(Refusal::Unreadable {
        line: 1,
        column: 1,
        message: format!("a guard with this key refuses {what}: its signature {why}"),
        name: name.to_owned(),
    })
}

/// At most so many bytes: what is longer is refused by who reads them, and what never ends is not waited for.
fn bounded(file: impl io::Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(at: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!("cannot read `{}`: {error}", at.display()))
}
