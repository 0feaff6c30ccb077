//! The token of a request (RFC 6750 §2).

use super::compact::MAX_TOKEN_BYTES;

/// Finds the bearer token among the values of a request's `Authorization` fields (RFC 6750 §2.1). `query` is that of its target, as it
/// stood on the wire.
///
/// No field, or one of another scheme, is no token: `Ok(None)`. The scheme's letter case does not count (RFC 9110 §11.1).
/// A parameter `access_token` in the query (RFC 6750 §2.3) is a credential that stands in every log on the way: with it there is no good
/// token, whatever the fields hold, so that what asks for one denies (T16). Its name counts in any letter case, escaped or not, and `;`
/// parts parameters as `&` does; other spellings that a framework may make of it do not count. A form (RFC 6750 §2.2) is not read.
///
/// ```
/// use ztl_authz::jwt::{BearerError, bearer_token};
///
/// assert_eq!(bearer_token([b"Bearer abc.def.ghi".as_slice()], None), Ok(Some("abc.def.ghi")));
/// assert_eq!(bearer_token([b"Basic dTpw".as_slice()], Some("page=2")), Ok(None));
/// assert_eq!(bearer_token([], None), Ok(None));
/// assert_eq!(bearer_token([], Some("access_token=abc.def.ghi")), Err(BearerError::InQuery));
/// assert_eq!(
///     bearer_token([b"Bearer a".as_slice(), b"Bearer b".as_slice()], None),
///     Err(BearerError::SeveralCredentials)
/// );
/// ```
///
/// # Errors
///
/// A token in the query, more than one field (RFC 9110 §5.3 allows one), a field that is no credential, and a token that is empty, too long, or has
/// other characters than `b64token`.
pub fn bearer_token<'a>(
    authorization: impl IntoIterator<Item = &'a [u8]>,
    query: Option<&str>,
) -> Result<Option<&'a str>, BearerError> {
    if query.is_some_and(bears_token) {
        return Err(BearerError::InQuery);
    }
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

/// Whether a query has a parameter `access_token` (RFC 6750 §2.3), as [`bearer_token`] looks for it: for a host that verifies tokens itself.
#[must_use]
pub fn bears_token(query: &str) -> bool {
    query.split(['&', ';']).any(|parameter| {
        let name = parameter.split('=').next().unwrap_or_default();
        let name = unescaped(name.as_bytes()).map(|byte| byte.to_ascii_lowercase());
        name.eq(*b"access_token")
    })
}

/// The bytes of a name in a query; an escape that is none stands for itself (RFC 3986 §2.1).
fn unescaped(mut left: &[u8]) -> impl Iterator<Item = u8> {
    core::iter::from_fn(move || {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        if let [b'%', high, low, rest @ ..] = left
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
            && let Ok(byte) = u8::try_from(high * 16 + low)
        {
            left = rest;
            return Some(byte);
        }
        let (first, rest) = left.split_first()?;
        left = rest;
        Some(*first)
    })
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

/// Why the credentials of a request were refused. Its text holds nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BearerError {
    /// A token in the query.
    #[error(
        "the request has an `access_token` in its query: send it in the `Authorization` field, and there alone"
    )]
    InQuery,
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
            Self::InQuery => "token_in_query",
            Self::SeveralCredentials => "authorization_several",
            Self::Malformed => "authorization_malformed",
            Self::TooLong => "token_too_long",
        }
    }

    /// The `error` of the challenge to answer with (RFC 6750 §3.1).
    #[must_use]
    pub const fn challenge(&self) -> &'static str {
        match self {
            Self::InQuery | Self::SeveralCredentials | Self::Malformed => "invalid_request",
            Self::TooLong => "invalid_token",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(field: &str) -> Result<Option<&str>, BearerError> {
        bearer_token([field.as_bytes()], None)
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
                bearer_token([b"Bearer a".as_slice(), second.as_bytes()], None),
                Err(BearerError::SeveralCredentials)
            );
        }
        assert_eq!(one("Bearer a, Bearer b"), Err(BearerError::Malformed));
        assert_eq!(one("Bearer a b"), Err(BearerError::Malformed));
    }

    #[test]
    fn t16_a_token_in_the_query_is_refused_beside_another_and_alone() {
        let field = [b"Bearer a".as_slice()];
        for query in [
            "access_token=a",
            "access_token=",
            "access_token",
            "page=2&access_token=a",
            "page=2;access_token=a&x",
            "Access_Token=a",
            "access%5ftoken=a",
            "%61%63cess_token=a",
            "&&=&access_token=a&access_token=b",
        ] {
            for fields in [&field[..], &[]] {
                let found = bearer_token(fields.iter().copied(), Some(query));
                assert_eq!(found, Err(BearerError::InQuery), "{query}");
            }
        }
        for query in [
            "",
            "&",
            "page=access_token",
            "page=2&access_token_type=a",
            "xaccess_token=a",
            "access_toke%6",
            "access_token%=a",
            "access%255ftoken=a",
            "access+token=a",
            "%",
            "é=access_token",
        ] {
            assert_eq!(bearer_token(field, Some(query)), Ok(Some("a")), "{query}");
        }
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
            bearer_token([b"Bearer \xff".as_slice()], None),
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
        fn any_fields_are_answered(fields in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..3), query in ".{0,40}") {
            let found = bearer_token(fields.iter().map(Vec::as_slice), Some(&query));
            if let Ok(Some(token)) = found {
                prop_assert_eq!(fields.len(), 1);
                prop_assert!(!token.is_empty() && !token.contains([' ', ',']));
            }
        }
    }
}
