//! Trust scores, of a file that somebody else writes and of how a caller behaves; what a rule that asks for one lets through, and how
//! each came about: `cargo run -p ztl-authz --example trust --features trust`.

use core::time::Duration;
use std::error::Error;
use std::fs;

use ztl_authz::trust::{Behaviour, Measure, SharedTable, SignalTable, Signals, TableError, Whom};
use ztl_core::audit::MemorySink;
use ztl_core::policy::Policy;
use ztl_core::{Action, Arrival, Engine, Evidence, Flow, Peer, Proof, SpiffeId, Timestamp};

const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"

[trust]
base = 20

[trust.signals.device]
weight = 50
max_age = "1h"

[trust.signals.calm]
weight = 30
max_age = "1m"

[trust.signals.threat-intelligence]
veto = 80
max_age = "10m"

[workloads.laptop]
id = "spiffe://prod.example/laptop"

[workloads.ledger]
id = "spiffe://prod.example/ledger"
ports = [8443]
asserted_by = ["example"]

[[permit]]
from = "laptop"
to = "ledger"
actions = "GET /news/{id:int}"

[[permit]]
name = "trusted-laptops-read"
from = "laptop"
to = "ledger"
actions = "GET /entries/{id:int}"
require = { trust_score = 70 }
"#;

/// Whoever enforces reads the clock; here it stands still.
const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

fn main() -> Result<(), Box<dyn Error>> {
    let policy = Policy::from_toml(POLICY)?;
    // Two signals from a file, and one from the decisions of this very process. A guard watches such a file.
    let file = std::env::temp_dir().join(format!("ztl-signals-{}.json", std::process::id()));
    fs::write(&file, table(90, 0))?;
    let table_in_force = SharedTable::new();
    table_in_force.swap(SignalTable::from_json(&fs::read(&file)?)?);
    let behaviour = Behaviour::new(Duration::from_secs(600), 1000);
    let signals = Signals::none()
        .with("device", table_in_force.clone())
        .with("threat-intelligence", table_in_force.clone())
        .with("calm", behaviour.measure(Measure::Calm));
    signals.check(&policy)?;
    let engine = Engine::new(policy, behaviour.watching(MemorySink::new(100)))?;

    let laptop: SpiffeId = "spiffe://prod.example/laptop".parse()?;
    let ask = |what: &str, path: &str| ask(&engine, &signals, &laptop, what, path);
    // Nothing is known of how it behaves before its first decision.
    expect(ask("at first", "/entries/7")?, Asked::Denied)?;
    expect(ask("what needs no trust", "/news/1")?, Asked::Permitted)?;
    expect(ask("a calm caller", "/entries/7")?, Asked::Permitted)?;

    // It knocks at doors that are closed, and what it might do a moment ago it may not any more.
    for door in 0..18 {
        let path = format!("/vault/{door}");
        if ask_quietly(&engine, &signals, &laptop, &path)? == Asked::Permitted {
            return Err(format!("{path} was permitted").into());
        }
    }
    expect(ask("after eighteen denials", "/entries/7")?, Asked::Denied)?;

    // The file is replaced: the device is as good as before, but somebody has heard of it.
    fs::write(&file, table(90, 95))?;
    table_in_force.swap(SignalTable::from_json(&fs::read(&file)?)?);
    fs::remove_file(&file)?;
    expect(ask("a threat", "/entries/7")?, Asked::Denied)?;

    // A table with one bad signal is refused whole, and what is in force stays.
    match SignalTable::from_json(table(101, 0).as_bytes()) {
        Err(error @ TableError::Signal { .. }) => println!("\nrefused: {error}"),
        other => return Err(format!("a signal of 101 was taken: {other:?}").into()),
    }
    Ok(())
}

/// What a device manager and a threat feed say of the laptop.
fn table(device: u8, threat: u8) -> String {
    format!(
        r#"{{"source": "mdm", "signals": [
            {{"name": "device", "peer": "spiffe://prod.example/laptop", "value": {device}, "observed_at": 1790000000}},
            {{"name": "threat-intelligence", "peer": "spiffe://prod.example/laptop", "value": {threat}, "observed_at": 1790000000}}
        ]}}"#
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Permitted,
    Denied,
}

fn expect(got: Asked, wanted: Asked) -> Result<(), String> {
    (got == wanted)
        .then_some(())
        .ok_or_else(|| format!("{got:?}, and not {wanted:?}"))
}

/// Asks, and shows how the score came about.
fn ask(
    engine: &Engine,
    signals: &Signals,
    of: &SpiffeId,
    what: &str,
    path: &str,
) -> Result<Asked, Box<dyn Error>> {
    let policy = engine.policy();
    let scorer = policy.scorer().ok_or("the policy has no [trust]")?;
    let scored = signals.explain(scorer, Whom::peer(of), NOW);
    let asked = ask_quietly(engine, signals, of, path)?;
    println!(
        "{what}: GET {path} {asked:?}, score {}",
        scored.score.value()
    );
    for contribution in &scored.contributions {
        println!("    {contribution}");
    }
    Ok(asked)
}

fn ask_quietly(
    engine: &Engine,
    signals: &Signals,
    of: &SpiffeId,
    path: &str,
) -> Result<Asked, Box<dyn Error>> {
    let peer = asserted(of);
    let flow = Flow::ingress("ledger", 8443, Arrival::unknown(), Some(&peer));
    let permit = engine.permit_flow(&flow, NOW)?;
    let policy = engine.policy();
    let scorer = policy.scorer().ok_or("the policy has no [trust]")?;
    let evidence = Evidence::none().with_trust_score(signals.score(scorer, Whom::peer(of), NOW));
    let action = Action::request("GET", path)?;
    Ok(match engine.authorize(&permit, &action, &evidence, NOW) {
        Ok(_) => Asked::Permitted,
        Err(_) => Asked::Denied,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the example has no connection on which a caller could prove itself"
)]
fn asserted(id: &SpiffeId) -> Peer {
    let proof = Proof::Asserted {
        id: id.clone(),
        by: "example".into(),
        expires_at: Timestamp::MAX,
        leaf_sha256: None,
    };
    Peer::assertion(proof, "the example vouches for its caller")
}
