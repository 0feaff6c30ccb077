//! The numbers of lists that were taken, so that none goes back in time (T25).
//!
//! RFC 5280 §5.2.3: the numbers of one issuer's lists, for one scope, only grow. An old list is signed as well as the newest is,
//! and ends where it says: only its number tells that what it does not name was revoked since.

use core::cmp::Ordering;

use super::list::Crl;
use super::{CrlSet, MAX_CRLS};
use crate::revocation::Hex;

/// The number of a list that was taken, and whose it is.
#[derive(Clone, Debug)]
struct Mark {
    issuer: Box<[u8]>,
    key: Option<Box<[u8]>>,
    point: Option<Box<[u8]>>,
    number: Box<[u8]>,
}

impl Mark {
    fn of(list: &Crl) -> Self {
        Self {
            issuer: list.issuer.clone(),
            key: list.key.clone(),
            point: list.point.clone(),
            number: list.number.clone(),
        }
    }

    fn is_of(&self, list: &Crl) -> bool {
        self.issuer == list.issuer && self.key == list.key && self.point == list.point
    }

    /// Of several lists of one issuer the highest counts.
    fn check(&self, set: &CrlSet) -> Result<(), WentBack> {
        let lists = set.lists.iter().filter(|list| self.is_of(list));
        let highest = lists.map(|list| &*list.number).max_by(|a, b| grows(a, b));
        match highest {
            Some(number) if grows(number, &self.number).is_lt() => Err(WentBack {
                held: shown(&self.number),
                found: shown(number),
                of: self.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// A list that is older than one of its issuer that was taken.
#[derive(Debug)]
pub(crate) struct WentBack {
    of: Mark,
    /// The number of the one that was taken, in hexadecimal.
    pub(crate) held: Box<str>,
    /// Its own.
    pub(crate) found: Box<str>,
}

impl WentBack {
    /// Whether the list is among these.
    pub(crate) fn is_in(&self, set: &CrlSet) -> bool {
        set.lists.iter().any(|list| self.of.is_of(list))
    }
}

/// The set that was taken last, and the highest numbers of lists before it that an issuer's key was found to have signed.
///
/// A list that no issuer's key signed says nothing of that issuer's numbers: whoever could put it in once would keep all later ones
/// out. So one of the last set counts until a proof has found that, and one before it counts if a proof found the opposite.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    last: Option<CrlSet>,
    before: Vec<Mark>,
}

impl Taken {
    /// Takes a set, unless a list of it is older than one that was taken of the same issuer, key and scope.
    pub(crate) fn take(&mut self, set: &CrlSet) -> Result<(), WentBack> {
        let last = self.last.iter().flat_map(|last| last.lists.iter());
        let counting = last.clone().filter(|list| !list.is_disproved());
        let counting: Vec<Mark> = counting.map(Mark::of).collect();
        for mark in self.before.iter().chain(&counting) {
            mark.check(set)?;
        }
        for list in last.filter(|list| list.is_proved()) {
            let same = self.before.iter().position(|mark| mark.is_of(list));
            let mark = same.map(|place| self.before.remove(place));
            let higher = mark.filter(|mark| grows(&mark.number, &list.number).is_gt());
            self.before.push(higher.unwrap_or_else(|| Mark::of(list)));
        }
        let oldest = self.before.len().saturating_sub(MAX_CRLS);
        self.before.drain(..oldest);
        self.last = Some(set.clone());
        Ok(())
    }
}

/// Numbers without leading zeros.
fn grows(one: &[u8], other: &[u8]) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

fn shown(number: &[u8]) -> Box<str> {
    match number {
        [] => "00".into(),
        number => Hex(number).to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        let row: [&[u8]; 6] = [&[], &[1], &[2], &[0xff], &[1, 0], &[1, 0, 0]];
        for (index, one) in row.iter().enumerate() {
            for (place, other) in row.iter().enumerate() {
                assert_eq!(grows(one, other), index.cmp(&place), "{one:?} {other:?}");
            }
        }
    }
}
