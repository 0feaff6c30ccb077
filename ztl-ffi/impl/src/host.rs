//! The host that a request asks for (T21, rule 42).

use core::fmt;

use ztl_core::{Reason, is_host};

use crate::boundary::utf8;

/// What a request names as its host; nothing where it names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Host<'a>(Option<&'a [u8]>);

/// Why a request is not for this workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    /// Two fields name a host, or one does twice.
    Ambiguous,
    /// What is named is no host with an optional port.
    NoHost,
    /// It is not among `hosts`.
    Unlisted,
    /// A field asks for another method or target.
    Overridden,
}

impl Elsewhere {
    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::Ambiguous | Self::NoHost | Self::Overridden => Reason::PathAmbiguous,
            Self::Unlisted => Reason::Misdirected,
        }
    }
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ambiguous => {
                "the request's authority and its Host field differ, or one of them comes twice"
            }
            Self::NoHost => {
                "the request's authority or Host field is no host with an optional port: user information, a list, a path, or brackets \
                 around what is no IPv6 address are read in more ways than one"
            }
            Self::Unlisted => "the request's host is not among `hosts` of the workload",
            Self::Overridden => {
                "a header field asks for another method or target than the request's"
            }
        })
    }
}

impl<'a> Host<'a> {
    pub(crate) fn new(
        authority: Option<&'a [u8]>,
        field: Option<&'a [u8]>,
    ) -> Result<Self, Elsewhere> {
        match (authority, field) {
            (Some(one), Some(other)) if !one.eq_ignore_ascii_case(other) => {
                Err(Elsewhere::Ambiguous)
            }
            (authority, field) => Ok(Self(authority.or(field))),
        }
    }

    /// Whether it is one of these, or the workload's own name, by which other workloads call it (rule 42). Without a list any is; what
    /// is no host never is.
    pub(crate) fn is_one_of(self, hosts: &[impl AsRef<str>], me: &str) -> Result<(), Elsewhere> {
        // An empty one says that there is none (RFC 9112 §3.2).
        if (self.0).is_some_and(|host| !host.is_empty() && !is_host(host)) {
            return Err(Elsewhere::NoHost);
        }
        if hosts.is_empty() {
            return Ok(());
        }
        let listed = |host: &str| {
            is_same(me, host) || hosts.iter().any(|listed| is_same(listed.as_ref(), host))
        };
        // What is no text is nobody's name.
        let host = self.0.and_then(utf8).map(without_port);
        if host.is_some_and(listed) {
            Ok(())
        } else {
            Err(Elsewhere::Unlisted)
        }
    }
}

/// The colons of an address are within brackets (RFC 3986 §3.2.2).
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    }
}

/// Rule 42.
fn is_same(one: &str, two: &str) -> bool {
    let one = one.strip_suffix('.').unwrap_or(one);
    let two = two.strip_suffix('.').unwrap_or(two);
    one.eq_ignore_ascii_case(two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_42_a_host_is_compared_without_case_port_and_last_dot() {
        let hosts = ["api.example"];
        let asked = |host: &'static [u8]| Host(Some(host)).is_one_of(&hosts, "shop");
        for good in [
            b"api.example".as_slice(),
            b"API.example:8443",
            b"api.example.",
            b"api.example.:1",
            b"shop",
            b"Shop:8443",
        ] {
            assert_eq!(asked(good), Ok(()), "{good:?}");
        }
        for bad in [b"".as_slice(), b"example", b"api.example..", b"[::1]"] {
            assert_eq!(asked(bad), Err(Elsewhere::Unlisted), "{bad:?}");
        }
        for none in [
            b"api.example:x".as_slice(),
            b"u@api.example",
            b"api.example\xff",
            b" api.example",
        ] {
            assert_eq!(asked(none), Err(Elsewhere::NoHost), "{none:?}");
            assert_eq!(
                Host(Some(none)).is_one_of(&hosts[..0], "shop"),
                Err(Elsewhere::NoHost)
            );
        }
        assert_eq!(
            Host(None).is_one_of(&hosts, "shop"),
            Err(Elsewhere::Unlisted)
        );
        assert_eq!(Host(None).is_one_of(&hosts[..0], "shop"), Ok(()));
    }

    #[test]
    fn rfc_9113_8_3_1_authority_and_host_say_the_same() {
        assert_eq!(Host::new(Some(b"a"), Some(b"A")), Ok(Host(Some(b"a"))));
        assert_eq!(Host::new(None, Some(b"a")), Ok(Host(Some(b"a"))));
        assert_eq!(Host::new(Some(b"a"), Some(b"b")), Err(Elsewhere::Ambiguous));
        assert_eq!(Host::new(Some(b"a"), Some(b"")), Err(Elsewhere::Ambiguous));
    }
}
