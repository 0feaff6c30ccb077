//! `sockets ROUNDS MILLIS`: requests over mutual TLS on loopback, one after the other and many at once. A bare server, a guarded one
//! and, where nginx is installed, one behind a sidecar take turns, so that what a neighbour takes away it takes from all. One JSON
//! line a figure.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tokio::task::JoinSet;
use ztl_bench::service::Hello;
use ztl_bench::sidecar::Sidecar;
use ztl_bench::tls::Caller;
use ztl_bench::wire::{COLUMNS, Column, Connection, PROTOCOLS, Server, agreed, pin, runtime};

/// What one round came to.
struct Round {
    p50: f64,
    p99: f64,
    rate: f64,
    cpu: f64,
}

/// What is shown of a round.
type Figure = fn(&Round) -> f64;

/// Requests before anything is measured, on each connection or stream.
const WARM: usize = 500;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<usize>().expect("a number"));
    let mut next = || arguments.next().expect("sockets ROUNDS MILLIS");
    let (rounds, span) = (next(), Duration::from_millis(next() as u64));
    let hello = Arc::new(Hello::new());
    let mut servers = vec![
        ("bare", Server::bare(&hello)),
        ("ztl", Server::guarded(&hello)),
    ];
    let sidecar = Sidecar::start(&hello);
    match &sidecar {
        Ok(sidecar) => servers.push(("nginx", sidecar.server.clone())),
        Err(why) => eprintln!("left out: a sidecar: {why}"),
    }
    let path: Arc<str> = hello.path().into();
    pin(1);
    runtime().block_on(async {
        for protocol in PROTOCOLS {
            compare(&hello, protocol, &servers).await;
        }
        for column in COLUMNS {
            let caller = Caller::new(&hello, column.protocol).only_x25519();
            let mut open = Vec::new();
            for (_, server) in &servers {
                let mut callers = callers(&caller, server, &column).await;
                for caller in &mut callers {
                    for _ in 0..WARM / column.at_once {
                        caller.ask(&path).await;
                    }
                }
                open.push((server, callers));
            }
            let mut turns = Vec::new();
            for _ in 0..rounds {
                let mut turn = Vec::new();
                for (server, callers) in &mut open {
                    turn.push(round(server, callers, &path, span).await);
                }
                turns.push(turn);
            }
            let names: Vec<&str> = servers.iter().map(|(name, _)| *name).collect();
            report(column.name, &names, &turns);
        }
    });
}

/// All have to do the same work: the same suite and key exchange, and but for the bare one the same check.
async fn compare(hello: &Hello, protocol: &'static str, servers: &[(&str, Server)]) {
    let caller = Caller::new(hello, protocol).only_x25519();
    let stranger = Caller::stranger(hello, protocol).only_x25519();
    let same = agreed(&caller, servers[0].1.address).await;
    for (name, server) in servers {
        assert_eq!(agreed(&caller, server.address).await, same, "{name}");
        let status = async |caller: &Caller, path: &str| {
            let mut connection = Connection::open(caller, server.address).await;
            connection.status(path).await.map(|status| status.as_u16())
        };
        assert_eq!(status(&caller, hello.path()).await, Some(200), "{name}");
        let refused = |status: Option<u16>| matches!(status, None | Some(403));
        let another_path = status(&caller, "/another").await;
        let strangers = status(&stranger, hello.path()).await;
        if *name == "bare" {
            assert_eq!((another_path, strangers), (Some(404), Some(200)));
        } else {
            assert!(refused(another_path), "{name} permits another path");
            assert!(refused(strangers), "{name} permits a stranger");
        }
    }
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

fn report(column: &str, names: &[&str], turns: &[Vec<Round>]) {
    let figures: [(&str, Figure); 4] = [
        ("socket-p50-us", |round| round.p50),
        ("socket-p99-us", |round| round.p99),
        ("socket-requests-a-second", |round| round.rate),
        ("socket-server-cpu-us", |round| round.cpu),
    ];
    for (measure, figure) in figures {
        let line = |engine: &str, of: &dyn Fn(&[Round]) -> f64| {
            let value = median(turns.iter().map(|turn| of(turn)).collect());
            println!(
                "{}",
                json!({ "measure": measure, "engine": engine, "protocol": column, "value": value })
            );
        };
        for (at, name) in names.iter().enumerate() {
            line(name, &|turn| figure(&turn[at]));
        }
        let ztl = names.iter().position(|name| *name == "ztl").expect("ztl");
        for (at, name) in names.iter().enumerate() {
            if at != ztl {
                let ratio = |turn: &[Round]| figure(&turn[ztl]) / figure(&turn[at]);
                line(&format!("ztl/{name}"), &ratio);
            }
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
