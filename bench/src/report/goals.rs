//! The goals, and whether they are reached.

use serde_json::{Value, json};

use super::Figures;
use crate::sizes;

/// One line for one goal: reached where the value is at most the target.
fn at_most(goal: &str, what: &str, value: Option<f64>, unit: &str, target: f64) -> Value {
    let shown = value.map(|value| (value * 1e4).round() / 1e4);
    json!({
        "goal": goal, "what": what, "value": shown, "unit": unit, "target": target,
        "ok": value.map(|value| value <= target),
    })
}

/// The same where the value has to be at least the target.
fn at_least(goal: &str, what: &str, value: Option<f64>, unit: &str, target: f64) -> Value {
    let mut line = at_most(goal, what, value, unit, target);
    line["ok"] = json!(value.map(|value| value >= target));
    line
}

/// A figure without a goal, for information.
fn shown(goal: &str, what: &str, value: Option<f64>, unit: &str) -> Value {
    let mut line = at_most(goal, what, value, unit, 0.0);
    (line["target"], line["ok"]) = (Value::Null, Value::Null);
    line
}

/// The greatest of a figure over all sizes; none where one is missing.
fn worst(figure: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let values: Option<Vec<f64>> = sizes()
        .iter()
        .map(|size| figure(&size.to_string()))
        .collect();
    values?.into_iter().reduce(f64::max)
}

/// One figure divided by another.
fn ratio(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(one? / other?)
}

/// The goals of a decision.
#[must_use]
pub fn decide(figures: &Figures) -> Vec<Value> {
    let mut lines = Vec::new();
    let instructions = |engine: &str, size: &str| figures.get("instructions", engine, size);
    for (engine, what) in [("ztl", "from text"), ("ztl-calls", "the two calls")] {
        for (other, target) in [("cedar", 0.05), ("hand-tuned", 2.0), ("regorus-rvm", 0.02)] {
            let against = |size: &str| ratio(instructions(engine, size), instructions(other, size));
            if figures.get("instructions", other, "10").is_some() {
                let what = format!("instructions of permit_flow and authorize, {what} / {other}");
                lines.push(at_most("P1", &what, worst(against), "ratio", target));
            }
        }
    }
    let alone = worst(|size| instructions("ztl-authorize", size));
    lines.push(at_most(
        "P2",
        "authorize alone",
        alone,
        "instructions",
        300.0,
    ));
    let hot = worst(|size| figures.get("ns-hot", "ztl-authorize", size));
    lines.push(at_most("P2", "authorize alone, hot", hot, "ns", 40.0));
    let first = |size: &str| figures.get("instructions-first", "ztl-authorize", size);
    let growth = ratio(first("100000"), first("10"));
    lines.push(at_most(
        "P2",
        "the same questions at 100 000 and at 10 rules",
        growth,
        "ratio",
        1.05,
    ));
    for (engine, what, target) in [
        ("ztl-authorize", "authorize", 0.0),
        ("ztl-authorize-ring", "authorize, audit in memory", 0.0),
        ("ztl-flow", "permit_flow", 1.0),
        ("ztl-flow-ring", "permit_flow, audit in memory", 1.0),
    ] {
        let most = worst(|size| figures.get("allocations-most", engine, size));
        lines.push(at_most("P3", what, most, "allocations", target));
    }
    for (what, plain, explained) in [
        (
            "permit_flow and authorize",
            "ztl-denied",
            "ztl-denied-explained",
        ),
        ("authorize alone", "ztl-refused", "ztl-refused-explained"),
    ] {
        let over = |size: &str| ratio(instructions(explained, size), instructions(plain, size));
        let what = format!("instructions of a denial, explained / plain, {what}");
        lines.push(at_most("P5", &what, worst(over), "ratio", 1.5));
    }
    load(figures, &mut lines);
    swap(figures, &mut lines);
    lines
}

fn load(figures: &Figures, lines: &mut Vec<Value>) {
    const LARGE: &str = "100000";
    let millis = |engine: &str| figures.get("load-ms", engine, LARGE);
    let whole = millis("ztl-toml");
    // What a load takes beyond reading the document and its digest: names, rules, index and proofs.
    let indexed = whole
        .zip(millis("ztl-document"))
        .map(|(whole, document)| whole - document);
    let indexed = ratio(indexed, millis("cedar"));
    lines.push(at_most(
        "P4",
        "compile and index 100 000 rules / Cedar's load",
        indexed,
        "ratio",
        0.1,
    ));
    let whole = ratio(whole, millis("cedar"));
    let mut line = at_most(
        "P4",
        "all of the load, text and proofs too / Cedar's load",
        whole,
        "ratio",
        0.1,
    );
    // The goal speaks of compiling and indexing; this is for information.
    line["ok"] = Value::Null;
    lines.push(line);
    let bytes = |engine: &str| figures.get("heap-bytes", engine, LARGE);
    let kept = bytes("ztl-toml").zip(bytes("ztl-document"));
    let index = kept.map(|(all, document)| (all - document) / 1e6);
    lines.push(at_most(
        "P4",
        "heap at 100 000 rules without the document",
        index,
        "MB",
        60.0,
    ));
}

/// The delay of decisions while policies are swapped.
fn swap(figures: &Figures, lines: &mut Vec<Value>) {
    let delay = figures.get("swap-delay-us", "ztl-calls", "1000");
    let what = "the slowest thousandth of decisions, while policies are swapped / while none is";
    lines.push(at_most("P4", what, delay, "us more", 50.0));
}

/// The goals of a request.
#[must_use]
pub fn request(figures: &Figures) -> Vec<Value> {
    let mut lines = Vec::new();
    for (engine, what) in [
        ("ztl", "audit kept nowhere"),
        ("ztl-ring", "audit in memory"),
    ] {
        for (measure, unit, target) in [
            ("request-ns", "ns", 350.0),
            ("request-allocations", "allocations", 3.0),
        ] {
            let over = figures
                .get(measure, engine, "")
                .zip(figures.get(measure, "no-op", ""));
            let over = over.map(|(with, without)| with - without);
            let what = format!("the layer over a no-op layer, {what}");
            lines.push(at_most("P9", &what, over, unit, target));
        }
    }
    for column in crate::wire::COLUMNS {
        let against = |other: &str, figure: &str| {
            format!("{figure} over mutual TLS, {}, {other}", column.name)
        };
        let bare = |measure| figures.get(measure, "ztl/bare", column.name);
        let what = |figure| against("guarded / bare", figure);
        let rate = bare("socket-requests-a-second");
        lines.push(at_least(
            "P10",
            &what("requests a second"),
            rate,
            "ratio",
            0.97,
        ));
        lines.push(at_most(
            "P10",
            &what("p99"),
            bare("socket-p99-us"),
            "ratio",
            1.05,
        ));
        let sidecar = |measure| figures.get(measure, "ztl/nginx", column.name);
        let what = |figure| against("guarded / behind nginx as a sidecar", figure);
        lines.push(at_most(
            "P10",
            &what("p50"),
            sidecar("socket-p50-us"),
            "ratio",
            0.6,
        ));
        let cpu = sidecar("socket-server-cpu-us");
        lines.push(at_most(
            "P10",
            &what("processor time a request"),
            cpu,
            "ratio",
            0.5,
        ));
    }
    lines
}

/// The goals of proving an end.
#[must_use]
pub fn handshake(figures: &Figures) -> Vec<Value> {
    let get = |measure: &str, engine: &str| figures.get(measure, engine, "");
    let mut lines = Vec::new();
    for (measure, engine, what) in [
        (
            "handshakes-per-webpki",
            "ztl",
            "full handshakes a second in memory, no chain proved before, flow decision included / webpki",
        ),
        (
            "handshakes-per-webpki",
            "ztl, proved before",
            "full handshakes a second in memory, a returning peer, flow decision included / webpki",
        ),
        (
            "connections-per-bare",
            "ztl, guarded",
            "connections a second over sockets, one request each, registry included / bare",
        ),
    ] {
        lines.push(at_least("P6", what, get(measure, engine), "ratio", 0.98));
    }
    // Built with `--peers`.
    if get("verify-ns", "spiffe-rustls").is_some() {
        for (own, theirs, what) in [
            ("ztl", "spiffe-rustls", "a new client"),
            (
                "ztl, proved before",
                "spiffe-rustls, proved before",
                "a returning client",
            ),
        ] {
            for (measure, what_of) in [
                ("handshake-server-us", "processor time of a full handshake"),
                ("verify-ns", "processor time of its verification"),
                ("verify-allocations", "allocations of its verification"),
            ] {
                let over = ratio(get(measure, own), get(measure, theirs));
                let what = format!("{what_of}, {what}, ztl / spiffe-rustls");
                lines.push(shown("P6", &what, over, "ratio"));
            }
        }
    }
    let beyond = get("prove-beyond-webpki-ns", "ztl");
    lines.push(at_most(
        "P7",
        "a proof beyond webpki",
        beyond,
        "ns",
        3_000.0,
    ));
    let allocations = get("prove-allocations", "ztl")
        .zip(get("prove-allocations", "webpki"))
        .map(|(own, webpki)| own - webpki);
    lines.push(at_most(
        "P7",
        "a proof beyond webpki",
        allocations,
        "allocations",
        10.0,
    ));
    let again = get("prove-ns", "ztl, proved before");
    lines.push(at_most(
        "P7",
        "the proof of a returning peer",
        again,
        "ns",
        5_000.0,
    ));
    for (entry, what) in [
        ("connection", "a connection registered and taken out"),
        ("request", "a running request registered and taken out"),
    ] {
        let ns = figures.get("registry-ns", entry, "10000");
        lines.push(shown(
            "P6",
            &format!("{what}, among 10 000 connections"),
            ns,
            "ns",
        ));
        for (measure, unit) in [
            ("registry-instructions", "instructions"),
            ("registry-allocations", "allocations"),
        ] {
            lines.push(shown("P6", what, get(measure, entry), unit));
        }
        let bytes = get("registry-bytes", entry);
        lines.push(shown(
            "P8",
            &format!("heap of {what}, while it is in"),
            bytes,
            "bytes",
        ));
    }
    for protocol in crate::wire::PROTOCOLS {
        let bytes = figures.get("idle-bytes", "ztl", protocol);
        let what = format!("resident bytes an idle connection, registry included, {protocol}");
        lines.push(at_most("P8", &what, bytes, "bytes", 40_960.0));
        let held = figures.get("idle-held", "ztl", protocol);
        let what = format!("idle connections held, {protocol}");
        lines.push(at_least("P8", &what, held, "connections", 10_000.0));
    }
    lines
}

/// The goals of a token.
#[must_use]
pub fn token(figures: &Figures) -> Vec<Value> {
    let mut lines = Vec::new();
    let get = |engine: &str, algorithm: &str| figures.get("token-ns", engine, algorithm);
    for algorithm in ["ES256", "RS256", "EdDSA"] {
        let what = format!("a token that was seen before, {algorithm}");
        let seen = get("seen", algorithm).map(|ns| ns / 1000.0);
        lines.push(at_most("P11", &what, seen, "us", 2.0));
        let what = format!("a new token / jsonwebtoken alone, {algorithm}");
        let new = ratio(get("new", algorithm), get("jsonwebtoken", algorithm));
        lines.push(at_most("P11", &what, new, "ratio", 1.05));
    }
    lines
}

/// The goals of a condition. One that loops is shown beside them: it takes as long as its list is.
#[must_use]
pub fn condition(figures: &Figures) -> Vec<Value> {
    use crate::condition::{CONDITIONS, LOOP, REPEATED};
    let over = |measure: &str, name: &str| {
        Some(figures.get(measure, name, "")? - figures.get(measure, "none", "")?)
    };
    let most = |measure: &str| {
        let straight = CONDITIONS.iter().filter(|(name, _)| *name != LOOP);
        let each: Option<Vec<f64>> = straight.map(|(name, _)| over(measure, name)).collect();
        each?.into_iter().reduce(f64::max)
    };
    let (ns, allocations) = ("condition-ztl-ns", "condition-ztl-allocations");
    let lines = |what: &str, ns: Option<f64>, allocations: Option<f64>| {
        let time = format!("{what}, over the rule without it");
        let made = format!("allocations of {what}, over the rule without it");
        [
            at_most("P12", &time, ns, "ns", 1_000.0),
            at_most("P12", &made, allocations, "allocations", 15.0),
        ]
    };
    let mut all = lines("the dearest condition", most(ns), most(allocations)).to_vec();
    for mut line in lines(
        "a loop over twenty objects",
        over(ns, LOOP),
        over(allocations, LOOP),
    ) {
        line["ok"] = Value::Null;
        all.push(line);
    }
    let once = (figures.get(ns, "native", "")).zip(figures.get(ns, "native-repeated", ""));
    let more = f64::from(REPEATED - 1);
    let alone = once.map(|(once, repeated)| (repeated - once) / more);
    let what = "one comparison of a known field, by itself";
    all.push(at_most("P12", what, alone, "ns", 50.0));
    let mut whole = at_most(
        "P12",
        "the same, over the rule without it",
        over(ns, "native"),
        "ns",
        50.0,
    );
    whole["ok"] = Value::Null;
    all.push(whole);
    all
}

/// What a trust score takes, for information.
#[must_use]
pub fn trust(figures: &Figures) -> Vec<Value> {
    use crate::trust::{Asked, WATCHED};
    let mut lines = Vec::new();
    let mut add = |what: String, group: &str, with: &str, without: &str| {
        for (measure, unit) in [("ns", "ns"), ("allocations", "allocations")] {
            let get = |engine: &str| figures.get(&format!("{group}-{measure}"), engine, "");
            let over = get(with).zip(get(without));
            let over = over.map(|(with, without)| with - without);
            lines.push(shown("trust", &what, over, unit));
        }
    };
    for (asked, what) in [
        (Asked::Given, "a score that was made before"),
        (Asked::Six, "a score of six signals, made for the decision"),
        (Asked::SomeStale, "the same, two that add too old"),
        (Asked::VetoStale, "the same, the veto too old: a denial"),
        (Asked::NothingKnown, "the same, nothing known: a denial"),
    ] {
        let what = format!("{what}, over the rule that asks for none");
        add(what, "trust", asked.name(), Asked::Nothing.name());
    }
    let [(alone, _), (watched, _)] = WATCHED;
    let what = "an audit record that a source of signals watches, over one it does not";
    add(what.to_owned(), "watched", watched, alone);
    lines
}
