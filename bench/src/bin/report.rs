//! `report decide|request FOLDER CRITERION`: shows what a run measured, then one JSON line a goal.

use std::path::Path;

use ztl_bench::report::{Figures, decide, request};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [group, folder, criterion] = &arguments[..] else {
        panic!("report decide|request FOLDER CRITERION");
    };
    let mut figures = Figures::default();
    let lines = Path::new(folder).join(format!("{group}.jsonl"));
    figures.read_lines(&std::fs::read_to_string(lines).expect("figures"));
    let criterion = Path::new(criterion);
    let (goals, tables): (_, &[(&str, &str)]) = if group == "decide" {
        figures.read_criterion(criterion, "all", "ns-all");
        figures.read_criterion(criterion, "hot", "ns-hot");
        (
            decide(&figures),
            &[
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
        )
    } else {
        figures.read_criterion(criterion, "request", "request-ns");
        (
            request(&figures),
            &[
                (
                    "request-ns",
                    "Median ns of processor time a request in memory",
                ),
                ("request-allocations", "Allocations a request in memory"),
                (
                    "socket-p50-us",
                    "Over mutual TLS, one connection: p50 in µs",
                ),
                ("socket-requests-a-second", "Requests a second"),
                (
                    "socket-server-cpu-us",
                    "µs of the server's processor time a request",
                ),
            ],
        )
    };
    for (measure, title) in tables {
        print!("{}", figures.table(measure, title));
    }
    println!();
    for goal in goals {
        println!("{goal}");
    }
}
