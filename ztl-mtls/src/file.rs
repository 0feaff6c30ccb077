//! Reading PEM, from memory and from files, within bounds.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use crate::regular::open_regular;

/// Most bytes of a PEM text.
pub const MAX_PEM_BYTES: usize = 1024 * 1024;

/// Why a file could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused.
    #[error("cannot read `{}`: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is a pipe, a device or a folder, which could keep a reader for ever.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// Which file.
        path: PathBuf,
    },
    /// There are more bytes than are read of such a file, [`MAX_PEM_BYTES`] of most.
    #[error("`{}` is longer than {} MiB", path.display(), limit >> 20)]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// How many bytes are read.
        limit: usize,
    },
    /// Everybody may write it, so anybody could become anyone.
    #[error("`{at}` is writable by everybody: take that right away with `chmod o-w {at}`", at = path.display())]
    Writable {
        /// Which file.
        path: PathBuf,
    },
}

/// Why a text is not the PEM that was asked for. Never quotes the text, which may be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PemError {
    /// There are more than [`MAX_PEM_BYTES`].
    #[error("is longer than 1 MiB")]
    TooLong,
    /// A section is cut off or is not base64.
    #[error("is damaged: a PEM section is cut off or is not base64")]
    Damaged,
    /// No certificate is there.
    #[error("holds no PEM section `CERTIFICATE`")]
    NoCertificate,
    /// No private key is there.
    #[error("holds no PEM section `PRIVATE KEY`, `EC PRIVATE KEY` or `RSA PRIVATE KEY`")]
    NoKey,
    /// More than one private key is there.
    #[error("holds more than one private key")]
    ManyKeys,
}

/// Reads a file, at most [`MAX_PEM_BYTES`] of it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    read_at_most(path, MAX_PEM_BYTES)
}

/// Reads a file, at most so many bytes of it.
pub(crate) fn read_at_most(path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    let io = |error| FileError::Io {
        path: path.to_owned(),
        error,
    };
    let file = open_regular(path)
        .map_err(io)?
        .ok_or_else(|| FileError::NotAFile {
            path: path.to_owned(),
        })?;
    if writable_by_everybody(&file).map_err(io)? {
        return Err(FileError::Writable {
            path: path.to_owned(),
        });
    }
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() > limit {
        return Err(FileError::TooLong {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(bytes)
}

#[cfg(unix)]
fn writable_by_everybody(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;

    Ok(file.metadata()?.permissions().mode() & 0o002 != 0)
}

#[cfg(not(unix))]
fn writable_by_everybody(_: &File) -> io::Result<bool> {
    Ok(false) // no such right is known here
}

/// All certificates of a PEM text, in order; other sections are read past. For tools that are handed a chain without its key.
///
/// # Errors
/// [`PemError`] for a text that is too long or damaged, or has none.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    if text.len() > MAX_PEM_BYTES {
        return Err(PemError::TooLong);
    }
    let certificates = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|_| PemError::Damaged)?;
    if certificates.is_empty() {
        return Err(PemError::NoCertificate);
    }
    Ok(certificates)
}

/// The only private key of a PEM text; other sections are read past.
pub(crate) fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    if text.len() > MAX_PEM_BYTES {
        return Err(PemError::TooLong);
    }
    let mut keys = PrivateKeyDer::pem_slice_iter(text);
    let key = keys.next().ok_or(PemError::NoKey)?;
    let key = key.map_err(|_| PemError::Damaged)?;
    match keys.next() {
        None => Ok(key),
        Some(Ok(_)) => Err(PemError::ManyKeys),
        Some(Err(_)) => Err(PemError::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";

    #[test]
    fn finds_each_kind_in_one_text() {
        let text = format!("a comment\n{KEY}{CERTIFICATE}{CERTIFICATE}");
        assert_eq!(certificates(text.as_bytes()).map(|c| c.len()), Ok(2));
        assert!(private_key(text.as_bytes()).is_ok());
    }

    #[test]
    fn says_what_is_missing_or_damaged() {
        assert_eq!(certificates(KEY.as_bytes()), Err(PemError::NoCertificate));
        assert_eq!(certificates(b"not PEM"), Err(PemError::NoCertificate));
        assert_eq!(
            private_key(CERTIFICATE.as_bytes()).err(),
            Some(PemError::NoKey)
        );
        let two = format!("{KEY}{KEY}");
        assert_eq!(private_key(two.as_bytes()).err(), Some(PemError::ManyKeys));
        let cut = &CERTIFICATE.as_bytes()[..40];
        assert_eq!(certificates(cut), Err(PemError::Damaged));
        let long = vec![b'\n'; MAX_PEM_BYTES + 1];
        assert_eq!(certificates(&long), Err(PemError::TooLong));
        assert_eq!(private_key(&long).err(), Some(PemError::TooLong));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_everybody_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let path =
            std::env::temp_dir().join(format!("ztl-mtls-writable-{}.pem", std::process::id()));
        std::fs::write(&path, CERTIFICATE).expect("write");
        assert!(read(&path).is_ok());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("mode");
        let error = read(&path).expect_err("refused").to_string();
        std::fs::remove_file(&path).expect("remove");
        assert!(error.contains("chmod o-w"), "{error}");
        assert!(matches!(read(&path), Err(FileError::Io { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_not_waited_for() {
        let path = std::env::temp_dir().join(format!("ztl-mtls-pipe-{}.pem", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo").success());
        let error = read(&path).expect_err("refused");
        std::fs::remove_file(&path).expect("remove");
        assert!(matches!(error, FileError::NotAFile { .. }), "{error}");
        for other in [&std::env::temp_dir(), Path::new("/dev/zero")] {
            assert!(matches!(read(other), Err(FileError::NotAFile { .. })));
        }
    }
}
