//! `handshakes ROUNDS SOCKETS`: what proving an end costs. In memory, the server's end of a full handshake: with its own
//! certificate alone, with rustls's verifier of clients, with ztl's, the flow decision included, and with that of `spiffe-rustls`; and the
//! verification of a chain alone. Over sockets, the server's processor time for a connection, its handshake and one request: bare and guarded.
//! All take turns, so that what a neighbour takes away it takes from each. One JSON line a figure.

use core::time::Duration;
use std::alloc::System;
use std::hint::black_box;
use std::sync::Arc;

use cpu_time::ThreadTime;
use rustls::ServerConfig;
use rustls_pki_types::UnixTime;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use ztl_bench::document::PORT;
use ztl_bench::engine::Void;
use ztl_bench::service::{Hello, now};
use ztl_bench::tls::{self, Caller, Configures, Door, Work};
use ztl_bench::wire::{Connection, Server, pin, runtime};
use ztl_core::Engine;
use ztl_mtls::{Prover, Purpose};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Handshakes of one kind in a round; in memory one of each kind after the other, over sockets in a row.
const BATCH: usize = 20;
/// Proofs of one kind in a row.
const PROOFS: usize = 200;

/// The server that looks at no certificate.
const BLIND: &str = "no verification";
/// How those are called that have seen the client before.
const KNOWN: &str = "proved before";

type Ours = Box<dyn Configures>;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<usize>().expect("a number"));
    let mut next = || arguments.next().expect("handshakes ROUNDS SOCKETS");
    let (rounds, sockets) = (next(), next());
    let hello = Arc::new(Hello::new());
    in_memory(&hello, rounds);
    proofs(&hello, rounds);
    // Its servers pin themselves to the first core.
    pin(1);
    over_sockets(&hello, sockets);
}

fn in_memory(hello: &Hello, rounds: usize) {
    let fixed = |config: ServerConfig| -> Ours { Box::new(Arc::new(config)) };
    let door = |prover: Prover| -> Ours {
        let engine = Engine::new(hello.policy(PORT), Void).expect("random bits");
        Box::new(Door::new(hello, prover, engine, PORT))
    };
    #[cfg_attr(
        not(feature = "spiffe"),
        expect(unused_mut, reason = "peers come after these")
    )]
    let mut servers = vec![
        ("server only", fixed(tls::open_server(hello))),
        ("webpki", fixed(tls::webpki_server(hello))),
        (BLIND, fixed(tls::blind_server(hello))),
        ("ztl", door(tls::prover(hello).with_cache_size(0))),
        ("ztl, proved before", door(tls::prover(hello))),
    ];
    #[cfg(feature = "spiffe")]
    {
        let config = ztl_bench::spiffe::server(hello);
        servers.push(("spiffe-rustls", fixed(config.clone())));
        servers.push(("spiffe-rustls, proved before", fixed(config)));
    }
    let known = Caller::new(hello, "h2");
    // Whoever remembers certificates has not seen this one, but where it is to be known.
    let caller = |server: &str| match server.ends_with(KNOWN) {
        true => known.clone(),
        false => Caller::new(hello, "h2"),
    };
    let mut took = vec![Vec::new(); servers.len()];
    for round in 0..=rounds {
        let mut batches =
            vec![(Vec::with_capacity(BATCH), Vec::with_capacity(BATCH)); servers.len()];
        for _ in 0..BATCH {
            for ((name, server), (all, finish)) in servers.iter().zip(&mut batches) {
                let caller = caller(name);
                let (whole, end) = tls::handshake(caller.config(), &**server);
                all.push(whole.as_secs_f64() * 1e6);
                finish.push(end.as_secs_f64() * 1e9);
            }
        }
        if round > 0 {
            for ((all, finish), took) in batches.into_iter().zip(&mut took) {
                took.push((median(all), median(finish)));
            }
        }
    }
    let of = |name: &str| {
        let at = servers.iter().position(|(server, _)| *server == name);
        took[at.expect("a server")].iter()
    };
    for (name, server) in &servers {
        let ratios = of("webpki")
            .zip(of(name))
            .map(|((webpki, _), (own, _))| webpki / own);
        let ratio = median(ratios.collect());
        let took = median(of(name).map(|(all, _)| *all).collect());
        print("handshake-server-us", name, took);
        print("handshakes-a-second", name, 1e6 / took);
        print("handshakes-per-webpki", name, ratio);
        if matches!(*name, BLIND | "server only") {
            continue;
        }
        let verify = of(name)
            .zip(of(BLIND))
            .map(|((_, own), (_, blind))| own - blind);
        print("verify-ns", name, median(verify.collect()));
        let caller = caller(name);
        let blind = servers
            .iter()
            .find(|(name, _)| *name == BLIND)
            .expect("it is there");
        let [own, blind] = [server, &blind.1].map(|server| allocations(&caller, &**server));
        print("verify-allocations", name, own as f64 - blind as f64);
    }
}

/// Allocations of the server's end once the client has shown its certificate.
fn allocations(caller: &Caller, server: &dyn Configures) -> usize {
    let mut count = 0;
    tls::handshake_by(caller.config(), server, |work, run| {
        let region = Region::new(ALLOCATOR);
        run();
        let change = region.change();
        if work == Work::Finish {
            count += change.allocations + change.reallocations;
        }
    });
    count
}

fn proofs(hello: &Hello, rounds: usize) {
    let svid = hello.caller_svid();
    let (leaf, issuers) = svid.chain().split_first().expect("a leaf");
    let webpki = tls::webpki(hello);
    let prove = |prover: Prover| {
        let chain = svid.chain().to_vec();
        move || {
            black_box(prover.prove(black_box(&chain), now(), Purpose::Client)).expect("proved");
        }
    };
    let new = prove(tls::prover(hello).with_cache_size(0));
    let known = prove(tls::prover(hello));
    let raw = move || {
        let verified = webpki.verify_client_cert(black_box(leaf), issuers, UnixTime::now());
        black_box(verified).expect("verified");
    };
    let verifiers: [(&str, &dyn Fn()); 3] = [
        ("webpki", &raw),
        ("ztl", &new),
        ("ztl, proved before", &known),
    ];
    let mut took = [const { Vec::new() }; 3];
    for round in 0..=rounds {
        for ((_, verify), took) in verifiers.iter().zip(&mut took) {
            let start = ThreadTime::now();
            (0..PROOFS).for_each(|_| verify());
            let each = start.elapsed().as_secs_f64() * 1e9 / PROOFS as f64;
            if round > 0 {
                took.push(each);
            }
        }
    }
    let beyond = took[1].iter().zip(&took[0]).map(|(own, raw)| own - raw);
    print("prove-beyond-webpki-ns", "ztl", median(beyond.collect()));
    for ((name, verify), took) in verifiers.iter().zip(took) {
        print("prove-ns", name, median(took));
        let region = Region::new(ALLOCATOR);
        verify();
        let change = region.change();
        let count = change.allocations + change.reallocations;
        print("prove-allocations", name, count as f64);
    }
}

fn over_sockets(hello: &Arc<Hello>, rounds: usize) {
    let servers = [Server::bare(hello), Server::guarded(hello)];
    let caller = Caller::new(hello, "http/1.1");
    let mut took = [const { Vec::new() }; 2];
    runtime().block_on(async {
        for round in 0..=rounds {
            for (server, took) in servers.iter().zip(&mut took) {
                let cpu = server.cpu();
                for _ in 0..BATCH {
                    let mut connection = Connection::open(&caller, server.address).await;
                    connection.ask(hello.path()).await;
                    drop(connection);
                    // The client's end of it is another task of this thread.
                    tokio::task::yield_now().await;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
                if round > 0 {
                    took.push((server.cpu() - cpu) * 1e6 / BATCH as f64);
                }
            }
        }
    });
    let ratios = took[0].iter().zip(&took[1]).map(|(bare, own)| bare / own);
    print(
        "connections-per-bare",
        "ztl, guarded",
        median(ratios.collect()),
    );
    for (name, took) in ["bare", "ztl, guarded"].into_iter().zip(took) {
        print("connection-server-us", name, median(took));
    }
}

fn print(measure: &str, engine: &str, value: f64) {
    println!(
        "{}",
        json!({ "measure": measure, "engine": engine, "value": value })
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
