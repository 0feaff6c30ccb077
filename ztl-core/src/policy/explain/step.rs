//! The stages of a decision: what was known at each, and what failed there that no rule asks for.

use crate::clause::Clause;
use crate::decision::Decision;
use crate::flow::Direction;
use crate::peer::{Peer, Proof};
use crate::policy::decide::Input;
use crate::policy::query::obligations_json;
use crate::policy::{Aim, External, Policy, Workload};
use crate::reason::{Reason, Stage, Verdict};
use crate::time::Timestamp;
use crate::zone::Zone;

use super::words::{any_of, cut};
use super::{Checked, Step};

/// The stages that were reached.
pub(super) fn steps(
    policy: &Policy,
    input: &Input<'_>,
    now: Timestamp,
    decision: &Decision,
) -> Vec<Step> {
    let asked = Asked { policy, input, now };
    let all = [
        (Stage::Identity, asked.identity()),
        (Stage::Flow, asked.flow()),
        (Stage::Action, asked.action(decision)),
    ];
    let reached = all
        .into_iter()
        .filter(|(stage, _)| *stage <= decision.stage);
    let steps = reached.map(|(stage, facts)| {
        let passed = stage < decision.stage || decision.verdict == Verdict::Permit;
        Step {
            stage,
            passed,
            facts,
            failed: if passed { None } else { asked.failed(decision) },
        }
    });
    steps.collect()
}

type Facts = Vec<(&'static str, String)>;

struct Asked<'a> {
    policy: &'a Policy,
    input: &'a Input<'a>,
    now: Timestamp,
}

impl Asked<'_> {
    fn peer_workload(&self) -> Option<&Workload> {
        let peer = self.input.flow.peer?;
        self.policy.workload_by_id(peer.id())
    }

    fn identity(&self) -> Facts {
        let flow = &self.input.flow;
        let mut facts = vec![
            ("direction", flow.direction.as_str().to_owned()),
            ("me", cut(flow.me)),
        ];
        if let Some(outside) = flow.outside {
            facts.push(("host", cut(outside.name())));
            let proved = outside.proved().map(|_| "web pki");
            facts.push(("proof", proved.unwrap_or("none").to_owned()));
            return facts;
        }
        let Some(peer) = flow.peer else {
            facts.push(("proof", "none".to_owned()));
            return facts;
        };
        facts.push(("peer", peer.id().to_string()));
        let workload = self.peer_workload();
        facts.extend(workload.map(|workload| ("workload", workload.name().to_owned())));
        facts.push(("proof", proof(peer)));
        if peer.expires_at() != Timestamp::MAX {
            facts.push(("expires_at", peer.expires_at().as_unix().to_string()));
        }
        facts
    }

    fn flow(&self) -> Facts {
        let flow = &self.input.flow;
        let mut facts = Vec::new();
        let (caller, target) = self.ends();
        let external = self.external();
        let aim = target.map(Aim::Workload).or(external.map(Aim::External));
        let name = aim.map(Aim::name);
        facts.push((
            "target",
            name.unwrap_or_else(|| format!("{}, which is not declared", cut(self.called()))),
        ));
        facts.push(("port", flow.port.to_string()));
        if flow.direction == Direction::Ingress {
            let addr = flow.arrival.addr();
            let addr = addr.map_or_else(|| "unknown".to_owned(), |addr| addr.to_string());
            facts.push(("addr", addr));
            facts.push(("zone", self.arrival_zone()));
        }
        if let (Some(_), Some(addr)) = (flow.outside, flow.arrival.addr()) {
            facts.push(("addr", addr.to_string()));
            let admitted = external.map(|external| external.admits(addr));
            facts.extend(admitted.map(|admitted| {
                let word = if admitted { "yes" } else { "no" };
                ("admitted", word.to_owned())
            }));
        }
        facts.extend(self.home(caller).map(|zone| ("caller_zone", zone)));
        facts.extend(self.home(target).map(|zone| ("target_zone", zone)));
        facts
    }

    fn action(&self, decision: &Decision) -> Facts {
        let mut facts = Vec::new();
        match &self.input.action {
            None => {}
            Some(Ok(action)) => facts.push(("action", cut(&action.to_string()))),
            Some(Err(error)) => facts.push(("action", error.to_string())),
        }
        let evidence = &self.input.evidence;
        facts.push((
            "token",
            match evidence.claims {
                None => "none".to_owned(),
                Some(claims) if claims.expires_at() <= self.now => "expired".to_owned(),
                Some(claims) => {
                    let issuer = claims.issuer().unwrap_or("nobody who says so");
                    format!("of {}", cut(issuer))
                }
            },
        ));
        let score = evidence.trust_score;
        let score = score.map_or_else(|| "none".to_owned(), |score| score.value().to_string());
        facts.push(("trust_score", score));
        facts.extend(evidence.forwarded.map(|id| ("forwarded", id.to_string())));
        if !decision.obligations.is_empty() {
            let all = obligations_json(&decision.obligations).to_string();
            facts.push(("oblige", cut(&all)));
        }
        facts
    }

    /// The caller's and the target's workload, as far as they are declared.
    fn ends(&self) -> (Option<&Workload>, Option<&Workload>) {
        let me = self.policy.workload_by_name(self.input.flow.me);
        match self.input.flow.direction {
            Direction::Ingress => (self.peer_workload(), me),
            Direction::Egress => (me, self.peer_workload()),
        }
    }

    /// The declared destination outside the mesh.
    fn external(&self) -> Option<&External> {
        let outside = self.input.flow.outside?;
        self.policy.external_by_host(outside.name())
    }

    /// That the host is where it may not be (T27).
    fn misplaced(&self) -> Option<Checked> {
        let external = self.external()?;
        let addr = self.input.flow.arrival.addr();
        let addr = addr.filter(|addr| !external.admits(*addr))?;
        let expected = match external.networks.as_slice() {
            [] => "an address that is reachable from everywhere".to_owned(),
            networks => format!("an address in {}", any_of(networks.iter())),
        };
        Some(Checked {
            clause: Clause::To,
            held: false,
            expected,
            got: addr.to_string(),
            span: None,
        })
    }

    fn called(&self) -> &str {
        self.input.flow.called()
    }

    fn home(&self, workload: Option<&Workload>) -> Option<String> {
        let zone = self.policy.zones().get(workload?.zone?)?;
        Some(zone.name().to_owned())
    }

    fn arrival_zone(&self) -> String {
        let zone = self.policy.zones().zone_of(&self.input.flow.arrival);
        zone.map_or("none", Zone::name).to_owned()
    }

    fn failed(&self, decision: &Decision) -> Option<Checked> {
        let flow = &self.input.flow;
        let peer = flow.peer;
        let (clause, expected, got) = match decision.reason {
            Reason::NoFlowPermitted => return self.misplaced(),
            Reason::IdentityUnproven if flow.outside.is_some() => (
                Clause::Proof,
                "a certificate of the Web PKI for exactly this name".to_owned(),
                "none".to_owned(),
            ),
            Reason::IdentityUnproven => (
                Clause::Proof,
                "a certificate that proves who calls".to_owned(),
                peer.map_or_else(|| "none".to_owned(), proof),
            ),
            Reason::IdentityExpired => (
                Clause::Proof,
                format!("a proof that is good at {}", self.now.as_unix()),
                format!("one until {}", flow.expires_at().as_unix()),
            ),
            Reason::ClockUntrusted => (
                Clause::Proof,
                "a time that goes on from the last".to_owned(),
                self.now.as_unix().to_string(),
            ),
            Reason::ZoneUnknown | Reason::ZoneMismatch => {
                let (caller, target) = self.ends();
                let home = self.home(caller).map(|zone| format!("zone:{zone}"));
                (
                    Clause::Zone,
                    home.or_else(|| self.home(target).map(|_| "a known zone".to_owned()))?,
                    format!("zone:{}", self.arrival_zone()),
                )
            }
            Reason::PathAmbiguous => (
                Clause::Path,
                "a path with one reading".to_owned(),
                match &self.input.action {
                    Some(Err(error)) => error.to_string(),
                    _ => return None,
                },
            ),
            Reason::ForwardedUntrusted => (
                Clause::Forwards,
                "an id that the peer may pass on".to_owned(),
                self.input.evidence.forwarded?.to_string(),
            ),
            Reason::ObligationUnknown => (
                Clause::Oblige,
                "an enforcement point that discharges what the rule obliges to".to_owned(),
                "one that does not".to_owned(),
            ),
            _ => return None,
        };
        Some(Checked {
            clause,
            held: false,
            expected,
            got,
            span: None,
        })
    }
}

fn proof(peer: &Peer) -> String {
    match peer.proof() {
        Proof::X509 { .. } => "x509".to_owned(),
        Proof::Asserted { by, .. } => format!("asserted by {}", cut(by)),
    }
}
