//! Percent-encoding, read so that it has one reading.

use std::borrow::Cow;

use ztl_core::schema::ParameterPlace;

/// How blanks and what has no place in a text stand in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// Escapes, and `+` for a blank: queries and forms.
    Form,
    /// Escapes.
    Path,
    /// None, and blanks around it that say nothing.
    Header,
    /// None.
    Cookie,
}

impl Escapes {
    pub(super) const fn of(place: ParameterPlace) -> Self {
        match place {
            ParameterPlace::Path => Self::Path,
            ParameterPlace::Header => Self::Header,
            ParameterPlace::Cookie => Self::Cookie,
            _ => Self::Form,
        }
    }

    /// The text as it is meant; `None` where it has more than one reading.
    pub(super) fn plain(self, raw: &str) -> Option<Cow<'_, str>> {
        match self {
            Self::Form => of_form(raw),
            Self::Path => decoded(raw),
            Self::Header => Some(raw.trim_matches([' ', '\t']).into()),
            // Some resolve escapes and quotes in cookies, and some do not.
            Self::Cookie => (!raw.contains(['%', '"'])).then_some(raw.into()),
        }
    }
}

/// The text with its escapes resolved (RFC 3986 §2.1); `None` where one is none, they are no UTF-8, or one is NUL, where
/// some texts end.
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
    if decoded.contains(&0) {
        return None;
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

/// The names, with their escapes resolved, and the values between `&` (WHATWG URL §5.1); or what stands for a name and has more
/// than one reading. Some servers split at `;` as well.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = Result<(Cow<'_, str>, &str), &str>> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (raw, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = of_form(raw).filter(|_| !pair.contains(';'));
        name.map(|name| (name, value)).ok_or(raw)
    })
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
            ("a%00b", None),
        ] {
            assert_eq!(decoded(text).as_deref(), means, "{text}");
        }
        assert_eq!(of_form("a+%2B").as_deref(), Some("a +"));
        assert_eq!(of_form("%+1").as_deref(), None);
    }
}
