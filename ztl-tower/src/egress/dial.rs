//! Making and proving a connection.

use core::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use ztl_core::{Denial, Flow, FlowPermit};
use ztl_mtls::{Refused, ServerVerifier};

use super::error::{EgressError, is_access_denied};
use super::live::as_named;
use super::outside;
use super::pool::{Key, To};
use super::sender::Sender;
use crate::guard::{ALPN, Guard};
use crate::live::{Begun, Live, Registered, Registry};
use crate::socket;
use crate::watch::Handshake;

type Judged = Arc<OnceLock<Result<FlowPermit, Denial>>>;

/// Makes and proves a connection that carries requests, within one deadline from the look-up of the name on.
pub(super) async fn dial(guard: &Guard, to: &Key) -> Result<Sender, EgressError> {
    let made = within(guard, to, ALPN, |(stream, registered)| async {
        let started = Sender::start(stream, registered).await;
        started.map_err(|error| broken(to.name(), error))
    });
    made.await
}

/// The same for raw bytes: no protocol is agreed on.
pub(super) async fn dial_raw(guard: &Guard, to: &Key) -> Result<Proven, EgressError> {
    within(guard, to, &[], |proven| async { Ok(proven) }).await
}

/// A connection whose target is proved and whose flow is permitted.
pub(super) type Proven = (TlsStream<TcpStream>, Registered);

async fn within<T, F>(
    guard: &Guard,
    to: &Key,
    alpn: &[&[u8]],
    then: impl FnOnce(Proven) -> F,
) -> Result<T, EgressError>
where
    F: Future<Output = Result<T, EgressError>>,
{
    // Rule 30: whoever cannot prove itself asks nobody.
    guard.svid()?;
    let mut timed = Handshake::begin(guard, "egress");
    let shown = OnceLock::new();
    let made = tokio::time::timeout(guard.limits().connect, async {
        let addresses = resolve(guard, to).await?;
        if let Some(first) = addresses.first() {
            let _ = shown.set(first.to_string());
        }
        let stream = connect(guard, to, &addresses).await?;
        let address = shown.get().map_or("", String::as_str);
        let proven = match &to.to {
            To::Workload { name, .. } => prove(guard, to, name, alpn, stream, address).await?,
            To::Host(host) => outside::prove(guard, host, to.port, alpn, stream).await?,
        };
        then(proven).await
    })
    .await;
    let made = made.unwrap_or_else(|_| {
        Err(EgressError::TimedOut {
            workload: to.name().to_owned(),
            address: shown.get().cloned().unwrap_or_else(|| by_name(to)),
        })
    });
    match &made {
        Ok(_) => timed.is("permitted"),
        Err(
            EgressError::Denied(_) | EgressError::FlowRefused { .. } | EgressError::Address { .. },
        ) => timed.is("refused"),
        Err(EgressError::Unproven { .. }) => timed.is("unproved"),
        Err(_) => {}
    }
    made
}

/// What is shown of a target whose address is not known.
fn by_name(to: &Key) -> String {
    format!("{}:{}", to.name(), to.port)
}

/// Where it is reached. A host outside the mesh is reached only where the policy lets it be.
async fn resolve(guard: &Guard, to: &Key) -> Result<Vec<SocketAddr>, EgressError> {
    let found = match guard.endpoint(to.name()) {
        Some(address) => vec![address],
        None => look_up(guard, to).await?,
    };
    match &to.to {
        To::Workload { .. } => Ok(found),
        To::Host(host) => outside::admitted(guard, host, to.port, found),
    }
}

async fn look_up(guard: &Guard, to: &Key) -> Result<Vec<SocketAddr>, EgressError> {
    let failed = |error| EgressError::Connect {
        workload: to.name().to_owned(),
        address: by_name(to),
        error,
    };
    let name = match &to.to {
        To::Workload { name, .. } => name.to_string(),
        // As it stands, whatever domains the machine searches (RFC 1034 §3.1).
        To::Host(host) => format!("{host}."),
    };
    let found = guard.look_ups().find(&name, to.port).await;
    let found = found.map_err(failed)?;
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
    to: &Key,
    addresses: &[SocketAddr],
) -> Result<TcpStream, EgressError> {
    socket::connect(addresses, guard.source_addr())
        .await
        .map_err(|unreached| EgressError::Connect {
            workload: to.name().to_owned(),
            address: unreached
                .address
                .map_or_else(String::new, |address| address.to_string()),
            error: unreached.error,
        })
}

async fn prove(
    guard: &Guard,
    to: &Key,
    workload: &str,
    alpn: &[&[u8]],
    stream: TcpStream,
    address: &str,
) -> Result<Proven, EgressError> {
    let unproven = |why: String| EgressError::Unproven {
        workload: to.name().to_owned(),
        address: address.to_owned(),
        why,
    };
    // Before anything is judged, so that no change slips in between.
    let live = Live::egress(guard, workload, to.port);
    let registered = Registry::register(guard, live);
    let begun = Begun::now(guard);
    let judged = Judged::default();
    let verifier = verifier(guard, workload, to.port, &judged);
    let config = ztl_mtls::client_config(
        guard.provider(),
        guard.identity(),
        Arc::clone(&verifier),
        alpn,
    )
    .map_err(|error| unproven(error.to_string()))?;
    // The name is a hint for the target's side; what proves the target is its SPIFFE ID.
    let name =
        ServerName::try_from(to.name().to_owned()).map_err(|error| unproven(error.to_string()))?;
    let shaken = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    match (judged.get(), shaken) {
        (Some(Err(denial)), _) => Err(EgressError::Denied(denial.clone())),
        (Some(Ok(permit)), Ok(stream)) => {
            // T5: the chain was proved before the permit was made, and what proved it may have gone in between.
            let proved = verifier
                .proved()
                .ok_or_else(|| unproven("the handshake ended without a proof".to_owned()))?;
            let live = registered.live();
            if !live.begin(guard, begun, permit.clone(), Some(proved)) {
                return Err(unproven(
                    "what its proof rests on was changed during the handshake".to_owned(),
                ));
            }
            Ok((stream, registered))
        }
        (_, Err(error)) if is_access_denied(&error) => Err(EgressError::FlowRefused {
            workload: to.name().to_owned(),
        }),
        (_, Err(error)) => {
            let proved = verifier
                .refused()
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

/// A verifier for one connection: the target must be the named workload, and its flow permitted, by one and the same policy.
fn verifier(guard: &Guard, workload: &str, port: u16, judged: &Judged) -> Arc<ServerVerifier> {
    let prover = guard.prover().clone();
    let (guard, judged, workload) = (guard.clone(), Arc::clone(judged), workload.to_owned());
    let hook = move |peer: ztl_core::Peer| {
        let judge = || {
            let flow = Flow::egress(guard.name(), port, &peer);
            guard.engine().permit_flow(&flow, guard.now())
        };
        let judgement = as_named(&guard, peer.id(), &workload, judge).ok_or(Refused)?;
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
