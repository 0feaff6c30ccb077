//! One fetch of metadata or keys: `200` is taken, and no redirect is followed.

use core::net::SocketAddr;

use bytes::Bytes;
use ztl_authz::jwt::Fetch;
use ztl_mtls::source::WebRoots;

use crate::fetch::{Answer, FetchError, from_web};
use crate::guard::Guard;

/// Fetches metadata or keys. `address` stands in for the DNS.
pub(super) async fn fetch(
    guard: &Guard,
    wanted: &Fetch,
    roots: Option<&WebRoots>,
    address: Option<SocketAddr>,
) -> Result<Bytes, FetchError> {
    let url = wanted.url();
    match from_web(guard, url, wanted.max_bytes(), roots, address).await? {
        Answer::Body(body) => Ok(body),
        Answer::Other { status, .. } => Err(FetchError::Status {
            host: url.authority(),
            status: status.as_u16(),
        }),
    }
}
