//! DER, element by element (X.690), read in place: as much of it as a certificate needs while its holder waits.
//!
//! Strict: lengths are definite and as short as they can be, tags have one octet (no certificate holds a longer one where we
//! read), a BOOLEAN is 0x00 or 0xff, an INTEGER has no octet too many, and nothing follows the last element that is read.

use der::DateTime;
use ztl_core::Timestamp;

use crate::cert::CertError;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;

/// A tag of the context, of what is written in place of another type (IMPLICIT) that has no elements.
pub(crate) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// A tag of the context around other elements.
pub(crate) const fn context_around(number: u8) -> u8 {
    0xa0 | number
}

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) value: &'a [u8],
}

/// Elements that follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    pub(crate) const fn of(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// Those of the one SEQUENCE that these octets are.
    #[inline]
    pub(crate) fn of_sequence(octets: &'a [u8]) -> Result<Self, CertError> {
        let mut only = Self(octets);
        let fields = only.sequence()?;
        only.finish()?;
        Ok(fields)
    }

    pub(crate) const fn is_finished(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses what follows.
    #[inline]
    pub(crate) fn finish(self) -> Result<(), CertError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(CertError::malformed("something follows the last element"))
        }
    }

    #[inline]
    pub(crate) fn take(&mut self) -> Result<Element<'a>, CertError> {
        match split(self.0) {
            Some((element, rest)) => {
                self.0 = rest;
                Ok(element)
            }
            None => Err(CertError::malformed(
                "an element is cut off, or its tag or length is not in DER",
            )),
        }
    }

    /// The next one, which must have this tag.
    #[inline]
    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8], CertError> {
        let element = self.take()?;
        if element.tag == tag {
            Ok(element.value)
        } else {
            Err(misplaced(element.tag, tag))
        }
    }

    /// The same, with tag and length.
    pub(crate) fn expect_whole(&mut self, tag: u8) -> Result<&'a [u8], CertError> {
        let before = *self;
        self.expect(tag)?;
        Ok(before.until(*self))
    }

    /// The next one, whatever its tag, with tag and length.
    pub(crate) fn take_whole(&mut self) -> Result<&'a [u8], CertError> {
        let before = *self;
        self.take()?;
        Ok(before.until(*self))
    }

    /// The octets before what is left of these.
    fn until(self, left: Self) -> &'a [u8] {
        let length = self.0.len().saturating_sub(left.0.len());
        self.0.get(..length).unwrap_or_default()
    }

    /// The next one, if it has this tag.
    #[inline]
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, CertError> {
        if self.0.first() == Some(&tag) {
            self.take().map(|element| Some(element.value))
        } else {
            Ok(None)
        }
    }

    #[inline]
    pub(crate) fn sequence(&mut self) -> Result<Self, CertError> {
        self.expect(SEQUENCE).map(Self)
    }

    /// `BOOLEAN DEFAULT FALSE`.
    #[inline]
    pub(crate) fn flag(&mut self) -> Result<bool, CertError> {
        match self.optional(BOOLEAN)? {
            None | Some([0x00]) => Ok(false),
            Some([0xff]) => Ok(true),
            Some(_) => Err(CertError::malformed("a BOOLEAN is neither 0x00 nor 0xff")),
        }
    }

    /// RFC 5280 §4.1.2.5: UTCTime or GeneralizedTime, with seconds, in Z, without fractions.
    pub(crate) fn time(&mut self) -> Result<Timestamp, CertError> {
        let element = self.take()?;
        let moment = match (element.tag, element.value) {
            (UTC_TIME, [y, z, digits @ .., b'Z']) => {
                // 50 to 99 are of the last century.
                let century = |year: &u16| if *year < 50 { 2000 } else { 1900 };
                let year = two([*y, *z]).map(u16::from);
                year.and_then(|year| moment(year + century(&year), digits))
            }
            (GENERALIZED_TIME, [w, x, y, z, digits @ .., b'Z']) => {
                let century = two([*w, *x]).map(u16::from);
                let year = two([*y, *z]).map(u16::from);
                let year = century
                    .zip(year)
                    .map(|(century, year)| 100 * century + year);
                year.and_then(|year| moment(year, digits))
            }
            _ => None,
        };
        moment.ok_or_else(|| CertError::malformed("a time is no time"))
    }
}

#[cold]
fn misplaced(found: u8, wanted: u8) -> CertError {
    CertError::Malformed(
        format!("the tag 0x{found:02x} stands where 0x{wanted:02x} belongs").into(),
    )
}

/// A BIT STRING (X.690 §8.6), and how many bits of its last octet do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits<'a> {
    octets: &'a [u8],
    unused: u8,
}

impl<'a> Bits<'a> {
    /// Of the element's value.
    pub(crate) fn read(value: &'a [u8]) -> Result<Self, CertError> {
        match value {
            [0] => Ok(Self {
                octets: &[],
                unused: 0,
            }),
            [unused @ 0..=7, octets @ ..] if !octets.is_empty() => Ok(Self {
                octets,
                unused: *unused,
            }),
            _ => Err(CertError::malformed(
                "a BIT STRING has bits that are not there",
            )),
        }
    }

    /// All of it, where it is of whole octets.
    pub(crate) const fn octets(self) -> Option<&'a [u8]> {
        if self.unused == 0 {
            Some(self.octets)
        } else {
            None
        }
    }

    /// Whether there is a bit at this place of the first octet, and it is set.
    pub(crate) fn is_set(self, place: u8) -> bool {
        let Some((first, rest)) = self.octets.split_first() else {
            return false;
        };
        let bits = if rest.is_empty() {
            8_u8.saturating_sub(self.unused)
        } else {
            8
        };
        place < bits && first & 0x80_u8.checked_shr(place.into()).unwrap_or(0) != 0
    }
}

/// The octets of an INTEGER that is not negative, without the zero before a first bit that is set (X.690 §8.3).
pub(crate) fn unsigned(value: &[u8]) -> Result<&[u8], CertError> {
    match value {
        [0] => Ok(value),
        [0, rest @ ..] if rest.first().is_some_and(|octet| *octet >= 0x80) => Ok(rest),
        [1..0x80, ..] => Ok(value),
        _ => Err(CertError::malformed(
            "an INTEGER is negative or longer than it needs to be",
        )),
    }
}

/// Takes the first element off.
#[inline]
fn split(octets: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let ([tag, first], rest) = octets.split_first_chunk()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        _ => long(*first, rest)?,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((Element { tag: *tag, value }, rest))
}

/// X.690 §10.1: a length of more than seven bits is in the definite form, with the fewest octets.
fn long(first: u8, rest: &[u8]) -> Option<(usize, &[u8])> {
    let (length, shortest, rest) = match first {
        0x81 => {
            let ([length], rest) = rest.split_first_chunk()?;
            (u32::from(*length), 0x80, rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk()?;
            (u32::from(u16::from_be_bytes(*length)), 0x100, rest)
        }
        0x83 => {
            let ([a, b, c], rest) = rest.split_first_chunk()?;
            (u32::from_be_bytes([0, *a, *b, *c]), 0x1_0000, rest)
        }
        0x84 => {
            let (length, rest) = rest.split_first_chunk()?;
            (u32::from_be_bytes(*length), 0x100_0000, rest)
        }
        _ => return None,
    };
    if length < shortest {
        return None;
    }
    Some((usize::try_from(length).ok()?, rest))
}

/// Month, day, hour, minute, second of a year.
fn moment(year: u16, digits: &[u8]) -> Option<Timestamp> {
    let (&[month, day, hour, minute, second], []) = digits.as_chunks::<2>() else {
        return None;
    };
    let moment = DateTime::new(
        year,
        two(month)?,
        two(day)?,
        two(hour)?,
        two(minute)?,
        two(second)?,
    );
    let since_epoch = moment.ok()?.unix_duration();
    Some(Timestamp::from_unix_secs(since_epoch.as_secs()))
}

/// A number of two digits.
const fn two([tens, ones]: [u8; 2]) -> Option<u8> {
    match (tens, ones) {
        (b'0'..=b'9', b'0'..=b'9') => Some(10 * (tens - b'0') + (ones - b'0')),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_31_lengths_are_definite_and_as_short_as_they_can_be() {
        let read = |octets: &[u8]| {
            let mut whole = Elements::of(octets);
            let element = Elements::of(octets).take()?;
            let whole = whole.take_whole()?.len();
            Ok::<_, CertError>((element.tag, element.value.len(), whole))
        };
        assert_eq!(read(&[4, 0]), Ok((4, 0, 2)));
        assert_eq!(read(&[4, 1, 7, 9]), Ok((4, 1, 3)));
        for (length, header) in [
            (0x7f, &[4, 0x7f][..]),
            (0x80, &[4, 0x81, 0x80]),
            (0xff, &[4, 0x81, 0xff]),
            (0x100, &[4, 0x82, 1, 0]),
            (0xffff, &[4, 0x82, 0xff, 0xff]),
            (0x1_0000, &[4, 0x83, 1, 0, 0]),
            (0x100_0000, &[4, 0x84, 1, 0, 0, 0]),
        ] {
            let mut octets = header.to_vec();
            octets.resize(header.len() + length, 0);
            assert_eq!(read(&octets), Ok((4, length, octets.len())));
            octets.pop();
            assert!(read(&octets).is_err(), "{length} is cut off");
        }
        for bad in [
            &[][..],
            &[4],
            &[4, 0x80, 0, 0],
            &[4, 0x81, 0x7f],
            &[4, 0x82, 0, 0xff],
            &[4, 0x83, 0, 0xff, 0xff],
            &[4, 0x84, 0, 0xff, 0xff, 0xff],
            &[4, 0x85, 1, 0, 0, 0, 0],
            &[0x1f, 0x20, 0],
            &[0xbf, 0x20, 0],
        ] {
            let mut octets = bad.to_vec();
            octets.resize(0x200, 0);
            assert!(bad.len() < 3 || read(&octets).is_err(), "{bad:?}");
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rule_31_nothing_follows_what_is_read() {
        assert!(Elements::of_sequence(&[0x30, 0]).is_ok_and(|fields| fields.is_finished()));
        assert!(Elements::of_sequence(&[0x30, 0, 0]).is_err());
        assert!(Elements::of_sequence(&[0x31, 0]).is_err());
        let error = Elements::of_sequence(&[0x31, 0]).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("0x31 stands where 0x30"));
    }

    #[test]
    fn integers_and_bits_in_all_their_encodings() {
        assert_eq!(unsigned(&[0]), Ok(&[0][..]));
        assert_eq!(unsigned(&[0x7f]), Ok(&[0x7f][..]));
        assert_eq!(unsigned(&[0, 0x80]), Ok(&[0x80][..]));
        assert_eq!(unsigned(&[1, 0]), Ok(&[1, 0][..]));
        for bad in [&[][..], &[0x80], &[0, 0], &[0, 0x7f], &[0xff, 1]] {
            assert!(unsigned(bad).is_err(), "{bad:?}");
        }
        let octets = |value| Bits::read(value).map(Bits::octets);
        assert_eq!(octets(&[0]), Ok(Some(&[][..])));
        assert_eq!(octets(&[0, 5]), Ok(Some(&[5][..])));
        assert_eq!(octets(&[1, 5]), Ok(None));
        for bad in [&[][..], &[1], &[8, 1], &[0xff, 1]] {
            assert!(Bits::read(bad).is_err(), "{bad:?}");
        }
        let set = |value: &'static [u8]| {
            let bits = Bits::read(value).expect("bits");
            (0..9)
                .filter(|place| bits.is_set(*place))
                .collect::<Vec<_>>()
        };
        assert_eq!(set(&[0]), [0; 0]);
        assert_eq!(set(&[0, 0x81]), [0, 7]);
        assert_eq!(set(&[1, 0x83]), [0, 6]);
        assert_eq!(set(&[7, 0xff]), [0]);
        assert_eq!(set(&[7, 0xff, 0x80]), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn times_have_seconds_and_are_in_z() {
        let time = |tag: u8, text: &str| {
            let mut octets = vec![tag, u8::try_from(text.len()).expect("short")];
            octets.extend(text.bytes());
            Elements::of(&octets).time().map(Timestamp::as_unix_secs)
        };
        assert_eq!(time(UTC_TIME, "700101000000Z"), Ok(0));
        assert_eq!(time(UTC_TIME, "260101000000Z"), Ok(1_767_225_600));
        assert_eq!(time(UTC_TIME, "491231235959Z"), Ok(2_524_607_999));
        assert_eq!(time(GENERALIZED_TIME, "20600101000000Z"), Ok(2_840_140_800));
        assert_eq!(time(GENERALIZED_TIME, "20240229120000Z"), Ok(1_709_208_000));
        for (tag, bad) in [
            (UTC_TIME, ""),
            (UTC_TIME, "Z"),
            (UTC_TIME, "2601010000Z"),
            (UTC_TIME, "260101000000"),
            (UTC_TIME, "2601010000000"),
            (UTC_TIME, "260101000000+0100"),
            (UTC_TIME, "20260101000000Z"),
            (UTC_TIME, "261301000000Z"),
            (UTC_TIME, "260001000000Z"),
            (UTC_TIME, "260230000000Z"),
            (UTC_TIME, "260101240000Z"),
            (UTC_TIME, "260101006000Z"),
            (UTC_TIME, "260101000060Z"),
            (UTC_TIME, "26010100000 Z"),
            (UTC_TIME, "+60101000000Z"),
            (UTC_TIME, "500101000000Z"), // 1950: before the clock begins
            (GENERALIZED_TIME, "260101000000Z"),
            (GENERALIZED_TIME, "20260101000000.5Z"),
            (GENERALIZED_TIME, "20230229120000Z"),
            (GENERALIZED_TIME, "19691231235959Z"),
            (OCTET_STRING, "20260101000000Z"),
        ] {
            assert!(time(tag, bad).is_err(), "{bad}");
        }
    }
}
