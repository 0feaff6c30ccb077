//! The walk through the guarded mesh: a user first, then the attacker. Each step is foretold by the policy, done on the wire,
//! and read in the audit log; all three must agree, and with the story.

mod attack;
mod user;

use std::collections::HashMap;
use std::error::Error;

use ztl_core::Verdict;

use crate::foretell::{self, Ask};
use crate::mesh::Mesh;
use crate::services::NAMES;
use crate::step::{Heard, Step};
use crate::wire::Protocol;

pub(crate) use attack::attacker;
pub(crate) use user::user;

type Steps = Result<Vec<Step>, Box<dyn Error>>;

/// How many records and served requests there were before a step.
struct Before(HashMap<&'static str, (usize, usize)>);

impl Before {
    fn of(mesh: &Mesh) -> Result<Self, Box<dyn Error>> {
        let mut counts = HashMap::new();
        for name in NAMES {
            let running = mesh.workload(name)?;
            counts.insert(name, (running.ledger.count(), running.callers().len()));
        }
        Ok(Self(counts))
    }

    fn records(&self, name: &str) -> usize {
        self.0.get(name).map_or(0, |counts| counts.0)
    }

    fn served(&self, name: &str) -> usize {
        self.0.get(name).map_or(0, |counts| counts.1)
    }
}

/// What a story says of a step.
struct Story<'a> {
    step: &'a str,
    /// Who calls, where no certificate says it.
    caller: &'a str,
    told: Verdict,
    protocol: Option<Protocol>,
}

/// A step that a target judges.
async fn judged(
    mesh: &Mesh,
    before: &Before,
    story: &Story<'_>,
    ask: &Ask<'_>,
    heard: &Heard,
) -> Result<Step, Box<dyn Error>> {
    let foretold = foretell::ingress(mesh, ask)?;
    let target = mesh.workload(ask.target)?;
    let entry = target
        .ledger
        .find(before.records(ask.target), |entry| {
            entry.is_ingress() && entry.decides()
        })
        .await;
    let proved = entry.as_ref().and_then(|entry| entry.peer.clone());
    let mut step = Step {
        step: story.step.to_owned(),
        caller: proved
            .as_deref()
            .map_or_else(|| story.caller.to_owned(), |id| called(mesh, id)),
        target: ask.target.to_owned(),
        action: ask.action(),
        protocol: story.protocol,
        ..Step::default()
    };
    let callers = target.callers();
    let callers = callers.get(before.served(ask.target)..).unwrap_or_default();
    step.told(story.told, &foretold.decision);
    step.recorded(entry, &foretold.decision);
    step.heard(heard, &foretold);
    step.served(callers, proved.as_deref(), &foretold.decision);
    Ok(step)
}

/// What the policy calls a SPIFFE ID.
fn called(mesh: &Mesh, id: &str) -> String {
    let mut workloads = mesh.policy.workloads().iter();
    workloads
        .find(|workload| workload.id().as_str() == id)
        .map_or(id, |workload| workload.name())
        .to_owned()
}
