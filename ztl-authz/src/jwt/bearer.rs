//! The token of a request (RFC 6750 §2.1).

use super::compact::MAX_TOKEN_BYTES;

/// Finds the bearer token among the values of a request's `Authorization` fields.
///
/// No field, or one of another scheme, is no token: `Ok(None)`. The scheme's letter case does not count (RFC 9110 §11.1).
/// A token in the query or in a form (RFC 6750 §2.2, §2.3) is not looked for: such a request has none (T16).
///
/// ```
/// use ztl_authz::jwt::{BearerError, bearer_token};
///
/// assert_eq!(bearer_token([b"Bearer abc.def.ghi".as_slice()]), Ok(Some("abc.def.ghi")));
/// assert_eq!(bearer_token([b"Basic dTpw".as_slice()]), Ok(None));
/// assert_eq!(bearer_token([]), Ok(None));
/// assert_eq!(
///     bearer_token([b"Bearer a".as_slice(), b"Bearer b".as_slice()]),
///     Err(BearerError::SeveralCredentials)
/// );
/// ```
///
/// # Errors
///
/// More than one field (RFC 9110 §5.3 allows one), a field that is no credential, and a token that is empty, too long, or has
/// other characters than `b64token`.
pub fn bearer_token<'a>(
    authorization: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<&'a str>, BearerError> {
    let mut fields = authorization.into_iter();
    let Some(field) = fields.next() else {
        return Ok(None);
    };
    if fields.next().is_some() {
        return Err(BearerError::SeveralCredentials);
    }
    let scheme_len = field
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(field.len());
    let (scheme, rest) = field
        .split_at_checked(scheme_len)
        .ok_or(BearerError::Malformed)?;
    if scheme.is_empty() || !scheme.iter().copied().all(is_token_char) {
        return Err(BearerError::Malformed);
    }
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return Ok(None);
    }
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
    let token = rest.get(blanks..).ok_or(BearerError::Malformed)?;
    if token.len() > MAX_TOKEN_BYTES {
        return Err(BearerError::TooLong);
    }
    let padding = token.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = token
        .get(..token.len().saturating_sub(padding))
        .ok_or(BearerError::Malformed)?;
    if body.is_empty() || !body.iter().copied().all(is_token68) {
        return Err(BearerError::Malformed);
    }
    core::str::from_utf8(token)
        .map(Some)
        .map_err(|_| BearerError::Malformed)
}

/// Of a scheme's name (RFC 9110 §5.6.2).
const fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Of a `b64token` before its `=` (RFC 6750 §2.1, RFC 9110 §11.2).
const fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}

/// Why the `Authorization` fields of a request were refused. Its text holds nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BearerError {
    /// More than one field.
    #[error("the request has more than one `Authorization` field")]
    SeveralCredentials,
    /// No credential, or a bearer token that is none.
    #[error("the `Authorization` field is malformed")]
    Malformed,
    /// A token longer than [`MAX_TOKEN_BYTES`].
    #[error("the bearer token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
}

impl BearerError {
    /// A stable name for records and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SeveralCredentials => "authorization_several",
            Self::Malformed => "authorization_malformed",
            Self::TooLong => "token_too_long",
        }
    }

    /// The `error` of the challenge to answer with (RFC 6750 §3.1).
    #[must_use]
    pub const fn challenge(&self) -> &'static str {
        match self {
            Self::SeveralCredentials | Self::Malformed => "invalid_request",
            Self::TooLong => "invalid_token",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(field: &str) -> Result<Option<&str>, BearerError> {
        bearer_token([field.as_bytes()])
    }

    #[test]
    fn the_scheme_is_read_in_any_letter_case() {
        for field in [
            "Bearer a.b.c",
            "bearer a.b.c",
            "BEARER a.b.c",
            "Bearer   a.b.c",
        ] {
            assert_eq!(one(field), Ok(Some("a.b.c")), "{field}");
        }
        assert_eq!(one("Bearer a+/-_~.=="), Ok(Some("a+/-_~.==")));
    }

    #[test]
    fn another_scheme_is_no_token() {
        for field in [
            "Basic dTpw",
            "DPoP a.b.c",
            "Digest username=\"a\", realm=\"b\"",
            "Negotiate",
        ] {
            assert_eq!(one(field), Ok(None), "{field}");
        }
    }

    #[test]
    fn t16_two_credentials_are_refused() {
        for second in ["Bearer b", "Bearer a", "Basic dTpw", ""] {
            assert_eq!(
                bearer_token([b"Bearer a".as_slice(), second.as_bytes()]),
                Err(BearerError::SeveralCredentials)
            );
        }
        assert_eq!(one("Bearer a, Bearer b"), Err(BearerError::Malformed));
        assert_eq!(one("Bearer a b"), Err(BearerError::Malformed));
    }

    #[test]
    fn what_is_no_b64token_is_refused() {
        for field in [
            "",
            " Bearer a",
            "Bearer",
            "Bearer ",
            "Bearer =",
            "Bearer\ta",
            "Bearer a ",
            "Bearer a=b",
            "Bearer \"a\"",
            "Bearer a\0",
            "Bearer é",
            "Bearer:a",
            "{} a",
        ] {
            assert_eq!(one(field), Err(BearerError::Malformed), "{field:?}");
        }
        assert_eq!(
            bearer_token([b"Bearer \xff".as_slice()]),
            Err(BearerError::Malformed)
        );
    }

    #[test]
    fn a_token_is_bounded() {
        let longest = "a".repeat(MAX_TOKEN_BYTES);
        assert_eq!(one(&format!("Bearer {longest}")), Ok(Some(&*longest)));
        assert_eq!(
            one(&format!("Bearer {longest}a")),
            Err(BearerError::TooLong)
        );
    }

    proptest! {
        #[test]
        fn any_fields_are_answered(fields in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..3)) {
            let found = bearer_token(fields.iter().map(Vec::as_slice));
            if let Ok(Some(token)) = found {
                prop_assert_eq!(fields.len(), 1);
                prop_assert!(!token.is_empty() && !token.contains([' ', ',']));
            }
        }
    }
}
