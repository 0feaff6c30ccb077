//! Certificate revocation lists of one trust domain (RFC 5280 §5), and what is written about certificates they do not cover.

mod error;
mod list;
mod mark;
mod scope;

use core::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use ztl_core::TrustDomain;

pub use self::error::{CrlError, CrlListError};
pub(crate) use self::list::{Algorithms, Crl, Signature};
pub(crate) use self::mark::Taken;
use crate::file;

/// Most revocation lists of one trust domain.
pub const MAX_CRLS: usize = 256;

/// Most bytes of a file of revocation lists, and of all lists of one trust domain.
pub const MAX_CRL_BYTES: usize = 16 * 1024 * 1024;

/// What a certificate is whose issuer's lists say nothing about it: there is none, none covers it, it has not begun, or the next
/// one is overdue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnknownStatus {
    /// Refused. Whoever keeps a list away gains nothing.
    #[default]
    Deny,
    /// Taken as not revoked. **Whoever keeps a list away un-revokes what it lists.**
    Allow,
}

/// Whose status is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevocationDepth {
    /// Of the leaf and of every intermediate. An authority of the bundle is revoked by taking it out of the bundle.
    #[default]
    Chain,
    /// Of the leaf only.
    Leaf,
}

/// The revocation lists of one trust domain. They speak of paths that begin in that domain and of no other (rule 20).
///
/// 1. A list counts for a certificate if it bears the name of the certificate's issuer **and the issuer's key signed it**. A list
///    of that name that the key did not sign revokes nothing; where only such lists are there, the certificate is refused.
/// 2. The issuer may sign lists: a keyUsage that is there has cRLSign (RFC 5280 §6.3.3).
/// 3. A certificate that any such list names is revoked, whether or not the list has begun or is overdue.
/// 4. Else one of them must cover it: its thisUpdate is not more than a minute ahead, its nextUpdate is ahead, and where it has an
///    issuingDistributionPoint, the certificate names that point too. If none does, its status is unknown, and [`UnknownStatus`]
///    says what follows: refused, where nothing else is written.
///
/// A set without lists is allowed, and says that of nobody the status is known.
///
/// Lists of version 1, without a number, with a serial number twice, delta lists, indirect lists, and lists of some reasons are not
/// taken.
#[derive(Clone)]
pub struct CrlSet {
    trust_domain: TrustDomain,
    lists: Arc<[Crl]>,
    unknown: UnknownStatus,
    depth: RevocationDepth,
}

impl CrlSet {
    /// From a PEM text with at least one section `X509 CRL`.
    ///
    /// # Errors
    /// [`CrlError`]: one bad list refuses all.
    pub fn from_pem(trust_domain: TrustDomain, text: &[u8]) -> Result<Self, CrlError> {
        let lists = in_pem(text)?;
        Self::from_der(trust_domain, lists)
    }

    /// From a file: PEM, or one list in DER.
    ///
    /// # Errors
    /// [`CrlError`], with the name of the file.
    pub fn from_file(trust_domain: TrustDomain, path: impl AsRef<Path>) -> Result<Self, CrlError> {
        let path = path.as_ref();
        let bytes = file::read_at_most(path, MAX_CRL_BYTES)?;
        in_pem_or_der(&bytes)
            .and_then(|lists| Self::from_der(trust_domain, lists))
            .map_err(|error| error.in_file(path))
    }

    /// The lists of a text or file, as they stand there: PEM with one or more, or one in DER. For those who put together what
    /// lies in several places, [`from_der`](Self::from_der) reads them.
    ///
    /// # Errors
    /// [`CrlError::Damaged`], [`CrlError::NoCrl`].
    pub fn lists_of(bytes: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, CrlError> {
        in_pem_or_der(bytes)
    }

    /// From lists in DER. The same list twice counts once.
    ///
    /// # Errors
    /// [`CrlError`]: one bad list refuses all.
    pub fn from_der<'a>(
        trust_domain: TrustDomain,
        lists: impl IntoIterator<Item = CertificateRevocationListDer<'a>>,
    ) -> Result<Self, CrlError> {
        let mut taken: Vec<CertificateRevocationListDer<'a>> = Vec::new();
        let mut read = Vec::new();
        let mut bytes = 0_usize;
        for (index, der) in lists.into_iter().enumerate() {
            if taken.contains(&der) {
                continue;
            }
            bytes = bytes.saturating_add(der.len());
            if bytes > MAX_CRL_BYTES {
                return Err(CrlError::TooLong(trust_domain));
            }
            if taken.len() == MAX_CRLS {
                return Err(CrlError::TooMany(trust_domain));
            }
            match Crl::read(&der) {
                Ok(list) => read.push(list),
                Err(error) => {
                    return Err(CrlError::List {
                        trust_domain,
                        index,
                        error,
                    });
                }
            }
            taken.push(der);
        }
        Ok(Self {
            trust_domain,
            lists: read.into(),
            unknown: UnknownStatus::default(),
            depth: RevocationDepth::default(),
        })
    }

    /// With another answer where the status is unknown. [`UnknownStatus::Deny`] where not called.
    #[must_use]
    pub const fn with_unknown_status(mut self, unknown: UnknownStatus) -> Self {
        self.unknown = unknown;
        self
    }

    /// With another depth. [`RevocationDepth::Chain`] where not called.
    #[must_use]
    pub const fn with_depth(mut self, depth: RevocationDepth) -> Self {
        self.depth = depth;
        self
    }

    /// Whose lists these are.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// How many lists there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether there is no list, so that of nobody the status is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// What follows from an unknown status.
    #[must_use]
    pub const fn unknown_status(&self) -> UnknownStatus {
        self.unknown
    }

    /// Whose status is asked for.
    #[must_use]
    pub const fn depth(&self) -> RevocationDepth {
        self.depth
    }

    /// When the first list is overdue; `None` without lists.
    #[must_use]
    pub fn next_update(&self) -> Option<ztl_core::Timestamp> {
        self.lists.iter().map(|list| list.next_update).min()
    }

    pub(crate) fn of_issuer<'a>(&'a self, issuer: &'a [u8]) -> impl Iterator<Item = &'a Crl> {
        self.lists
            .iter()
            .filter(move |list| *list.issuer == *issuer)
    }
}

impl fmt::Debug for CrlSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrlSet")
            .field("trust_domain", &self.trust_domain)
            .field("lists", &self.lists.len())
            .field("unknown", &self.unknown)
            .field("depth", &self.depth)
            .finish()
    }
}

fn in_pem(text: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, CrlError> {
    let lists = CertificateRevocationListDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| CrlError::Damaged)?;
    if lists.is_empty() {
        return Err(CrlError::NoCrl);
    }
    Ok(lists)
}

/// DER begins with the tag of a SEQUENCE, which no PEM text does where it matters: `0` before a dash is no armour.
pub(crate) fn in_pem_or_der(
    bytes: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, CrlError> {
    match bytes.split_first() {
        Some((0x30, [0x80..=0xff, ..])) => Ok(vec![bytes.to_vec().into()]),
        _ => in_pem(bytes),
    }
}
