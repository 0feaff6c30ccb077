//! Which actions a rule speaks of: a method and a path template, a gRPC method, an upgrade, raw bytes.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::action::{Action, Method, Methods, Upgrade};
use crate::path::{PathError, Segment};

use super::template::Template;

/// Why a text is no action pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternError {
    /// None of the forms.
    #[error(
        "is no action; write `METHOD /path`, `grpc pkg.Service/Method`, `websocket /path`, `upgrade:token /path`, `connect` or `any`"
    )]
    Form,
    /// A method that no rule can name.
    #[error("names the method `{0}`; a rule can name {known}", known = named_methods())]
    Method(String),
    /// The method `CONNECT`, which is always denied.
    #[error("names the method CONNECT, which is always denied; for raw bytes write `connect`")]
    ConnectMethod,
    /// A path that no request could have.
    #[error("has a path that no request can have: {0}")]
    Path(PathError),
    /// A segment that mixes text and parameter, or has an empty or repeated parameter name.
    #[error(
        "has the segment `{0}`: a segment is all text or one parameter `{{name}}`, `{{name:uuid}}`, `{{name:int}}` or, at the end, `{{*name}}`"
    )]
    Segment(String),
    /// Two parameters with one name.
    #[error("has two parameters called `{0}`")]
    Repeated(String),
    /// A gRPC service or method that is none.
    #[error("has no gRPC method `pkg.Service/Method` or `pkg.Service/*`")]
    Grpc,
    /// An upgrade token that RFC 9110 does not allow.
    #[error("has no upgrade token that RFC 9110 §7.8 allows")]
    Token,
}

impl From<PathError> for PatternError {
    fn from(error: PathError) -> Self {
        Self::Path(error)
    }
}

fn named_methods() -> String {
    Method::NAMED.map(Method::as_str).join(", ")
}

/// One action, or one family of actions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActionPattern {
    /// `METHOD[,METHOD] /path`
    Http {
        /// The named methods.
        methods: Methods,
        /// The path.
        path: Template,
    },
    /// `grpc pkg.Service/Method`; without a method: `grpc pkg.Service/*`
    Grpc {
        /// `pkg.Service`
        service: Arc<str>,
        /// The method; `None` for all of them.
        method: Option<Arc<str>>,
    },
    /// `websocket /path`
    WebSocket(Template),
    /// `upgrade:token /path`, of any token but `websocket`
    Upgrade {
        /// The protocol, lower case.
        token: Arc<str>,
        /// The path.
        path: Template,
    },
    /// `connect`
    Connect,
    /// `any`: every request that asks for no upgrade; `HEAD` has to be named beside it.
    Any,
}

impl ActionPattern {
    /// Reads a pattern as a policy writes it.
    ///
    /// # Errors
    /// [`PatternError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        match text {
            "connect" => return Ok(Self::Connect),
            "any" => return Ok(Self::Any),
            _ => {}
        }
        let (verb, rest) = text.split_once(' ').ok_or(PatternError::Form)?;
        if let Some(token) = verb.strip_prefix("upgrade:") {
            if token.is_empty() || !token.bytes().all(is_token_byte) {
                return Err(PatternError::Token);
            }
            let path = Template::parse(rest)?;
            // The same by another name.
            if Upgrade::parse(token) == Upgrade::WebSocket {
                return Ok(Self::WebSocket(path));
            }
            return Ok(Self::Upgrade {
                token: token.to_ascii_lowercase().into(),
                path,
            });
        }
        match verb {
            "grpc" => parse_grpc(rest),
            "websocket" => Template::parse(rest).map(Self::WebSocket),
            _ => Ok(Self::Http {
                methods: parse_methods(verb)?,
                path: Template::parse(rest)?,
            }),
        }
    }

    /// Whether a permit with this pattern covers the action: only what is named (rule 45).
    #[must_use]
    pub fn permits(&self, action: &Action<'_>) -> bool {
        let Action::Request(resource) = action else {
            return matches!(self, Self::Connect);
        };
        match (self, resource.upgrade()) {
            (Self::Http { methods, path }, None) => {
                methods.contains(resource.method()) && path.matches(resource.path())
            }
            (Self::Grpc { service, method }, None) => {
                resource.method() == Method::Post
                    && grpc_covers(service, method.as_deref(), resource.path().segments())
            }
            (Self::Any, None) => !matches!(resource.method(), Method::Head | Method::Other),
            (Self::WebSocket(path), Some(Upgrade::WebSocket)) => {
                resource.method() == Method::Get && path.matches(resource.path())
            }
            (Self::Upgrade { token, path }, Some(Upgrade::Other(asked))) => {
                resource.method() == Method::Get
                    && token.eq_ignore_ascii_case(asked)
                    && path.matches(resource.path())
            }
            _ => false,
        }
    }

    /// Whether a forbid with this pattern covers the action. Wider than [`permits`](Self::permits): `GET` covers `HEAD`
    /// (rule 45), a plain method covers the request that asks for an upgrade, `grpc` covers its path under any method
    /// (T20), and every pattern covers raw bytes, in which anything could be asked.
    #[must_use]
    pub fn forbids(&self, action: &Action<'_>) -> bool {
        let Action::Request(resource) = action else {
            return true;
        };
        match self {
            Self::Http { methods, path } => {
                let method = resource.method();
                let named = methods.contains(method)
                    || (method == Method::Head && methods.contains(Method::Get))
                    || method == Method::Other;
                named && path.forbids(resource.path())
            }
            Self::Grpc { service, method } => {
                {
                    // With a slash more or less at the end (T19).
                    let segments = resource.path().segments();
                    grpc_covers(
                        service,
                        method.as_deref(),
                        segments.filter(|segment| !segment.is_empty()),
                    )
                }
            }
            Self::WebSocket(path) => resource.upgrade().is_some() && path.forbids(resource.path()),
            Self::Upgrade { path, .. } => {
                resource.upgrade().is_some() && path.forbids(resource.path())
            }
            Self::Connect => false,
            Self::Any => true,
        }
    }

    /// The path template, where it has one.
    #[must_use]
    pub const fn template(&self) -> Option<&Template> {
        match self {
            Self::Http { path, .. } | Self::WebSocket(path) | Self::Upgrade { path, .. } => {
                Some(path)
            }
            Self::Grpc { .. } | Self::Connect | Self::Any => None,
        }
    }

    /// The paths that it names; none where it names all, or what has none.
    pub(super) fn path(&self) -> Option<Template> {
        match self {
            Self::Grpc { service, method } => Some(Template::of_grpc(service, method.as_deref())),
            _ => self.template().cloned(),
        }
    }
}

impl FromStr for ActionPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

impl fmt::Display for ActionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { methods, path } => write!(f, "{methods} {path}"),
            Self::Grpc { service, method } => {
                write!(f, "grpc {service}/{}", method.as_deref().unwrap_or("*"))
            }
            Self::WebSocket(path) => write!(f, "websocket {path}"),
            Self::Upgrade { token, path } => write!(f, "upgrade:{token} {path}"),
            Self::Connect => f.write_str("connect"),
            Self::Any => f.write_str("any"),
        }
    }
}

fn parse_methods(list: &str) -> Result<Methods, PatternError> {
    let mut methods = Methods::default();
    for name in list.split(',') {
        match Method::parse(name) {
            Method::Other if name == "CONNECT" => return Err(PatternError::ConnectMethod),
            Method::Other if name.is_empty() || !name.bytes().all(is_token_byte) => {
                return Err(PatternError::Form);
            }
            Method::Other => return Err(PatternError::Method(name.to_owned())),
            method => methods = methods.union(Methods::of(method)),
        }
    }
    Ok(methods)
}

fn parse_grpc(text: &str) -> Result<ActionPattern, PatternError> {
    let (service, method) = text.split_once('/').ok_or(PatternError::Grpc)?;
    let dotted = !service.is_empty() && service.split('.').all(is_name);
    match method {
        "*" if dotted => Ok(ActionPattern::Grpc {
            service: service.into(),
            method: None,
        }),
        _ if dotted && is_name(method) => Ok(ActionPattern::Grpc {
            service: service.into(),
            method: Some(method.into()),
        }),
        _ => Err(PatternError::Grpc),
    }
}

fn grpc_covers<'a>(
    service: &str,
    method: Option<&str>,
    mut segments: impl Iterator<Item = Segment<'a>>,
) -> bool {
    let (Some(first), Some(second), None) = (segments.next(), segments.next(), segments.next())
    else {
        return false;
    };
    first.means(service) && method.map_or(!second.is_empty(), |method| second.means(method))
}

pub(super) fn is_name(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// RFC 9110 §5.6.2
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

impl ActionPattern {
    /// Whether a permit with this pattern would cover something that the other names. Errs towards yes where templates differ
    /// only in what a parameter must look like.
    pub(crate) fn permits_some_of(&self, other: &Self) -> bool {
        let post = Methods::of(Method::Post);
        match (self, other) {
            (Self::Connect, Self::Connect) => true,
            (Self::Any, Self::Http { methods, .. }) => {
                methods.iter().any(|method| method != Method::Head)
            }
            (Self::Http { .. }, Self::Any) => other.permits_some_of(self),
            (Self::Any, Self::Any | Self::Grpc { .. }) | (Self::Grpc { .. }, Self::Any) => true,
            (
                Self::Http { methods, path },
                Self::Http {
                    methods: others,
                    path: other,
                },
            ) => methods.meets(*others) && path.meets(other),
            (Self::Http { methods, path }, Self::Grpc { service, method })
            | (Self::Grpc { service, method }, Self::Http { methods, path }) => {
                methods.meets(post) && path.meets(&Template::of_grpc(service, method.as_deref()))
            }
            (
                Self::Grpc { service, method },
                Self::Grpc {
                    service: other,
                    method: others,
                },
            ) => service == other && (method.is_none() || others.is_none() || method == others),
            (Self::WebSocket(path), Self::WebSocket(other)) => path.meets(other),
            (
                Self::Upgrade { token, path },
                Self::Upgrade {
                    token: asked,
                    path: other,
                },
            ) => token == asked && path.meets(other),
            _ => false,
        }
    }

    /// Whether a forbid with this pattern would cover something that a permit with the other permits. Errs towards yes where
    /// templates differ only in what a parameter must look like.
    pub(crate) fn forbids_some_of(&self, permit: &Self) -> bool {
        // Which methods a forbid covers beside those it names (rule 45).
        let covers = |methods: Methods, method: Method| {
            methods.contains(method) || method == Method::Head && methods.contains(Method::Get)
        };
        match (self, permit) {
            // In raw bytes anything can be asked.
            (_, Self::Connect) | (Self::Any, _) => true,
            (Self::Connect, _) => false,
            (Self::Http { methods, .. }, Self::Any) => {
                methods.iter().any(|method| method != Method::Head)
            }
            (
                Self::Http { methods, path },
                Self::Http {
                    methods: asked,
                    path: other,
                },
            ) => asked.iter().any(|method| covers(*methods, method)) && path.may_overlap(other),
            (Self::Http { methods, path }, Self::Grpc { service, method }) => {
                let other = Template::of_grpc(service, method.as_deref());
                methods.contains(Method::Post) && path.may_overlap(&other)
            }
            (
                Self::Http { methods, path },
                Self::WebSocket(other) | Self::Upgrade { path: other, .. },
            ) => methods.contains(Method::Get) && path.may_overlap(other),
            (Self::Grpc { .. }, Self::Any) => true,
            (
                Self::Grpc { service, method },
                Self::Grpc {
                    service: other,
                    method: others,
                },
            ) => service == other && (method.is_none() || others.is_none() || method == others),
            // T20: a gRPC method is forbidden in every dress.
            (
                Self::Grpc { service, method },
                Self::Http { path, .. } | Self::WebSocket(path) | Self::Upgrade { path, .. },
            ) => Template::of_grpc(service, method.as_deref()).may_overlap(path),
            (
                Self::WebSocket(path) | Self::Upgrade { path, .. },
                Self::WebSocket(other) | Self::Upgrade { path: other, .. },
            ) => path.may_overlap(other),
            (Self::WebSocket(_) | Self::Upgrade { .. }, _) => false,
        }
    }
}
