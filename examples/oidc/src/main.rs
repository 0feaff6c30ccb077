//! Users' tokens of a real OpenID provider, whose keys rotate, and which is killed and comes back, while requests run:
//! `examples/oidc/run`.
//!
//! The arguments are the provider's command. Exits 0 if no request failed and each old key stopped counting.

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
/// The algorithm of the key that each rotation brings.
const ROTATIONS: [&str; 4] = ["ES256", "RS256", "RS256", "ES256"];
/// After this rotation the provider is killed.
const KILLED_AFTER: usize = 2;
/// So long it is gone.
const GONE: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<ExitCode, Failed> {
    let mut provider = Provider::start(std::env::args().skip(1).collect())?;
    let (authority, iss) = (
        Authority::new("oidc.example")?,
        provider.issuer().to_owned(),
    );
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
    let serving = guard.serve(ADDRESS, Router::new().route("/v1/models", get(models)));
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            eprintln!("the service ended: {error}");
        }
    });

    let gateway = authority
        .guard("gateway", &policy)?
        .endpoint("model-server", ADDRESS.parse()?)
        .build()
        .await?;
    let load = Load::start(gateway, provider.token().await?);
    for (turn, algorithm) in ROTATIONS.iter().enumerate() {
        provider.rotate(&format!("publish/{algorithm}")).await?;
        until(&guard, 2).await?;
        provider.rotate("sign").await?;
        let retired = load.take(provider.token().await?).await;
        provider.rotate("retire").await?;
        until(&guard, 1).await?;
        let status = load.ask(&retired).await?;
        if status != StatusCode::UNAUTHORIZED {
            return Err(format!("a token of a key that is gone was answered {status}").into());
        }
        if turn + 1 == KILLED_AFTER {
            outage(&guard, &mut provider, &load).await?;
        }
    }
    let report = load.end().await;
    println!(
        "{}",
        serde_json::json!({ "rotations": ROTATIONS.len(), "outages": 1, "requests": report.requests, "failed": report.failed })
    );
    Ok(ExitCode::from(u8::from(
        report.failed > 0 || report.requests == 0,
    )))
}

/// The provider is killed, requests go on with the keys that are there, and after it came back its keys are fetched again.
async fn outage(guard: &Guard, provider: &mut Provider, load: &Load) -> Result<(), Failed> {
    provider.kill()?;
    let before = load.requests();
    if let Ok(keys) = guard.refresh_keys("corp").await {
        return Err(format!("keys came of a provider that is gone: {keys:?}").into());
    }
    tokio::time::sleep(GONE).await;
    if load.requests() == before {
        return Err("no request was made while the provider was gone".into());
    }
    provider.come_back()?;
    // Behind the requests it is asked again by itself; here nobody waits for that.
    for _ in 0..50 {
        if guard.refresh_keys("corp").await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err("no keys came in 10 seconds of the provider that is back".into())
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
