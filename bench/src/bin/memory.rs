//! `memory SIZE`: what each engine takes to load, what it keeps, and how often a decision allocates. One JSON line a figure.

use std::alloc::System;
use std::hint::black_box;

use cpu_time::ThreadTime;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use ztl_bench::document;
use ztl_bench::engine::{Cedar, Engine, Kind, Loaded, PolicyText, Tuned, agree};
use ztl_bench::mesh::{Mesh, Query};
use ztl_core::policy::Policy;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often everything is loaded; the median counts.
const LOADS: usize = 5;
/// Questions for which allocations are counted.
const QUERIES: usize = 4096;

fn main() {
    let size = std::env::args().nth(1).expect("memory SIZE");
    let size: usize = size.parse().expect("a number of rules");
    let mesh = Mesh::new(size);
    let print = |measure: &str, engine: &str, value: f64| {
        println!(
            "{}",
            json!({ "measure": measure, "engine": engine, "size": size, "value": value })
        );
    };
    loads(&mesh, &print);
    let questions = mesh.questions(QUERIES);
    let loaded = Loaded::new(&mesh);
    for kind in Kind::at(size) {
        let queries = kind.of(&questions);
        let engine = kind.build(&mesh, &loaded, queries);
        // Every answer is looked at, and the ring is full afterwards.
        agree(kind, &*engine, queries);
        let (mean, most) = allocations(&*engine, queries);
        print("allocations", kind.name(), mean);
        print("allocations-most", kind.name(), most as f64);
    }
}

fn loads(mesh: &Mesh, print: &impl Fn(&str, &str, f64)) {
    let load = |engine: &str, (millis, bytes): (f64, usize)| {
        print("load-ms", engine, millis);
        print("heap-bytes", engine, bytes as f64);
    };
    load("hand-tuned", median(|| Tuned::new(mesh)));
    load("cedar", median(|| Cedar::new(mesh)));
    let json = document::json(mesh);
    load(
        "ztl-json",
        median(|| Policy::from_json(&json).expect("a policy")),
    );
    drop(json);
    let text = PolicyText::of(mesh);
    load("ztl-toml", median(|| text.load()));
    print("text-bytes", "ztl-toml", text.bytes() as f64);
    // What of it is the parsed document, which a policy keeps so that it can be explained.
    load("ztl-document", median(|| text.read()));
}

/// The median CPU time in milliseconds, and the bytes that are kept.
fn median<T>(load: impl Fn() -> T) -> (f64, usize) {
    let mut times = Vec::with_capacity(LOADS);
    let mut bytes = 0;
    for _ in 0..LOADS {
        let region = Region::new(ALLOCATOR);
        let start = ThreadTime::now();
        let loaded = black_box(load());
        times.push(start.elapsed().as_secs_f64() * 1e3);
        let change = region.change();
        bytes = change
            .bytes_allocated
            .saturating_sub(change.bytes_deallocated);
        drop(loaded);
    }
    times.sort_by(f64::total_cmp);
    (times[LOADS / 2], bytes)
}

/// Allocations of the mean decision and of the one with most; making a larger one of an allocation counts as one.
fn allocations(engine: &dyn Engine, queries: &[Query]) -> (f64, usize) {
    let (mut total, mut most) = (0, 0);
    for (at, query) in queries.iter().enumerate() {
        let region = Region::new(ALLOCATOR);
        black_box(engine.permits(at, query));
        let change = region.change();
        let count = change.allocations + change.reallocations;
        total += count;
        most = most.max(count);
    }
    (total as f64 / queries.len() as f64, most)
}
