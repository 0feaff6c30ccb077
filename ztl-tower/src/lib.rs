// Says beside each item which feature it is of.
#![cfg_attr(docsrs, feature(doc_cfg))]
// Its example asks for features, and is tested with them, below.
#![cfg_attr(not(doctest), doc = include_str!("../README.md"))]

mod audit;
mod authorize;
#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "browser")]
pub mod browser;
mod duty;
#[cfg(feature = "client")]
mod egress;
mod extract;
#[cfg(feature = "federation")]
mod federation;
#[cfg(any(
    feature = "bundle",
    feature = "federation",
    feature = "oidc",
    all(feature = "client", feature = "trust")
))]
mod fetch;
mod forwarded;
#[cfg_attr(
    not(all(feature = "client", feature = "serve")),
    allow(dead_code, reason = "nothing is judged again without either")
)]
mod gather;
mod guard;
mod host;
#[cfg(feature = "oidc")]
mod keys;
#[cfg_attr(
    not(all(feature = "client", feature = "serve")),
    allow(dead_code, reason = "each end of a connection uses another part")
)]
mod live;
mod loader;
#[cfg(feature = "client")]
mod look_up;
mod name;
#[cfg(feature = "bundle")]
mod opa_bundle;
mod peer;
#[cfg(all(feature = "client", feature = "trust"))]
mod polled;
#[cfg(any(feature = "client", feature = "serve"))]
mod raw;
mod refresh;
mod routes;
mod said;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "client")]
mod socket;
#[cfg(feature = "test-util")]
pub mod test;
mod token;
mod trace;
#[cfg(any(feature = "client", feature = "serve"))]
mod transport;
mod watch;

pub use audit::TracingSink;
pub use authorize::{Authorize, AuthorizeLayer, Refused, ResponseBody, ResponseFuture};
pub use duty::AnyBody;
#[cfg(feature = "redis")]
pub use duty::{Away, RedisLimits};
#[cfg(feature = "client")]
pub use egress::{Client, EgressError};
#[cfg(feature = "axum-core")]
pub use extract::Rejection;
pub use extract::{ActionPermit, Claims, Decision};
#[cfg(all(feature = "federation", feature = "jwt"))]
pub use federation::jwt_svid_keys;
#[cfg(feature = "federation")]
pub use federation::{FederatedBundle, FederationError, Refreshed};
#[cfg(any(
    feature = "bundle",
    feature = "federation",
    feature = "oidc",
    all(feature = "client", feature = "trust")
))]
pub use fetch::FetchError;
pub use guard::{BuildError, Guard, GuardBuilder, PolicySwapError, SwapError};
#[cfg(feature = "jwt")]
pub use guard::{IssuerMismatch, UnknownIssuer};
pub use host::ServerName;
#[cfg(feature = "oidc")]
pub use keys::{FetchedKeys, KeysError, KeysRefreshed};
pub use live::{Connection, ConnectionState};
pub use loader::loader;
#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
pub use loader::loader_with;
pub use name::Ambiguity;
#[cfg(feature = "bundle")]
pub use opa_bundle::{
    OpaBundle, OpaBundleError, OpaBundleFile, OpaBundleRefreshed, OpaBundleStatus,
};
pub use peer::Peer;
#[cfg(all(feature = "client", feature = "trust"))]
pub use polled::FetchedSignals;
#[cfg(feature = "client")]
pub use raw::HostStream;
#[cfg(any(feature = "client", feature = "serve"))]
pub use raw::RawStream;
pub use refresh::FileError;
pub use routes::RouteError;
#[cfg(all(feature = "axum", feature = "serve"))]
pub use serve::ProtectedRouter;
#[cfg(feature = "serve")]
pub use serve::{
    Accepted, Acceptor, Incoming, Listen, Listener, NotAccepted, Protect, Protected, PublicTls,
    RequestBody, Running, ServeError,
};
#[cfg(any(feature = "client", feature = "serve"))]
pub use transport::Transport;

pub use trace::{SpanId, TraceContext, TraceId};

pub use ztl_authz as authz;
pub use ztl_core as core;
pub use ztl_mtls as mtls;

/// The examples of the front page and of the how-to guides. This crate's tests are built with all these features.
#[cfg(all(
    doctest,
    feature = "axum",
    feature = "axum-core",
    feature = "bundle",
    feature = "client",
    feature = "dev-ca",
    feature = "federation",
    feature = "oidc",
    feature = "rego",
    feature = "serve",
    feature = "test-util"
))]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../docs/axum.md")]
#[doc = include_str!("../../docs/bundles.md")]
#[doc = include_str!("../../docs/egress.md")]
#[doc = include_str!("../../docs/federation.md")]
#[doc = include_str!("../../docs/getting-started.md")]
#[doc = include_str!("../../docs/hyper.md")]
#[doc = include_str!("../../docs/observability.md")]
#[doc = include_str!("../../docs/rotation.md")]
#[doc = include_str!("../../docs/tokens.md")]
struct Guides;
