//! Users' tokens of a real OpenID provider, whose keys rotate while requests run: `examples/oidc/run`.
//!
//! The argument is the provider's issuer. Exits 0 if no request failed and each old key stopped counting.

mod load;
mod provider;

use core::time::Duration;
use std::process::ExitCode;

use axum::{Router, routing::get};
use dev_mesh::{Authority, Failed};
use http::StatusCode;
use ztl_tower::Guard;
use ztl_tower::authz::jwt::{Issuer, Jwks, JwksEndpoint};
use ztl_tower::{FetchedKeys, Peer};

use load::Load;
use provider::Provider;

/// The policy, for an issuer that is known when we run.
const POLICY: &str = include_str!("../policy.toml");
/// Where the service listens; the policy names the port.
const ADDRESS: &str = "127.0.0.1:28446";
const ROTATIONS: usize = 3;

#[tokio::main]
async fn main() -> Result<ExitCode, Failed> {
    let iss = std::env::args()
        .nth(1)
        .ok_or("which issuer? see examples/oidc/run")?;
    let (authority, provider) = (Authority::new("oidc.example")?, Provider::at(&iss)?);
    let policy = POLICY.replace("ISSUER", &iss);

    // In production: `JwksEndpoint::discovery("https://idp.example")` with the roots of the Web PKI, and no other settings.
    let endpoint = JwksEndpoint::discovery_allow_plain_loopback(&iss)?
        .refresh_every(Duration::from_secs(1))
        .cool_down(Duration::from_secs(1));
    let users = Issuer::access_tokens("corp", &iss, "model-server", Jwks::none());
    let guard = authority
        .guard("model-server", &policy)?
        .fetched_issuer(
            users.only_typ(["at+jwt"]),
            FetchedKeys::without_roots(endpoint),
        )
        .build()
        .await?;
    // A service that would rather not start without the keys waits for them.
    guard.refresh_keys("corp").await?;
    let service = guard.clone();
    tokio::spawn(async move {
        let app = Router::new().route("/v1/models", get(models));
        if let Err(error) = service.serve(ADDRESS, app).await {
            eprintln!("the service ended: {error}");
        }
    });

    let gateway = authority
        .guard("gateway", &policy)?
        .endpoint("model-server", ADDRESS.parse()?)
        .build()
        .await?;
    let load = Load::start(gateway, provider.token().await?);
    for _ in 0..ROTATIONS {
        provider.rotate("publish").await?;
        until(&guard, 2).await?;
        provider.rotate("sign").await?;
        let retired = load.take(provider.token().await?).await;
        provider.rotate("retire").await?;
        until(&guard, 1).await?;
        let status = load.ask(&retired).await?;
        if status != StatusCode::UNAUTHORIZED {
            return Err(format!("a token of a key that is gone was answered {status}").into());
        }
    }
    let report = load.end().await;
    println!(
        "{}",
        serde_json::json!({ "rotations": ROTATIONS, "requests": report.requests, "failed": report.failed })
    );
    Ok(ExitCode::from(u8::from(
        report.failed > 0 || report.requests == 0,
    )))
}

async fn models(peer: Peer) -> String {
    format!("models for {}\n", peer.id())
}

/// Waits until so many keys are in force.
async fn until(guard: &Guard, keys: usize) -> Result<(), Failed> {
    for _ in 0..500 {
        if guard.token_keys("corp") == Some(keys) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("the guard did not come to hold {keys} keys in 10 seconds").into())
}
