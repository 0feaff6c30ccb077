//! `request_instructions ENGINE COUNT`: so many requests in memory, for a program that counts instructions. What one takes is the
//! difference of two counts.

use axum::body::Body;
use bytes::Bytes;
use core::convert::Infallible;
use http::{Request, Response};
use tower::{Layer, Service};
use ztl_bench::document::PORT;
use ztl_bench::engine::{Ring, Void};
use ztl_bench::service::{Hello, NoOp, call};
use ztl_core::FlowPermit;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let engine = arguments.next().expect("an engine");
    let count = arguments.next().and_then(|count| count.parse().ok());
    let count = count.expect("a number");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let _inside = runtime.enter();
    let hello = Hello::new();
    let guard = runtime.block_on(async {
        match engine.as_str() {
            "ztl-ring" => hello.guard(PORT, Ring::default()).await,
            _ => hello.guard(PORT, Void).await,
        }
    });
    let permit = hello.permit(&guard, PORT);
    match engine.as_str() {
        "bare" => ask(count, &hello, &permit, &hello.router()),
        "no-op" => ask(count, &hello, &permit, &NoOp(hello.router())),
        "ztl" | "ztl-ring" => {
            let service = guard.authorize().layer(hello.router());
            ask(count, &hello, &permit, &service);
        }
        other => panic!("no engine is called {other}"),
    }
}

#[inline(never)]
fn ask<S, B>(count: usize, hello: &Hello, permit: &FlowPermit, service: &S)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body_util::BodyExt<Data = Bytes>,
    B::Error: core::fmt::Debug,
{
    for _ in 0..count {
        call(service, hello.request(permit));
    }
}
