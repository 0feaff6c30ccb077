//! The attacker's part of the walk.

use std::error::Error;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::Value;
use tokio::time::timeout;
use ztl_core::Verdict;
use ztl_tower::EgressError;

use super::{Before, Steps, Story, judged};
use crate::attacker::{self, Attacker, Attempt, Loot, Shows, Stands};
use crate::foreign::Language;
use crate::foretell::{self, Ask};
use crate::mesh::Mesh;
use crate::services::tools::Order;
use crate::step::{Heard, Step};
use crate::table::Section;
use crate::wire::{DEADLINE, Protocol};

/// The attacker's part.
pub(crate) async fn attacker(mesh: &Mesh) -> Result<Section, Box<dyn Error>> {
    let loot = Loot {
        stolen: &mesh.pki.of("router")?.pem,
        forged: &mesh.pki.forged.pem,
        foreign: &mesh.pki.foreign.pem,
        expired: &mesh.pki.expired.pem,
    };
    let attacker = Attacker::new(&mesh.pki.provider, &loot)?;
    let mut steps = Vec::new();
    for attempt in attacker::plan() {
        for protocol in Protocol::BOTH {
            if attempt.stands != Stands::AtRouter && !mesh.places.are_real {
                let why = "this system has no addresses 127.0.x.y, so all stand in one zone";
                steps.push(skipped(&attempt, protocol, "one_address_only", why));
            } else if protocol == Protocol::Http2
                && ends_at(mesh, &attempt)? == Some(Language::Python)
            {
                let why = "uvicorn speaks no HTTP/2";
                steps.push(skipped(&attempt, protocol, "no_such_protocol", why));
            } else {
                steps.extend(attack(mesh, &attacker, &attempt, protocol).await?);
            }
        }
    }
    steps.push(own_guard(mesh).await?);
    Ok(Section {
        title: "An attacker holds the router's certificate and key",
        story: "A raw rustls and hyper client on the router's own host. Everything is tried over HTTP/1.1 and HTTP/2.".to_owned(),
        steps,
    })
}

async fn attack(mesh: &Mesh, attacker: &Attacker, attempt: &Attempt, protocol: Protocol) -> Steps {
    let router = mesh.pki.of("router")?;
    let ask = Ask {
        from: match attempt.stands {
            Stands::AtRouter => mesh.places.of_workload("router"),
            Stands::Outside => mesh.places.stray,
            Stands::Nowhere => mesh.places.nowhere,
        },
        chain: match attempt.shows {
            Shows::Stolen => Some(router.chain()),
            Shows::Nothing => None,
            Shows::Forged => Some(mesh.pki.forged.chain()),
            Shows::Foreign => Some(mesh.pki.foreign.chain()),
            Shows::Expired => Some(mesh.pki.expired.chain()),
        },
        target: attempt.target,
        method: attempt.method,
        path: attempt.path,
        token: None,
    };
    let mut story = Story {
        step: attempt.step,
        caller: "unproven",
        told: Verdict::Deny,
        protocol: Some(protocol),
    };
    let before = Before::of(mesh)?;
    let to = mesh.address(attempt.target)?;
    let exchange = attacker.tries(attempt, ask.from, to, protocol).await;
    let heard = Heard::of(&exchange);
    let Some(order) = &attempt.order else {
        return Ok(vec![judged(mesh, &before, &story, &ask, &heard).await?]);
    };
    // The router may ask the retriever, and nobody judges the words. What counts is what the retriever may do then.
    story.step = "talks the agent round";
    story.told = Verdict::Permit;
    let mut asked = judged(mesh, &before, &story, &ask, &heard).await?;
    asked
        .notes
        .push("an edge of the stolen certificate; what the words do is judged below".to_owned());
    let mut steps = vec![asked];
    if let Some(told) = exchange.body().get("tool") {
        steps.push(obeyed(mesh, &before, attempt.step, order, protocol, told).await?);
    }
    Ok(steps)
}

/// What came of the agent's obedience, which went round its own guard.
async fn obeyed(
    mesh: &Mesh,
    before: &Before,
    step: &str,
    order: &Order,
    protocol: Protocol,
    told: &Value,
) -> Result<Step, Box<dyn Error>> {
    let ask = Ask {
        from: mesh.places.of_workload("retriever"),
        chain: Some(mesh.pki.of("retriever")?.chain()),
        target: &order.workload,
        method: &order.method,
        path: &order.path,
        token: None,
    };
    let story = Story {
        step: &format!("  to {step}"),
        caller: "retriever",
        told: Verdict::Deny,
        protocol: Some(protocol),
    };
    judged(mesh, before, &story, &ask, &Heard::of_tool(told)).await
}

/// The same swap through the agent's own guard: refused before a byte leaves.
async fn own_guard(mesh: &Mesh) -> Result<Step, Box<dyn Error>> {
    let (caller, target, method, path) = ("retriever", "model-server", "PUT", "/v1/models/tiny");
    let decision = foretell::egress(mesh, caller, target, method, path)?;
    let before = Before::of(mesh)?;
    let running = mesh.workload(caller)?;
    let request = Request::builder()
        .method(method)
        .uri(format!("https://{target}{path}"))
        .body(Full::new(Bytes::from_static(b"{}")))?;
    let guard = running.guard().ok_or("its guard is in another process")?;
    let client = guard.client();
    let sent = timeout(DEADLINE, client.request(request)).await?;
    let mut step = Step {
        step: "the agent's own guard".to_owned(),
        caller: caller.to_owned(),
        target: target.to_owned(),
        action: format!("{method} {path}"),
        heard: "unsent".to_owned(),
        ..Step::default()
    };
    match sent {
        Err(EgressError::Denied(denial)) if *denial.decision() == decision => {}
        Err(error) => step.wrong.push(format!("the client said: {error}")),
        Ok(response) => step.wrong.push(format!(
            "it was sent, and answered with {}",
            response.status()
        )),
    }
    let entry = running.ledger.find(before.records(caller), |entry| {
        !entry.is_ingress() && entry.decides()
    });
    step.told(Verdict::Deny, &decision);
    step.recorded(entry.await, &decision);
    let ledger = &mesh.workload(target)?.ledger;
    if ledger.count() != before.records(target) {
        step.wrong.push(format!("`{target}` heard of it"));
    }
    Ok(step)
}

/// The language of whoever judges the end of it.
fn ends_at(mesh: &Mesh, attempt: &Attempt) -> Result<Option<Language>, String> {
    let order = attempt.order.as_ref();
    let last = order.map_or(attempt.target, |order| &order.workload);
    Ok(mesh.workload(last)?.language())
}

fn skipped(attempt: &Attempt, protocol: Protocol, reason: &str, why: &str) -> Step {
    Step {
        step: attempt.step.to_owned(),
        caller: "router".to_owned(),
        target: attempt.target.to_owned(),
        action: format!("{} {}", attempt.method, attempt.path),
        verdict: "skipped".to_owned(),
        reason: reason.to_owned(),
        protocol: Some(protocol),
        notes: vec![format!("skipped: {why}")],
        ..Step::default()
    }
}
