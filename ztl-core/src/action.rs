//! What a caller asks for on a flow: a request, an upgrade, or raw bytes.

use core::fmt;

use crate::path::{CanonicalPath, PathError};

/// A request method, exactly as RFC 9110 §9 spells it: case-sensitive (rule 44).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`: permitted only where a rule names it, forbidden wherever `GET` is (rule 45)
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// Any other: never permitted, so that a new method cannot slip past an old rule
    Other,
}

impl Method {
    /// All that a rule can name.
    pub const NAMED: [Self; 7] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Patch,
        Self::Delete,
        Self::Options,
    ];

    /// The method of this exact spelling; [`Method::Other`] for any other text, `get` and `CONNECT` among them.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        match name.as_bytes() {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"PATCH" => Self::Patch,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Get => 1,
            Self::Head => 1 << 1,
            Self::Post => 1 << 2,
            Self::Put => 1 << 3,
            Self::Patch => 1 << 4,
            Self::Delete => 1 << 5,
            Self::Options => 1 << 6,
            Self::Other => 0,
        }
    }

    /// Its spelling; `?` for [`Method::Other`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Other => "?",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of methods that a rule can name. Shown in the order of [`Method::NAMED`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Methods(u8);

impl Methods {
    /// All that a rule can name.
    pub const ALL: Self = Self(0x7f);

    /// This one; none for [`Method::Other`].
    #[must_use]
    pub const fn of(method: Method) -> Self {
        Self(method.bit())
    }

    /// Whether the method is one of them. [`Method::Other`] never is.
    #[must_use]
    pub const fn contains(self, method: Method) -> bool {
        self.0 & method.bit() != 0
    }

    /// Whether a method is in both.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These and those.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// One bit each; the highest is never set.
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Method> {
        (Method::NAMED.into_iter()).filter(move |method| self.contains(*method))
    }
}

impl FromIterator<Method> for Methods {
    /// [`Method::Other`] is left out: no set holds it.
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Self {
        Self(
            methods
                .into_iter()
                .fold(0, |set, method| set | method.bit()),
        )
    }
}

impl fmt::Display for Methods {
    /// As a rule writes them: `GET,POST`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, method) in self.iter().enumerate() {
            write!(f, "{}{method}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// What a request wants its connection to become (RFC 9110 §7.8, RFC 8441).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Upgrade<'a> {
    /// A WebSocket (RFC 6455).
    WebSocket,
    /// Any other protocol, by its token.
    Other(&'a str),
}

impl<'a> Upgrade<'a> {
    /// Reads the value of an `Upgrade` field. A list is one token that no rule names.
    #[must_use]
    pub fn parse(token: &'a str) -> Self {
        let token = token.trim_ascii();
        if token.eq_ignore_ascii_case("websocket") {
            Self::WebSocket
        } else {
            Self::Other(token)
        }
    }
}

/// The resource that a request names: its method and canonical path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource<'a> {
    method: Method,
    path: CanonicalPath<'a>,
    upgrade: Option<Upgrade<'a>>,
}

impl<'a> Resource<'a> {
    /// The method.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The path.
    #[must_use]
    pub const fn path(&self) -> CanonicalPath<'a> {
        self.path
    }

    /// The same, where it stands.
    pub(crate) const fn canonical(&self) -> &CanonicalPath<'a> {
        &self.path
    }

    /// What the request wants its connection to become, if anything.
    #[must_use]
    pub const fn upgrade(&self) -> Option<Upgrade<'a>> {
        self.upgrade
    }
}

/// What a caller asks for.
///
/// ```
/// use ztl_core::Action;
///
/// let action = Action::request("POST", "/v1/models/llama/infer?stream=1")?;
/// assert_eq!(action.to_string(), "POST /v1/models/llama/infer");
/// # Ok::<(), ztl_core::PathError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action<'a> {
    /// A request with method and path; a gRPC call is `POST /pkg.Service/Method`.
    Request(Resource<'a>),
    /// Raw bytes over the flow.
    Connect,
}

impl<'a> Action<'a> {
    /// A request, from its method and its raw target as they stood on the wire.
    ///
    /// # Errors
    /// [`PathError`] where the target has more than one reading: refuse with
    /// [`Reason::PathAmbiguous`](crate::Reason::PathAmbiguous).
    pub fn request(method: &str, target: &'a str) -> Result<Self, PathError> {
        let path = CanonicalPath::parse(target)?;
        Ok(Self::Request(Resource {
            method: Method::parse(method),
            path,
            upgrade: None,
        }))
    }

    /// The same request, asking to upgrade its connection: an action of its own, which no plain rule permits.
    #[must_use]
    pub fn with_upgrade(self, token: &'a str) -> Self {
        match self {
            Self::Request(resource) => Self::Request(Resource {
                upgrade: Some(Upgrade::parse(token)),
                ..resource
            }),
            Self::Connect => Self::Connect,
        }
    }

    /// The request's resource; `None` for raw bytes.
    #[must_use]
    pub const fn resource(&self) -> Option<&Resource<'a>> {
        match self {
            Self::Request(resource) => Some(resource),
            Self::Connect => None,
        }
    }
}

impl fmt::Display for Action<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Request(Resource {
                method,
                path,
                upgrade,
            }) => match upgrade {
                None => write!(f, "{method} {path}"),
                Some(Upgrade::WebSocket) => write!(f, "websocket {path}"),
                Some(Upgrade::Other(token)) => write!(f, "upgrade:{} {path}", token.escape_debug()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_44_methods_are_exact() {
        assert_eq!(Method::parse("GET"), Method::Get);
        for other in ["get", "Get", "CONNECT", "TRACE", "", "GET ", "?"] {
            assert_eq!(Method::parse(other), Method::Other, "{other}");
        }
    }

    #[test]
    fn an_upgrade_is_named_as_such() {
        let chat = Action::request("GET", "/chat").expect("path");
        assert_eq!(
            chat.with_upgrade("WebSocket").to_string(),
            "websocket /chat"
        );
        assert_eq!(
            chat.with_upgrade("h2c, websocket").to_string(),
            "upgrade:h2c, websocket /chat"
        );
    }
}
