//! Time of a request in memory: a bare router, one behind a layer that does nothing, and one behind ztl's.

use core::convert::Infallible;
use core::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{Request, Response};
use tower::{Layer, Service};
use ztl_bench::cpu::ThreadCpu;
use ztl_bench::document::PORT;
use ztl_bench::engine::{Ring, Void};
use ztl_bench::service::{Hello, NoOp, call};
use ztl_core::FlowPermit;

fn request(criterion: &mut Criterion<ThreadCpu>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let _inside = runtime.enter();
    let hello = Hello::new();
    let silent = runtime.block_on(hello.guard(PORT, Void));
    let kept = runtime.block_on(hello.guard(PORT, Ring::default()));
    let permit = hello.permit(&silent, PORT);
    measure(criterion, "bare", &hello, &permit, &hello.router());
    measure(criterion, "no-op", &hello, &permit, &NoOp(hello.router()));
    measure(
        criterion,
        "ztl",
        &hello,
        &permit,
        &silent.authorize().layer(hello.router()),
    );
    let permit = hello.permit(&kept, PORT);
    measure(
        criterion,
        "ztl-ring",
        &hello,
        &permit,
        &kept.authorize().layer(hello.router()),
    );
}

fn measure<S, B>(
    criterion: &mut Criterion<ThreadCpu>,
    name: &str,
    hello: &Hello,
    permit: &FlowPermit,
    service: &S,
) where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body_util::BodyExt<Data = Bytes>,
    B::Error: core::fmt::Debug,
{
    criterion
        .benchmark_group("request")
        .bench_function(name, |bencher| {
            bencher.iter_batched(
                || hello.request(permit),
                |request| call(service, request),
                BatchSize::SmallInput,
            );
        });
}

criterion_group! {
    name = group;
    config = Criterion::default()
        .with_measurement(ThreadCpu)
        .without_plots()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = request
}
criterion_main!(group);
