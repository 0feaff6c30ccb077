//! One revocation list: what it says, and whether an issuer's key signed it.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustls_pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::{BorrowedCertRevocationList, RawPublicKeyEntity};
use ztl_core::Timestamp;

use super::error::CrlListError;
use super::scope::Scope;
use crate::cert::CertError;
use crate::element::{
    BIT_STRING, Bits, Elements, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, context,
    context_around, unsigned,
};
use crate::serial::significant;

const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14]; // 2.5.29.20
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 0x1c]; // 2.5.29.28
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23]; // 2.5.29.35

/// The signature algorithms of a crypto provider.
pub(crate) type Algorithms = &'static [&'static dyn SignatureVerificationAlgorithm];

/// Most issuers' keys of which a list remembers whether they signed it.
const MAX_REMEMBERED: usize = 16;

/// What an issuer's key says to a list's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    Good,
    Bad,
    Unsupported,
}

/// A revocation list that webpki has read and found well-formed (RFC 5280 §5).
///
/// webpki keeps to itself who signed a list and when the next one comes, and judges one list an issuer, checking its signature
/// in each handshake. Here each list of an issuer's name is judged, so that authorities that share a name and have each a key
/// (SPIRE's do) may each have a list, and a signature is checked once a key.
pub(crate) struct Crl {
    pub(crate) issuer: Box<[u8]>,
    pub(crate) this_update: Timestamp,
    pub(crate) next_update: Timestamp,
    /// Its crlNumber, without leading zeros.
    pub(crate) number: Box<[u8]>,
    /// By which of its keys the issuer says that it signed it (RFC 5280 §5.2.1).
    pub(crate) key: Option<Box<[u8]>>,
    /// Its issuingDistributionPoint, as it stands.
    pub(crate) point: Option<Box<[u8]>>,
    scope: Option<Scope>,
    /// Sorted, without leading zeros.
    revoked: Box<[Box<[u8]>]>,
    signed: Signed,
    seen: Mutex<Vec<Remembered>>,
    proved: AtomicBool,
    disproved: AtomicBool,
}

struct Signed {
    tbs: Box<[u8]>,
    /// The AlgorithmIdentifier, without tag and length.
    algorithm: Box<[u8]>,
    signature: Box<[u8]>,
}

struct Remembered {
    spki: Box<[u8]>,
    algorithms: Algorithms,
    signature: Signature,
}

impl Crl {
    pub(crate) fn read(der: &[u8]) -> Result<Self, CrlListError> {
        let parsed = BorrowedCertRevocationList::from_der(der).map_err(CrlListError::of)?;
        let mut revoked: Vec<Box<[u8]>> = Vec::new();
        for entry in &parsed {
            let entry = entry.map_err(CrlListError::of)?;
            revoked.push(significant(entry.serial_number).into());
        }
        revoked.sort_unstable();
        let twice = |pair: &[Box<[u8]>]| matches!(pair, [one, two] if one == two);
        if revoked.windows(2).any(twice) {
            return Err(CrlListError::SerialTwice);
        }
        let list: webpki::CertRevocationList<'_> = parsed.into();
        let scope = list
            .issuing_distribution_point()
            .map(Scope::read)
            .transpose()?;
        let (fields, signed) = read_signed(der)?;
        let number = fields.check()?;
        Ok(Self {
            issuer: fields.issuer.into(),
            this_update: fields.this_update,
            next_update: fields.next_update,
            number: significant(number).into(),
            key: fields.key.map(|value| key_id(value).into()),
            point: fields.point.map(Into::into),
            scope,
            revoked: revoked.into(),
            signed,
            seen: Mutex::default(),
            proved: AtomicBool::new(false),
            disproved: AtomicBool::new(false),
        })
    }

    /// Takes along that the issuer of a certificate with this authorityKeyIdentifier did not sign it. Another key of the issuer's name may
    /// have, where the list says that it is another's.
    pub(crate) fn disprove(&self, of: Option<&[u8]>) {
        let is_another = match (self.key.as_deref(), of.map(key_id)) {
            (Some(key), Some(of)) => key != of,
            _ => false,
        };
        if !is_another {
            self.disproved.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was held against the key of an issuer that it says has signed it, and none of them had.
    pub(crate) fn is_disproved(&self) -> bool {
        self.disproved.load(Ordering::Relaxed) && !self.is_proved()
    }

    /// Whether an issuer's key was found to have signed it.
    pub(crate) fn is_proved(&self) -> bool {
        self.proved.load(Ordering::Relaxed)
    }

    /// Whether it lists this serial number.
    pub(crate) fn lists(&self, serial: &[u8]) -> bool {
        let serial = significant(serial);
        self.revoked
            .binary_search_by(|held| (**held).cmp(serial))
            .is_ok()
    }

    /// Whether it would list a certificate of its issuer, were it revoked.
    pub(crate) fn covers(&self, is_leaf: bool, points: Option<&[u8]>) -> bool {
        self.scope
            .as_ref()
            .is_none_or(|scope| scope.covers(is_leaf, points))
    }

    /// Whether this key, a SubjectPublicKeyInfo in DER, signed it. Computed once a key.
    pub(crate) fn signature_by(&self, spki: &[u8], algorithms: Algorithms) -> Signature {
        let is_same =
            |seen: &Remembered| *seen.spki == *spki && core::ptr::eq(seen.algorithms, algorithms);
        let lock = || self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = lock().iter().find(|seen| is_same(seen)) {
            return seen.signature;
        }
        let signature = self.check_signature(spki, algorithms);
        if signature == Signature::Good {
            self.proved.store(true, Ordering::Relaxed);
        }
        let mut seen = lock();
        if seen.len() >= MAX_REMEMBERED {
            seen.clear();
        }
        seen.push(Remembered {
            spki: spki.into(),
            algorithms,
            signature,
        });
        signature
    }

    fn check_signature(&self, spki: &[u8], algorithms: Algorithms) -> Signature {
        let spki = SubjectPublicKeyInfoDer::from(spki);
        let Ok(key) = RawPublicKeyEntity::try_from(&spki) else {
            return Signature::Unsupported;
        };
        let mut known = algorithms
            .iter()
            .filter(|known| *known.signature_alg_id().as_ref() == *self.signed.algorithm)
            .peekable();
        if known.peek().is_none() {
            return Signature::Unsupported;
        }
        // One signature algorithm stands in the list once for each kind of key (ECDSA with SHA-256 over P-256 and P-384).
        let good = known.any(|known| {
            key.verify_signature(*known, &self.signed.tbs, &self.signed.signature)
                .is_ok()
        });
        if good {
            Signature::Good
        } else {
            Signature::Bad
        }
    }
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crl")
            .field("next_update", &self.next_update)
            .field("revoked", &self.revoked.len())
            .finish_non_exhaustive()
    }
}

/// What webpki reads and does not show.
struct Fields<'a> {
    issuer: &'a [u8],
    this_update: Timestamp,
    next_update: Timestamp,
    number: Option<Extension<'a>>,
    key: Option<&'a [u8]>,
    point: Option<&'a [u8]>,
}

/// The value of an extension, and whether whoever does not understand it has to refuse the list.
#[derive(Clone, Copy)]
struct Extension<'a> {
    value: &'a [u8],
    criticality: Criticality,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Criticality {
    Critical,
    Not,
}

impl<'a> Fields<'a> {
    /// RFC 5280 §5.2.3: each list has a number, and it is not critical.
    fn check(&self) -> Result<&'a [u8], CrlListError> {
        let number = self.number.ok_or(CrlListError::NoNumber)?;
        if number.criticality == Criticality::Critical {
            return Err(CrlListError::CriticalNumber);
        }
        let mut only = Elements::of(number.value);
        let octets = unsigned(only.expect(INTEGER)?)?;
        only.finish()?;
        Ok(octets)
    }
}

/// RFC 5280 §4.2.1.1: the keyIdentifier `[0]`, or all of an authorityKeyIdentifier that has none.
fn key_id(value: &[u8]) -> &[u8] {
    let id = Elements::of_sequence(value).and_then(|mut fields| fields.optional(context(0)));
    id.ok().flatten().unwrap_or(value)
}

/// RFC 5280 §5.1: `CertificateList`.
fn read_signed(der: &[u8]) -> Result<(Fields<'_>, Signed), CrlListError> {
    let mut outer = Elements::of_sequence(der)?;
    let tbs = outer.expect_whole(SEQUENCE)?;
    let algorithm = outer.expect(SEQUENCE)?;
    let signature = Bits::read(outer.expect(BIT_STRING)?)?
        .octets()
        .ok_or_else(|| CertError::malformed("the signature is not of whole bytes"))?;
    outer.finish()?;
    let signed = Signed {
        tbs: tbs.into(),
        algorithm: algorithm.into(),
        signature: signature.into(),
    };
    Ok((read_tbs(tbs)?, signed))
}

/// RFC 5280 §5.1.2: `TBSCertList`.
fn read_tbs(tbs: &[u8]) -> Result<Fields<'_>, CertError> {
    const EXTENSIONS: u8 = context_around(0);
    let mut tbs = Elements::of_sequence(tbs)?;
    tbs.expect(INTEGER)?; // version: webpki asks for 2
    tbs.expect(SEQUENCE)?; // signature: webpki compares it with the outer one
    let issuer = tbs.expect_whole(SEQUENCE)?;
    let mut fields = Fields {
        issuer,
        this_update: tbs.time()?,
        next_update: tbs.time()?,
        number: None,
        key: None,
        point: None,
    };
    while !tbs.is_finished() {
        let field = tbs.take()?;
        if field.tag == EXTENSIONS {
            let mut list = Elements::of_sequence(field.value)?;
            while !list.is_finished() {
                fields.take(list.sequence()?)?;
            }
        }
    }
    Ok(fields)
}

impl<'a> Fields<'a> {
    fn take(&mut self, mut extension: Elements<'a>) -> Result<(), CertError> {
        let oid = extension.expect(OBJECT_IDENTIFIER)?;
        let critical = extension.flag()?;
        let value = extension.expect(OCTET_STRING)?;
        extension.finish()?;
        let criticality = if critical {
            Criticality::Critical
        } else {
            Criticality::Not
        };
        let number = Extension { value, criticality };
        let (before, name) = match oid {
            CRL_NUMBER => (self.number.replace(number).is_some(), "crlNumber"),
            AUTHORITY_KEY_IDENTIFIER => {
                (self.key.replace(value).is_some(), "authorityKeyIdentifier")
            }
            ISSUING_DISTRIBUTION_POINT => (
                self.point.replace(value).is_some(),
                "issuingDistributionPoint",
            ),
            _ => return Ok(()),
        };
        if before {
            return Err(CertError::DuplicateExtension(name.into()));
        }
        Ok(())
    }
}
