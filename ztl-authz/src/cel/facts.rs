//! The facts of a request, as values.

use cel::common::types::CelString;
use cel::common::types::{CelInt, CelList, CelTimestamp};
use cel::common::value::Val;
use serde_json::Value as Json;
use ztl_core::authorizer::Facts;
use ztl_core::{Action, Claims, Timestamp, Upgrade};

use super::names::{Fact, Object};
use super::value::{Fields, Value};

impl Fact {
    /// The text that it is; none where it is not there, or is none.
    pub(super) fn text<'a>(self, facts: &'a Facts<'a>) -> Option<&'a str> {
        let resource = || facts.action.resource();
        Some(match self {
            Self::PeerId => facts.caller?.as_str(),
            Self::PeerTrustDomain => facts.caller?.trust_domain_name(),
            Self::PeerPath => facts.caller?.path(),
            Self::PeerWorkload => facts.workload?,
            Self::TokenIssuer => facts.claims?.issuer()?,
            Self::TokenSubject => facts.claims?.subject()?,
            Self::Kind => match (facts.action, resource().map(|one| one.upgrade())) {
                (Action::Connect, _) => "connect",
                (_, Some(Some(Upgrade::WebSocket))) => "websocket",
                (_, Some(Some(_))) => "upgrade",
                _ => "request",
            },
            Self::Method => resource()?.method().as_str(),
            Self::Path => resource()?.path().as_str(),
            Self::Upgrade => match resource()?.upgrade()? {
                Upgrade::Other(token) => token,
                _ => "websocket",
            },
            Self::Target => facts.target,
            Self::Zone => facts.zone?,
            Self::TokenAudience
            | Self::TokenScopes
            | Self::TokenExpiresAt
            | Self::TrustScore
            | Self::Now
            | Self::Open(_) => return None,
        })
    }

    /// The texts that it is; none where they are not there, or it is something else.
    pub(super) fn texts<'a>(
        self,
        facts: &'a Facts<'a>,
    ) -> Option<Box<dyn Iterator<Item = &'a str> + 'a>> {
        let claims = facts.claims?;
        match self {
            Self::TokenAudience => Some(Box::new(one_or_more(claims.get("aud")?))),
            Self::TokenScopes => Some(Box::new(scopes(claims)?)),
            _ => None,
        }
    }

    /// What it is; none where it is not there.
    pub(super) fn value<'a>(self, facts: &'a Facts<'a>) -> Option<Value<'a>> {
        Some(match self {
            Self::TokenAudience | Self::TokenScopes => list(self.texts(facts)?),
            Self::TokenExpiresAt => time(facts.claims?.expires_at())?,
            Self::TrustScore => Value::owned(CelInt::from(i64::from(facts.trust_score?.value()))),
            Self::Now => time(facts.now)?,
            Self::Open(object) => Value::Object(fields(object, facts)?),
            _ => Value::text(self.text(facts)?),
        })
    }
}

pub(super) fn fields<'a>(object: Object, facts: &'a Facts<'a>) -> Option<Fields<'a>> {
    Some(match object {
        Object::Claims => Fields::Json(facts.claims?.as_map()),
        Object::Posture => Fields::Json(facts.posture?.as_map()),
        Object::Context => Fields::Json(facts.context?.as_map()),
        Object::Params => Fields::Params(facts.params),
        Object::Labels => facts.labels.map_or(Fields::None, Fields::Labels),
        // Their fields are facts by themselves.
        Object::Peer | Object::Token | Object::Request => return None,
    })
}

fn list<'a>(texts: impl Iterator<Item = &'a str>) -> Value<'a> {
    let texts = texts.map(|text| -> Box<dyn Val + 'a> { Box::new(CelString::from(text)) });
    Value::owned(CelList::from(texts.collect::<Vec<_>>()))
}

/// A text, or the texts of a list.
pub(super) fn one_or_more(value: &Json) -> impl Iterator<Item = &str> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    value
        .as_str()
        .into_iter()
        .chain(list.iter().filter_map(Json::as_str))
}

/// `scope` (RFC 8693 §4.2: a text, separated by spaces; or a list) and `scp` (a list or a text). None where neither is there: a
/// token that says nothing of scopes is none without this one (T7).
pub(super) fn scopes(claims: &Claims) -> Option<impl Iterator<Item = &str>> {
    let (scope, scp) = (claims.get("scope"), claims.get("scp"));
    scope.or(scp)?;
    let texts = scope.into_iter().chain(scp).flat_map(one_or_more);
    let texts = texts.flat_map(|text| text.split(' '));
    Some(texts.filter(|text| !text.is_empty()))
}

fn time<'a>(at: Timestamp) -> Option<Value<'a>> {
    let millis = i64::try_from(at.as_unix_millis()).ok()?;
    let at = chrono::DateTime::from_timestamp_millis(millis)?;
    Some(Value::owned(CelTimestamp::from(at.fixed_offset())))
}
