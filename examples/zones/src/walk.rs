//! The walk: what is tried, what must come of it, and what came of it on the wire, in the audit log and in the service.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::ClientConfig;
use serde_json::Value;
use ztl_core::{Peer, Verdict};
use ztl_mtls::{IdentitySource, Refused, ServerVerifier, client_config};

use crate::foretell;
use crate::site::{HTTP, LINES, Site, place};
use crate::step::Step;
use crate::wire::{self, Call};

/// The story, a call a line.
const STORY: &str = include_str!("story.txt");

/// One call.
pub(crate) struct Try {
    /// Whose certificate and key are used.
    pub(crate) caller: &'static str,
    /// Where: mostly where the caller stands.
    pub(crate) stands: &'static str,
    pub(crate) target: &'static str,
    pub(crate) port: u16,
    /// Method and path; nothing for raw bytes.
    pub(crate) asks: Option<(&'static str, &'static str)>,
}

/// Walks the story.
pub(crate) async fn walk(site: &Site) -> Result<Vec<Step>, Box<dyn Error>> {
    let (mut steps, mut part) = (Vec::new(), "");
    for line in STORY.lines() {
        if let Some(title) = line.strip_prefix("= ") {
            part = title;
        } else if !line.is_empty() && !line.starts_with('#') {
            let columns: Vec<_> = line.split('|').map(str::trim).collect();
            let [name, caller, stands, target, asked, told] = *columns else {
                return Err(format!("the story has the line `{line}`").into());
            };
            let asks = asked.split_once(' ');
            let call = Try {
                caller,
                stands: if stands.is_empty() { caller } else { stands },
                target,
                port: if asks.is_some() { HTTP } else { LINES },
                asks,
            };
            let mut step = Step {
                part,
                step: name,
                caller,
                from: place(call.stands),
                target,
                asked,
                ..Step::default()
            };
            take(site, &call, told, &mut step).await?;
            steps.push(step);
        }
    }
    Ok(steps)
}

/// Takes one step, and compares.
async fn take(site: &Site, call: &Try, told: &str, step: &mut Step) -> Result<(), Box<dyn Error>> {
    let decision = foretell::decision(site, call)?;
    let target = site.workload(call.target)?;
    let records = usize::try_from(target.audit.taken())?;
    let served = target.served.load(Ordering::Relaxed);

    step.heard = wire::ask(Call {
        from: place(call.stands),
        to: site.address(call.target, call.port),
        host: call.target,
        tls: tls(site, call)?,
        bytes: match call.asks {
            Some((method, path)) => format!(
                "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                call.target
            ),
            None => "oven 211 C\n".to_owned(),
        },
        ends: call.asks.is_none(),
    })
    .await;

    // The last record is of the stage that was reached last. It is written before the caller hears anything.
    let lines = target.audit.lines();
    let record = lines.iter().skip(records).next_back();
    let record: Value = record.map_or(Ok(Value::Null), |line| serde_json::from_str(line))?;
    let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or("-");
    step.verdict = text("verdict").to_owned();
    step.stage = text("stage").to_owned();
    step.reason = text("reason").to_owned();
    step.rule = text("rule").to_owned();

    let reason = decision.reason.code();
    step.compare("the policy's reason", told, reason);
    step.compare(
        "the audit log's verdict",
        decision.verdict.as_str(),
        &step.verdict.clone(),
    );
    step.compare(
        "the audit log's stage",
        decision.stage.as_str(),
        &step.stage.clone(),
    );
    step.compare("the audit log's reason", reason, &step.reason.clone());
    let rule = decision.rule.as_deref().unwrap_or("-");
    step.compare("the audit log's rule", rule, &step.rule.clone());
    let id = site.workload(call.caller)?.svid.id().to_string();
    step.compare("the audit log's peer", &id, text("peer"));
    let heard = foretell::wire(call, &decision);
    step.compare("what the caller heard", heard, &step.heard.clone());
    let ran = target.served.load(Ordering::Relaxed).saturating_sub(served);
    let must = usize::from(decision.verdict == Verdict::Permit);
    step.compare(
        "how often the service ran",
        &must.to_string(),
        &ran.to_string(),
    );
    Ok(())
}

/// The caller's own certificate, and the target's to be proved.
fn tls(site: &Site, call: &Try) -> Result<Arc<ClientConfig>, Box<dyn Error>> {
    let meant = site.workload(call.target)?.svid.id().clone();
    let hook = move |peer: Peer| {
        if *peer.id() == meant {
            Ok(())
        } else {
            Err(Refused)
        }
    };
    let svid = site.workload(call.caller)?.svid.clone();
    let config = client_config(
        ztl_mtls::provider(),
        Arc::new(IdentitySource::new(svid)),
        ServerVerifier::new(site.prover.clone(), Arc::new(hook)),
        if call.asks.is_some() {
            &[b"http/1.1"]
        } else {
            &[]
        },
    )?;
    Ok(Arc::new(config))
}
