//! Which of the header fields that say what a request asks for are there: found in one walk over all of them, which costs less than
//! a look for each.

use http::{HeaderMap, HeaderName, HeaderValue};
use ztl_core::{METHOD_OVERRIDES, TARGET_OVERRIDES, is_same_field};

/// What such a field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Host,
    Upgrade,
    Connection,
    Authorization,
    /// A client asks a framework to act under another method than the request's own.
    OtherMethod,
    /// A client asks a framework to serve another target than the request's own.
    OtherTarget,
    Xfcc,
    /// The same by another spelling: nobody passes anything on by it.
    OtherXfcc,
    Forwarded,
}

impl Field {
    /// Names are in lower case already. The overrides are `ztl_core`'s; a test compares them.
    #[inline]
    fn of(name: &HeaderName) -> Option<Self> {
        let name = name.as_str();
        Some(match name {
            "host" => Self::Host,
            "upgrade" => Self::Upgrade,
            "connection" => Self::Connection,
            "authorization" => Self::Authorization,
            "x-http-method-override" | "x-http-method" | "x-method-override" => Self::OtherMethod,
            "x-original-url" | "x-rewrite-url" => Self::OtherTarget,
            "x-forwarded-client-cert" => Self::Xfcc,
            "forwarded" => Self::Forwarded,
            // As long as an override, or that field.
            _ if matches!(name.len(), 13..=23) && name.contains('_') => {
                return Self::of_cgi(name);
            }
            _ => return None,
        })
    }

    /// What whoever reads fields as CGI names them takes for one of these.
    #[cold]
    fn of_cgi(name: &str) -> Option<Self> {
        let is = |known: &&str| is_same_field(name.as_bytes(), known);
        if METHOD_OVERRIDES.iter().any(is) {
            Some(Self::OtherMethod)
        } else if TARGET_OVERRIDES.iter().any(is) {
            Some(Self::OtherTarget)
        } else {
            is(&"x-forwarded-client-cert").then_some(Self::OtherXfcc)
        }
    }

    const fn bit(self) -> u16 {
        match self {
            Self::Host => 1,
            Self::Upgrade => 1 << 1,
            Self::Authorization => 1 << 2,
            Self::OtherMethod => 1 << 3,
            Self::OtherTarget => 1 << 4,
            Self::Xfcc => 1 << 5,
            Self::Forwarded => 1 << 6,
            Self::Connection => 1 << 7,
            Self::OtherXfcc => 1 << 8,
        }
    }
}

/// Which of them a request has, and which on more than one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    once: u16,
    again: u16,
}

impl Names {
    pub(crate) const fn has(self, field: Field) -> bool {
        self.once & field.bit() != 0
    }

    /// Whether it has it on more than one line.
    pub(crate) const fn repeats(self, field: Field) -> bool {
        self.again & field.bit() != 0
    }
}

/// The same with what the first line of some says. It may hold a credential: it has no `Debug`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Said<'a> {
    pub(crate) names: Names,
    pub(crate) host: Option<&'a HeaderValue>,
    pub(crate) upgrade: Option<&'a HeaderValue>,
    /// Whether a `Connection` field lists `upgrade`: without it an `Upgrade` asks for nothing (RFC 9110 §7.8).
    pub(crate) upgrades: bool,
    pub(crate) authorization: Option<&'a HeaderValue>,
}

impl<'a> Said<'a> {
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut said = Self::default();
        // A field of several lines comes several times, the first line first.
        for (name, line) in headers {
            let Some(field) = Field::of(name) else {
                continue;
            };
            said.names.again |= said.names.once & field.bit();
            said.names.once |= field.bit();
            let first = match field {
                Field::Host => &mut said.host,
                Field::Upgrade => &mut said.upgrade,
                Field::Authorization => &mut said.authorization,
                Field::Connection => {
                    said.upgrades |= lists_upgrade(line);
                    continue;
                }
                _ => continue,
            };
            first.get_or_insert(line);
        }
        said
    }
}

/// Whether `upgrade` is among the options of a line of `Connection` (RFC 9110 §7.6.1).
fn lists_upgrade(line: &HeaderValue) -> bool {
    let mut options = line.as_bytes().split(|byte| *byte == b',');
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_finds_what_a_look_for_each_would() {
        let names = [
            (Field::Host, "Host"),
            (Field::Upgrade, "upgrade"),
            (Field::Authorization, "Authorization"),
            (Field::Connection, "Connection"),
            (Field::Xfcc, "X-Forwarded-Client-Cert"),
            (Field::Forwarded, "Forwarded"),
        ];
        let methods = METHOD_OVERRIDES.map(|name| (Field::OtherMethod, name));
        let targets = TARGET_OVERRIDES.map(|name| (Field::OtherTarget, name));
        let names = [names.as_slice(), &methods, &targets].concat();
        for &(field, name) in &names {
            let name = HeaderName::try_from(name).expect("name");
            for lines in 0..3_u16 {
                let mut headers = HeaderMap::new();
                for other in ["accept", "hos", "x-http-methods", "forwarded-for"] {
                    headers.append(other, HeaderValue::from_static("x"));
                    headers.append(other, HeaderValue::from_static("y"));
                }
                for line in 0..lines {
                    headers.append(&name, HeaderValue::from(line));
                }
                let first = (lines > 0).then_some("0");
                let said = Said::of(&headers);
                let line = match field {
                    Field::Host => said.host,
                    Field::Upgrade => said.upgrade,
                    Field::Authorization => said.authorization,
                    _ => first.and_then(|_| headers.get(&name)),
                };
                assert_eq!(line.and_then(|line| line.to_str().ok()), first, "{name}");
                let said = said.names;
                assert_eq!(said.has(field), lines > 0, "{name} on {lines} lines");
                assert_eq!(said.repeats(field), lines > 1, "{name} on {lines} lines");
                let others = names.iter().filter(|(other, _)| *other != field);
                assert!(others.clone().all(|(other, _)| !said.has(*other)), "{name}");
            }
        }
    }

    #[test]
    fn t19_an_override_is_one_by_the_name_that_cgi_gives_it() {
        for (overrides, field) in [
            (METHOD_OVERRIDES.as_slice(), Field::OtherMethod),
            (&TARGET_OVERRIDES, Field::OtherTarget),
        ] {
            for name in overrides {
                for sent in [name.replace('-', "_"), name.replacen('-', "_", 1)] {
                    let sent = HeaderName::try_from(sent).expect("name");
                    assert_eq!(Field::of(&sent), Some(field), "{sent}");
                }
            }
        }
        let xfcc = HeaderName::from_static("x_forwarded-client_cert");
        assert_eq!(Field::of(&xfcc), Some(Field::OtherXfcc));
        for other in [
            "x_request_id_for_me",
            "x_http_methods",
            "x_forwarded_client_certs",
        ] {
            assert_eq!(Field::of(&HeaderName::from_static(other)), None, "{other}");
        }
    }

    #[test]
    fn rfc_9110_7_8_an_upgrade_is_listed_as_an_option_of_the_connection() {
        for (lines, upgrades) in [
            (&[][..], false),
            (&["upgrade"], true),
            (&["keep-alive, Upgrade"], true),
            (&["close", " upgrade ,x"], true),
            (&["upgrades", "up grade", "keep-alive", ""], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("connection", HeaderValue::from_static(line));
            }
            assert_eq!(Said::of(&headers).upgrades, upgrades, "{lines:?}");
        }
    }
}
