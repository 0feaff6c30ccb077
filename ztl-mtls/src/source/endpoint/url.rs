//! Where a bundle endpoint is (Federation §5.2.1.1, §5.2.2.1; rule 24).

use core::fmt;

use rustls_pki_types::ServerName;
use ztl_core::url::{HttpUrl, Plain, UrlError};

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
    url: HttpUrl,
    name: ServerName<'static>,
}

impl EndpointUrl {
    /// Reads a URL. A fragment is dropped.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = HttpUrl::parse(text, Plain::Refuse)?;
        let name = ServerName::try_from(url.host().to_owned()).map_err(|_| UrlError::Host)?;
        Ok(Self { url, name })
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
        self.url.host()
    }

    /// The host as TLS names it: what a certificate of the Web PKI must be for.
    #[must_use]
    pub fn server_name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    /// The port, 443 where none is written.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.url.port()
    }

    /// What a request asks for: path and query.
    #[must_use]
    pub fn target(&self) -> &str {
        self.url.target()
    }

    /// Host and port as the `Host` field has them (RFC 9110 §7.2).
    #[must_use]
    pub fn authority(&self) -> String {
        self.url.authority()
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// Without the query, which may be a secret of the one who gave the URL away.
impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.url, f)
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
