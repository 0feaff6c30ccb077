//! What vouches for a policy's file beside its owner: a signature, and the highest serial that was in force here (T6).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ztl_core::policy::Policy;
use ztl_mtls::{FileKeyError, FileKeys};

use super::error::FileError;
use super::file::SteadyFile;

/// Most bytes of the state.
const MAX_STATE_BYTES: usize = 4096;

/// A signature beside a file, and whose it has to be.
pub(super) struct Signed {
    keys: Arc<FileKeys>,
    signature: SteadyFile,
}

impl Signed {
    /// By one of these keys. The signature of `policy.toml` stands in `policy.toml.sig`.
    pub(super) fn by(keys: Arc<FileKeys>, path: &Path) -> Self {
        let mut signature = path.as_os_str().to_owned();
        signature.push(".sig");
        Self {
            keys,
            signature: SteadyFile::new(signature.into(), FileKeys::MAX_SIGNATURE_BYTES),
        }
    }

    /// Whose signatures these are.
    #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
    pub(super) const fn keys(&self) -> &Arc<FileKeys> {
        &self.keys
    }

    /// Whether the signature is another than was read last. One that cannot be read is an error, and so is one that is not there.
    pub(super) fn differs(&mut self) -> Result<bool, FileError> {
        self.signature.differs()
    }

    /// Reads the signature and holds it against the file.
    pub(super) fn check(&mut self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        let at = self.signature.path().to_owned();
        let not_signed = |why: String| FileError::NotSigned {
            path: path.to_owned(),
            signature: at.clone(),
            why,
        };
        let signature = match self.signature.load() {
            Ok(signature) => signature,
            Err(FileError::Read { error, .. }) if error.kind() == ErrorKind::NotFound => {
                return Err(not_signed("is not there".to_owned()));
            }
            Err(FileError::TooLarge { .. }) => {
                return Err(not_signed(FileKeyError::NoSignature.to_string()));
            }
            Err(error) => return Err(error),
        };
        let verified = self.keys.verify(bytes, &signature);
        verified.map_err(|error| not_signed(error.to_string()))
    }
}

/// The highest serial that was in force, in a file that outlives the process.
pub(super) struct HighWater {
    path: PathBuf,
    /// The highest that was in force.
    seen: Option<u64>,
    /// The highest that the file has.
    stored: Option<u64>,
}

impl HighWater {
    /// What an earlier run left; nothing where there is no such file yet.
    pub(super) fn open(path: PathBuf) -> Result<Self, FileError> {
        let mut file = SteadyFile::new(path.clone(), MAX_STATE_BYTES);
        let stored = match file.load() {
            Err(FileError::Read { error, .. }) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
            Ok(bytes) => Some(serial(&bytes).map_err(|why| FileError::State {
                path: path.clone(),
                why,
            })?),
        };
        Ok(Self {
            path,
            seen: stored,
            stored,
        })
    }

    /// Whether a policy is as new as any that was in force.
    pub(super) fn admits(&self, path: &Path, policy: &Policy) -> Result<(), FileError> {
        match (self.seen, policy.serial()) {
            (Some(seen), offered) if offered.is_none_or(|offered| offered < seen) => {
                Err(FileError::WentBack {
                    path: path.to_owned(),
                    offered,
                    seen,
                    state: self.path.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Stores the serial of what is in force now, where it is higher. Where that fails it is [due](Self::is_due).
    pub(super) fn note(&mut self, serial: Option<u64>) -> Result<(), FileError> {
        self.seen = self.seen.max(serial);
        self.store()
    }

    /// Whether a serial was in force that the file has not.
    pub(super) fn is_due(&self) -> bool {
        self.seen > self.stored
    }

    /// Stores what is due.
    pub(super) fn store(&mut self) -> Result<(), FileError> {
        let Some(serial) = self.seen.filter(|_| self.is_due()) else {
            return Ok(());
        };
        let state = format!("{serial}\n");
        ztl_mtls::replace_file(&self.path, state.as_bytes()).map_err(|error| FileError::Read {
            path: self.path.clone(),
            error,
        })?;
        self.stored = self.seen;
        Ok(())
    }
}

/// Decimal digits, and the end of their line.
fn serial(bytes: &[u8]) -> Result<u64, &'static str> {
    let text = core::str::from_utf8(bytes).ok();
    let digits = text.map(|text| text.strip_suffix('\n').unwrap_or(text));
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let serial = digits.and_then(|digits| digits.parse().ok());
    serial.ok_or("a number in decimal digits has to stand there, and nothing else")
}
