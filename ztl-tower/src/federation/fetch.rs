//! One fetch: dial, have the endpoint prove itself, ask, and read no more than may be.

use core::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use ztl_mtls::MAX_BUNDLE_BYTES;
use ztl_mtls::source::{BundleEndpoint, EndpointUrl, Fetch};

use super::error::FederationError;
use crate::fetch::{self, Answer, FetchError};
use crate::guard::Guard;
use crate::socket;

/// Fetches a bundle document, redirects followed as the endpoint says. `address` stands in for the DNS at the configured host.
pub(super) async fn fetch(
    guard: &Guard,
    endpoint: &BundleEndpoint,
    mut fetch: Fetch,
    address: Option<SocketAddr>,
) -> Result<Bytes, FederationError> {
    loop {
        let pinned = address.filter(|_| fetch.url().authority() == endpoint.url().authority());
        match ask(guard, endpoint, fetch.url(), pinned).await? {
            Answer::Body(body) => return Ok(body),
            // All are taken as temporary (Federation §7.5.1).
            Answer::Other {
                status:
                    StatusCode::MOVED_PERMANENTLY
                    | StatusCode::FOUND
                    | StatusCode::SEE_OTHER
                    | StatusCode::TEMPORARY_REDIRECT
                    | StatusCode::PERMANENT_REDIRECT,
                location: Some(location),
            } => fetch = fetch.redirected(&location)?,
            Answer::Other { status, .. } => {
                return Err(FederationError::Fetch(FetchError::Status {
                    host: fetch.url().authority(),
                    status: status.as_u16(),
                }));
            }
        }
    }
}

async fn ask(
    guard: &Guard,
    endpoint: &BundleEndpoint,
    url: &EndpointUrl,
    address: Option<SocketAddr>,
) -> Result<Answer, FederationError> {
    let stream = prove(guard, endpoint, url, address).await?;
    let host = url.authority();
    Ok(fetch::get(stream, &host, url.target(), MAX_BUNDLE_BYTES).await?)
}

/// Makes a connection whose other end has proved itself as the profile asks.
async fn prove(
    guard: &Guard,
    endpoint: &BundleEndpoint,
    url: &EndpointUrl,
    address: Option<SocketAddr>,
) -> Result<TlsStream<TcpStream>, FederationError> {
    let unreached = |error| FetchError::Connect {
        host: url.authority(),
        error,
    };
    let stream = socket::reach(guard, url.host(), url.port(), address)
        .await
        .map_err(unreached)?;
    let tls = endpoint.tls(guard.provider(), guard.prover())?;
    let unproven = |why: String| {
        FederationError::from(FetchError::Unproven {
            host: url.authority(),
            why,
        })
    };
    let shaken = TlsConnector::from(Arc::clone(&tls.config()))
        .connect(url.server_name(), stream)
        .await
        .map_err(|error| unproven(tls.why_not().unwrap_or_else(|| error.to_string())))?;
    if tls.is_proved() {
        Ok(shaken)
    } else {
        Err(unproven("the handshake ended without a proof".to_owned()))
    }
}
