//! `served_instructions bare|ztl h2|http/1.1 COUNT`: so many requests over mutual TLS on loopback, one after the other, for a program
//! that counts instructions. What one takes, its client included, is the difference of two counts.

use std::sync::Arc;

use ztl_bench::service::Hello;
use ztl_bench::tls::Caller;
use ztl_bench::wire::{Connection, PROTOCOLS, Server, runtime};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("bare|ztl h2|http/1.1 COUNT");
    let (engine, protocol) = (next(), next());
    let count: usize = next().parse().expect("a number");
    let protocol = PROTOCOLS.into_iter().find(|known| *known == protocol);
    let hello = Arc::new(Hello::new());
    let server = match engine.as_str() {
        "bare" => Server::bare(&hello),
        "ztl" => Server::guarded(&hello),
        other => panic!("no engine is called {other}"),
    };
    let caller = Caller::new(&hello, protocol.expect("a protocol"));
    runtime().block_on(async {
        let mut connection = Connection::open(&caller, server.address).await;
        ask(&mut connection, hello.path(), count).await;
    });
}

async fn ask(connection: &mut Connection, path: &str, count: usize) {
    for _ in 0..count {
        connection.ask(path).await;
    }
}
