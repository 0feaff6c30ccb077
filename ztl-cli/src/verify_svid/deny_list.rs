//! `--deny-list`: who proves nothing, whoever vouches for them.

use std::path::Path;

use ztl_mtls::{DenyList, MAX_DENY_LIST_BYTES};

use super::input;
use super::refusal::Refusal;

/// The list of this file, as a service reads it.
pub(super) fn read(path: &Path) -> Result<DenyList, Refusal> {
    let bytes = input::read(path, MAX_DENY_LIST_BYTES)?;
    DenyList::parse(&bytes)
        .map_err(|error| Refusal::of_deny_list(format!("`{}`: {error}", path.display())))
}
