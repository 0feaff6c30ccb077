//! Header fields that belong to one connection, and not to a request that a client hands over.

use http::HeaderMap;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};

/// Framing is the connection's own to write, from the body that is really sent; the others are meant for the next hop
/// (RFC 9110 §7.6.1) or for a proxy, and there is none.
static OF_ONE_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Takes out what belongs to one connection: `Connection` and the fields that it names, framing, and what is meant for
/// proxies. Tells whether `TE: trailers` was asked for and nothing else, which gRPC does and HTTP/2 permits (RFC 9113 §8.2.2).
pub(super) fn strip(headers: &mut HeaderMap) -> bool {
    let mut asked = headers.get_all(TE).iter();
    let trailers = asked.next().is_some_and(|value| value == "trailers") && asked.next().is_none();
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named.iter().chain(&OF_ONE_CONNECTION) {
        headers.remove(name);
    }
    trailers
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn what_belongs_to_one_connection_goes_and_the_rest_stays() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-a, X-B ,close"),
            ("connection", "x-c,, not a name"),
            ("x-a", "1"),
            ("x-b", "1"),
            ("x-c", "1"),
            ("keep-alive", "timeout=5"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("trailer", "x-t"),
            ("proxy-authorization", "secret"),
            ("proxy-connection", "close"),
            ("upgrade", "h2c"),
            ("authorization", "Bearer x"),
            ("x-d", "1"),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        assert!(strip(&mut headers));
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["authorization", "x-d"]);
    }

    #[test]
    fn rfc_9113_8_2_2_te_is_trailers_or_nothing() {
        for (values, kept) in [
            (&["trailers"][..], true),
            (&["trailers, gzip"], false),
            (&["trailers", "gzip"], false),
            (&["gzip"], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(TE, HeaderValue::from_static(value));
            }
            assert_eq!(strip(&mut headers), kept, "{values:?}");
            assert!(headers.is_empty());
        }
    }
}
