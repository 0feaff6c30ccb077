//! The audit that can be proved: T30, T31, T32, and what a crash, a full disk and a rotation do to it.

#![cfg(test)]

mod back;
mod crash;
mod doors;
mod flood;
mod full;
mod inputs;
mod longest;
mod rotation;
mod tamper;

#[path = "../support/mod.rs"]
mod support;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{NOW, ROUTER, SENSOR, document, load, peer};
use ztl_core::audit::chain::{Broken, ChainBuilder, Report, SigningKey, Verifier, VerifyError};
use ztl_core::audit::{ChainSink, JsonLinesSink, Sink};
use ztl_core::{Arrival, Engine, Flow, Reason};

/// What is written, where the test sees it; and how many more bytes fit.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<(Vec<u8>, Option<usize>)>>);

impl Disk {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("lock").0.clone()
    }

    fn room(&self, bytes: Option<usize>) {
        self.0.lock().expect("lock").1 = bytes;
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (held, room) = &mut *self.0.lock().expect("lock");
        let taken = room.unwrap_or(usize::MAX).min(bytes.len());
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *room = room.map(|room| room - taken);
        held.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn quiet() -> ChainBuilder {
    ChainSink::builder().on_trouble(|_| {})
}

fn engine(sink: impl Sink + 'static) -> Engine {
    let reads = json!({ "name": "router-reads", "from": "router", "to": "gateway", "actions": ["GET /v1/{id}"] });
    Engine::new(load(&document(&[reads], &[])), sink).expect("engine")
}

/// Asks for a flow that is permitted.
fn permit(engine: &Engine) -> Result<(), Reason> {
    ask(engine, Some(ROUTER), "10.10.0.5")
}

/// Asks for a flow of a proved caller that is denied.
fn deny(engine: &Engine) {
    assert_eq!(
        ask(engine, Some(SENSOR), "10.10.0.5"),
        Err(Reason::ZoneMismatch)
    );
}

fn ask(engine: &Engine, from: Option<&str>, addr: &str) -> Result<(), Reason> {
    let peer = from.map(peer);
    let arrival = Arrival::from_addr(addr.parse().expect("address"));
    engine
        .permit_flow(&Flow::ingress("gateway", 8443, arrival, peer.as_ref()), NOW)
        .map(drop)
        .map_err(|denial| denial.reason())
}

fn verify_with(verifier: Verifier, files: &[&[u8]]) -> Result<Report, VerifyError> {
    let mut verifier = verifier;
    for (at, bytes) in files.iter().enumerate() {
        verifier.read(&format!("file {at}"), *bytes)?;
    }
    verifier.finish()
}

fn verify(bytes: &[u8]) -> Result<Report, VerifyError> {
    verify_with(Verifier::new(), &[bytes])
}

fn broken(outcome: Result<Report, VerifyError>) -> Broken {
    match outcome {
        Err(VerifyError::Broken(broken)) => *broken,
        other => panic!("not broken: {other:?}"),
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32]).expect("key")
}

/// An empty folder of this test's own.
fn scratch(test: &str) -> PathBuf {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("audit-{test}-{}", std::process::id()));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("remove");
    }
    std::fs::create_dir_all(&folder).expect("create");
    folder
}

/// The files of a chain, oldest first.
fn files(path: &Path) -> Vec<Vec<u8>> {
    let folder = path.parent().expect("folder");
    let name = path.file_name().expect("name").to_str().expect("text");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("folder")
        .map(|entry| {
            entry
                .expect("entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .filter(|file| file.starts_with(&format!("{name}.")))
        .collect();
    names.sort();
    names.push(name.to_owned());
    names
        .iter()
        .map(|name| std::fs::read(folder.join(name)).expect("read"))
        .collect()
}

fn verify_files(path: &Path) -> Result<Report, VerifyError> {
    let files = files(path);
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    verify_with(Verifier::new(), &files)
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    core::str::from_utf8(bytes)
        .expect("text")
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn kinds(bytes: &[u8]) -> Vec<String> {
    lines(bytes)
        .iter()
        .map(|line| line["kind"].as_str().expect("kind").to_owned())
        .collect()
}
