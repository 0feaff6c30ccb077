//! A question that can be changed, to see what would come of another one.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::action::{Action, Method, Upgrade};
use crate::evidence::{Attributes, Claims, Evidence, TrustScore};
use crate::flow::{Direction, Flow};
use crate::headers::Headers;
use crate::id::SpiffeId;
use crate::path::PathError;
use crate::peer::Peer;
use crate::policy::decide::Input;
use crate::time::Timestamp;
use crate::web_host::Outside;
use crate::zone::Arrival;

/// A question, owned as far as it can be changed.
#[derive(Clone)]
pub(super) struct Draft<'a> {
    direction: Direction,
    me: &'a str,
    pub(super) peer: Option<Peer>,
    outside: Option<Outside<'a>>,
    pub(super) arrival: Arrival,
    pub(super) port: u16,
    pub(super) asked: Asked,
    claims: Option<Claims>,
    pub(super) score: Option<TrustScore>,
    posture: Option<&'a Attributes>,
    context: Option<&'a Attributes>,
    headers: Overlaid<'a>,
    pub(super) forwarded: Option<&'a SpiffeId>,
}

/// What is asked for.
#[derive(Clone)]
pub(super) enum Asked {
    Flow,
    Ambiguous(PathError),
    Connect,
    Request {
        method: Method,
        path: String,
        upgrade: Option<String>,
    },
}

/// Header fields, some of them set anew.
#[derive(Clone)]
struct Overlaid<'a> {
    below: Option<&'a dyn Headers>,
    set: Vec<(Arc<str>, Arc<str>)>,
}

impl Headers for Overlaid<'_> {
    fn for_each(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        let mut set = self.set.iter().filter(|(key, _)| **key == *name);
        match (set.next(), self.below) {
            (Some((_, value)), _) => each(value.as_bytes()),
            (None, Some(below)) => below.for_each(name, each),
            (None, None) => {}
        }
    }
}

impl<'a> Draft<'a> {
    pub(super) fn of(input: &'a Input<'a>) -> Self {
        let flow = &input.flow;
        let asked = match &input.action {
            None => Asked::Flow,
            Some(Err(error)) => Asked::Ambiguous(*error),
            Some(Ok(action)) => match action.resource() {
                None => Asked::Connect,
                Some(resource) => Asked::Request {
                    method: resource.method(),
                    path: resource.path().as_str().to_owned(),
                    upgrade: resource.upgrade().map(|upgrade| match upgrade {
                        Upgrade::WebSocket => "websocket".to_owned(),
                        Upgrade::Other(token) => token.to_owned(),
                    }),
                },
            },
        };
        Self {
            direction: flow.direction,
            me: flow.me,
            peer: flow.peer.cloned(),
            outside: flow.outside,
            arrival: flow.arrival,
            port: flow.port,
            asked,
            claims: input.evidence.claims.cloned(),
            score: input.evidence.trust_score,
            posture: input.evidence.posture,
            context: input.evidence.context,
            headers: Overlaid {
                below: input.evidence.headers,
                set: Vec::new(),
            },
            forwarded: input.evidence.forwarded,
        }
    }

    /// Hands on the question as it now stands.
    pub(super) fn with_input<T>(&self, then: impl FnOnce(&Input<'_>) -> T) -> T {
        let flow = Flow {
            direction: self.direction,
            me: self.me,
            peer: self.peer.as_ref(),
            outside: self.outside,
            arrival: self.arrival,
            port: self.port,
        };
        let mut evidence = Evidence::none();
        evidence.claims = self.claims.as_ref();
        evidence.trust_score = self.score;
        evidence.posture = self.posture;
        evidence.context = self.context;
        evidence.forwarded = self.forwarded;
        if self.headers.below.is_some() || !self.headers.set.is_empty() {
            evidence.headers = Some(&self.headers);
        }
        let mut input = Input::new(flow).with_evidence(evidence);
        input.action = match &self.asked {
            Asked::Flow => None,
            Asked::Ambiguous(error) => Some(Err(*error)),
            Asked::Connect => Some(Ok(Action::Connect)),
            Asked::Request {
                method,
                path,
                upgrade,
            } => {
                let action = Action::request(method.as_str(), path);
                Some(match upgrade {
                    Some(token) => action.map(|action| action.with_upgrade(token)),
                    None => action,
                })
            }
        };
        then(&input)
    }

    pub(super) const fn is_ingress(&self) -> bool {
        matches!(self.direction, Direction::Ingress)
    }

    pub(super) fn has_fresh_token(&self, now: Timestamp) -> bool {
        let claims = self.claims.as_ref();
        claims.is_some_and(|claims| claims.expires_at() > now)
    }

    pub(super) fn set_header(&mut self, name: &Arc<str>, value: &Arc<str>) {
        self.headers.set.push((Arc::clone(name), Arc::clone(value)));
    }

    /// Changes the claims of the token, which is fresh then.
    #[expect(
        clippy::disallowed_methods,
        reason = "claims that would be verified, to foresee what a decision would be; never handed out"
    )]
    pub(super) fn with_claims(&mut self, change: impl FnOnce(&mut Map<String, Value>)) {
        let claims = self.claims.as_ref();
        let mut map = claims.map_or_else(Map::new, |claims| claims.as_map().clone());
        change(&mut map);
        self.claims = Some(Claims::assertion(map, Timestamp::MAX, "foreseen"));
    }
}
