//! Which certificates a revocation list speaks of, where it does not speak of all that its issuer issued (RFC 5280 §5.2.5).

use crate::cert::CertError;
use crate::element::{Element, Elements};

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
        let mut fields = Elements::of_sequence(value)?;
        while !fields.is_finished() {
            let field = fields.take()?;
            match number_of(field) {
                Some(0) => full_name(field.value, |uri| scope.uris.push(uri.into()))?,
                Some(1) => scope.users_only = is_true(field),
                Some(2) => scope.authorities_only = is_true(field),
                _ => {}
            }
        }
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
        let mut points = Elements::of_sequence(points)?;
        while !points.is_finished() {
            let mut fields = points.sequence()?;
            let mut name = None;
            let mut whole = true;
            while !fields.is_finished() {
                let field = fields.take()?;
                match number_of(field) {
                    Some(0) => name = Some(field.value),
                    _ => whole = false,
                }
            }
            if let (Some(name), true) = (name, whole) {
                full_name(name, |uri| {
                    found |= self.uris.iter().any(|held| **held == *uri);
                })?;
            }
        }
        Ok(found)
    }
}

/// The URIs of a DistributionPointName: `fullName [0] GeneralNames`, each URI `[6] IA5String`.
fn full_name(name: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), CertError> {
    let mut only = Elements::of(name);
    let choice = only.take()?;
    only.finish()?;
    if number_of(choice) != Some(0) {
        return Ok(());
    }
    let mut names = Elements::of(choice.value);
    while !names.is_finished() {
        let name = names.take()?;
        if number_of(name) == Some(6) {
            take(name.value);
        }
    }
    Ok(())
}

/// The number of a tag of the context.
fn number_of(element: Element<'_>) -> Option<u8> {
    match element.tag {
        0x80..=0xbf => Some(element.tag & 0x1f),
        _ => None,
    }
}

/// DER's TRUE; webpki has refused what is neither.
fn is_true(flag: Element<'_>) -> bool {
    flag.value == [0xff]
}
