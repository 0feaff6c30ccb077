//! Why a chain proves nobody: for programs a code and a clause, for a person what is wrong and how to mend it.

use core::fmt;

use ztl_core::TrustDomain;
use ztl_mtls::{Leaf, ProveError};

use super::input::{BundleFile, Chain};
use crate::exit::Exit;

/// A refusal, ready to be told.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) reason: &'static str,
    pub(super) clause: &'static str,
    pub(super) message: String,
    pub(super) help: Vec<String>,
    pub(super) exit: Exit,
}

impl Refusal {
    /// A bundle that proves nobody because it cannot be used.
    pub(super) fn of_bundle(error: &dyn core::error::Error) -> Self {
        Self {
            reason: "bundle_invalid",
            clause: "SPIFFE Bundle §4",
            message: error.to_string(),
            help: vec![
                "a bundle holds the certificates of a domain's authorities and nothing else: one that is not refuses it whole"
                    .to_owned(),
            ],
            exit: Exit::Usage,
        }
    }

    /// A revocation list that cannot be used, so that nothing can be said of whom it lists.
    pub(super) fn of_crl(message: String) -> Self {
        Self {
            reason: "crl_invalid",
            clause: "RFC 5280 §5",
            message,
            help: vec![
                "fetch the list again from whoever issues it; complete lists of version 2 are read, in PEM or DER"
                    .to_owned(),
            ],
            exit: Exit::Usage,
        }
    }

    /// A deny list that cannot be used, so that nothing can be said of whom it denies.
    pub(super) fn of_deny_list(message: String) -> Self {
        Self {
            reason: "deny_list_invalid",
            clause: "T25",
            message,
            help: vec![
                "one entry a line: `id`, `key` or `serial`; `--format text` prints those of a certificate"
                    .to_owned(),
            ],
            exit: Exit::Usage,
        }
    }

    /// A chain that was judged and refused.
    pub(super) fn of_chain(error: &ProveError, chain: &Chain, bundles: &[BundleFile]) -> Self {
        let mut help = Vec::new();
        if let ProveError::Leaf(_) = error {
            help.extend(other_leaf(chain));
        }
        help.push(error.help().to_owned());
        if let ProveError::UnknownTrustDomain(_) = error {
            let given: Vec<_> = bundles
                .iter()
                .map(|bundle| quoted(&bundle.domain))
                .collect();
            help.push(format!("bundles are given for {}", given.join(", ")));
        }
        help.extend(chain.key_inside());
        Self {
            reason: error.code(),
            clause: error.clause(),
            message: error.to_string(),
            help,
            exit: Exit::Finding,
        }
    }
}

/// The first certificate is no leaf, and a later one is.
fn other_leaf(chain: &Chain) -> Option<String> {
    let mut rest = (2..).zip(chain.certificates.iter().skip(1));
    rest.find_map(|(place, der)| {
        let leaf = Leaf::read(der).ok()?;
        Some(format!(
            "certificate {place} of the file is a leaf, that of `{}`: put it first",
            leaf.id()
        ))
    })
}

fn quoted(domain: &TrustDomain) -> String {
    format!("`{domain}`")
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused: {} ({})", self.message, self.reason)?;
        write!(f, "\n  = clause: {}", self.clause)?;
        self.help
            .iter()
            .try_for_each(|help| write!(f, "\n  = help: {help}"))
    }
}
