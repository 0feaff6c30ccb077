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
