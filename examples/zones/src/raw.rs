//! The broker's door for raw bytes: what an enforcement point for `connect` is made of.
//!
//! 1. The handshake proves the caller, and its flow is permitted before the handshake ends: who has no edge hears an alert.
//! 2. The action is `connect`. It is authorized before the first byte is read and again before each line is taken, so that a
//!    stream ends with the last line that the policy in force permits.
//! 3. Only then does the broker's own code run.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use ztl_core::{Action, Arrival, Evidence, Flow, FlowPermit, Peer, Reason, Stage};
use ztl_mtls::{ClientVerifier, IdentitySource, ProveError, Prover, Refused, server_config};
use ztl_tower::Guard;

use crate::site::now;

/// Longest time for a handshake, and between two lines.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest time for a refused caller to hear that it was.
const PARTING: Duration = Duration::from_millis(500);
/// Longest line.
const MAX_LINE: u64 = 1024;

/// A broker behind its guard.
#[derive(Clone)]
pub(crate) struct Broker {
    pub(crate) guard: Guard,
    pub(crate) identity: Arc<IdentitySource>,
    pub(crate) prover: Prover,
    /// How many lines got through.
    pub(crate) served: Arc<AtomicUsize>,
}

impl Broker {
    /// Takes callers until the task is aborted.
    pub(crate) async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let port = listener.local_addr()?.port();
        let mut connections = JoinSet::new();
        loop {
            let (stream, remote) = listener.accept().await?;
            let broker = self.clone();
            connections.spawn(async move {
                // How a connection ends matters to nobody but its caller, who sees it.
                let _ = broker.connection(stream, remote.ip(), port).await;
            });
            while connections.try_join_next().is_some() {}
        }
    }

    async fn connection(&self, stream: TcpStream, from: IpAddr, port: u16) -> io::Result<()> {
        let arrival = Arrival::from_addr(from);
        let judged = Arc::new(OnceLock::new());
        let verifier = self.verifier(arrival, port, &judged);
        let provider = ztl_mtls::provider();
        let config = server_config(
            provider,
            Arc::clone(&self.identity),
            Arc::clone(&verifier),
            &[],
        );
        let acceptor = TlsAcceptor::from(Arc::new(config.map_err(io::Error::other)?));
        let shaken = timeout(PATIENCE, acceptor.accept(stream).into_fallible()).await;
        let (permit, stream) = match (judged.get(), shaken) {
            (Some(Some(permit)), Ok(Ok(stream))) => (permit, stream),
            (judged, shaken) => {
                if judged.is_none() {
                    self.unproven(arrival, port, verifier.error().as_ref());
                }
                if let Ok(Err((_, stream))) = shaken {
                    let _ = timeout(PARTING, part(stream)).await;
                }
                return Ok(());
            }
        };
        let mut stream = BufReader::new(stream);
        while self.may_go_on(permit) {
            let mut line = String::new();
            let mut bounded = (&mut stream).take(MAX_LINE);
            if timeout(PATIENCE, bounded.read_line(&mut line)).await?? == 0 || !line.ends_with('\n')
            {
                break;
            }
            self.served.fetch_add(1, Ordering::Relaxed);
            stream.write_all(b"taken\n").await?;
        }
        stream.shutdown().await
    }

    /// Whether the policy in force permits raw bytes on this flow. Recorded either way.
    fn may_go_on(&self, permit: &FlowPermit) -> bool {
        let engine = self.guard.engine();
        let judged = engine.authorize(permit, &Action::Connect, &Evidence::none(), now());
        judged.is_ok()
    }

    /// A verifier for one connection: it proves the peer, and judges its flow before the handshake ends.
    fn verifier(
        &self,
        arrival: Arrival,
        port: u16,
        judged: &Arc<OnceLock<Option<FlowPermit>>>,
    ) -> Arc<ClientVerifier> {
        let (guard, judged) = (self.guard.clone(), Arc::clone(judged));
        let hook = move |peer: Peer| {
            let flow = Flow::ingress(guard.name(), port, arrival, Some(&peer));
            let permit = guard.engine().permit_flow(&flow, now()).ok();
            let permitted = permit.is_some();
            let first = judged.set(permit).is_ok();
            if permitted && first {
                Ok(())
            } else {
                Err(Refused)
            }
        };
        ClientVerifier::new(self.prover.clone(), Arc::new(hook))
    }

    fn unproven(&self, arrival: Arrival, port: u16, error: Option<&ProveError>) {
        let reason = match error {
            Some(ProveError::Expired { .. }) => Reason::IdentityExpired,
            _ => Reason::IdentityUnproven,
        };
        let flow = Flow::ingress(self.guard.name(), port, arrival, None);
        let engine = self.guard.engine();
        engine.refuse(&flow, None, Stage::Identity, reason, now());
    }
}

/// Closes a refused stream so that its alert arrives: over bytes that nobody read, a close is a reset, which can overtake it.
async fn part(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    copy(&mut stream.take(64 * 1024), &mut sink()).await?;
    Ok(())
}
