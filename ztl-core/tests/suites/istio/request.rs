//! What a document says about a request.

use std::net::IpAddr;

use serde_json::{Map, Value};
use ztl_core::policy::{Input, Policy, decide};
use ztl_core::{Action, Arrival, Claims, Evidence, Flow, HeaderPairs, Timestamp, Verdict};

use crate::netpol::document::peer;

/// Somebody asks the target for something.
pub(crate) struct Request<'a> {
    pub(crate) identity: Option<String>,
    pub(crate) from: Option<IpAddr>,
    pub(crate) port: u16,
    /// Method and target; raw bytes where absent.
    pub(crate) http: Option<(&'a str, &'a str)>,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    pub(crate) claims: Option<Map<String, Value>>,
}

impl Request<'_> {
    pub(crate) fn is_permitted(&self, policy: &Policy) -> bool {
        let now = Timestamp::from_unix_secs(1_790_000_000);
        let peer = self.identity.as_deref().map(peer);
        let arrival = self.from.map_or_else(Arrival::unknown, Arrival::from_addr);
        let claims = self.claims.as_ref().map(verified);
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        let headers = HeaderPairs(&headers);
        let mut evidence = Evidence::none().with_headers(&headers);
        if let Some(claims) = &claims {
            evidence = evidence.with_claims(claims);
        }
        let action = match self.http {
            Some((method, target)) => Action::request(method, target),
            None => Ok(Action::Connect),
        };
        let flow = Flow::ingress("target", self.port, arrival, peer.as_ref());
        let input = Input::new(flow).with_action(action).with_evidence(evidence);
        decide(policy, &input, now).verdict == Verdict::Permit
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests vouch for their own claims"
)]
fn verified(claims: &Map<String, Value>) -> Claims {
    Claims::assertion(claims.clone(), Timestamp::MAX, "test")
}
