//! `ztl-bench-ffi FOLDER ROUNDS LIBRARY`: the same decision by the core, from C, from Go and from Python, in turn; what each takes
//! beyond the core in the same round, and one JSON line a goal. The programs of the others are in the folder; who is not there is
//! left out.

mod core;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::core::{Asked, COUNT, NOW};

/// A way to ask: its name, what its decisions may take beyond the core's in ns, and the most allocations.
struct Way {
    name: &'static str,
    command: &'static str,
    target: f64,
    beyond: Vec<f64>,
    ns: Vec<f64>,
    allocations: Option<f64>,
}

impl Way {
    const fn new(name: &'static str, command: &'static str, target: f64) -> Self {
        Self {
            name,
            command,
            target,
            beyond: Vec::new(),
            ns: Vec::new(),
            allocations: None,
        }
    }

    fn ask(&mut self, folder: &Path, core: f64) {
        let (ns, allocations) = self.call(folder, "decision", COUNT);
        self.allocations = allocations.or(self.allocations);
        self.ns.push(ns);
        self.beyond.push(ns - core);
    }

    /// Makes a call so often, once: what one takes in ns, and how often it allocates where that is told, in Go's own form.
    fn call(&self, folder: &Path, what: &str, count: u32) -> (f64, Option<f64>) {
        let output = Command::new(folder.join(self.command))
            .args([&NOW.to_string(), &count.to_string(), what])
            .current_dir(folder)
            .output();
        let output = output.expect("the program runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{}: {said}{}",
            self.name,
            String::from_utf8_lossy(&output.stderr)
        );
        let words: Vec<_> = said.split_whitespace().collect();
        let before = |unit: &str| {
            let at = words.iter().position(|word| *word == unit)?;
            words[at - 1].parse::<f64>().ok()
        };
        (before("ns/op").expect("a figure"), before("allocs/op"))
    }
}

/// Calls beside a decision: what is shown of each, what it is called, how often it is made, and who makes it.
const OTHERS: [(&str, &str, u32, &[&str]); 7] = [
    (
        "nothing: there and back",
        "nothing",
        COUNT,
        &["c-static", "c-shared", "go", "python"],
    ),
    (
        "a decision",
        "decision",
        COUNT,
        &["c-static", "c-shared", "go", "python"],
    ),
    (
        "the same, with a field that is not ASCII",
        "wide",
        COUNT,
        &["c-static", "c-shared", "go", "python"],
    ),
    (
        "an explanation",
        "explanation",
        COUNT / 20,
        &["c-static", "c-shared"],
    ),
    (
        "a chain that was proved before; in Go with its flow",
        "proof",
        COUNT / 20,
        &["c-static", "c-shared", "go", "python"],
    ),
    (
        "a chain that was not, its authority told",
        "first-proof",
        COUNT / 50,
        &["c-static", "c-shared"],
    ),
    (
        "proofs in two threads of Python, wall time",
        "threads",
        COUNT / 20,
        &["python"],
    ),
];

/// Their medians of as many rounds, for information.
fn others(ways: &[Way], folder: &Path, rounds: u32) {
    println!("\nMedian ns a call\n");
    let names: Vec<_> = ways.iter().map(|way| way.name).collect();
    println!(
        "| | {} |\n|---|{}",
        names.join(" | "),
        "--:|".repeat(ways.len())
    );
    for (shown, what, count, who) in OTHERS {
        let figures = ways.iter().map(|way| {
            let is_asked = who.contains(&way.command) && folder.join(way.command).exists();
            let ns = || way.call(folder, what, count).0;
            let values: Vec<_> = (0..rounds).filter(|_| is_asked).map(|_| ns()).collect();
            median(&values).map_or_else(String::new, |ns| format!("{ns:.1}"))
        });
        println!("| {shown} | {} |", figures.collect::<Vec<_>>().join(" | "));
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn goal(what: &str, value: Option<f64>, unit: &str, target: f64) -> Value {
    let shown = value.map(|value| (value * 10.0).round() / 10.0);
    json!({
        "goal": "FFI", "what": what, "value": shown, "unit": unit, "target": target,
        "ok": value.map(|value| value <= target),
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, rounds, library] = &arguments[..] else {
        panic!("ztl-bench-ffi FOLDER ROUNDS LIBRARY");
    };
    let (folder, rounds) = (Path::new(folder), rounds.parse::<u32>().expect("a number"));
    let asked = Asked::new(folder);
    let mut ways = [
        Way::new("C, static", "c-static", 20.0),
        Way::new("C, shared", "c-shared", 45.0),
        Way::new("Go", "go", 100.0),
        Way::new("Python", "python", 150.0),
    ];
    let (mut core, mut owed) = (Vec::new(), Vec::new());
    asked.ns();
    for _ in 0..rounds {
        let own = asked.ns();
        core.push(own);
        owed.push(asked.ns_with_duties());
        for way in &mut ways {
            if folder.join(way.command).exists() {
                way.ask(folder, own);
            }
        }
    }
    println!("Median ns a decision, and ns beyond the core in the same round\n");
    println!("| | ns | beyond |\n|---|--:|--:|");
    let (core, owed) = (median(&core), median(&owed));
    let (core, owed) = core.zip(owed).expect("a round");
    println!("| core | {core:.1} | |");
    let duties = owed - core;
    println!("| core, with what a host owes a request | {owed:.1} | {duties:.1} |");
    let mut goals = Vec::new();
    for way in &ways {
        let beyond = median(&way.beyond);
        if let (Some(ns), Some(beyond)) = (median(&way.ns), beyond) {
            println!("| {} | {ns:.1} | {beyond:.1} |", way.name);
        }
        let what = format!("a decision from {} / the core", way.name);
        goals.push(goal(&what, beyond, "ns more", way.target));
        let what = format!("{what} with what a host owes a request");
        let mut line = goal(&what, beyond.map(|ns| ns - duties), "ns more", way.target);
        line["ok"] = Value::Null;
        goals.push(line);
        if way.name == "Go" {
            goals.push(goal(
                "a decision from Go",
                way.allocations,
                "allocations",
                0.0,
            ));
        }
    }
    others(&ways, folder, rounds);
    let bytes = std::fs::metadata(library).expect("the library").len();
    let bytes = u32::try_from(bytes).expect("less than 4 GB");
    goals.push(goal(
        "libztl.so, stripped",
        Some(f64::from(bytes) / 1e6),
        "MB",
        1.5,
    ));
    println!();
    for goal in goals {
        println!("{goal}");
    }
}
