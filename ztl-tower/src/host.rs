//! Whether a request asks for the host that its connection was made for (T21).

use core::fmt;
use std::sync::Arc;

use http::HeaderValue;
use http::request::Parts;
use http::uri::Authority;

use crate::live::Asking;
use crate::said::Said;

/// The server name that a client asked for in its TLS handshake (RFC 6066 §3): in the extensions of a request of a server of your own,
/// for [`Guard::authorize`](crate::Guard::authorize) to compare with the request's host. A listener of the guard needs none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerName(Box<str>);

impl ServerName {
    /// From the handshake, as rustls has it (`ServerConnection::server_name`).
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }
}

/// A request for a host that is not here. Answered with 421 (RFC 9110 §15.5.20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    /// Another than the connection was made for.
    Connection,
    /// Not among `hosts`.
    Unlisted,
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "the request's host is not the server name of its connection",
            Self::Unlisted => "the request's host is not among `hosts` of the workload",
        })
    }
}

/// Checks the host of a request whose authority and Host field agree. `hosts` are those of the workload, which answers to its
/// own name as well, by which other workloads call it.
pub(crate) fn check(
    parts: &Parts,
    said: &Said<'_>,
    hosts: &[Arc<str>],
    me: &str,
    asking: Option<&Asking>,
) -> Result<(), Elsewhere> {
    let name = asking
        .and_then(Asking::server_name)
        .or_else(|| parts.extensions.get::<ServerName>().map(|name| &*name.0));
    if name.is_none() && hosts.is_empty() {
        return Ok(());
    }
    let host = host_of(parts.uri.authority(), said.host);
    if let (Some(name), Some(host)) = (name, host)
        && !is_same(name, host)
    {
        return Err(Elsewhere::Connection);
    }
    if is_listed(host, hosts, me) {
        Ok(())
    } else {
        Err(Elsewhere::Unlisted)
    }
}

/// The host that a request asked for: while it runs, the policy has to list it (law 8). Nothing of its text is copied.
#[cfg(feature = "serve")]
pub(crate) enum Host {
    /// That of the connection.
    Connection,
    Authority(Authority),
    Field(HeaderValue),
    Unsaid,
}

#[cfg(feature = "serve")]
impl Host {
    /// Of a request that [`check`] let pass.
    pub(crate) fn of(parts: &Parts, said: &Said<'_>, asking: &Asking) -> Self {
        match (parts.uri.authority(), said.host) {
            (None, None) => Self::Unsaid,
            _ if asking.server_name().is_some() => Self::Connection,
            (Some(authority), _) => Self::Authority(authority.clone()),
            (None, Some(field)) => Self::Field(field.clone()),
        }
    }

    /// Whether the workload of this name, whose `hosts` these are, still answers to it. `server_name` is that of its connection.
    pub(crate) fn is_listed(
        &self,
        hosts: &[Arc<str>],
        me: &str,
        server_name: Option<&str>,
    ) -> bool {
        let host = match self {
            Self::Connection => server_name,
            Self::Authority(authority) => host_of(Some(authority), None),
            Self::Field(field) => host_of(None, Some(field)),
            Self::Unsaid => None,
        };
        is_listed(host, hosts, me)
    }
}

/// Whether a workload of this name, whose `hosts` these are, answers to a host.
fn is_listed(host: Option<&str>, hosts: &[Arc<str>], me: &str) -> bool {
    let listed = |host| is_same(me, host) || hosts.iter().any(|listed| is_same(listed, host));
    hosts.is_empty() || host.is_some_and(listed)
}

/// The host, without its port.
fn host_of<'a>(
    authority: Option<&'a Authority>,
    field: Option<&'a HeaderValue>,
) -> Option<&'a str> {
    let text = match authority {
        Some(authority) => authority.as_str(),
        // What is no text is nobody's name.
        None => field?.to_str().unwrap_or(""),
    };
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let before = text.len().saturating_sub(digits);
    // The colons of an address are within brackets (RFC 3986 §3.2.2).
    Some((text.get(..before).and_then(|host| host.strip_suffix(':'))).unwrap_or(text))
}

/// Rule 42.
fn is_same(one: &str, two: &str) -> bool {
    if one == two {
        return true;
    }
    let one = one.strip_suffix('.').unwrap_or(one);
    let two = two.strip_suffix('.').unwrap_or(two);
    one.eq_ignore_ascii_case(two)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use http::header::HOST;

    fn asked(
        uri: &str,
        host: Option<&str>,
        name: Option<&str>,
        hosts: &[&str],
    ) -> Result<(), Elsewhere> {
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let (mut parts, ()) = request.body(()).expect("request").into_parts();
        if let Some(name) = name {
            parts.extensions.insert(ServerName::new(name));
        }
        let hosts: Vec<Arc<str>> = hosts.iter().map(|host| (*host).into()).collect();
        let said = Said::of(&parts.headers);
        check(&parts, &said, &hosts, "shop", None)
    }

    #[test]
    fn t21_the_host_is_that_of_the_connection() {
        for (uri, host) in [
            ("/x", "A.example:8443"),
            ("/x", "a.example."),
            ("/x", "a.example:"),
        ] {
            assert_eq!(
                asked(uri, Some(host), Some("a.example"), &[]),
                Ok(()),
                "{host}"
            );
        }
        for authority in ["A.example.", "a.example:8443", "a.example:"] {
            let uri = format!("https://{authority}/x");
            assert_eq!(asked(&uri, None, Some("a.example"), &[]), Ok(()), "{uri}");
        }
        for authority in [
            "b.example",
            "a.example.b:1",
            "a.example@b.example",
            "[::1]:1",
        ] {
            let uri = format!("https://{authority}/x");
            let elsewhere = Err(Elsewhere::Connection);
            assert_eq!(
                asked(&uri, None, Some("a.example"), &[]),
                elsewhere,
                "{uri}"
            );
        }
        for host in [
            "b.example",
            "a.example.b",
            "a.example:x",
            "",
            "[::1]:1",
            "a.example..",
        ] {
            assert_eq!(
                asked("/x", Some(host), Some("a.example"), &[]),
                Err(Elsewhere::Connection),
                "{host}"
            );
        }
        // Nothing was asked for: a client that dials an address sends no name.
        assert_eq!(asked("/x", Some("b.example"), None, &[]), Ok(()));
        // HTTP/1.0 may name no host.
        assert_eq!(asked("/x", None, Some("a.example"), &[]), Ok(()));
    }

    #[test]
    fn rule_42_the_host_is_one_that_the_workload_lists() {
        let hosts = ["a.example", "b.example"];
        assert_eq!(asked("/x", Some("B.example:1"), None, &hosts), Ok(()));
        assert_eq!(asked("https://shop/x", None, Some("shop"), &hosts), Ok(()));
        for host in [Some("c.example"), Some("[::1]"), None] {
            assert_eq!(
                asked("/x", host, None, &hosts),
                Err(Elsewhere::Unlisted),
                "{host:?}"
            );
        }
        assert_eq!(
            asked("/x", Some("c.example"), Some("c.example"), &hosts),
            Err(Elsewhere::Unlisted)
        );
    }
}
