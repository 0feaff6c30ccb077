//! Questions about the small universe, asked of the engine and of whoever else is to agree with it.

use super::*;

/// A question, owned.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) from: Option<&'static str>,
    pub(crate) addr: Option<&'static str>,
    pub(crate) to: &'static str,
    pub(crate) port: u16,
    /// Method and target, `Some(None)` for raw bytes, `None` for the flow alone.
    pub(crate) action: Option<Option<(&'static str, &'static str)>>,
    pub(crate) upgrade: Option<&'static str>,
    pub(crate) claims: Option<Value>,
    /// The token has expired.
    pub(crate) stale: bool,
    /// When the token expires that has not, and when the score does.
    pub(crate) until: [Timestamp; 2],
    pub(crate) forwarded: Option<&'static str>,
    pub(crate) score: Option<u8>,
    pub(crate) headers: Vec<(&'static str, &'static [u8])>,
}

impl Question {
    pub(crate) fn get(
        from: &'static str,
        to: &'static str,
        port: u16,
        target: &'static str,
    ) -> Self {
        Self {
            from: Some(from),
            addr: home(from),
            to,
            port,
            action: Some(Some(("GET", target))),
            upgrade: None,
            claims: None,
            stale: false,
            until: [Timestamp::MAX; 2],
            forwarded: None,
            score: None,
            headers: Vec::new(),
        }
    }

    pub(crate) fn flow(from: &'static str, to: &'static str, port: u16) -> Self {
        Self {
            action: None,
            ..Self::get(from, to, port, "/")
        }
    }

    pub(crate) fn anonymous(to: &'static str, port: u16, target: &'static str) -> Self {
        Self {
            from: None,
            addr: Some("10.10.0.1"),
            ..Self::get("", to, port, target)
        }
    }

    pub(crate) fn method(mut self, method: &'static str) -> Self {
        if let Some(Some((name, _))) = &mut self.action {
            *name = method;
        }
        self
    }

    pub(crate) fn at(mut self, addr: &'static str) -> Self {
        self.addr = Some(addr);
        self
    }

    /// With a token that was verified.
    pub(crate) fn token(mut self, claims: Value) -> Self {
        self.claims = Some(claims);
        self
    }

    /// With an id that the peer passes on.
    pub(crate) fn forwards(mut self, id: &'static str) -> Self {
        self.forwarded = Some(id);
        self
    }

    pub(crate) fn ask(&self, policy: &Policy) -> Decision {
        self.ask_at(policy, NOW)
    }

    pub(crate) fn ask_at(&self, policy: &Policy, now: Timestamp) -> Decision {
        let peer = self.from.map(peer);
        let arrival = self.arrival();
        let claims = self.claims();
        let headers = HeaderPairs(&self.headers);
        let forwarded = self.passed_on();
        let mut input = Input::new(Flow::ingress(self.to, self.port, arrival, peer.as_ref()))
            .with_evidence(self.evidence(claims.as_ref(), &headers, forwarded.as_ref()));
        if let Some(action) = self.named() {
            input = input.with_action(action);
        }
        decide(policy, &input, now)
    }

    /// What the engine and the reference interpreter say.
    pub(crate) fn ask_both(&self, policy: &Policy, egress: bool) -> (Decision, Decision) {
        let peer = self.from.map(peer);
        let claims = self.claims();
        let headers = HeaderPairs(&self.headers);
        let flow = match &peer {
            Some(peer) if egress => Flow::egress(self.to, self.port, peer),
            peer => Flow::ingress(self.to, self.port, self.arrival(), peer.as_ref()),
        };
        let forwarded = self.passed_on();
        let evidence = self.evidence(claims.as_ref(), &headers, forwarded.as_ref());
        let mut input = Input::new(flow).with_evidence(evidence);
        if let Some(action) = self.named() {
            input = input.with_action(action);
        }
        let meant = ztl_core::policy::reference::decide(policy.document(), &loader(), &input, NOW);
        (decide(policy, &input, NOW), meant)
    }

    pub(crate) fn arrival(&self) -> Arrival {
        self.addr.map_or_else(Arrival::unknown, |addr| {
            Arrival::from_addr(addr.parse().expect("address"))
        })
    }

    pub(crate) fn claims(&self) -> Option<Claims> {
        self.claims.as_ref().map(|claims| {
            Claims::assertion(
                claims.as_object().expect("object").clone(),
                if self.stale { NOW } else { self.until[0] },
                "test",
            )
        })
    }

    pub(crate) fn passed_on(&self) -> Option<SpiffeId> {
        self.forwarded.map(|id| SpiffeId::parse(id).expect("id"))
    }

    pub(crate) fn named(&self) -> Option<Result<Action<'static>, ztl_core::PathError>> {
        self.action.map(|action| match action {
            None => Ok(Action::Connect),
            Some((method, target)) => {
                Action::request(method, target).map(|action| match self.upgrade {
                    Some(token) => action.with_upgrade(token),
                    None => action,
                })
            }
        })
    }

    pub(crate) fn evidence<'a>(
        &self,
        claims: Option<&'a Claims>,
        headers: &'a HeaderPairs<'a>,
        forwarded: Option<&'a SpiffeId>,
    ) -> Evidence<'a> {
        let mut evidence = Evidence::none().with_headers(headers);
        if let Some(claims) = claims {
            evidence = evidence.with_claims(claims);
        }
        evidence.forwarded = forwarded;
        if let Some(score) = self.score {
            evidence = evidence
                .with_trust_score(TrustScore::new(score, NOW, self.until[1]).expect("score"));
        }
        evidence
    }
}

pub(crate) fn peer(id: &str) -> Peer {
    peer_until(id, Timestamp::MAX)
}

pub(crate) fn peer_until(id: &str, not_after: Timestamp) -> Peer {
    let id = SpiffeId::parse(id).expect("id");
    Peer::assertion(
        Proof::X509 {
            id,
            leaf_sha256: [7; 32].into(),
            serial: Box::new([1]),
            not_after,
        },
        "test",
    )
}
