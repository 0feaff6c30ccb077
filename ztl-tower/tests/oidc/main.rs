//! An issuer by discovery over loopback: keys that come, change, grow old and are withdrawn, and providers that are broken or
//! hostile (rule 63; T34).

#![cfg(test)]

mod discovery;
mod hostile;
mod rotation;

#[path = "../support/provider.rs"]
mod provider;
#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use provider::{Provider, Reply};
use serde_json::{Value, json};
use support::{Marker, Mesh, get2, knock, listener, now, serve};
use ztl_core::audit::MemorySink;
use ztl_mtls::source::WebRoots;
use ztl_mtls::{DevWebCa, X509Svid};
use ztl_tower::authz::jwt::{DevIssuer, Issuer, Jwks, JwksEndpoint};
use ztl_tower::{FetchedKeys, Guard, GuardBuilder};

const HOST: &str = "idp.example";

fn policy(port: u16, iss: &str) -> String {
    format!(
        r#"
schema = 1
trust_domain = "prod.example"

[issuers.corp]
issuer = "{iss}"
audience = "model-server"

[workloads.router]
id = "spiffe://prod.example/router"

[workloads.model-server]
id = "spiffe://prod.example/model-server"
ports = [{port}]

[[permit]]
name = "users-infer"
from = "router"
to = "model-server"
actions = ["GET /v1/models"]
require = {{ token = {{ issuer = "corp", scopes = ["infer"] }} }}
"#
    )
}

/// A provider that the Web PKI proves, and what proves it.
struct Idp {
    provider: Provider,
    web: DevWebCa,
    iss: String,
}

impl Idp {
    /// It publishes the keys of nobody.
    async fn start() -> Self {
        let web = DevWebCa::new(now()).expect("authority");
        let provider = Provider::web(&web, HOST).await;
        let iss = format!("https://{HOST}:{}", provider.address.port());
        let idp = Self { provider, web, iss };
        idp.metadata(&idp.iss, &format!("{}/keys", idp.iss));
        idp
    }

    fn issuer(&self) -> DevIssuer {
        DevIssuer::new(&self.iss).expect("issuer")
    }

    fn metadata(&self, iss: &str, jwks_uri: &str) {
        let metadata =
            json!({ "issuer": iss, "jwks_uri": jwks_uri, "scopes_supported": ["infer"] });
        let reply = Reply::Json(metadata.to_string());
        self.provider.at("/.well-known/openid-configuration", reply);
    }

    fn publish(&self, issuers: &[&DevIssuer]) {
        self.provider.at("/keys", Reply::Json(key_set(issuers)));
    }

    fn keys(&self) -> FetchedKeys {
        self.keys_from(JwksEndpoint::discovery(&self.iss).expect("endpoint"))
    }

    fn keys_from(&self, endpoint: JwksEndpoint) -> FetchedKeys {
        let roots = WebRoots::from_pem(self.web.root_pem().as_bytes()).expect("roots");
        FetchedKeys::new(endpoint, roots).address(self.provider.address)
    }
}

fn key_set(issuers: &[&DevIssuer]) -> String {
    let key = |issuer: &&DevIssuer| {
        let set: Value = serde_json::from_str(&issuer.jwks_json()).expect("json");
        set["keys"][0].clone()
    };
    json!({ "keys": issuers.iter().map(key).collect::<Vec<_>>() }).to_string()
}

/// A token that is good for ten hours of anybody's clock here.
fn token(issuer: &DevIssuer) -> String {
    let exp = now().as_unix_secs() + 36_000;
    let claims = json!({ "sub": "alice", "aud": "model-server", "scope": "infer", "exp": exp });
    issuer.sign(claims).expect("token")
}

/// A service that asks its callers for tokens of the issuer.
struct Service {
    guard: Guard,
    address: SocketAddr,
    caller: X509Svid,
    /// Seconds that its clock is ahead.
    ahead: Arc<AtomicU64>,
}

impl Service {
    async fn start(iss: &str, keys: FetchedKeys) -> Self {
        let issuer = Issuer::access_tokens("corp", iss, "model-server", Jwks::none());
        Self::with(iss, |builder| builder.fetched_issuer(issuer, keys)).await
    }

    async fn with(iss: &str, tokens: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Self {
        let (listener, address) = listener().await;
        let mesh = Mesh::new(&policy(address.port(), iss));
        let audit = Arc::new(MemorySink::new(10_000));
        let ahead = Arc::new(AtomicU64::new(0));
        let shift = Arc::clone(&ahead);
        let clock = move || now().saturating_add(Duration::from_secs(shift.load(Ordering::SeqCst)));
        let builder = mesh.builder("model-server", "/model-server", &audit);
        let built = tokens(builder.clock(clock)).build().await;
        let guard = built.unwrap_or_else(|error| panic!("{error}"));
        serve(&guard, listener, Marker::default().app());
        let caller = mesh.svid("/router");
        Self {
            guard,
            address,
            caller,
            ahead,
        }
    }

    async fn ask(&self, token: &str) -> StatusCode {
        let request = get2("/v1/models").header("authorization", format!("Bearer {token}"));
        let answered = knock(self.address, None, Some(&self.caller), b"h2", request).await;
        answered.expect("response").status()
    }

    fn pass(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Why a refresh fails.
    async fn refused(&self) -> String {
        match self.guard.refresh_keys("corp").await {
            Ok(refreshed) => panic!("{refreshed:?}"),
            Err(error) => support::chain(&error),
        }
    }
}
