//! `handshake_instructions COUNT`: so many proofs of one chain by rustls's verifier and by ztl's, for a program that counts the
//! instructions of each `measured_*`. `handshake_instructions SERVER COUNT`: so many full handshakes with that server; what one
//! takes is the difference of two counts.

use std::hint::black_box;
use std::sync::Arc;

use rustls_pki_types::{CertificateDer, UnixTime};
use ztl_bench::document::PORT;
use ztl_bench::engine::Void;
use ztl_bench::service::{Hello, now};
use ztl_bench::tls::{self, Caller, Configures, Door};
use ztl_core::Engine;
use ztl_mtls::{Prover, Purpose};

type Verifier = dyn rustls::server::danger::ClientCertVerifier;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = |text: &str| text.parse().expect("a number");
    let hello = Hello::new();
    match &arguments[..] {
        [proved] => proofs(count(proved), &hello),
        [server, shaken] => handshakes(count(shaken), &hello, server),
        _ => panic!("handshake_instructions [SERVER] COUNT"),
    }
}

fn proofs(count: usize, hello: &Hello) {
    let svid = hello.caller_svid();
    let webpki = tls::webpki(hello);
    let new = tls::prover(hello).with_cache_size(0);
    let known = tls::prover(hello);
    // What is made once a process or prover is made before.
    for prover in [&new, &known] {
        let proved = prover.prove(svid.chain(), now(), Purpose::Client);
        proved.expect("proved");
    }
    measured_0(count, &*webpki, svid.chain());
    measured_1(count, &new, svid.chain());
    measured_2(count, &known, svid.chain());
}

#[inline(never)]
fn measured_0(count: usize, verifier: &Verifier, chain: &[CertificateDer<'static>]) {
    let (leaf, issuers) = chain.split_first().expect("a leaf");
    for _ in 0..count {
        let verified = verifier.verify_client_cert(black_box(leaf), issuers, UnixTime::now());
        black_box(verified).expect("verified");
    }
}

#[inline(never)]
fn measured_1(count: usize, prover: &Prover, chain: &[CertificateDer<'static>]) {
    prove(count, prover, chain);
}

#[inline(never)]
fn measured_2(count: usize, prover: &Prover, chain: &[CertificateDer<'static>]) {
    // Not the same as the one above, or the two would be made one.
    prove(black_box(count), prover, chain);
}

#[inline(always)]
fn prove(count: usize, prover: &Prover, chain: &[CertificateDer<'static>]) {
    for _ in 0..count {
        black_box(prover.prove(black_box(chain), now(), Purpose::Client)).expect("proved");
    }
}

fn handshakes(count: usize, hello: &Hello, server: &str) {
    let caller = Caller::new(hello, "h2");
    let shake = |server: &dyn Configures| {
        for _ in 0..count {
            let _ = tls::handshake(caller.config(), server);
        }
    };
    let prover = tls::prover(hello);
    let prover = match server {
        "webpki" => return shake(&Arc::new(tls::webpki_server(hello))),
        "ztl" => prover.with_cache_size(0),
        "ztl, proved before" => prover,
        other => panic!("no server is called {other}"),
    };
    let engine = Engine::new(hello.policy(PORT), Void).expect("random bits");
    shake(&Door::new(hello, prover, engine, PORT));
}
