//! Hexadecimal digits, without the detour of number formatting: every audit record holds two such values.

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

#[cfg(test)]
mod tests {
    #[test]
    fn two_digits_a_byte() {
        let mut text = String::new();
        super::write(&[0x00, 0x0f, 0xa5, 0xff], &mut text).expect("text");
        assert_eq!(text, "000fa5ff");
    }
}
