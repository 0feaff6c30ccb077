//! Hexadecimal digits, without the detour of number formatting: every audit record holds two such values or more.

use core::fmt;

const DIGITS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
];

/// Two lower-case digits a byte.
pub(crate) fn write(bytes: &[u8], out: &mut impl fmt::Write) -> fmt::Result {
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or_default();
    for byte in bytes {
        out.write_char(digit(byte >> 4))?;
        out.write_char(digit(byte & 0xf))?;
    }
    Ok(())
}

/// The same at the end of a text, four bytes a step: what an audit record does for every decision.
pub(crate) fn push(bytes: &[u8], out: &mut String) {
    let mut held = [0; 64];
    for piece in bytes.chunks(32) {
        let (fours, rest) = piece.as_chunks::<4>();
        for (four, eight) in fours.iter().zip(held.as_chunks_mut::<8>().0) {
            *eight = eight_digits(*four);
        }
        let digits = held.get(..fours.len() * 8).unwrap_or_default();
        out.push_str(core::str::from_utf8(digits).unwrap_or_default());
        // Writing to a String cannot fail.
        let _ = write(rest, out);
    }
}

/// Spreads the eight halves of four bytes over the bytes of a word, and makes a digit of each at once.
pub(crate) const fn eight_digits(bytes: [u8; 4]) -> [u8; 8] {
    let [a, b, c, d] = bytes;
    let word = u64::from_be_bytes([0, a, 0, b, 0, c, 0, d]);
    let halves = ((word & 0x00f0_00f0_00f0_00f0) << 4) | (word & 0x000f_000f_000f_000f);
    // 1 in each byte whose half is 10 or more.
    let letters = ((halves + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    (halves + 0x3030_3030_3030_3030 + letters * 0x27).to_be_bytes()
}

/// The bytes of this many lower-case digits; `None` for anything else.
pub(crate) fn parse(digits: &[u8]) -> Option<Vec<u8>> {
    let half = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|[high, low]| Some(half(*high)? << 4 | half(*low)?))
        .collect()
}

/// The same of exactly as many bytes.
pub(crate) fn parse_array<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let fits = digits.len() == 2 * N;
    fits.then(|| parse(digits.as_bytes()))??.try_into().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_digits_a_byte() {
        let mut text = String::new();
        super::write(&[0x00, 0x0f, 0xa5, 0xff], &mut text).expect("text");
        assert_eq!(text, "000fa5ff");
        let every: Vec<u8> = (0..=255).collect();
        for end in [0, 1, 3, 4, 31, 32, 33, 64, 256] {
            let (mut one, mut other) = (String::new(), String::new());
            super::write(&every[..end], &mut one).expect("text");
            super::push(&every[..end], &mut other);
            assert_eq!(one, other);
            assert_eq!(super::parse(one.as_bytes()).as_deref(), Some(&every[..end]));
        }
        assert!(
            super::parse(b"0")
                .or(super::parse(b"0G"))
                .or(super::parse(b"0A"))
                .is_none()
        );
    }
}
