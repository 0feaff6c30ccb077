//! Clients that say nothing, too little or too much, beside honest ones; and what is left of them (T35).
//!
//! A few hundred clients; `ZTL_FAULT_CLIENTS=10000` makes them more (`ulimit -n 16000`), `ZTL_FAULT_SECONDS=60` the flood longer.

#![cfg(test)]

mod handshakes;
mod leftovers;
mod silent;
mod slow;

#[path = "../support/mod.rs"]
mod support;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use support::{Marker, Mesh, get1, get2, knock, listener, raw_config, raw_connect, serve, until};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;
use ztl_core::audit::MemorySink;
use ztl_mtls::X509Svid;
use ztl_tower::{ConnectionState, Guard, GuardBuilder};

/// One flood at a time: each has the machine, and the descriptors of this process, to itself.
static ALONE: Mutex<()> = Mutex::const_new(());

#[expect(
    clippy::disallowed_methods,
    reason = "how much a test does is no input of a decision"
)]
fn number(name: &str, unless_set: usize) -> usize {
    let text = std::env::var(name).unwrap_or_default();
    text.parse().unwrap_or(unless_set)
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("address")
}

fn honest() -> IpAddr {
    address("127.0.0.1")
}

fn hostile() -> IpAddr {
    address("127.0.0.2")
}

/// A listener, and who may speak to it.
struct Door {
    mesh: Mesh,
    guard: Guard,
    address: SocketAddr,
    marker: Marker,
    svid: X509Svid,
    _alone: MutexGuard<'static, ()>,
}

impl Door {
    async fn open(limits: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Self {
        let alone = ALONE.lock().await;
        let (listener, address) = listener().await;
        let port = address.port();
        let mesh = Mesh::new(&format!(
            "schema = 1\ntrust_domain = \"prod.example\"\n\
             [workloads.caller]\nid = \"spiffe://prod.example/caller\"\n\
             [workloads.other]\nid = \"spiffe://prod.example/other\"\n\
             [workloads.db]\nid = \"spiffe://prod.example/db\"\nports = [{port}]\n\
             [[permit]]\nname = \"reads\"\nfrom = [\"caller\", \"other\"]\nto = \"db\"\nactions = [\"GET /v1/{{*rest}}\"]\n"
        ));
        let audit = Arc::new(MemorySink::new(100));
        let guard = limits(mesh.builder("db", "/db", &audit));
        let guard = guard.build().await.expect("guard");
        let marker = Marker::default();
        serve(&guard, listener, marker.app());
        Self {
            svid: mesh.svid("/caller"),
            mesh,
            guard,
            address,
            marker,
            _alone: alone,
        }
    }

    /// One request of an honest client on a connection of its own.
    async fn ask(&self, from: IpAddr) -> Result<(), String> {
        let request = get1("/v1/x").header("connection", "close");
        let answer = knock(
            self.address,
            Some(from),
            Some(&self.svid),
            b"http/1.1",
            request,
        );
        let answer = answer.await?;
        if answer.status() == StatusCode::OK {
            Ok(())
        } else {
            Err(answer.status().to_string())
        }
    }

    async fn connect(&self, from: IpAddr) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        socket.connect(self.address).await
    }

    /// How many are in their handshake.
    fn unproved(&self) -> usize {
        let all = self.guard.connections();
        all.iter()
            .filter(|one| one.state == ConnectionState::Handshake)
            .count()
    }
}

/// The first flight of a client that could be anybody.
fn client_hello() -> Vec<u8> {
    let name = rustls_pki_types::ServerName::try_from("x.example").expect("name");
    let config = Arc::new(raw_config(None, b"h2"));
    let mut client = rustls::ClientConnection::new(config, name).expect("client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("hello");
    hello
}

/// Whether the other end has closed a stream on which it sends nothing, or does so in time.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(support::PATIENCE, stream.read(&mut [0; 1])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}
