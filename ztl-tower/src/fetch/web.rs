//! From a host that the Web PKI proves.

use core::net::SocketAddr;

use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;
use ztl_core::url::HttpUrl;
use ztl_mtls::source::WebRoots;

use super::{Answer, FetchError, get};
use crate::guard::Guard;
use crate::socket;

/// Dials, has the host prove itself where the URL is `https`, and asks. `address` stands in for the DNS.
pub(crate) async fn from_web(
    guard: &Guard,
    url: &HttpUrl,
    most: usize,
    roots: Option<&WebRoots>,
    address: Option<SocketAddr>,
) -> Result<Answer, FetchError> {
    let host = url.authority();
    let stream = socket::reach(url.host(), url.port(), address, guard.source_addr())
        .await
        .map_err(|error| FetchError::Connect {
            host: host.clone(),
            error,
        })?;
    if !url.is_encrypted() {
        return get(stream, &host, url.target(), most).await;
    }
    let unproven = |why: String| FetchError::Unproven {
        host: host.clone(),
        why,
    };
    let roots = roots.ok_or_else(|| unproven("no roots were given".to_owned()))?;
    let config = roots.client_config(guard.provider());
    let config = config.map_err(|error| unproven(error.to_string()))?;
    let name = ServerName::try_from(url.host().to_owned())
        .map_err(|_| unproven("its name is none that a certificate can have".to_owned()))?;
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| unproven(error.to_string()))?;
    get(stream, &host, url.target(), most).await
}
