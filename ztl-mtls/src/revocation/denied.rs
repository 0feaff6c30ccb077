//! One entry of a deny list.

use core::fmt;
use core::str::FromStr;

use sha2::{Digest, Sha256};
use thiserror::Error;
use ztl_core::{IdError, SpiffeId};

use crate::cert::{Cert, CertError};
use crate::fingerprint::Fingerprint;
use crate::serial::significant;

/// Most octets of a serial number, with room to spare (RFC 5280 §4.1.2.2 allows 20).
const MAX_SERIAL: usize = 64;

/// A certificate's serial number and who issued it. A serial number alone names nothing (T25).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuedSerial {
    // The serial first: it tells most apart.
    serial: Box<[u8]>,
    issuer: [u8; 32],
}

impl IssuedSerial {
    /// From the serial number, big-endian, and SHA-256 of the issuer's name in DER. Leading zeros do not count.
    #[must_use]
    pub fn new(serial: &[u8], issuer_sha256: [u8; 32]) -> Self {
        Self {
            serial: significant(serial).into(),
            issuer: issuer_sha256,
        }
    }

    /// The serial number, big-endian, without leading zeros.
    #[must_use]
    pub const fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// SHA-256 of the issuer's name in DER, tag and length included.
    #[must_use]
    pub const fn issuer_sha256(&self) -> &[u8; 32] {
        &self.issuer
    }
}

impl fmt::Display for IssuedSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.serial.is_empty() {
            f.write_str("00")?;
        }
        write!(
            f,
            "{} issuer sha256:{}",
            Hex(&self.serial),
            Hex(&self.issuer)
        )
    }
}

impl fmt::Debug for IssuedSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuedSerial({self})")
    }
}

/// What a deny list may name a certificate by, beside its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) key: Fingerprint,
    pub(crate) serial: IssuedSerial,
}

impl Named {
    pub(crate) fn of(cert: &Cert<'_>) -> Self {
        Self {
            key: Fingerprint::of_spki(cert.spki),
            serial: IssuedSerial::new(cert.serial, Sha256::digest(cert.issuer).into()),
        }
    }
}

/// Whom or what a deny list names. Shown and read as the line of a deny list.
///
/// ```
/// use ztl_mtls::Denied;
///
/// let line = "id spiffe://prod.example/ns/agents/sa/router";
/// let denied: Denied = line.parse()?;
/// assert_eq!(denied.to_string(), line);
/// assert!("id spiffe://prod.example".parse::<Denied>().is_err()); // names no workload
/// # Ok::<(), ztl_mtls::DeniedError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Denied {
    /// A workload, whatever SVID it holds or will hold.
    Id(SpiffeId),
    /// A key, whoever certified it: a leaf's, an intermediate's or an authority's.
    Key(Fingerprint),
    /// One certificate: a leaf, an intermediate or an authority. **The same workload gets another one at the next rotation**: to
    /// keep it out, deny its id.
    Serial(IssuedSerial),
}

impl Denied {
    /// The entry that denies the key of a certificate in DER.
    ///
    /// # Errors
    /// [`CertError`] where it cannot be read.
    pub fn key_of(certificate: &[u8]) -> Result<Self, CertError> {
        Ok(Self::Key(Named::of(&Cert::read(certificate)?).key))
    }

    /// The entry that denies a certificate in DER.
    ///
    /// # Errors
    /// [`CertError`] where it cannot be read.
    pub fn serial_of(certificate: &[u8]) -> Result<Self, CertError> {
        Ok(Self::Serial(Named::of(&Cert::read(certificate)?).serial))
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "id {id}"),
            Self::Key(key) => write!(f, "key sha256:{}", Hex(key.as_bytes())),
            Self::Serial(serial) => write!(f, "serial {serial}"),
        }
    }
}

/// Why a line is no entry of a deny list.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DeniedError {
    /// It begins with none of the words that are known.
    #[error("is none of `id SPIFFE-ID`, `key sha256:HEX` and `serial HEX issuer sha256:HEX`")]
    Form,
    /// The SPIFFE ID is none of a workload.
    #[error("names a SPIFFE ID that {0}")]
    Id(IdError),
    /// A digest is not 64 hexadecimal digits after `sha256:`.
    #[error("has a digest that is not `sha256:` and 64 hexadecimal digits")]
    Digest,
    /// The serial number is no hexadecimal number of 1 to 64 octets.
    #[error("has a serial number that is not 1 to 64 octets in hexadecimal")]
    Serial,
}

impl FromStr for Denied {
    type Err = DeniedError;

    fn from_str(line: &str) -> Result<Self, DeniedError> {
        let words: Vec<&str> = line.split_ascii_whitespace().take(6).collect();
        match *words.as_slice() {
            ["id", id] => SpiffeId::parse_workload(id)
                .map(Self::Id)
                .map_err(DeniedError::Id),
            ["key", key] => Ok(Self::Key(Fingerprint::from_bytes(digest(key)?))),
            ["serial", serial, "issuer", issuer] => Ok(Self::Serial(IssuedSerial::new(
                &octets(serial).ok_or(DeniedError::Serial)?,
                digest(issuer)?,
            ))),
            _ => Err(DeniedError::Form),
        }
    }
}

fn digest(word: &str) -> Result<[u8; 32], DeniedError> {
    word.strip_prefix("sha256:")
        .filter(|hex| hex.len() == 64)
        .and_then(octets)
        .and_then(|octets| octets.try_into().ok())
        .ok_or(DeniedError::Digest)
}

/// Hexadecimal digits in either case, with or without colons between octets, as tools print them.
fn octets(word: &str) -> Option<Vec<u8>> {
    if word.len() > 3 * MAX_SERIAL {
        return None;
    }
    let pairs: Vec<&[u8]> = if word.contains(':') {
        word.as_bytes().split(|byte| *byte == b':').collect()
    } else {
        // An odd number of digits lacks the leading zero.
        let (first, rest) = word.as_bytes().split_at_checked(word.len() % 2)?;
        (!first.is_empty())
            .then_some(first)
            .into_iter()
            .chain(rest.chunks(2))
            .collect()
    };
    let octets: Option<Vec<u8>> = pairs.into_iter().map(octet).collect();
    octets.filter(|octets| (1..=MAX_SERIAL).contains(&octets.len()))
}

fn octet(digits: &[u8]) -> Option<u8> {
    if !matches!(digits.len(), 1 | 2) {
        return None;
    }
    digits.iter().try_fold(0_u8, |octet, digit| {
        let value = char::from(*digit).to_digit(16)?;
        octet.checked_shl(4)?.checked_add(u8::try_from(value).ok()?)
    })
}

/// Octets in lower-case hexadecimal.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}
