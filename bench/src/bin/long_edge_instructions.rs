//! `long_edge_instructions paths|labels RULES COUNT`: asks COUNT questions about one target with RULES permits, for callgrind to count: each for another path
//! of one caller, authorized on a kept permit; or each for another label, permitted as flows. Half of the questions are denied.

use std::hint::black_box;
use std::sync::Arc;

use ztl_bench::engine::Void;
use ztl_core::policy::Policy;
use ztl_core::{Action, Arrival, Engine, Evidence, Flow, Peer, Proof, SpiffeId, Timestamp};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, rules, count] = &arguments[..] else {
        panic!("long_edge_instructions paths|labels RULES COUNT");
    };
    let (rules, count): (usize, usize) = (
        rules.parse().expect("a number"),
        count.parse().expect("a number"),
    );
    let permitted = match kind.as_str() {
        "paths" => paths(rules, count),
        "labels" => labels(rules, count),
        other => panic!("`{other}` is neither `paths` nor `labels`"),
    };
    assert_eq!(permitted, count.div_ceil(2), "half are permitted");
}

/// One caller, a path for each rule.
fn paths(rules: usize, count: usize) -> usize {
    let mut text = head();
    text += "[workloads.web]\nid = 'spiffe://p.example/web'\n";
    for at in 0..rules {
        text += &format!(
            "[[permit]]\nfrom = 'web'\nto = 'db'\nactions = ['GET /v1/{}/{{id}}']\n",
            name(at)
        );
    }
    let engine = engine(&text);
    let peer = peer("spiffe://p.example/web");
    let flow = Flow::ingress("db", 1, Arrival::unknown(), Some(&peer));
    let permit = engine.permit_flow(&flow, NOW).expect("permitted");
    // What is denied has a path of as many segments.
    let asked: Vec<String> = (0..rules)
        .flat_map(|at| {
            [
                format!("/v1/{}/7", name(at)),
                format!("/v1/{}x/7", name(at)),
            ]
        })
        .collect();
    let asked: Vec<Action<'_>> = (asked.iter())
        .map(|path| Action::request("GET", path).expect("a path"))
        .collect();
    let asked = asked.iter().cycle().take(count);
    asked
        .filter(|action| {
            let action = black_box(*action);
            engine
                .authorize(&permit, action, &Evidence::none(), NOW)
                .is_ok()
        })
        .count()
}

/// A label for each rule, and workloads of which every other has one of them.
fn labels(rules: usize, count: usize) -> usize {
    let mut text = head();
    for at in 0..rules {
        text += &format!(
            "[workloads.a{at}]\nid = 'spiffe://p.example/a/{at}'\nlabels = {{ team = 't{at}' }}\n"
        );
        text += &format!(
            "[workloads.b{at}]\nid = 'spiffe://p.example/b/{at}'\nlabels = {{ team = 'none' }}\n"
        );
        text += &format!("[[permit]]\nfrom = 'label:team=t{at}'\nto = 'db'\nactions = ['GET /']\n");
    }
    let engine = engine(&text);
    let peers: Vec<Peer> = (0..rules)
        .flat_map(|at| ["a", "b"].map(|kind| peer(&format!("spiffe://p.example/{kind}/{at}"))))
        .collect();
    let asked = peers.iter().cycle().take(count);
    asked
        .filter(|peer| {
            let flow = Flow::ingress("db", 1, Arrival::unknown(), Some(black_box(*peer)));
            engine.permit_flow(&flow, NOW).is_ok()
        })
        .count()
}

/// As long for each.
fn name(at: usize) -> String {
    format!("resource-{at:06}")
}

fn head() -> String {
    "schema = 1\ntrust_domain = 'p.example'\n[workloads.db]\nid = 'spiffe://p.example/db'\nports = [1]\n".to_owned()
}

fn engine(text: &str) -> Arc<Engine> {
    let policy = Policy::from_toml(text).unwrap_or_else(|error| panic!("{error}"));
    Arc::new(Engine::new(policy, Void).expect("random bits"))
}

fn peer(id: &str) -> Peer {
    let proof = Proof::X509 {
        id: SpiffeId::parse(id).expect("a SPIFFE ID"),
        leaf_sha256: [7; 32].into(),
        serial: Box::new([1]),
        not_after: Timestamp::MAX,
    };
    Peer::assertion(proof, "made up for a bench")
}
