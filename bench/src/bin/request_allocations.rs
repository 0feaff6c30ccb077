//! How often a request in memory allocates: bare, behind a layer that does nothing, and behind ztl's. One JSON line a figure.

use core::convert::Infallible;
use std::alloc::System;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::{Layer, Service};
use ztl_bench::document::PORT;
use ztl_bench::engine::{Ring, Void};
use ztl_bench::service::{Hello, NoOp, call};
use ztl_core::FlowPermit;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Requests before counting begins: the ring is full then.
const WARM: usize = 2_000;
/// Requests that are counted.
const COUNT: usize = 1_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let _inside = runtime.enter();
    let hello = Hello::new();
    let silent = runtime.block_on(hello.guard(PORT, Void));
    let kept = runtime.block_on(hello.guard(PORT, Ring::default()));
    let permit = hello.permit(&silent, PORT);
    print("bare", &hello, &permit, &hello.router());
    print("no-op", &hello, &permit, &NoOp(hello.router()));
    print(
        "ztl",
        &hello,
        &permit,
        &silent.authorize().layer(hello.router()),
    );
    let permit = hello.permit(&kept, PORT);
    print(
        "ztl-ring",
        &hello,
        &permit,
        &kept.authorize().layer(hello.router()),
    );
}

fn print<S, B>(name: &str, hello: &Hello, permit: &FlowPermit, service: &S)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body_util::BodyExt<Data = Bytes>,
    B::Error: core::fmt::Debug,
{
    let mut total = 0;
    for at in 0..WARM + COUNT {
        let request = hello.request(permit);
        let region = Region::new(ALLOCATOR);
        call(service, request);
        let change = region.change();
        if at >= WARM {
            total += change.allocations + change.reallocations;
        }
    }
    let value = total as f64 / COUNT as f64;
    println!(
        "{}",
        json!({ "measure": "request-allocations", "engine": name, "value": value })
    );
}
