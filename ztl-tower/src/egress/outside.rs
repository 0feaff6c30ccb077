//! Hosts outside the mesh: where they may be, and that they prove themselves (T27).

use core::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use ztl_core::{Arrival, Flow, Reason, Stage};
use ztl_mtls::HostVerifier;

use super::dial::Proven;
use super::error::EgressError;
use crate::guard::Guard;
use crate::live::{Begun, Live, Registry};

/// Those of the addresses that the policy lets the host have.
pub(super) fn admitted(
    guard: &Guard,
    host: &str,
    port: u16,
    found: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, EgressError> {
    let policy = guard.engine().policy();
    let external = policy.external_by_host(host);
    let first = found.first().map(SocketAddr::ip);
    let admits =
        |address: &SocketAddr| external.is_some_and(|external| external.admits(address.ip()));
    let admitted: Vec<_> = found.into_iter().filter(admits).collect();
    match first {
        Some(address) if admitted.is_empty() => {
            let at = Arrival::from_addr(address);
            let flow = Flow::external_unproved(guard.name(), port, host, at);
            let denial = guard.engine().refuse(
                &flow,
                None,
                Stage::Flow,
                Reason::NoFlowPermitted,
                guard.now(),
            );
            Err(EgressError::Address {
                host: host.to_owned(),
                address,
                denial: Box::new(denial),
            })
        }
        _ => Ok(admitted),
    }
}

/// Has the host prove that it is this one, at the address that was dialled, and the flow permitted. Nothing of ours is shown.
pub(super) async fn prove(
    guard: &Guard,
    host: &str,
    port: u16,
    alpn: &[&[u8]],
    stream: TcpStream,
) -> Result<Proven, EgressError> {
    let at = stream.peer_addr();
    let unproven = |why: String| EgressError::Unproven {
        workload: host.to_owned(),
        address: at
            .as_ref()
            .map_or_else(|_| host.to_owned(), ToString::to_string),
        why,
    };
    let address = at
        .as_ref()
        .map_err(|error| unproven(error.to_string()))?
        .ip();
    // Before anything is judged, so that no change slips in between.
    let live = Live::external(guard, Arrival::from_addr(address), port);
    let registered = Registry::register(guard, live);
    let begun = Begun::now(guard);
    let roots = guard.web_roots().ok_or_else(|| {
        unproven(
            "no roots of the Web PKI were given; call `web_roots_file` of the builder".to_owned(),
        )
    })?;
    let verifier = HostVerifier::new(roots, guard.provider(), host, address);
    let verifier = verifier.map_err(|error| unproven(error.to_string()))?;
    let config = verifier.client_config(guard.provider(), alpn);
    let config = config.map_err(|error| unproven(error.to_string()))?;
    let shaken = TlsConnector::from(Arc::new(config))
        .connect(verifier.server_name(), stream)
        .await;
    let stream = shaken.map_err(|error| unproven(error.to_string()))?;
    let proved = verifier.host();
    let proved =
        proved.ok_or_else(|| unproven("the handshake ended without a proof".to_owned()))?;
    let flow = Flow::external(guard.name(), port, proved);
    let permit = guard.engine().permit_flow(&flow, guard.now())?;
    if !registered.live().begin(guard, begun, permit, None) {
        return Err(unproven(
            "what its proof rests on was changed during the handshake".to_owned(),
        ));
    }
    Ok((stream, registered))
}
