//! Two services that get who they are and whom they trust from the SPIFFE Workload API, and nothing else.

mod load;

use core::time::Duration;
use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use ztl_tower::core::audit::Sink;
use ztl_tower::core::policy::Policy;
use ztl_tower::{Guard, GuardBuilder, Peer};

pub use load::{Report, load};

/// What either of the two may do.
pub const POLICY: &str = include_str!("../policy.toml");

/// How a service of this example finds its Workload API.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Agent {
    /// Where `SPIFFE_ENDPOINT_SOCKET` says.
    FromEnvironment,
    /// At a socket, whose SVIDs a development authority issued.
    Development(String),
}

impl Agent {
    /// A guard for one of the two workloads.
    ///
    /// # Errors
    /// Where the policy is refused, which it is not.
    pub fn guard(
        &self,
        name: &str,
        policy: &str,
        audit: impl Sink + 'static,
    ) -> Result<GuardBuilder, Box<dyn Error + Send + Sync>> {
        let builder = Guard::builder(name)
            .policy(Policy::from_toml(policy)?)
            .source_grace(Duration::from_secs(60))
            .audit(audit);
        Ok(match self {
            Self::FromEnvironment => builder.spiffe_workload_api(),
            Self::Development(at) => builder.spiffe_workload_api_at(at).allow_dev_authority(),
        })
    }
}

/// The store: serves until it is stopped.
///
/// # Errors
/// Where it gets no SVID, or cannot serve.
pub async fn store(
    agent: &Agent,
    policy: &str,
    listener: TcpListener,
    audit: impl Sink + 'static,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let guard = agent.guard("store", policy, audit)?.build().await?;
    let app = Router::new().route("/items/{item}", get(item));
    Ok(guard.serve_listener(listener, app).await?)
}

async fn item(peer: Peer) -> String {
    format!("for {}\n", peer.id())
}

/// Where the store listens, as the policy says.
#[must_use]
pub fn store_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 28444))
}
