//! Whether a policy is signed, as a guard with `policy_key` asks.

use std::fs;
use std::path::Path;

use ztl_mtls::{FileKeys, provider};

use crate::exit::{Failure, Refusal};
use crate::policy_file::PolicyFile;

/// Whether one of the keys in this file signed the policy, and each file that it names. The signature of `policy.toml` stands in
/// `policy.toml.sig`.
pub(super) fn check(keys: &Path, path: &Path, file: &PolicyFile) -> Result<(), Failure> {
    let pem = fs::read(keys).map_err(|error| unreadable(keys, &error))?;
    let known = FileKeys::from_pem(&pem, &provider())
        .map_err(|error| Failure::Usage(format!("`{}` {error}", keys.display())))?;
    let refused = |what: &str, why: String| {
        Failure::Policy(Refusal::Unreadable {
            line: 1,
            column: 1,
            message: format!("a guard with this key refuses {what}: its signature {why}"),
            name: file.name.clone(),
        })
    };
    let good = verify(&known, path, file.text.as_bytes())?;
    good.map_err(|why| refused("it", why))?;
    for named in &file.named {
        let bytes = fs::read(named).map_err(|error| unreadable(named, &error))?;
        let good = verify(&known, named, &bytes)?;
        good.map_err(|why| refused(&format!("`{}`, which it names", named.display()), why))?;
    }
    Ok(())
}

/// What is wrong with the signature beside a file.
fn verify(known: &FileKeys, path: &Path, bytes: &[u8]) -> Result<Result<(), String>, Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".sig");
    let beside = Path::new(&beside);
    let wrong = |why: &dyn core::fmt::Display| format!("`{}` {why}", beside.display());
    let signature = match fs::read(beside) {
        Ok(signature) => signature,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Err(wrong(&"is not there")));
        }
        Err(error) => return Err(unreadable(beside, &error)),
    };
    Ok(known
        .verify(bytes, &signature)
        .map_err(|error| wrong(&error)))
}

fn unreadable(at: &Path, error: &dyn core::fmt::Display) -> Failure {
    Failure::Usage(format!("cannot read `{}`: {error}", at.display()))
}
