//! From a host that the Web PKI proves.

use core::net::SocketAddr;
use std::sync::Arc;

use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;
use ztl_core::url::HttpUrl;
use ztl_mtls::source::WebRoots;

use super::{Answer, FetchError, Question, Said, get_with};
use crate::guard::Guard;
use crate::socket;

/// What proves the host, and whether we prove ourselves to it.
#[derive(Clone, Copy)]
pub(crate) struct Credentials<'a> {
    pub(crate) roots: Option<&'a WebRoots>,
    /// Our SVID is presented.
    pub(crate) identity: bool,
}

/// Dials, has the host prove itself where the URL is `https`, and asks. `address` stands in for the DNS.
#[cfg(feature = "oidc")]
pub(crate) async fn from_web(
    guard: &Guard,
    url: &HttpUrl,
    most: usize,
    roots: Option<&WebRoots>,
    address: Option<SocketAddr>,
) -> Result<Answer, FetchError> {
    let credentials = Credentials {
        roots,
        identity: false,
    };
    let question = Question {
        most,
        ..Question::default()
    };
    let answered = from_web_with(guard, url, credentials, address, question).await;
    answered.map(|(answer, _)| answer)
}

/// The same, showing who we are, and with what the answer says of itself.
pub(crate) async fn from_web_with(
    guard: &Guard,
    url: &HttpUrl,
    Credentials { roots, identity }: Credentials<'_>,
    address: Option<SocketAddr>,
    question: Question<'_>,
) -> Result<(Answer, Said), FetchError> {
    let host = url.authority();
    // Plain from this very host is not plain from wherever an address leads: nothing is dialled, and no token is shown.
    let elsewhere = address.filter(|at| !at.ip().to_canonical().is_loopback());
    if let Some(address) = elsewhere.filter(|_| !url.is_encrypted() && url.is_loopback()) {
        return Err(FetchError::Unproven {
            host,
            why: format!(
                "plain `http` is taken from a loopback address alone, and {address} is none; ask over `https`, or leave the address out"
            ),
        });
    }
    let stream = socket::reach(guard, url.host(), url.port(), address)
        .await
        .map_err(|error| FetchError::Connect {
            host: host.clone(),
            error,
        })?;
    if !url.is_encrypted() {
        return get_with(stream, &host, url.target(), question).await;
    }
    let unproven = |why: String| FetchError::Unproven {
        host: host.clone(),
        why,
    };
    let roots = roots.ok_or_else(|| unproven("no roots were given".to_owned()))?;
    let config = roots.client_config(guard.provider());
    let mut config = config.map_err(|error| unproven(error.to_string()))?;
    if identity {
        Arc::make_mut(&mut config).client_auth_cert_resolver = guard.identity();
    }
    let name = ServerName::try_from(url.host().to_owned())
        .map_err(|_| unproven("its name is none that a certificate can have".to_owned()))?;
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| unproven(error.to_string()))?;
    get_with(stream, &host, url.target(), question).await
}
