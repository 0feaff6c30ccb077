//! How often a decision allocates for which a trust score is made, and one whose record is watched. One JSON line a figure.

use std::alloc::System;

use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use ztl_bench::trust::{Asked, Asker, WATCHED};
use ztl_core::Reason;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let asker = Asker::new();
    for asked in Asked::ALL {
        let count = asker.ask(asked, |ask| counted(ask));
        print("trust-allocations", asked.name(), count);
    }
    for (name, watched) in WATCHED {
        let count = asker.ask_watched(watched, |ask| counted(ask));
        print("watched-allocations", name, count);
    }
}

/// Allocations of the second decision.
fn counted(ask: &dyn Fn() -> Reason) -> usize {
    ask();
    let region = Region::new(ALLOCATOR);
    ask();
    let change = region.change();
    change.allocations + change.reallocations
}

fn print(measure: &str, engine: &str, value: usize) {
    println!(
        "{}",
        json!({ "measure": measure, "engine": engine, "value": value })
    );
}
