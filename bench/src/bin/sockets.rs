//! `sockets ROUNDS MILLIS`: one connection of requests, one after the other, over mutual TLS on loopback. A bare server and a
//! guarded one take turns, so that what a neighbour takes away it takes from both. One JSON line a figure.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use ztl_bench::service::Hello;
use ztl_bench::tls::Caller;
use ztl_bench::wire::{Connection, PROTOCOLS, Server, pin, runtime};

/// What one round came to.
struct Round {
    p50: f64,
    rate: f64,
    cpu: f64,
}

/// Requests before anything is measured.
const WARM: usize = 500;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<usize>().expect("a number"));
    let mut next = || arguments.next().expect("sockets ROUNDS MILLIS");
    let (rounds, span) = (next(), Duration::from_millis(next() as u64));
    let hello = Arc::new(Hello::new());
    let servers = [Server::bare(&hello), Server::guarded(&hello)];
    pin(1);
    runtime().block_on(async {
        for protocol in PROTOCOLS {
            let mut open = Vec::new();
            let caller = Caller::new(&hello, protocol);
            for server in &servers {
                let mut connection = Connection::open(&caller, server.address).await;
                for _ in 0..WARM {
                    connection.ask(hello.path()).await;
                }
                open.push((server, connection));
            }
            let mut pairs = Vec::new();
            for _ in 0..rounds {
                let mut pair = Vec::new();
                for (server, connection) in &mut open {
                    pair.push(round(server, connection, hello.path(), span).await);
                }
                pairs.push(pair);
            }
            report(protocol, &pairs);
        }
    });
}

async fn round(server: &Server, connection: &mut Connection, path: &str, span: Duration) -> Round {
    let mut times = Vec::new();
    let (start, cpu) = (Instant::now(), server.cpu());
    let mut last = start;
    while last - start < span {
        connection.ask(path).await;
        let now = Instant::now();
        times.push((now - last).as_secs_f64() * 1e6);
        last = now;
    }
    let count = times.len() as f64;
    Round {
        rate: count / (last - start).as_secs_f64(),
        cpu: (server.cpu() - cpu) * 1e6 / count,
        p50: median(times),
    }
}

fn report(protocol: &str, pairs: &[Vec<Round>]) {
    let figures: [(&str, fn(&Round) -> f64); 3] = [
        ("socket-p50-us", |round| round.p50),
        ("socket-requests-a-second", |round| round.rate),
        ("socket-server-cpu-us", |round| round.cpu),
    ];
    for (measure, figure) in figures {
        for (at, engine) in ["bare", "ztl"].into_iter().enumerate() {
            let value = median(pairs.iter().map(|pair| figure(&pair[at])).collect());
            println!(
                "{}",
                json!({ "measure": measure, "engine": engine, "protocol": protocol, "value": value })
            );
        }
        let value = median(
            pairs
                .iter()
                .map(|pair| figure(&pair[1]) / figure(&pair[0]))
                .collect(),
        );
        println!(
            "{}",
            json!({ "measure": measure, "engine": "ztl/bare", "protocol": protocol, "value": value })
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
