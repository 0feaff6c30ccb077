//! `--crl`: revocation lists, from as many files as there are issuers.

use std::path::PathBuf;

use rustls_pki_types::CertificateRevocationListDer;
use ztl_core::TrustDomain;
use ztl_mtls::{CrlSet, MAX_CRL_BYTES};

use super::input;
use super::refusal::Refusal;

/// A list in DER.
pub(super) type List = CertificateRevocationListDer<'static>;

/// All lists of these files. One file is PEM with one list or more, or one list in DER.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<List>, Refusal> {
    let mut lists = Vec::new();
    for path in paths {
        let bytes = input::read(path, MAX_CRL_BYTES)?;
        let invalid = |why: &str| Refusal::of_crl(format!("`{}`{why}", path.display()));
        if bytes.len() > MAX_CRL_BYTES {
            return Err(invalid(" is longer than 16 MiB"));
        }
        let read = CrlSet::lists_of(&bytes);
        lists.extend(read.map_err(|error| invalid(&format!(": {error}")))?);
    }
    Ok(lists)
}

/// One set of them, for this domain.
pub(super) fn set(domain: TrustDomain, lists: Vec<List>) -> Result<CrlSet, Refusal> {
    CrlSet::from_der(domain, lists).map_err(|error| Refusal::of_crl(error.to_string()))
}
