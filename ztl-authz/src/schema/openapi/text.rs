//! Percent-encoding, read so that it has one reading.

use std::borrow::Cow;

/// The text with its escapes resolved (RFC 3986 §2.1); `None` where one is none, or they are no UTF-8.
pub(super) fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => (hex(bytes.next()?)? << 4) | hex(bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// The same of a name or a value of a query, where `+` is a blank, as forms have it and nearly all services read it.
pub(super) fn of_form(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('+') {
        return decoded(text);
    }
    let blanks = text.replace('+', " ");
    decoded(&blanks).map(|text| Cow::Owned(text.into_owned()))
}

fn hex(digit: u8) -> Option<u8> {
    let digit = char::from(digit).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_have_one_reading_or_none() {
        for (text, means) in [
            ("a%20b", Some("a b")),
            ("%C3%A9%c3%a9", Some("éé")),
            ("a+b", Some("a+b")),
            ("%", None),
            ("%4", None),
            ("%+1", None),
            ("%g0", None),
            ("%ff", None),
        ] {
            assert_eq!(decoded(text).as_deref(), means, "{text}");
        }
        assert_eq!(of_form("a+%2B").as_deref(), Some("a +"));
        assert_eq!(of_form("%+1").as_deref(), None);
    }
}
