//! Where an issuer says what it is.

use ztl_core::url::{HttpUrl, Plain, UrlError};

/// The URL of an issuer's metadata (OpenID Connect Discovery 1.0 §4.1): below its own, without the slash at the end.
pub(super) fn of_metadata(issuer: &str, plain: Plain) -> Result<HttpUrl, UrlError> {
    if issuer.contains(['?', '#']) {
        return Err(UrlError::QueryOrFragment);
    }
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    HttpUrl::parse(&format!("{issuer}/.well-known/openid-configuration"), plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_no_query_and_no_fragment() {
        for issuer in [
            "https://a.test?x",
            "https://a.test/#",
            "https://a.test/?tenant=1",
        ] {
            let refused = of_metadata(issuer, Plain::Refuse).err();
            assert_eq!(refused, Some(UrlError::QueryOrFragment), "{issuer}");
        }
    }

    #[test]
    fn metadata_is_below_the_issuer() {
        for (issuer, url) in [
            (
                "https://a.test",
                "https://a.test/.well-known/openid-configuration",
            ),
            (
                "https://a.test/",
                "https://a.test/.well-known/openid-configuration",
            ),
            (
                "https://a.test:8443/realms/x",
                "https://a.test:8443/realms/x/.well-known/openid-configuration",
            ),
            (
                "https://[::1]:443/",
                "https://[::1]/.well-known/openid-configuration",
            ),
        ] {
            let read = of_metadata(issuer, Plain::Refuse).expect(issuer);
            assert_eq!(read.to_string(), url);
        }
    }
}
