//! A request: from a small world often enough to be permitted, and hostile where that costs nothing.

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use arbitrary::Arbitrary;
use serde_json::{Map, Value, json};
use ztl_core::{Action, Arrival, Claims, PathError, Peer, Proof, SpiffeId, Timestamp, TrustScore};

/// The time of every decision: an engine's clock must not go back.
pub const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

#[derive(Arbitrary, Debug)]
pub struct Request<'a> {
    pub from: From<'a>,
    pub place: Place,
    pub to: Name,
    pub port: Port,
    pub egress: bool,
    pub asked: Asked<'a>,
    pub token: Option<Token<'a>>,
    pub forwarded: Option<Whose<'a>>,
    pub score: Option<Score>,
    pub headers: Option<Vec<Header>>,
    /// Which forbid is added.
    pub forbid: u8,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Router,
    Retriever,
    ModelServer,
    Undeclared,
}

impl Name {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Retriever => "retriever",
            Self::ModelServer => "model-server",
            Self::Undeclared => "undeclared",
        }
    }
}

#[derive(Arbitrary, Debug)]
pub enum From<'a> {
    Nobody,
    Proved {
        name: Name,
        aliased: bool,
        expires: Expires,
    },
    Asserted {
        name: Name,
        by_edge: bool,
        expires: Expires,
    },
    Batch {
        aliased: bool,
    },
    Other(&'a str),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Expires {
    Before,
    Now,
    After,
}

impl Expires {
    pub fn at(self) -> Timestamp {
        match self {
            Self::Before => NOW.saturating_sub(Duration::from_millis(1)),
            Self::Now => NOW,
            Self::After => NOW.saturating_add(Duration::from_millis(1)),
        }
    }
}

impl From<'_> {
    pub fn peer(&self) -> Option<Peer> {
        let domain = |aliased| {
            if aliased {
                "old.example"
            } else {
                "prod.example"
            }
        };
        let id = |name: Name, aliased: bool| {
            let path = match name {
                Name::Router => "ns/agents/sa/router",
                Name::Retriever => "ns/agents/sa/retriever",
                Name::ModelServer => "ns/models/sa/model-server",
                Name::Undeclared => "ns/nobody",
            };
            format!("spiffe://{}/{path}", domain(aliased))
        };
        let (text, asserted, expires) = match *self {
            Self::Nobody => return None,
            Self::Proved {
                name,
                aliased,
                expires,
            } => (id(name, aliased), None, expires),
            Self::Asserted {
                name,
                by_edge,
                expires,
            } => (
                id(name, false),
                Some(if by_edge { "edge" } else { "stranger" }),
                expires,
            ),
            Self::Batch { aliased } => (
                format!("spiffe://{}/ns/batch/7", domain(aliased)),
                None,
                Expires::After,
            ),
            Self::Other(text) => (text.to_owned(), None, Expires::After),
        };
        let id = SpiffeId::parse_workload(&text).ok()?;
        let proof = match asserted {
            Some(by) => Proof::Asserted {
                id,
                by: by.into(),
                leaf_sha256: None,
                expires_at: expires.at(),
            },
            None => Proof::X509 {
                id,
                leaf_sha256: [0; 32].into(),
                serial: Box::new([1]),
                not_after: expires.at(),
            },
        };
        Some(Peer::assertion(proof, "made up by a fuzz target"))
    }
}

#[derive(Arbitrary, Debug)]
pub enum Place {
    Unknown,
    Production(u8),
    Mapped(u8),
    Lab(u8),
    Iot(u8),
    Relay,
    Other(Ipv6Addr),
}

impl Place {
    pub fn arrival(&self) -> Arrival {
        let v4 = |third, last| IpAddr::from([10, 10, third, last]);
        let addr = match *self {
            Self::Unknown => return Arrival::unknown(),
            Self::Production(last) => v4(1, last),
            Self::Mapped(last) => IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0a0a, u16::from(last)]),
            Self::Lab(last) => v4(9, last),
            Self::Iot(last) => IpAddr::from([10, 66, 0, last]),
            Self::Relay => v4(255, 3),
            Self::Other(addr) => addr.into(),
        };
        Arrival::from_addr(addr)
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Port {
    Main,
    Second,
    Public,
    Other(u16),
}

impl Port {
    pub const fn number(self) -> u16 {
        match self {
            Self::Main => 8443,
            Self::Second => 9443,
            Self::Public => 443,
            Self::Other(port) => port,
        }
    }
}

#[derive(Arbitrary, Debug)]
pub enum Asked<'a> {
    Flow,
    Connect,
    Known {
        method: Verb,
        path: Target,
        upgrade: Option<bool>,
    },
    Raw {
        method: &'a str,
        target: &'a str,
        upgrade: Option<&'a str>,
    },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Verb {
    Get,
    Head,
    Post,
    Delete,
    Connect,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Target {
    Infer,
    Grpc,
    Model,
    NoInt,
    Live,
    Status,
    Me,
    Slash,
}

impl<'a> Asked<'a> {
    pub fn action(&self) -> Option<Result<Action<'a>, PathError>> {
        let (method, target, upgrade) = match *self {
            Self::Flow => return None,
            Self::Connect => return Some(Ok(Action::Connect)),
            Self::Known {
                method,
                path,
                upgrade,
            } => {
                let method = match method {
                    Verb::Get => "GET",
                    Verb::Head => "HEAD",
                    Verb::Post => "POST",
                    Verb::Delete => "DELETE",
                    Verb::Connect => "CONNECT",
                };
                let path = match path {
                    Target::Infer => "/v1/models/m/infer",
                    Target::Grpc => "/infer.Model/Run",
                    Target::Model => "/v1/models/7?x=/../",
                    Target::NoInt => "/v1/models/x",
                    Target::Live => "/live",
                    Target::Status => "/status/a/b",
                    Target::Me => "/me",
                    Target::Slash => "/v1/models/7/",
                };
                (
                    method,
                    path,
                    upgrade.map(|websocket| if websocket { "websocket" } else { "h2c" }),
                )
            }
            Self::Raw {
                method,
                target,
                upgrade,
            } => (method, target, upgrade),
        };
        let action = Action::request(method, target);
        Some(action.map(|action| upgrade.map_or(action, |token| action.with_upgrade(token))))
    }
}

#[derive(Arbitrary, Debug)]
pub enum Whose<'a> {
    User(&'a str),
    Alice,
    Workload(Name),
    Batch { aliased: bool },
}

impl Whose<'_> {
    fn text(&self) -> String {
        match self {
            Self::User(text) => (*text).to_owned(),
            Self::Alice => "alice".to_owned(),
            Self::Workload(Name::Router) => "spiffe://old.example/ns/agents/sa/router".to_owned(),
            Self::Workload(name) => format!("spiffe://prod.example/ns/agents/sa/{}", name.as_str()),
            Self::Batch { aliased: true } => "spiffe://old.example/ns/batch/7".to_owned(),
            Self::Batch { aliased: false } => "spiffe://prod.example/ns/batch/7".to_owned(),
        }
    }

    pub fn id(&self) -> Option<SpiffeId> {
        SpiffeId::parse(&self.text()).ok()
    }
}

#[derive(Arbitrary, Debug)]
pub struct Token<'a> {
    corp: bool,
    subject: Option<Whose<'a>>,
    /// The nearest first; `None` is an actor that nobody can read.
    actors: Vec<Option<Whose<'a>>>,
    infer: bool,
    ml: Option<bool>,
    mfa: bool,
    phishing_resistant: bool,
    expires: Expires,
}

impl Token<'_> {
    pub fn claims(&self) -> Claims {
        let mut claims = Map::new();
        let issuer = if self.corp {
            "https://id.corp.example"
        } else {
            "corp"
        };
        claims.insert("iss".to_owned(), issuer.into());
        if let Some(subject) = &self.subject {
            claims.insert("sub".to_owned(), subject.text().into());
        }
        let act = self.actors.iter().rev().fold(None, |inner, actor| {
            let mut act = match actor {
                Some(actor) => json!({ "sub": actor.text() }),
                None => json!({ "iss": 1 }),
            };
            if let Some(inner) = inner {
                act["act"] = inner;
            }
            Some(act)
        });
        if let Some(act) = act {
            claims.insert("act".to_owned(), act);
        }
        claims.insert(
            "scope".to_owned(),
            if self.infer {
                "read infer"
            } else {
                "inference"
            }
            .into(),
        );
        let team = self.ml.map(|list| {
            if list {
                json!(["web", "ml"])
            } else {
                json!("ml")
            }
        });
        claims.insert("team".to_owned(), team.unwrap_or(Value::Null));
        claims.insert(
            "amr".to_owned(),
            if self.mfa {
                json!(["pwd", "mfa"])
            } else {
                json!("mfa")
            },
        );
        if self.phishing_resistant {
            claims.insert("acr".to_owned(), "phr".into());
        }
        Claims::assertion(claims, self.expires.at(), "made up by a fuzz target")
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Score {
    value: u8,
    observed: Expires,
    ahead: bool,
    expires: Expires,
}

impl Score {
    pub fn score(self) -> Option<TrustScore> {
        let ahead = Duration::from_secs(if self.ahead { 3600 } else { 0 });
        TrustScore::new(
            self.value,
            self.observed.at().saturating_add(ahead),
            self.expires.at(),
        )
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Header {
    A,
    B,
    C,
    Other,
}

impl Header {
    pub const fn pair(self) -> (&'static str, &'static [u8]) {
        match self {
            Self::A => ("x-tenant", b"a"),
            Self::B => ("x-tenant", b"b"),
            Self::C => ("x-tenant", b"c"),
            Self::Other => ("x-other", b"a"),
        }
    }
}
