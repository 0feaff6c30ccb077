//! What a condition can name: the environment, each name with its type.

use ztl_core::authorizer::Reads;

use super::ty::Ty;

/// A fact of the request, or of who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    PeerId,
    PeerTrustDomain,
    PeerPath,
    PeerWorkload,
    TokenIssuer,
    TokenSubject,
    TokenAudience,
    TokenScopes,
    TokenExpiresAt,
    Kind,
    Method,
    Path,
    Upgrade,
    Target,
    Zone,
    TrustScore,
    Now,
    /// An object whose fields are not known beforehand.
    Open(Object),
}

/// Something that has fields and is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Peer,
    Labels,
    Token,
    Claims,
    Params,
    Request,
    Posture,
    Context,
}

/// What a name, or a field of an object, stands for.
pub(super) enum Named {
    Object(Object),
    Fact(Fact, Ty),
}

/// The names of the environment.
pub(super) const NAMES: [&str; 9] = [
    "peer",
    "token",
    "params",
    "request",
    "zone",
    "posture",
    "trust_score",
    "now",
    "context",
];

pub(super) fn named(name: &str) -> Option<Named> {
    Some(match name {
        "peer" => Named::Object(Object::Peer),
        "token" => Named::Object(Object::Token),
        "params" => Named::Object(Object::Params),
        "request" => Named::Object(Object::Request),
        "posture" => Named::Object(Object::Posture),
        "context" => Named::Object(Object::Context),
        "zone" => Named::Fact(Fact::Zone, Ty::Text),
        "trust_score" => Named::Fact(Fact::TrustScore, Ty::Int),
        "now" => Named::Fact(Fact::Now, Ty::Time),
        _ => return None,
    })
}

impl Object {
    /// Its name, as a condition writes it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Labels => "peer.labels",
            Self::Token => "token",
            Self::Claims => "token.claims",
            Self::Params => "params",
            Self::Request => "request",
            Self::Posture => "posture",
            Self::Context => "context",
        }
    }

    /// Its fields, where they are known beforehand.
    pub(super) const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Peer => &["id", "trust_domain", "path", "workload", "labels"],
            Self::Token => &[
                "claims",
                "issuer",
                "subject",
                "audience",
                "scopes",
                "expires_at",
            ],
            Self::Request => &["kind", "method", "path", "upgrade", "target"],
            Self::Labels | Self::Claims | Self::Params | Self::Posture | Self::Context => &[],
        }
    }

    /// One of these fields.
    pub(super) fn field(self, name: &str) -> Option<Named> {
        let texts = || Ty::list(Ty::Text);
        Some(match (self, name) {
            (Self::Peer, "id") => Named::Fact(Fact::PeerId, Ty::Text),
            (Self::Peer, "trust_domain") => Named::Fact(Fact::PeerTrustDomain, Ty::Text),
            (Self::Peer, "path") => Named::Fact(Fact::PeerPath, Ty::Text),
            (Self::Peer, "workload") => Named::Fact(Fact::PeerWorkload, Ty::Text),
            (Self::Peer, "labels") => Named::Object(Self::Labels),
            (Self::Token, "claims") => Named::Object(Self::Claims),
            (Self::Token, "issuer") => Named::Fact(Fact::TokenIssuer, Ty::Text),
            (Self::Token, "subject") => Named::Fact(Fact::TokenSubject, Ty::Text),
            (Self::Token, "audience") => Named::Fact(Fact::TokenAudience, texts()),
            (Self::Token, "scopes") => Named::Fact(Fact::TokenScopes, texts()),
            (Self::Token, "expires_at") => Named::Fact(Fact::TokenExpiresAt, Ty::Time),
            (Self::Request, "kind") => Named::Fact(Fact::Kind, Ty::Text),
            (Self::Request, "method") => Named::Fact(Fact::Method, Ty::Text),
            (Self::Request, "path") => Named::Fact(Fact::Path, Ty::Text),
            (Self::Request, "upgrade") => Named::Fact(Fact::Upgrade, Ty::Text),
            (Self::Request, "target") => Named::Fact(Fact::Target, Ty::Text),
            _ => return None,
        })
    }

    /// What an object whose fields are not known beforehand holds.
    pub(super) const fn holds(self) -> Option<Ty> {
        match self {
            Self::Labels | Self::Params => Some(Ty::Text),
            Self::Claims | Self::Posture | Self::Context => Some(Ty::Dyn),
            Self::Peer | Self::Token | Self::Request => None,
        }
    }

    /// Whether what is not in it may be asked in a permit: it comes from the rule or the request, and is no evidence (T7).
    pub(super) const fn may_lack(self) -> bool {
        matches!(self, Self::Params | Self::Request)
    }

    pub(super) const fn reads(self) -> Reads {
        match self {
            Self::Token | Self::Claims => Reads::nothing().with_token(),
            Self::Posture => Reads::nothing().with_posture(),
            Self::Context => Reads::nothing().with_context(),
            Self::Peer | Self::Labels | Self::Params | Self::Request => Reads::nothing(),
        }
    }
}

impl Fact {
    pub(super) const fn reads(self) -> Reads {
        match self {
            Self::TokenIssuer
            | Self::TokenSubject
            | Self::TokenAudience
            | Self::TokenScopes
            | Self::TokenExpiresAt => Reads::nothing().with_token(),
            Self::TrustScore => Reads::nothing().with_trust_score(),
            Self::Now => Reads::nothing().with_clock(),
            Self::Open(object) => object.reads(),
            _ => Reads::nothing(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_field_stands_for_something() {
        for name in NAMES {
            match named(name) {
                Some(Named::Object(object)) => {
                    assert_eq!(object.name(), name);
                    assert_eq!(object.fields().is_empty(), object.holds().is_some());
                    for field in object.fields() {
                        assert!(object.field(field).is_some(), "{name}.{field}");
                    }
                }
                Some(Named::Fact(..)) => {}
                None => panic!("{name}"),
            }
        }
    }
}
