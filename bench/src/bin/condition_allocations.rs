//! How often a decision with a condition allocates, and the `cel` crate alone. One JSON line a figure.

use std::alloc::System;

use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use ztl_bench::condition::{Asker, CONDITIONS, plain_cel, policy};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let asker = Asker::new();
    let none = core::iter::once(("none", None));
    for (name, when) in none.chain(CONDITIONS.map(|(name, when)| (name, Some(when)))) {
        let count = asker.ask(&policy(when), |ask| counted(ask));
        print("condition-ztl-allocations", name, count);
    }
    for (name, when) in CONDITIONS {
        print("condition-cel-allocations", name, counted(plain_cel(when)));
    }
}

/// Allocations of the second evaluation.
fn counted<T>(evaluate: impl Fn() -> T) -> usize {
    drop(evaluate());
    let region = Region::new(ALLOCATOR);
    drop(evaluate());
    let change = region.change();
    change.allocations + change.reallocations
}

fn print(measure: &str, engine: &str, value: usize) {
    println!(
        "{}",
        json!({ "measure": measure, "engine": engine, "value": value })
    );
}
