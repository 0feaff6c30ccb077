//! Whether a policy is signed, as a guard with `policy_key` asks.

use std::fs;
use std::path::Path;

use ztl_mtls::{FileKeys, provider};

use crate::exit::{Failure, Refusal};
use crate::policy_file::PolicyFile;

/// Whether one of the keys in this file signed the policy. The signature of `policy.toml` stands in `policy.toml.sig`.
pub(super) fn check(keys: &Path, path: &Path, file: &PolicyFile) -> Result<(), Failure> {
    let unreadable = |at: &Path, error: &dyn core::fmt::Display| {
        Failure::Usage(format!("cannot read `{}`: {error}", at.display()))
    };
    let pem = fs::read(keys).map_err(|error| unreadable(keys, &error))?;
    let known = FileKeys::from_pem(&pem, &provider())
        .map_err(|error| Failure::Usage(format!("`{}` {error}", keys.display())))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".sig");
    let beside = Path::new(&beside);
    let not_signed = |why: &dyn core::fmt::Display| {
        Failure::Policy(Refusal::Unreadable {
            line: 1,
            column: 1,
            message: format!(
                "a guard with this key refuses it: its signature `{}` {why}",
                beside.display()
            ),
            name: file.name.clone(),
        })
    };
    let signature = fs::read(beside).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => not_signed(&"is not there"),
        _ => unreadable(beside, &error),
    })?;
    known
        .verify(file.text.as_bytes(), &signature)
        .map_err(|error| not_signed(&error))
}
