//! `report decide|request|handshake|condition|token|trust FOLDER CRITERION`: shows what a run measured, then one JSON line a goal.

use std::path::Path;

use serde_json::Value;
use ztl_bench::report::{Figures, condition, decide, handshake, request, token, trust};

/// A measure, and its title.
type Table = (&'static str, &'static str);

/// A group of measures: criterion's groups with the names of their measures, the goals, the tables.
struct Group {
    criterion: &'static [(&'static str, &'static str)],
    goals: fn(&Figures) -> Vec<Value>,
    tables: &'static [Table],
}

const DECIDE: Group = Group {
    criterion: &[("all", "ns-all"), ("hot", "ns-hot")],
    goals: decide,
    tables: &[
        (
            "ns-all",
            "Median ns of processor time a decision, over all edges",
        ),
        ("ns-hot", "The same over a working set of 256 questions"),
        ("instructions", "Instructions a decision"),
        (
            "instructions-first",
            "Instructions a decision about the first target, the same at every size",
        ),
        ("allocations", "Allocations a decision, mean"),
        ("allocations-most", "Allocations a decision, most"),
        ("load-ms", "Load, ms of processor time"),
        ("text-bytes", "Bytes of the document"),
        ("heap-bytes", "Bytes of heap that stay"),
    ],
};

const REQUEST: Group = Group {
    criterion: &[("request", "request-ns")],
    goals: request,
    tables: &[
        (
            "request-ns",
            "Median ns of processor time a request in memory",
        ),
        ("request-allocations", "Allocations a request in memory"),
        ("request-instructions", "Instructions a request in memory"),
        (
            "served-instructions",
            "Instructions a request over mutual TLS, its client's included",
        ),
        ("socket-p50-us", "Over mutual TLS: p50 in µs"),
        ("socket-p99-us", "p99 in µs"),
        ("socket-requests-a-second", "Requests a second"),
        (
            "socket-server-cpu-us",
            "µs of the server's processor time a request",
        ),
    ],
};

const TOKEN: Group = Group {
    criterion: &[("token", "token-ns")],
    goals: token,
    tables: &[("token-ns", "Median ns of processor time a token")],
};

const HANDSHAKE: Group = Group {
    criterion: &[],
    goals: handshake,
    tables: &[
        (
            "handshake-server-us",
            "A full handshake in memory: µs of processor time at the server's end",
        ),
        (
            "handshakes-a-second",
            "The same: handshakes a second and core",
        ),
        (
            "handshakes-per-webpki",
            "The same, as a share of rustls with WebPkiClientVerifier",
        ),
        (
            "handshake-instructions",
            "Instructions of one, both ends together",
        ),
        (
            "connection-server-us",
            "Over sockets: µs of the server's processor time for a connection, its handshake and one request",
        ),
        (
            "connections-per-bare",
            "The same, connections a second as a share of the bare server",
        ),
        (
            "verify-ns",
            "What the verifier takes of it, authorization included, ns: the end of a handshake less that of one which looks at no certificate",
        ),
        ("verify-allocations", "Allocations of it"),
        ("prove-ns", "Verification of a client's chain alone, ns"),
        (
            "prove-beyond-webpki-ns",
            "ns beyond webpki, median of pairs",
        ),
        ("prove-instructions", "Instructions of it"),
        ("prove-allocations", "Allocations of it"),
        (
            "registry-ns",
            "Registering one and taking it out again, ns of processor time, among so many connections",
        ),
        ("registry-instructions", "Instructions of it"),
        ("registry-allocations", "Allocations of it"),
        ("registry-bytes", "Bytes of heap for each, 10 000 of them"),
        (
            "idle-bytes",
            "Resident bytes of the server for each idle connection",
        ),
        ("idle-held", "Idle connections held"),
    ],
};

const CONDITION: Group = Group {
    criterion: &[
        ("condition-ztl", "condition-ztl-ns"),
        ("condition-cel", "condition-cel-ns"),
    ],
    goals: condition,
    tables: &[
        (
            "condition-ztl-ns",
            "Median ns of processor time a decision, by its condition",
        ),
        (
            "condition-cel-ns",
            "The same conditions in the `cel` crate, context and evaluation",
        ),
        (
            "condition-ztl-allocations",
            "Allocations a decision, by its condition",
        ),
        (
            "condition-cel-allocations",
            "Allocations of the `cel` crate, context and evaluation",
        ),
    ],
};

const TRUST: Group = Group {
    criterion: &[("trust", "trust-ns"), ("watched", "watched-ns")],
    goals: trust,
    tables: &[
        (
            "trust-ns",
            "Median ns of processor time a decision on a kept permit, by the trust score that is made for it",
        ),
        ("trust-allocations", "Allocations of it"),
        (
            "watched-ns",
            "Median ns of processor time a decision on a kept permit, its record watched by a source of signals or not",
        ),
        ("watched-allocations", "Allocations of it"),
    ],
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, folder, criterion] = &arguments[..] else {
        panic!("report decide|request|handshake|condition|token|trust FOLDER CRITERION");
    };
    let group = match name.as_str() {
        "decide" => DECIDE,
        "request" => REQUEST,
        "token" => TOKEN,
        "handshake" => HANDSHAKE,
        "condition" => CONDITION,
        "trust" => TRUST,
        other => panic!("no group is called `{other}`"),
    };
    let mut figures = Figures::default();
    let lines = Path::new(folder).join(format!("{name}.jsonl"));
    figures.read_lines(&std::fs::read_to_string(lines).expect("figures"));
    for (of, measure) in group.criterion {
        figures.read_criterion(Path::new(criterion), of, measure);
    }
    for (measure, title) in group.tables {
        print!("{}", figures.table(measure, title));
    }
    println!();
    for goal in (group.goals)(&figures) {
        println!("{goal}");
    }
}
