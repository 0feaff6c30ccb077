//! Where a bundle endpoint is (Federation §5.2.1.1, §5.2.2.1; rule 24).

use core::fmt;

use http::Uri;
use http::uri::Scheme;
use rustls_pki_types::ServerName;
use thiserror::Error;

/// Most bytes of an endpoint's URL.
pub const MAX_URL_BYTES: usize = 2048;

/// Why a URL is none that a bundle is fetched from.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// There are more than [`MAX_URL_BYTES`].
    #[error("is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// It is no URL with scheme and host, or no path that begins with `/`.
    #[error("is not an absolute URL such as `https://host.example/bundle.json`")]
    Malformed,
    /// The scheme is another one.
    #[error("does not begin with `https://`, and a bundle is fetched over no other scheme")]
    NotHttps,
    /// There is something before an `@`.
    #[error("has user information before its host, which a bundle endpoint must not have")]
    UserInfo,
    /// The host is no DNS name and no address.
    #[error("has a host that is neither a DNS name nor an address")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
}

/// The URL of a bundle endpoint: `https`, no user information, a host that TLS can name.
///
/// ```
/// use ztl_mtls::source::{EndpointUrl, UrlError};
///
/// let url = EndpointUrl::parse("https://partner.example:8443/bundle.json")?;
/// assert_eq!((url.host(), url.port(), url.target()), ("partner.example", 8443, "/bundle.json"));
/// assert_eq!(EndpointUrl::parse("http://partner.example/"), Err(UrlError::NotHttps));
/// assert_eq!(EndpointUrl::parse("https://a@partner.example/"), Err(UrlError::UserInfo));
/// # Ok::<(), UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    host: Box<str>,
    name: ServerName<'static>,
    port: u16,
    target: Box<str>,
}

impl EndpointUrl {
    /// Reads a URL. A fragment is dropped.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(UrlError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Malformed);
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        let scheme = uri.scheme().ok_or(UrlError::Malformed)?;
        if *scheme != Scheme::HTTPS {
            return Err(UrlError::NotHttps);
        }
        let authority = uri.authority().ok_or(UrlError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let host = authority.host();
        let port = match authority.as_str().strip_prefix(host) {
            Some("") => 443,
            Some(port) => port
                .strip_prefix(':')
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .filter(|port| *port != 0)
                .ok_or(UrlError::Port)?,
            None => return Err(UrlError::Malformed),
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| UrlError::Host)?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Self {
            host: bare.into(),
            name,
            port,
            target: target.into(),
        })
    }

    /// Where a redirect leads: an absolute URL, or a path on the same host. It obeys the same rules.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn redirect(&self, location: &str) -> Result<Self, UrlError> {
        if location.starts_with("//") {
            return Self::parse(&format!("https:{location}"));
        }
        if location.starts_with('/') {
            return Self::parse(&format!("https://{}{location}", self.authority()));
        }
        Self::parse(location)
    }

    /// The host, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host as TLS names it: what a certificate of the Web PKI must be for.
    #[must_use]
    pub fn server_name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    /// The port, 443 where none is written.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What a request asks for: path and query.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Host and port as the `Host` field has them (RFC 9110 §7.2).
    #[must_use]
    pub fn authority(&self) -> String {
        let bracketed = self.host.contains(':');
        let host = if bracketed {
            format!("[{}]", self.host)
        } else {
            self.host.to_string()
        };
        match self.port {
            443 => host,
            port => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority(), self.target)
    }
}

/// Without the query, which may be a secret of the one who gave the URL away.
impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "https://{}{path}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_24_only_https_without_user_information() {
        for (text, error) in [
            ("http://a.test/b", UrlError::NotHttps),
            ("ftp://a.test/b", UrlError::NotHttps),
            ("https://user@a.test/", UrlError::UserInfo),
            ("https://user:pw@a.test/", UrlError::UserInfo),
            ("https://a.test@b.test/", UrlError::UserInfo),
            ("https://a.test:0/", UrlError::Port),
            ("https://a_b!.test/", UrlError::Host),
            ("/bundle.json", UrlError::Malformed),
            ("a.test", UrlError::Malformed),
            ("https://", UrlError::Malformed),
            ("https://a.test/\r\nHost: b", UrlError::Malformed),
            ("https://ä.test/", UrlError::Malformed),
            ("", UrlError::Malformed),
        ] {
            assert_eq!(EndpointUrl::parse(text), Err(error), "{text}");
        }
        for port in [":", ":99999", ":-1", ":+443"] {
            assert!(
                EndpointUrl::parse(&format!("https://a.test{port}/")).is_err(),
                "{port}"
            );
        }
        let long = format!("https://a.test/{}", "a".repeat(MAX_URL_BYTES));
        assert_eq!(EndpointUrl::parse(&long), Err(UrlError::TooLong));
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
            let url = EndpointUrl::parse(text).expect(text);
            let seen = (url.host(), url.port(), url.target(), url.authority());
            assert_eq!(seen, (host, port, target, authority.to_owned()));
            assert_eq!(EndpointUrl::parse(&url.to_string()).as_ref(), Ok(&url));
        }
        let secret = EndpointUrl::parse("https://a.test/b?token=x").expect("url");
        assert_eq!(format!("{secret:?}"), "https://a.test/b");
    }

    #[test]
    fn rule_24_a_redirect_obeys_the_same_rules() {
        let url = EndpointUrl::parse("https://a.test:8443/x").expect("url");
        for (location, leads) in [
            ("/y?z", Ok("https://a.test:8443/y?z")),
            ("https://b.test/y", Ok("https://b.test/y")),
            ("//b.test/y", Ok("https://b.test/y")),
            ("http://a.test:8443/y", Err(UrlError::NotHttps)),
            ("//u@b.test/y", Err(UrlError::UserInfo)),
            ("https://u:p@a.test/y", Err(UrlError::UserInfo)),
            ("y", Err(UrlError::Malformed)),
            ("../y", Err(UrlError::Malformed)),
            ("file:///etc/passwd", Err(UrlError::Malformed)),
            ("", Err(UrlError::Malformed)),
        ] {
            let led = url.redirect(location).map(|url| url.to_string());
            assert_eq!(led, leads.map(str::to_owned), "{location}");
        }
    }
}
