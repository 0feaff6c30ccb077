//! One fetch: dial, have the endpoint prove itself, ask, and read no more than may be.

use core::net::SocketAddr;
use core::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, LOCATION};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use ztl_mtls::MAX_BUNDLE_BYTES;
use ztl_mtls::source::{BundleEndpoint, EndpointUrl, Fetch};

use super::error::FederationError;
use crate::guard::Guard;
use crate::socket;

/// Most bytes of an answer's header section.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most fields of it.
const MAX_FIELDS: usize = 64;

/// What an endpoint answered.
enum Answer {
    Bundle(Bytes),
    Elsewhere(String),
}

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
            Answer::Bundle(body) => return Ok(body),
            Answer::Elsewhere(location) => fetch = fetch.redirected(&location)?,
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
    let broken = |error: hyper::Error| FederationError::Broken {
        host: url.authority(),
        error: error.into(),
    };
    // No field but these: no cookie, no credential, nothing of the environment.
    let request = Request::get(url.target())
        .header(HOST, url.authority())
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| FederationError::Broken {
            host: url.authority(),
            error: error.into(),
        })?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_FIELDS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        read(url, response).await
    };
    // Both live in this future, so that whoever gives it up closes the connection.
    let (mut exchange, mut connection) = (pin!(exchange), pin!(connection));
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut exchange => return answer,
            _ = &mut connection, if open => open = false,
        }
    }
}

/// Makes a connection whose other end has proved itself as the profile asks.
async fn prove(
    guard: &Guard,
    endpoint: &BundleEndpoint,
    url: &EndpointUrl,
    address: Option<SocketAddr>,
) -> Result<TlsStream<TcpStream>, FederationError> {
    let unreached = |error| FederationError::Connect {
        host: url.authority(),
        error,
    };
    let addresses: Vec<_> = match address {
        Some(address) => vec![address],
        None => tokio::net::lookup_host((url.host(), url.port()))
            .await
            .map_err(unreached)?
            .collect(),
    };
    let stream = socket::connect(&addresses, guard.source_addr())
        .await
        .map_err(|unreachable| unreached(unreachable.error))?;
    let tls = endpoint.tls(guard.provider(), guard.prover())?;
    let unproven = |why: String| FederationError::Unproven {
        host: url.authority(),
        why,
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

async fn read(url: &EndpointUrl, response: Response<Incoming>) -> Result<Answer, FederationError> {
    let status = response.status();
    let other = || FederationError::Status {
        host: url.authority(),
        status: status.as_u16(),
    };
    match status {
        StatusCode::OK => {}
        // All are taken as temporary (Federation §7.5.1).
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::SEE_OTHER
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => {
            let mut locations = response.headers().get_all(LOCATION).iter();
            let location = locations.next().and_then(|location| location.to_str().ok());
            return match (location, locations.next()) {
                (Some(location), None) => Ok(Answer::Elsewhere(location.to_owned())),
                _ => Err(other()),
            };
        }
        _ => return Err(other()),
    }
    let body = Limited::new(response.into_body(), MAX_BUNDLE_BYTES);
    match body.collect().await {
        Ok(whole) => Ok(Answer::Bundle(whole.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(FederationError::TooLong {
            host: url.authority(),
            most: MAX_BUNDLE_BYTES,
        }),
        Err(error) => Err(FederationError::Broken {
            host: url.authority(),
            error,
        }),
    }
}
