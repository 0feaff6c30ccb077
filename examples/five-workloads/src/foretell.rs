//! What must come of a request, asked of the policy beforehand: the same pure function that the guards call, on facts that
//! are proved the same way, without any of their sockets.

use std::error::Error;
use std::net::IpAddr;

use rustls::AlertDescription;
use rustls_pki_types::CertificateDer;
use ztl_core::policy::{Input, decide};
use ztl_core::{Action, Arrival, Decision, Evidence, Flow, Lack, Peer, Reason, Stage, Verdict};
use ztl_mtls::{ProveError, Prover, Purpose};

use crate::foreign::Language;
use crate::mesh::{GATEWAY, Mesh};
use crate::pki::now;

/// A request: who, from where, to whom, what.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) from: IpAddr,
    /// The certificate that is shown.
    pub(crate) chain: Option<&'a [CertificateDer<'static>]>,
    pub(crate) target: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a str>,
}

impl Ask<'_> {
    /// What is asked for, as a reader writes it.
    pub(crate) fn action(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What the wire says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// A response.
    Status(u16),
    /// A refused handshake.
    Alert(AlertDescription),
}

impl core::fmt::Display for Wire {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Alert(alert) => write!(f, "alert {alert:?}"),
        }
    }
}

/// What must come of it.
#[derive(Clone, Debug)]
pub(crate) struct Foretold {
    pub(crate) decision: Decision,
    pub(crate) wire: Wire,
}

/// What a target must say to a request.
pub(crate) fn ingress(mesh: &Mesh, ask: &Ask<'_>) -> Result<Foretold, Box<dyn Error>> {
    let now = now();
    let proved = match ask.chain {
        // The public port asks for no certificate.
        Some(chain) if ask.target != GATEWAY => {
            Some(mesh.pki.prover()?.prove(chain, now, Purpose::Client))
        }
        _ => None,
    };
    let peer = proved.as_ref().and_then(|proved| proved.as_ref().ok());
    let port = mesh.address(ask.target)?.port();
    let flow = Flow::ingress(ask.target, port, Arrival::from_addr(ask.from), peer);
    let claims = ask
        .token
        .and_then(|token| mesh.pki.tokens.verify(token, now).ok());
    let evidence = claims.as_ref().map_or_else(Evidence::none, |claims| {
        Evidence::none().with_claims(claims)
    });
    let door = Input::new(flow);
    let mut decision = decide(&mesh.policy, &door, now);
    if decision.verdict == Verdict::Permit {
        // Only a request that the door let in is ever read.
        let input = door
            .with_action(Action::request(ask.method, ask.path))
            .with_evidence(evidence);
        decision = decide(&mesh.policy, &input, now);
    }
    let failed = proved.as_ref().and_then(|proved| proved.as_ref().err());
    if let Some(ProveError::Expired { .. }) = failed {
        decision.reason = Reason::IdentityExpired;
    }
    Ok(Foretold {
        wire: wire(&decision, failed, mesh.workload(ask.target)?.language()),
        decision,
    })
}

/// What a caller's own guard must say to a request, before a byte of it leaves.
pub(crate) fn egress(
    mesh: &Mesh,
    caller: &str,
    target: &str,
    method: &str,
    path: &str,
) -> Result<Decision, Box<dyn Error>> {
    let now = now();
    let prover: Prover = mesh.pki.prover()?;
    let peer: Peer = prover.prove(mesh.pki.of(target)?.chain(), now, Purpose::Server)?;
    let flow = Flow::egress(caller, mesh.address(target)?.port(), &peer);
    let input = Input::new(flow).with_action(Action::request(method, path));
    Ok(decide(&mesh.policy, &input, now))
}

/// `language` is that of whoever answers: ztl's own TLS tells a refused flow from a bad certificate, Go's does not, and Python's has no
/// say in the handshake.
fn wire(decision: &Decision, failed: Option<&ProveError>, language: Option<Language>) -> Wire {
    match (decision.verdict, decision.stage) {
        (Verdict::Deny, Stage::Flow) if language == Some(Language::Go) => {
            Wire::Alert(AlertDescription::BadCertificate)
        }
        (Verdict::Deny, Stage::Flow) if language == Some(Language::Python) => Wire::Status(403),
        (Verdict::Permit, _) => Wire::Status(200),
        (Verdict::Deny, Stage::Action) => Wire::Status(status(decision)),
        (Verdict::Deny, Stage::Identity) => Wire::Alert(match failed {
            None => AlertDescription::CertificateRequired,
            Some(ProveError::Expired { .. }) => AlertDescription::CertificateExpired,
            // An authority of the same name with another key (RFC 8446 §6.2).
            Some(ProveError::BadSignature) => AlertDescription::DecryptError,
            Some(ProveError::UnknownIssuer(_) | ProveError::UnknownTrustDomain(_)) => {
                AlertDescription::UnknownCA
            }
            Some(_) => AlertDescription::CertificateUnknown,
        }),
        (Verdict::Deny, _) => Wire::Alert(AlertDescription::AccessDenied),
    }
}

const fn status(decision: &Decision) -> u16 {
    match (decision.reason, decision.lack) {
        (Reason::PathAmbiguous, _) => 400,
        (_, Some(Lack::Token | Lack::Mfa)) => 401,
        _ => 403,
    }
}
