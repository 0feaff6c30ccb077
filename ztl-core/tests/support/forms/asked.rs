//! A random question near a rule of a document.

use serde_json::{Map, Value};
use ztl_core::policy::Input;
use ztl_core::{
    Action, Arrival, Attributes, Claims, Evidence, Flow, HeaderPairs, Peer, Proof, SpiffeId,
    Timestamp, TrustScore, WebHost,
};

use super::draft::{Draft, Fields};
use super::near::Request;
use super::{Choices, WORKLOADS, World};

/// A question, owned.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(super) end: End,
    pub(crate) port: u16,
    /// Method, target and upgrade; `Some(None)` for raw bytes, `None` for the flow alone.
    pub(super) action: Option<Option<Request>>,
    pub(super) claims: Option<Map<String, Value>>,
    pub(super) claims_until: Timestamp,
    pub(super) forwarded: Option<SpiffeId>,
    pub(super) score: Option<TrustScore>,
    pub(super) posture: Option<Attributes>,
    pub(super) context: Option<Attributes>,
    pub(super) headers: Option<Fields>,
}

/// Who judges it, and who is at the other end.
#[derive(Clone, Debug)]
pub(super) enum End {
    Ingress {
        me: String,
        peer: Option<Peer>,
        arrival: Arrival,
    },
    Egress {
        me: String,
        peer: Peer,
    },
    Outside {
        me: String,
        host: WebHost,
    },
    Unproved {
        me: String,
        host: &'static str,
    },
}

impl Asked {
    /// What one of the rules speaks of, and of that often one thing otherwise, and seldom more.
    pub(crate) fn of(world: &World, choices: &mut Choices<'_>) -> Self {
        Draft::near(world, choices).asked(choices)
    }

    /// Whom it is about: the declared name of the target, or the host outside.
    pub(crate) fn target(&self) -> String {
        match &self.end {
            End::Ingress { me, .. } => me.clone(),
            End::Egress { peer, .. } => {
                let of = |(_, path, _): &&(&str, &str, &str)| peer.id().path() == *path;
                let found = WORKLOADS.iter().find(of);
                found.map_or_else(String::new, |(name, ..)| (*name).to_owned())
            }
            End::Outside { host, .. } => host.name().to_owned(),
            End::Unproved { host, .. } => (*host).to_owned(),
        }
    }

    /// What is worth telling of the question itself, beside the rules.
    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        match &self.end {
            End::Ingress {
                peer: Some(peer), ..
            } => {
                kinds.push("at the target");
                let alias = peer.id().trust_domain_name().starts_with("old");
                kinds.extend(alias.then_some("shown in an alias"));
                let asserted = matches!(peer.proof(), Proof::Asserted { .. });
                kinds.extend(asserted.then_some("asserted by a party"));
            }
            End::Ingress { peer: None, .. } => kinds.push("without an SVID"),
            End::Egress { .. } => kinds.push("at the caller"),
            End::Outside { .. } | End::Unproved { .. } => kinds.push("outside"),
        }
        kinds.extend(self.forwarded.is_some().then_some("with a forwarded id"));
        kinds.extend(match &self.action {
            None => Some("the flow alone"),
            Some(None) => Some("raw bytes"),
            Some(Some((_, _, Some(_)))) => Some("an upgrade"),
            Some(Some(_)) => None,
        });
        kinds
    }

    /// Asks it of whoever decides.
    pub(crate) fn with_input<T>(&self, ask: impl FnOnce(&Input<'_>) -> T) -> T {
        let flow = match &self.end {
            End::Ingress { me, peer, arrival } => {
                Flow::ingress(me, self.port, *arrival, peer.as_ref())
            }
            End::Egress { me, peer } => Flow::egress(me, self.port, peer),
            End::Outside { me, host } => Flow::external(me, self.port, host),
            End::Unproved { me, host } => {
                Flow::external_unproved(me, self.port, host, Arrival::unknown())
            }
        };
        let claims = self.claims.clone();
        let claims = claims.map(|claims| Claims::assertion(claims, self.claims_until, "test"));
        let headers = self.headers.as_deref().map(HeaderPairs);
        let mut evidence = Evidence::none();
        evidence.claims = claims.as_ref();
        evidence.trust_score = self.score;
        evidence.posture = self.posture.as_ref();
        evidence.context = self.context.as_ref();
        if let Some(headers) = &headers {
            evidence = evidence.with_headers(headers);
        }
        evidence.forwarded = self.forwarded.as_ref();
        let mut input = Input::new(flow).with_evidence(evidence);
        match &self.action {
            None => {}
            Some(None) => input = input.with_action(Ok(Action::Connect)),
            Some(Some((method, target, upgrade))) => {
                let action = Action::request(method, target);
                input = input.with_action(action.map(|action| match upgrade {
                    Some(token) => action.with_upgrade(token),
                    None => action,
                }));
            }
        }
        ask(&input)
    }

    /// In how many ways there can be less of it.
    pub(crate) const LESS: usize = 7;

    /// The same with less evidence.
    pub(crate) fn less(&self, which: usize) -> Self {
        let mut less = self.clone();
        match which {
            0 => less.score = None,
            1 => less.headers = None,
            2 => less.posture = None,
            3 => less.context = None,
            // One line of the header section, the last.
            4 => drop(less.headers.as_mut().and_then(Vec::pop)),
            // All of a token but whom it names: without that there may be nobody to forbid (T12).
            5 => {
                let named = ["sub", "act", "client_id", "azp", "iss", "aud"];
                let claims = less.claims.iter_mut();
                claims.for_each(|claims| claims.retain(|name, _| named.contains(&name.as_str())));
            }
            // Where it comes from.
            _ => {
                if let End::Ingress { arrival, .. } = &mut less.end {
                    *arrival = Arrival::unknown();
                }
            }
        }
        less
    }
}
