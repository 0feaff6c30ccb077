//! Whom a URI names.

use http::header::UPGRADE;
use http::uri::{Authority, Scheme};
use http::{Method, Uri, request};

use super::error::EgressError;

/// What of a URI goes into errors: nothing that could be a credential or a query (T30).
pub(super) fn shown(uri: &Uri) -> String {
    match (uri.scheme(), uri.host()) {
        (Some(scheme), Some(host)) => format!("{scheme}://{host}"),
        (None, Some(host)) => host.to_owned(),
        (_, None) => "(no host)".to_owned(),
    }
}

/// What is judged as an upgrade would have to be sent as one, and no version of HTTP here does that.
pub(super) fn check_upgrade(parts: &request::Parts) -> Result<(), EgressError> {
    let refused = |what| Err(EgressError::Upgrade { what });
    if parts.headers.contains_key(UPGRADE) {
        refused("an `Upgrade` field")
    } else if parts.extensions.get::<hyper::ext::Protocol>().is_some() {
        refused("the protocol of an extended CONNECT")
    } else if parts.method == Method::CONNECT {
        refused("the method CONNECT")
    } else {
        Ok(())
    }
}

/// Whom a URI or a text names, by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    Workload(Box<str>),
    /// Outside the mesh.
    Host(Box<str>),
}

/// Whom a name means, or what is wrong with it.
pub(super) fn named(name: &str) -> Result<Named, &'static str> {
    let label = |label: &str| {
        let mut bytes = label.bytes();
        !label.is_empty() && bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    if !name.split('.').all(label) {
        return Err(
            "its host is neither the name of a workload (`a-z`, `0-9`, `-`) nor that of a host in lower case",
        );
    }
    // A workload's name has no dot, an external host has one (T27).
    match name.rsplit_once('.') {
        None => Ok(Named::Workload(name.into())),
        Some((_, last)) if last.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err("its host is an address, which proves nothing")
        }
        Some(_) => Ok(Named::Host(name.into())),
    }
}

/// Whom a URI names, and the port.
pub(super) fn target(uri: &Uri) -> Result<(Named, Option<u16>), EgressError> {
    let refused = |why| EgressError::Target {
        uri: shown(uri),
        why,
    };
    if uri.scheme() != Some(&Scheme::HTTPS) {
        return Err(refused("its scheme is not `https`"));
    }
    let authority: &Authority = uri.authority().ok_or_else(|| refused("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(refused("it holds user information"));
    }
    let host = authority.host();
    let named = named(host).map_err(refused)?;
    match (authority.port_u16(), authority.as_str().len() > host.len()) {
        (None | Some(0), true) => Err(refused("its port is not a number from 1 to 65535")),
        (port, _) => Ok((named, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t27_only_a_workload_or_a_host_by_name_over_https_is_a_target() {
        let of = |text: &str| target(&text.parse().expect("uri")).ok();
        let db = || Named::Workload("db".into());
        let hub = || Named::Host("hub.example.org".into());
        assert_eq!(of("https://db/x"), Some((db(), None)));
        assert_eq!(of("https://db:5432/x"), Some((db(), Some(5432))));
        assert_eq!(of("https://hub.example.org/x"), Some((hub(), None)));
        assert_eq!(
            of("https://hub.example.org:8443/x"),
            Some((hub(), Some(8443)))
        );
        for bad in [
            "http://db/x",
            "http://hub.example.org/x",
            "/x",
            "https://u@db/x",
            "https://u@hub.example.org/x",
            "https://hub.example.org./x",
            "https://hub..example/x",
            "https://.example/x",
            "https://HUB.example.org/x",
            "https://hub_1.example/x",
            "https://127.0.0.1/x",
            "https://0x7f.1/x",
            "https://DB/x",
            "https://db:/x",
            "https://db:0/x",
            "https://[::1]/x",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
