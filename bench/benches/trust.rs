//! Time of a trust score: a decision for which one is made of six signals, the same without, and what watching the audit adds.

use core::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use ztl_bench::cpu::ThreadCpu;
use ztl_bench::trust::{Asked, Asker, WATCHED};

fn trust(criterion: &mut Criterion<ThreadCpu>) {
    let asker = Asker::new();
    let mut scored = criterion.benchmark_group("trust");
    for asked in Asked::ALL {
        asker.ask(asked, |ask| {
            scored.bench_function(asked.name(), |bencher| bencher.iter(ask));
        });
    }
    scored.finish();
    let mut watched = criterion.benchmark_group("watched");
    for (name, is_watched) in WATCHED {
        asker.ask_watched(is_watched, |ask| {
            watched.bench_function(name, |bencher| bencher.iter(ask));
        });
    }
    watched.finish();
}

criterion_group! {
    name = group;
    config = Criterion::default()
        .with_measurement(ThreadCpu)
        .without_plots()
        .sample_size(25)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(800));
    targets = trust
}
criterion_main!(group);
