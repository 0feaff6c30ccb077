//! Which certificates a revocation list speaks of, where it does not speak of all that its issuer issued (RFC 5280 §5.2.5).

use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

use crate::cert::{CertError, expect};

/// An issuingDistributionPoint. webpki has refused the forms that are not read here: indirect lists, lists of some reasons, and
/// names other than full ones.
#[derive(Debug)]
pub(crate) struct Scope {
    users_only: bool,
    authorities_only: bool,
    uris: Vec<Box<[u8]>>,
}

impl Scope {
    pub(crate) fn read(value: &[u8]) -> Result<Self, CertError> {
        let mut scope = Self {
            users_only: false,
            authorities_only: false,
            uris: Vec::new(),
        };
        let mut reader = SliceReader::new(value)?;
        reader.sequence(|fields| {
            while !fields.is_finished() {
                let field = AnyRef::decode(fields)?;
                match number_of(field) {
                    Some(0) => {
                        full_name(field.value(), |uri| scope.uris.push(uri.into()))?;
                    }
                    Some(1) => scope.users_only = is_true(field),
                    Some(2) => scope.authorities_only = is_true(field),
                    _ => {}
                }
            }
            Ok::<_, CertError>(())
        })?;
        reader.finish()?;
        Ok(scope)
    }

    /// Whether a certificate is within it. One that names no distribution point is not (RFC 5280 §6.3.3): which part of its
    /// issuer's lists would hold it cannot be told.
    pub(crate) fn covers(&self, is_leaf: bool, points: Option<&[u8]>) -> bool {
        if (self.users_only && !is_leaf) || (self.authorities_only && is_leaf) {
            return false;
        }
        points.is_some_and(|points| self.shares_a_name(points).unwrap_or(false))
    }

    /// RFC 5280 §4.2.1.13: `SEQUENCE OF SEQUENCE { distributionPoint [0], reasons [1], cRLIssuer [2] }`, all optional. A point
    /// for some reasons or of another issuer is read past.
    fn shares_a_name(&self, points: &[u8]) -> Result<bool, CertError> {
        let mut found = false;
        let mut reader = SliceReader::new(points)?;
        reader.sequence(|points| {
            while !points.is_finished() {
                let mut fields = SliceReader::new(expect(points, Tag::Sequence)?)?;
                let mut name = None;
                let mut whole = true;
                while !fields.is_finished() {
                    let field = AnyRef::decode(&mut fields)?;
                    match number_of(field) {
                        Some(0) => name = Some(field.value()),
                        _ => whole = false,
                    }
                }
                if let (Some(name), true) = (name, whole) {
                    full_name(name, |uri| {
                        found |= self.uris.iter().any(|held| **held == *uri);
                    })?;
                }
            }
            Ok::<_, CertError>(())
        })?;
        reader.finish()?;
        Ok(found)
    }
}

/// The URIs of a DistributionPointName: `fullName [0] GeneralNames`, each URI `[6] IA5String`.
fn full_name(name: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), CertError> {
    let choice = AnyRef::from_der(name)?;
    if number_of(choice) != Some(0) {
        return Ok(());
    }
    let mut names = SliceReader::new(choice.value())?;
    while !names.is_finished() {
        let name = AnyRef::decode(&mut names)?;
        if number_of(name) == Some(6) {
            take(name.value());
        }
    }
    Ok(())
}

fn number_of(any: AnyRef<'_>) -> Option<u32> {
    match any.tag() {
        Tag::ContextSpecific {
            number: TagNumber(number),
            ..
        } => Some(number),
        _ => None,
    }
}

/// DER's TRUE; webpki has refused what is neither.
fn is_true(flag: AnyRef<'_>) -> bool {
    flag.value() == [0xff]
}
