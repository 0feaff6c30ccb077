//! `ztl-bench-rego MODULES ROUNDS`: time of a policy in Rego, from an input document to the answer, and what two threads get out of
//! one policy and its pool. Before anything is timed all engines have to give the same answer. Ends with one JSON line a goal.
//!
//! `ztl-bench-rego MODULES CASE ENGINE COUNT` asks one engine so many times, for a count of instructions.

mod case;

use core::hint::black_box;
use core::time::Duration;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use cpu_time::ThreadTime;
use serde_json::{Value, json};
use ztl_authz::opa::WasmPolicy;
use ztl_authz::rego::RegoEngine;

use case::{Case, cases};

/// How long an engine is asked in a round.
const BATCH: Duration = Duration::from_millis(20);
/// How long threads ask in a round.
const ROUND: Duration = Duration::from_millis(250);

type Ask<'a> = Box<dyn FnMut() + 'a>;

/// The engines, the first of which is ours.
fn engines(case: &Case) -> [(&'static str, Ask<'_>); 4] {
    let (host, interpreter) = (case.host(), case.interpreter());
    let (mut opa_wasm, mut regorus) = (case.opa_wasm(), case.regorus());
    let ours = |engine: Box<dyn RegoEngine>| -> Ask<'_> {
        Box::new(move || {
            let text = black_box(&case.input).to_string();
            drop(black_box(engine.evaluate(&text).expect("an answer")));
        })
    };
    [
        ("ztl-wasm", ours(Box::new(host))),
        (
            "opa-wasm",
            Box::new(move || drop(black_box(opa_wasm(black_box(&case.input))))),
        ),
        ("ztl-interpreter", ours(Box::new(interpreter))),
        (
            "regorus",
            Box::new(move || drop(black_box(regorus(black_box(&case.input))))),
        ),
    ]
}

/// Nanoseconds of this thread's processor time an evaluation.
fn batch(ask: &mut Ask<'_>) -> f64 {
    let start = ThreadTime::now();
    let mut count = 0_u32;
    loop {
        for _ in 0..16 {
            ask();
        }
        count += 16;
        let took = start.elapsed();
        if took >= BATCH {
            return took.as_secs_f64() * 1e9 / f64::from(count);
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The engines take turns, so that what a neighbour on the machine takes away all lose: medians, and the median of the ratios of
/// the first two.
fn alone(case: &Case, rounds: usize) -> (Vec<(&'static str, f64)>, f64) {
    let mut engines = engines(case);
    let mut taken = vec![Vec::new(); engines.len()];
    let mut ratios = Vec::new();
    for round in 0..=rounds {
        let times = engines.each_mut().map(|(_, ask)| batch(ask));
        // The first warms up.
        if round > 0 {
            ratios.push(times[0] / times[1]);
            for (taken, time) in taken.iter_mut().zip(times) {
                taken.push(time);
            }
        }
    }
    let names = engines.iter().map(|(name, _)| *name);
    let figures = names.zip(taken.into_iter().map(median)).collect();
    (figures, median(ratios))
}

/// How long this thread has been ready without running (Linux, `Documentation/scheduler/sched-stats.rst`).
fn delayed() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos = text.split_whitespace().nth(1).expect("a second number");
    Duration::from_nanos(nanos.parse().expect("a number"))
}

/// Evaluations a second, of all threads together. Time in which a thread was ready and the machine ran another is taken off; time in
/// which it waited for the other thread is not.
fn rate(policy: &WasmPolicy, case: &Case, threads: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let one = || {
        let text = case.input.to_string();
        barrier.wait();
        let (start, before) = (Instant::now(), delayed());
        let mut count = 0_u32;
        while start.elapsed() < ROUND {
            for _ in 0..20 {
                policy.evaluate(&text).expect("an answer");
            }
            count += 20;
        }
        let had = start.elapsed() - (delayed() - before);
        f64::from(count) / had.as_secs_f64()
    };
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|one| one.join().expect("ends")).sum()
    })
}

/// What two threads get, as a multiple of what one gets.
fn together(case: &Case, rounds: usize) -> f64 {
    let policy = case.host();
    let pairs = (0..rounds).map(|_| rate(&policy, case, 2) / rate(&policy, case, 1));
    median(pairs.collect())
}

fn goal(what: &str, case: &str, value: f64, target: f64, ok: bool) -> Value {
    let shown = (value * 1e4).round() / 1e4;
    let what = format!("{what}, {case}");
    json!({ "goal": "P13", "what": what, "value": shown, "unit": "ratio", "target": target, "ok": ok })
}

/// Asks one engine so many times.
fn count(case: &Case, engine: &str, times: u32) {
    let mut engines = engines(case);
    let (_, ask) = (engines.iter_mut())
        .find(|(name, _)| *name == engine)
        .expect("an engine of this name");
    (0..times).for_each(|_| ask());
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [modules, rounds] => time(Path::new(modules), rounds.parse().expect("a number")),
        [modules, name, engine, times] => {
            let cases = cases(Path::new(modules));
            let case = cases.iter().find(|case| case.name == name);
            count(
                case.expect("a case of this name"),
                engine,
                times.parse().expect("a number"),
            );
        }
        _ => panic!("ztl-bench-rego MODULES ROUNDS, or MODULES CASE ENGINE COUNT"),
    }
}

fn time(modules: &Path, rounds: usize) {
    let mut goals = Vec::new();
    println!("Median ns of processor time an evaluation\n\n| | ns |\n|---|--:|");
    for case in &cases(modules) {
        case.check();
        let (figures, ratio) = alone(case, rounds);
        for (engine, ns) in figures {
            println!("| {engine}, {} | {ns:.0} |", case.name);
        }
        let what = "our host of WebAssembly / opa-wasm with a kept instance";
        goals.push(goal(what, case.name, ratio, 0.8, ratio <= 0.8));
        let threads = together(case, rounds.min(7));
        let what = "evaluations a second on two threads / on one";
        goals.push(goal(what, case.name, threads, 1.8, threads >= 1.8));
    }
    println!();
    for goal in goals {
        println!("{goal}");
    }
}
