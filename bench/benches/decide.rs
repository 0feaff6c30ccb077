//! Time of a decision: every engine at every size, over all edges of the mesh and over one server's working set.

use core::time::Duration;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ztl_bench::cpu::ThreadCpu;
use ztl_bench::engine::{Kind, Loaded, agree};
use ztl_bench::mesh::Mesh;

/// Questions over all edges; a power of two.
const ALL: usize = 16_384;
/// Questions of one server's working set; a power of two.
const HOT: usize = 256;

fn decide(criterion: &mut Criterion<ThreadCpu>) {
    for size in ztl_bench::sizes() {
        let mesh = Mesh::new(size);
        let questions = mesh.questions(ALL);
        let loaded = Loaded::new(&mesh);
        for kind in Kind::at(size) {
            let queries = kind.of(&questions);
            let engine = kind.build(&mesh, &loaded, queries);
            agree(kind, &*engine, queries);
            for (set, count) in [("all", ALL), ("hot", HOT)] {
                let mut group = criterion.benchmark_group(set);
                group.bench_function(BenchmarkId::new(kind.name(), size), |bencher| {
                    let mut next = 0;
                    bencher.iter(|| {
                        let at = next & (count - 1);
                        next = next.wrapping_add(1);
                        engine.permits(at, black_box(&queries[at]))
                    });
                });
                group.finish();
            }
        }
    }
}

criterion_group! {
    name = group;
    config = Criterion::default()
        .with_measurement(ThreadCpu)
        .without_plots()
        .sample_size(25)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(800));
    targets = decide
}
criterion_main!(group);
