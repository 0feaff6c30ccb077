//! Time of a condition: a decision with a `when` in it, the same without one, and the `cel` crate alone.

use core::time::Duration;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ztl_bench::condition::{Asker, CONDITIONS, plain_cel, policy, repeated};
use ztl_bench::cpu::ThreadCpu;

fn condition(criterion: &mut Criterion<ThreadCpu>) {
    let asker = Asker::new();
    let mut ztl = criterion.benchmark_group("condition-ztl");
    let none = core::iter::once(("none", None));
    for (name, when) in none.chain(CONDITIONS.map(|(name, when)| (name, Some(when)))) {
        asker.ask(black_box(&policy(when)), |ask| {
            ztl.bench_function(name, |bencher| bencher.iter(ask));
        });
    }
    let native = CONDITIONS.iter().find(|(name, _)| *name == "native");
    let (_, when) = native.expect("a native one");
    asker.ask(black_box(&repeated(when)), |ask| {
        ztl.bench_function("native-repeated", |bencher| bencher.iter(ask));
    });
    ztl.finish();
    let mut cel = criterion.benchmark_group("condition-cel");
    for (name, when) in CONDITIONS {
        let evaluate = plain_cel(when);
        cel.bench_function(name, |bencher| bencher.iter(&evaluate));
    }
    cel.finish();
}

criterion_group! {
    name = group;
    config = Criterion::default()
        .with_measurement(ThreadCpu)
        .without_plots()
        .sample_size(25)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(800));
    targets = condition
}
criterion_main!(group);
