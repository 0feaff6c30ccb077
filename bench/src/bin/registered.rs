//! `registered ROUNDS`: what it takes to register a connection of a guard and to take it out again, and the same of a request that runs
//! on one: time, allocations, and bytes while it is in. One JSON line a figure.
//!
//! `registered connection|request COUNT`: so many of them one after the other, for a program that counts instructions.

use std::alloc::System;
use std::hint::black_box;

use cpu_time::ThreadTime;
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use ztl_bench::document::PORT;
use ztl_bench::engine::Void;
use ztl_bench::service::Hello;
use ztl_bench::wire::runtime;
use ztl_tower::Guard;
use ztl_tower::test::Registered;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How many are open beside the one that is looked at.
const OPEN: [usize; 3] = [1, 100, 10_000];
/// One after another, in each round.
const BATCH: usize = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // The sweeper, which is not measured, gets no turn on this thread while nothing is waited for.
    runtime().block_on(async {
        let guard = Hello::new().guard(PORT, Void).await;
        match &arguments[..] {
            [rounds] => measured(&guard, rounds.parse().expect("a number of rounds")),
            [entry, count] => {
                let first = Registered::new(&guard);
                let one = one(entry, &guard, &first);
                (0..count.parse().expect("a number")).for_each(|_| one());
            }
            _ => panic!("registered ROUNDS, or registered connection|request COUNT"),
        }
    });
}

/// One that comes and goes.
fn one<'a>(entry: &str, guard: &'a Guard, on: &'a Registered) -> Box<dyn Fn() + 'a> {
    match entry {
        "connection" => Box::new(|| drop(black_box(Registered::new(guard)))),
        "request" => Box::new(|| drop(black_box(on.request()))),
        other => panic!("there is no entry `{other}`"),
    }
}

fn measured(guard: &Guard, rounds: usize) {
    let mut open = Vec::new();
    for many in OPEN {
        open.resize_with(many, || Registered::new(guard));
        for entry in ["connection", "request"] {
            let one = one(entry, guard, &open[0]);
            let mut times: Vec<f64> = (0..rounds)
                .map(|_| {
                    let start = ThreadTime::now();
                    (0..BATCH).for_each(|_| one());
                    start.elapsed().as_secs_f64() * 1e9 / BATCH as f64
                })
                .collect();
            times.sort_by(f64::total_cmp);
            let ns = times[times.len() / 2];
            println!(
                "{}",
                json!({ "measure": "registry-ns", "engine": entry, "size": many, "value": ns })
            );
            if many == OPEN[0] {
                let region = Region::new(ALLOCATOR);
                one();
                let change = region.change();
                let count = change.allocations + change.reallocations;
                print("registry-allocations", entry, json!(count));
            }
        }
    }
    drop(open);
    bytes("connection", || Registered::new(guard));
    let connection = Registered::new(guard);
    bytes("request", || connection.request());
}

/// Bytes of heap for each, their share of what holds them included.
fn bytes<T>(entry: &str, make: impl Fn() -> T) {
    let many = OPEN[OPEN.len() - 1];
    let mut held = Vec::with_capacity(many);
    let region = Region::new(ALLOCATOR);
    held.resize_with(many, make);
    let change = region.change();
    let kept = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
    black_box(&held);
    print("registry-bytes", entry, json!(kept / many as f64));
}

fn print(measure: &str, engine: &str, value: Value) {
    println!(
        "{}",
        json!({ "measure": measure, "engine": engine, "value": value })
    );
}
