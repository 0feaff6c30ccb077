//! `sockets ROUNDS MILLIS`: requests over mutual TLS on loopback, one after the other and many at once. A bare server and a guarded
//! one take turns, so that what a neighbour takes away it takes from both. One JSON line a figure.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tokio::task::JoinSet;
use ztl_bench::service::Hello;
use ztl_bench::tls::Caller;
use ztl_bench::wire::{COLUMNS, Column, Connection, Server, pin, runtime};

/// What one round came to.
struct Round {
    p50: f64,
    p99: f64,
    rate: f64,
    cpu: f64,
}

/// Requests before anything is measured, on each connection or stream.
const WARM: usize = 500;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<usize>().expect("a number"));
    let mut next = || arguments.next().expect("sockets ROUNDS MILLIS");
    let (rounds, span) = (next(), Duration::from_millis(next() as u64));
    let hello = Arc::new(Hello::new());
    let servers = [Server::bare(&hello), Server::guarded(&hello)];
    let path: Arc<str> = hello.path().into();
    pin(1);
    runtime().block_on(async {
        for column in COLUMNS {
            let caller = Caller::new(&hello, column.protocol);
            let mut open = Vec::new();
            for server in &servers {
                let mut callers = callers(&caller, server, &column).await;
                for caller in &mut callers {
                    for _ in 0..WARM / column.at_once {
                        caller.ask(&path).await;
                    }
                }
                open.push((server, callers));
            }
            let mut pairs = Vec::new();
            for _ in 0..rounds {
                let mut pair = Vec::new();
                for (server, callers) in &mut open {
                    pair.push(round(server, callers, &path, span).await);
                }
                pairs.push(pair);
            }
            report(column.name, &pairs);
        }
    });
}

/// As many as ask at once: streams of one connection of HTTP/2, or connections of HTTP/1.1.
async fn callers(caller: &Caller, server: &Server, column: &Column) -> Vec<Connection> {
    let first = Connection::open(caller, server.address).await;
    let mut all = vec![first];
    while all.len() < column.at_once {
        let another = match all[0].stream() {
            Some(stream) => stream,
            None => Connection::open(caller, server.address).await,
        };
        all.push(another);
    }
    all
}

async fn round(
    server: &Server,
    callers: &mut Vec<Connection>,
    path: &Arc<str>,
    span: Duration,
) -> Round {
    let (start, cpu) = (Instant::now(), server.cpu());
    let mut asking = JoinSet::new();
    for mut caller in callers.drain(..) {
        let path = Arc::clone(path);
        asking.spawn(async move {
            let mut times = Vec::new();
            let mut last = Instant::now();
            while last - start < span {
                caller.ask(&path).await;
                let now = Instant::now();
                times.push((now - last).as_secs_f64() * 1e6);
                last = now;
            }
            (caller, times)
        });
    }
    let mut times = Vec::new();
    for (caller, own) in asking.join_all().await {
        callers.push(caller);
        times.extend(own);
    }
    let took = start.elapsed();
    let count = times.len() as f64;
    times.sort_by(f64::total_cmp);
    Round {
        rate: count / took.as_secs_f64(),
        cpu: (server.cpu() - cpu) * 1e6 / count,
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
    }
}

fn report(column: &str, pairs: &[Vec<Round>]) {
    let figures: [(&str, fn(&Round) -> f64); 4] = [
        ("socket-p50-us", |round| round.p50),
        ("socket-p99-us", |round| round.p99),
        ("socket-requests-a-second", |round| round.rate),
        ("socket-server-cpu-us", |round| round.cpu),
    ];
    for (measure, figure) in figures {
        for (at, engine) in ["bare", "ztl"].into_iter().enumerate() {
            let value = median(pairs.iter().map(|pair| figure(&pair[at])).collect());
            println!(
                "{}",
                json!({ "measure": measure, "engine": engine, "protocol": column, "value": value })
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
            json!({ "measure": measure, "engine": "ztl/bare", "protocol": column, "value": value })
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
