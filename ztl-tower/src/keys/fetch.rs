//! One fetch: dial, have the host prove itself, ask, and read no more than may be.

use core::net::SocketAddr;

use bytes::Bytes;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;
use ztl_authz::jwt::Fetch;
use ztl_mtls::source::WebRoots;

use super::error::KeysError;
use crate::fetch::{self, Answer, Fault};
use crate::guard::Guard;
use crate::socket;

/// Fetches metadata or keys. `address` stands in for the DNS.
pub(super) async fn fetch(
    guard: &Guard,
    wanted: &Fetch,
    roots: Option<&WebRoots>,
    address: Option<SocketAddr>,
) -> Result<Bytes, KeysError> {
    let (url, most) = (wanted.url(), wanted.max_bytes());
    let host = url.authority();
    let stream = socket::reach(url.host(), url.port(), address, guard.source_addr())
        .await
        .map_err(|error| KeysError::Connect {
            host: host.clone(),
            error,
        })?;
    let answer = if url.is_encrypted() {
        let unproven = |why: String| KeysError::Unproven {
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
        fetch::get(stream, &host, url.target(), most).await
    } else {
        fetch::get(stream, &host, url.target(), most).await
    };
    match answer {
        Ok(Answer::Body(body)) => Ok(body),
        Ok(Answer::Other { status, .. }) => Err(KeysError::Status {
            host,
            status: status.as_u16(),
        }),
        Err(Fault::Broken(error)) => Err(KeysError::Broken { host, error }),
        Err(Fault::TooLong) => Err(KeysError::TooLong { host, most }),
    }
}
