//! Making and proving a connection.

use core::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use rustls_pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use ztl_core::{Denial, Flow, FlowPermit, SpiffeId};
use ztl_mtls::{Refused, ServerVerifier};

use super::error::{EgressError, is_access_denied};
use super::sender::Sender;
use crate::guard::{ALPN, Guard};

/// Whom to connect to.
pub(super) struct Destination<'a> {
    pub(super) workload: &'a str,
    pub(super) id: &'a SpiffeId,
    pub(super) port: u16,
}

type Judged = Arc<OnceLock<Result<FlowPermit, Denial>>>;

pub(super) async fn dial(guard: &Guard, to: &Destination<'_>) -> Result<Sender, EgressError> {
    let addresses = resolve(guard, to).await?;
    let shown = addresses
        .first()
        .map_or_else(|| "no address".to_owned(), ToString::to_string);
    let timed_out = || EgressError::TimedOut {
        workload: to.workload.to_owned(),
        address: shown.clone(),
    };
    tokio::time::timeout(guard.limits().connect, async {
        let stream = connect(guard, to, &addresses).await?;
        prove(guard, to, stream, &shown).await
    })
    .await
    .map_err(|_| timed_out())?
}

async fn resolve(guard: &Guard, to: &Destination<'_>) -> Result<Vec<SocketAddr>, EgressError> {
    if let Some(address) = guard.endpoint(to.workload) {
        return Ok(vec![address]);
    }
    let failed = |error| EgressError::Connect {
        workload: to.workload.to_owned(),
        address: format!("{}:{}", to.workload, to.port),
        error,
    };
    let found: Vec<_> = tokio::net::lookup_host((to.workload, to.port))
        .await
        .map_err(failed)?
        .collect();
    if found.is_empty() {
        return Err(failed(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            "the name has no address; give the builder an `endpoint`",
        )));
    }
    Ok(found)
}

async fn connect(
    guard: &Guard,
    to: &Destination<'_>,
    addresses: &[SocketAddr],
) -> Result<TcpStream, EgressError> {
    let mut last = None;
    for address in addresses {
        match connect_one(guard, *address).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some((address, error)),
        }
    }
    let (address, error) = last.map_or_else(
        || {
            (
                String::new(),
                std::io::Error::from(std::io::ErrorKind::NotFound),
            )
        },
        |(address, error)| (address.to_string(), error),
    );
    Err(EgressError::Connect {
        workload: to.workload.to_owned(),
        address,
        error,
    })
}

async fn connect_one(guard: &Guard, address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(source) = guard.source_addr() {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(address).await
}

async fn prove(
    guard: &Guard,
    to: &Destination<'_>,
    stream: TcpStream,
    address: &str,
) -> Result<Sender, EgressError> {
    let unproven = |why: String| EgressError::Unproven {
        workload: to.workload.to_owned(),
        address: address.to_owned(),
        why,
    };
    let judged = Judged::default();
    let verifier = verifier(guard, to, &judged);
    let config = ztl_mtls::client_config(
        guard.provider(),
        guard.identity(),
        Arc::clone(&verifier),
        ALPN,
    )
    .map_err(|error| unproven(error.to_string()))?;
    // The name is a hint for the target's side; what proves the target is its SPIFFE ID.
    let name = ServerName::try_from(to.workload.to_owned())
        .map_err(|error| unproven(error.to_string()))?;
    let shaken = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    match (judged.get(), shaken) {
        (Some(Err(denial)), _) => Err(EgressError::Denied(denial.clone())),
        (Some(Ok(permit)), Ok(stream)) => Sender::start(stream, permit.clone())
            .await
            .map_err(|error| broken(to.workload, error)),
        (_, Err(error)) if is_access_denied(&error) => Err(EgressError::FlowRefused {
            workload: to.workload.to_owned(),
        }),
        (_, Err(error)) => {
            let proved = verifier
                .peer()
                .map(|peer| format!("it proved to be `{}`", peer.id()));
            Err(unproven(
                verifier
                    .error()
                    .map(|error| error.to_string())
                    .or(proved)
                    .unwrap_or_else(|| error.to_string()),
            ))
        }
        (None, Ok(_)) => Err(unproven("the handshake ended without a proof".to_owned())),
    }
}

/// A verifier for one connection: the target must be the named workload, and its flow permitted.
fn verifier(guard: &Guard, to: &Destination<'_>, judged: &Judged) -> Arc<ServerVerifier> {
    let prover = guard.prover();
    let (guard, judged, expected, port) =
        (guard.clone(), Arc::clone(judged), to.id.clone(), to.port);
    let hook = move |peer: ztl_core::Peer| {
        let policy = guard.engine().policy();
        let named = policy
            .workload_by_id(peer.id())
            .is_some_and(|workload| *workload.id() == expected);
        if !named {
            return Err(Refused);
        }
        let judgement = guard
            .engine()
            .permit_flow(&Flow::egress(guard.name(), port, &peer), guard.now());
        let permitted = judgement.is_ok();
        let first = judged.set(judgement).is_ok();
        if permitted && first {
            Ok(())
        } else {
            Err(Refused)
        }
    };
    ServerVerifier::new(prover, Arc::new(hook))
}

pub(super) fn broken(workload: &str, error: hyper::Error) -> EgressError {
    if is_access_denied(&error) {
        EgressError::FlowRefused {
            workload: workload.to_owned(),
        }
    } else {
        EgressError::Broken {
            workload: workload.to_owned(),
            error: error.into(),
        }
    }
}
