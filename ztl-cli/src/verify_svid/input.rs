//! The files that `ztl verify-svid` is given. All of them are read within bounds, whatever their shape.

use std::io;
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use ztl_core::TrustDomain;
use ztl_mtls::{MAX_PEM_BYTES, PemError, SpiffeBundle, TrustBundle, certificates_from_pem};

use super::refusal::Refusal;
use crate::bounded;
use crate::exit::{Exit, Failure};
use crate::policy_file::{STDIN, open};

/// `--bundle TD=FILE`
#[derive(Clone, Debug)]
pub(super) struct BundleFile {
    pub(super) domain: TrustDomain,
    path: PathBuf,
}

/// A chain that was read, and what else its file holds.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    holds_key: bool,
}

/// Reads the value of `--bundle`.
pub(super) fn bundle(text: &str) -> Result<BundleFile, String> {
    let (domain, path) = text
        .split_once('=')
        .ok_or("it has to be `TRUST-DOMAIN=FILE`, such as `prod.example=bundle.pem`")?;
    Ok(BundleFile {
        domain: self::domain(domain)?,
        path: path.into(),
    })
}

/// Reads a trust domain.
pub(super) fn domain(text: &str) -> Result<TrustDomain, String> {
    TrustDomain::parse(text).map_err(|error| format!("the trust domain `{text}` {error}"))
}

impl BundleFile {
    /// A bundle document where it begins with `{`, else certificates in PEM.
    pub(super) fn load(&self) -> Result<TrustBundle, Refusal> {
        let bytes = read(&self.path, MAX_PEM_BYTES)?;
        let domain = self.domain.clone();
        let bundle = if bytes.trim_ascii_start().starts_with(b"{") {
            SpiffeBundle::from_json(domain, &bytes)
                .map(|bundle| bundle.x509().clone())
                .map_err(|error| Refusal::of_bundle(&error))
        } else {
            TrustBundle::from_pem(domain, &bytes).map_err(|error| Refusal::of_bundle(&error))
        };
        bundle.map_err(|mut refusal| {
            refusal.message = format!("`{}`: {}", self.path.display(), refusal.message);
            refusal.help.extend(form(&bytes, &self.path));
            refusal
        })
    }
}

/// Reads the chain that is to be judged.
pub(super) fn chain(path: &Path) -> Result<Chain, Refusal> {
    let bytes = read(path, MAX_PEM_BYTES)?;
    let holds_key = contains(&bytes, b"PRIVATE KEY-----");
    match certificates_from_pem(&bytes) {
        Ok(certificates) => Ok(Chain {
            certificates,
            holds_key,
        }),
        Err(error) => {
            let mut help = vec![remedy(error).to_owned()];
            help.extend(form(&bytes, path));
            if holds_key {
                help.push(
                    "the file holds a private key: give the file of its certificates".to_owned(),
                );
            }
            Err(Refusal {
                reason: match error {
                    PemError::NoCertificate => "no_certificate",
                    _ => "chain_not_pem",
                },
                clause: match error {
                    PemError::TooLong => "rule 31",
                    _ => "RFC 7468 §5",
                },
                message: format!("`{}` {error}", path.display()),
                help,
                exit: Exit::Finding,
            })
        }
    }
}

impl Chain {
    /// A key has no place in a file that is shown around.
    pub(super) fn key_inside(&self) -> Option<String> {
        let text = "the file also holds a private key, which was read past: keep keys in files of their own";
        self.holds_key.then(|| text.to_owned())
    }
}

const fn remedy(error: PemError) -> &'static str {
    match error {
        PemError::TooLong => "present the leaf and the intermediates of one path, nothing else",
        PemError::NoCertificate => {
            "a chain is PEM: one section `CERTIFICATE` after the other, leaf first"
        }
        _ => "the file was cut off or changed: fetch it again",
    }
}

/// What the file is instead, where that can be seen.
fn form(bytes: &[u8], path: &Path) -> Option<String> {
    let name = path.display();
    match bytes {
        [0x30, 0x80..=0x84, ..] => Some(format!(
            "the file looks like DER: `openssl x509 -inform DER -in {name} -out {name}.pem` makes PEM of it"
        )),
        [] => Some("the file is empty".to_owned()),
        _ => None,
    }
}

/// Reads a file within the limit; one that is longer comes a byte longer than that.
pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Refusal> {
    let unreadable = |message| Refusal {
        reason: "unreadable",
        clause: "law 1",
        message,
        help: vec![
            "what cannot be read proves nobody: see that the file is there and may be read"
                .to_owned(),
        ],
        exit: Exit::Usage,
    };
    let outcome = if path.as_os_str() == STDIN {
        bounded::read(io::stdin().lock(), limit)
    } else {
        match open(path) {
            Ok(file) => bounded::read(file, limit),
            Err(Failure::Usage(message)) => return Err(unreadable(message)),
            Err(_) => Err(io::ErrorKind::Other.into()),
        }
    };
    outcome.map_err(|error| unreadable(format!("cannot read `{}`: {error}", path.display())))
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
