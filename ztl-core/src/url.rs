//! Where something is fetched from: an `https` URL, read strictly.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use http::Uri;
use thiserror::Error;

use crate::authority::HTTPS_PORT;

/// Most bytes of a URL.
pub const MAX_URL_BYTES: usize = 2048;

/// Why a URL is none that something is fetched from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// There are more than [`MAX_URL_BYTES`].
    #[error("is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// It is no URL with scheme and host.
    #[error("is not an absolute URL such as `https://host.example/document.json`")]
    Malformed,
    /// The scheme is another one: whoever is between could put something else in its place.
    #[error("does not begin with `https://`, and nothing is fetched over another scheme")]
    NotHttps,
    /// There is something before an `@`. A user name in a URL is there to mislead.
    #[error("has user information before its host")]
    UserInfo,
    /// The host is no DNS name and no address, where one is asked for that TLS can name.
    #[error("has a host that is neither a DNS name nor an address")]
    Host,
    /// The port is none.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// An issuer has neither (OpenID Connect Discovery 1.0 §3).
    #[error("has a query or a fragment, which an issuer's cannot have")]
    QueryOrFragment,
}

/// Whether it may come unencrypted from this very host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plain {
    /// `https` alone.
    Refuse,
    /// `http` too, at a loopback address written as a number.
    FromLoopback,
    /// `http` too, from anywhere: only for what is signed, and verified whole before it is read (T24).
    Signed,
}

impl Plain {
    fn takes(self, host: &str) -> bool {
        match self {
            Self::Refuse => false,
            Self::FromLoopback => is_loopback(host),
            Self::Signed => true,
        }
    }
}

/// A URL that something is fetched from: `https` without user information, or `http` where that is asked for by name ([`Plain`]).
///
/// ```
/// use ztl_core::url::{HttpUrl, Plain, UrlError};
///
/// let url = HttpUrl::parse("https://host.example:8443/keys?v=2", Plain::Refuse)?;
/// assert_eq!((url.host(), url.port(), url.target()), ("host.example", 8443, "/keys?v=2"));
/// assert_eq!(HttpUrl::parse("http://host.example/", Plain::FromLoopback), Err(UrlError::NotHttps));
/// # Ok::<(), UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    encrypted: bool,
    host: Box<str>,
    port: u16,
    target: Box<str>,
}

impl HttpUrl {
    /// Reads a URL. A fragment is dropped.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(text: &str, plain: Plain) -> Result<Self, UrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(UrlError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Malformed);
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        let authority = uri.authority().ok_or(UrlError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let bracketed = authority.host();
        let host = bracketed
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(bracketed);
        let (encrypted, usual) = match uri.scheme_str() {
            Some("https") => (true, HTTPS_PORT),
            Some("http") if plain.takes(host) => (false, 80),
            Some(_) => return Err(UrlError::NotHttps),
            None => return Err(UrlError::Malformed),
        };
        let port = match authority.as_str().strip_prefix(bracketed) {
            Some("") => usual,
            Some(port) => port
                .strip_prefix(':')
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .filter(|port| *port != 0)
                .ok_or(UrlError::Port)?,
            None => return Err(UrlError::Malformed),
        };
        if host.is_empty() {
            return Err(UrlError::Malformed);
        }
        Ok(Self {
            encrypted,
            host: host.into(),
            port,
            target: uri
                .path_and_query()
                .map_or("/", |target| target.as_str())
                .into(),
        })
    }

    /// Whether it is `https`. Where it is not, the host proves nothing: it is a loopback address, or what comes is signed.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The host, an IPv6 address without its brackets: what is dialled, and what a certificate must be for.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port: the scheme's own where none is written.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is this very host, written as a number.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// What a request asks for: path and query.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Host and port as the `Host` field has them (RFC 9110 §7.2).
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.to_string()
        };
        match (self.encrypted, self.port) {
            (true, HTTPS_PORT) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

/// Names are not looked up, so `localhost` is none: it is what a resolver says.
fn is_loopback(host: &str) -> bool {
    host.parse().is_ok_and(|host: IpAddr| host.is_loopback())
}

impl FromStr for HttpUrl {
    type Err = UrlError;

    /// Reads an `https` URL: as [`HttpUrl::parse`] does with [`Plain::Refuse`].
    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text, Plain::Refuse)
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.target)
    }
}

/// The start of a text that somebody else wrote, escaped, for an error.
///
/// ```
/// assert_eq!(&*ztl_core::url::shown("a\u{1b}[2J"), r"a\u{1b}[2J");
/// ```
#[must_use]
pub fn shown(text: &str) -> Box<str> {
    const MOST: usize = 200;
    let start = text.chars().take(MOST).flat_map(char::escape_debug);
    let mut shown: String = start.collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown.into()
}

/// Without the query, which may be a secret of the one who gave the URL away.
impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "https" } else { "http" };
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule63_only_https_and_a_loopback_address_where_asked_for() {
        for (text, refused, asked_for) in [
            ("https://a.test/k", None, None),
            (
                "http://a.test/k",
                Some(UrlError::NotHttps),
                Some(UrlError::NotHttps),
            ),
            ("http://127.0.0.1:9/k", Some(UrlError::NotHttps), None),
            ("http://[::1]:9/k", Some(UrlError::NotHttps), None),
            (
                "http://localhost/k",
                Some(UrlError::NotHttps),
                Some(UrlError::NotHttps),
            ),
            (
                "http://10.0.0.1/k",
                Some(UrlError::NotHttps),
                Some(UrlError::NotHttps),
            ),
            (
                "http://127.0.0.1.evil.test/k",
                Some(UrlError::NotHttps),
                Some(UrlError::NotHttps),
            ),
            (
                "ftp://127.0.0.1/k",
                Some(UrlError::NotHttps),
                Some(UrlError::NotHttps),
            ),
        ] {
            let seen = |plain| HttpUrl::parse(text, plain).err();
            assert_eq!(seen(Plain::Refuse), refused, "{text}");
            assert_eq!(seen(Plain::FromLoopback), asked_for, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for (text, error) in [
            ("https://u@a.test/", UrlError::UserInfo),
            ("https://a.test@b.test/", UrlError::UserInfo),
            ("https://a.test:0/", UrlError::Port),
            ("https://a.test:/", UrlError::Port),
            ("/keys", UrlError::Malformed),
            ("a.test", UrlError::Malformed),
            ("https://", UrlError::Malformed),
            ("https://a.test/ b", UrlError::Malformed),
            ("https://ä.test/", UrlError::Malformed),
            ("", UrlError::Malformed),
        ] {
            assert_eq!(
                HttpUrl::parse(text, Plain::FromLoopback).err(),
                Some(error),
                "{text}"
            );
        }
        let long = format!("https://a.test/{}", "a".repeat(MAX_URL_BYTES));
        assert_eq!(
            HttpUrl::parse(&long, Plain::Refuse).err(),
            Some(UrlError::TooLong)
        );
    }

    #[test]
    fn says_what_to_dial_and_what_to_ask() {
        for (text, host, port, target, authority) in [
            ("https://a.test", "a.test", 443, "/", "a.test"),
            (
                "HTTPS://a.test:443/x?y=1#z",
                "a.test",
                443,
                "/x?y=1",
                "a.test",
            ),
            ("https://a.test:8443/x", "a.test", 8443, "/x", "a.test:8443"),
            ("https://127.0.0.1:1/", "127.0.0.1", 1, "/", "127.0.0.1:1"),
            ("https://[::1]:9/", "::1", 9, "/", "[::1]:9"),
        ] {
            let url = HttpUrl::parse(text, Plain::Refuse).expect(text);
            let seen = (url.host(), url.port(), url.target(), url.authority());
            assert_eq!(seen, (host, port, target, authority.to_owned()));
            let again = HttpUrl::parse(&url.to_string(), Plain::Refuse);
            assert_eq!(again.as_ref(), Ok(&url));
        }
        let secret = HttpUrl::parse("https://a.test/k?s=1", Plain::Refuse).expect("url");
        assert_eq!(format!("{secret:?}"), "https://a.test/k");
    }
}
