//! The proved peer, as handlers take it.

use core::ops::Deref;

/// Who is calling: an extractor for handlers, and an extension of every request that was judged.
///
/// It is never read from a header. A request that came without a proved peer, on a public port, has none: the extractor
/// answers it with 403.
///
/// ```
/// # #[cfg(feature = "axum-core")] {
/// async fn hello(peer: ztl_tower::Peer) -> String {
///     format!("hello, {}", peer.id())
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer(pub(crate) ztl_core::Peer);

impl Deref for Peer {
    type Target = ztl_core::Peer;

    fn deref(&self) -> &ztl_core::Peer {
        &self.0
    }
}

#[cfg(feature = "axum-core")]
mod extract {
    use axum_core::extract::FromRequestParts;
    use http::StatusCode;
    use http::request::Parts;

    use super::Peer;

    impl<S: Sync> FromRequestParts<S> for Peer {
        type Rejection = StatusCode;

        async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, StatusCode> {
            parts
                .extensions
                .get::<Self>()
                .cloned()
                .ok_or(StatusCode::FORBIDDEN)
        }
    }
}
