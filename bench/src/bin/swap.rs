//! `swap SIZE ROUNDS`: whether putting another policy in force delays decisions.
//!
//! One thread asks questions one after the other and times each; in every second round another thread swaps between two
//! policies, loaded beforehand, every few milliseconds. What is compared is the slowest thousandth of each pair of rounds.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use ztl_bench::engine::{Kind, Loaded, PolicyText};
use ztl_bench::mesh::Mesh;

/// Questions of one round.
const QUESTIONS: usize = 200_000;
/// How long a policy is in force.
const IN_FORCE: Duration = Duration::from_millis(5);

fn main() {
    let arguments: Vec<usize> = (std::env::args().skip(1))
        .map(|argument| argument.parse().expect("swap SIZE ROUNDS"))
        .collect();
    let [size, rounds] = arguments[..] else {
        panic!("swap SIZE ROUNDS");
    };
    let mesh = Mesh::new(size);
    let loaded = Loaded::new(&mesh);
    let queries = mesh.queries(4_096);
    let kind = Kind::named("ztl-calls").expect("an engine");
    let engine = kind.build(&mesh, &loaded, &queries);
    let ask = || {
        let mut times: Vec<u64> = (0..QUESTIONS)
            .map(|at| {
                let at = at % queries.len();
                let start = Instant::now();
                black_box(engine.permits(at, &queries[at]));
                u64::try_from(start.elapsed().as_nanos()).expect("a short time")
            })
            .collect();
        times.sort_unstable();
        times[QUESTIONS * 999 / 1000]
    };
    ask();
    let mut delays = Vec::new();
    for _ in 0..rounds {
        let still = ask();
        let swapped = while_swapping(&mesh, &loaded, ask);
        delays.push(i128::from(swapped) - i128::from(still));
    }
    delays.sort_unstable();
    let median = delays[delays.len() / 2] as f64 / 1e3;
    println!(
        "{}",
        json!({ "measure": "swap-delay-us", "engine": "ztl-calls", "size": size, "value": median })
    );
}

/// Runs `ask` while policies are swapped. Loading one takes time of its own, so that all are loaded beforehand.
fn while_swapping(mesh: &Mesh, loaded: &Loaded, ask: impl Fn() -> u64) -> u64 {
    let text = PolicyText::of(mesh);
    let mut ready: Vec<_> = (0..200).map(|_| text.load()).collect();
    let (core, done) = (loaded.silent().clone(), AtomicBool::new(false));
    thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let Some(policy) = ready.pop() else { break };
                core.swap_policy(policy).expect("no serial");
                thread::sleep(IN_FORCE);
            }
        });
        let slow = ask();
        done.store(true, Ordering::Release);
        swapper.join().expect("the swapper");
        slow
    })
}
