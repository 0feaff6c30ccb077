//! Bundles of policies over loopback: pulled, put in force, refused, given up, and servers that are broken or hostile (rule 57;
//! T24).

#![cfg(test)]

mod engine;
mod force;
mod hostile;
#[path = "../attacks/watched/listens.rs"]
mod listens;
mod local;
mod pack;
#[path = "../support/provider.rs"]
mod provider;
mod pulls;
mod unsure;

#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::Engine;
use http::StatusCode;
use provider::{Provider, Reply, Served};
use support::{Mesh, get2, knock, listener, now, serve};
use ztl_core::audit::MemorySink;
use ztl_core::authorizer::Authorizer;
use ztl_core::policy::{Format, Loader, Policy};
use ztl_mtls::X509Svid;
use ztl_tower::authz::bundle::{
    BundlePull, BundleReader, SigningAlgorithm, Verification, VerificationKey,
};
use ztl_tower::{BuildError, Guard, OpaBundle, OpaBundleRefreshed};

const PATH: &str = "/bundles/authz";
const SECRET: &[u8] = &[7; 32];

fn document(port: u16) -> String {
    format!(
        r#"
schema = 1
trust_domain = "prod.example"

[workloads.router]
id = "spiffe://prod.example/router"

[workloads.model-server]
id = "spiffe://prod.example/model-server"
ports = [{port}]

[[permit]]
name = "what-the-bundle-lets-through"
from = "router"
to = "model-server"
actions = ["GET /v1/{{*rest}}"]
require = {{ authorizer = "bundle" }}
"#
    )
}

fn policy(port: u16, authorizer: Arc<dyn Authorizer>) -> Policy {
    let loader = Loader::new().with_authorizer("bundle", authorizer);
    loader
        .load(&document(port), Format::Toml)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Who verifies bundles that [`pack::signed`] packs.
fn verification() -> Verification {
    let key = VerificationKey::from_secret(SigningAlgorithm::Hs256, SECRET).expect("key");
    Verification::new(key)
}

/// A server of bundles, without TLS.
struct Server(Provider);

impl Server {
    async fn start() -> Self {
        Self(Provider::plain().await)
    }

    fn url(&self) -> String {
        format!("http://{}{PATH}", self.0.address)
    }

    fn reply(&self, reply: Reply) {
        self.0.at(PATH, reply);
    }

    fn publish(&self, body: Vec<u8>, etag: &str) {
        self.reply(Reply::Bundle(Served {
            body,
            etag: etag.to_owned(),
            waits: false,
        }));
    }

    fn pull(&self) -> BundlePull {
        BundlePull::new(&self.url(), BundleReader::verified(verification())).expect("pull")
    }
}

/// A service whose rule asks what a bundle says.
struct Service {
    guard: Guard,
    address: SocketAddr,
    caller: X509Svid,
    engine: Arc<Engine>,
    /// Seconds that its clock is ahead.
    ahead: Arc<AtomicU64>,
}

impl Service {
    async fn start(pull: BundlePull) -> Self {
        Self::with(pull, |bundle| bundle).await.expect("guard")
    }

    async fn with(
        pull: BundlePull,
        more: impl FnOnce(OpaBundle) -> OpaBundle,
    ) -> Result<Self, BuildError> {
        let engine = Arc::new(Engine::default());
        let bundle = OpaBundle::without_roots(pull, engine.clone());
        Self::asking(engine, more(bundle)).await
    }

    /// One whose rule asks this engine, and that pulls this.
    async fn asking(engine: Arc<Engine>, bundle: OpaBundle) -> Result<Self, BuildError> {
        let (listener, address) = listener().await;
        let mesh = Mesh::new("");
        let audit = Arc::new(MemorySink::new(10_000));
        let ahead = Arc::new(AtomicU64::new(0));
        let shift = Arc::clone(&ahead);
        let clock = move || {
            let ahead = shift.load(Ordering::SeqCst);
            assert_ne!(ahead, u64::MAX, "the host's clock panics");
            now().saturating_add(Duration::from_secs(ahead))
        };
        let guard = Guard::builder("model-server")
            .policy(policy(address.port(), engine.clone()))
            .identity(mesh.svid("/model-server"))
            .bundle(mesh.authority.bundle())
            .allow_dev_authority()
            .audit(audit)
            .clock(clock)
            .opa_bundle("authz", bundle)
            .build()
            .await?;
        serve(&guard, listener, engine::app());
        let caller = mesh.svid("/router");
        Ok(Self {
            guard,
            address,
            caller,
            engine,
            ahead,
        })
    }

    async fn ask(&self) -> StatusCode {
        let request = get2("/v1/models");
        let answered = knock(self.address, None, Some(&self.caller), b"h2", request).await;
        answered.expect("response").status()
    }

    fn pass(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    fn revision(&self) -> Option<Box<str>> {
        let status = self.guard.opa_bundle_status("authz").expect("status");
        status.revision.filter(|_| status.in_force)
    }

    async fn refresh(&self) -> OpaBundleRefreshed {
        let refreshed = self.guard.refresh_opa_bundle("authz").await;
        refreshed.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Why a refresh fails.
    async fn refused(&self) -> String {
        match self.guard.refresh_opa_bundle("authz").await {
            Ok(refreshed) => panic!("{refreshed:?}"),
            Err(error) => {
                let said = support::chain(&error);
                let status = self.guard.opa_bundle_status("authz").expect("status");
                assert_eq!(status.last_error, Some(error.to_string()));
                said
            }
        }
    }
}
