//! A user's token becomes claims: `cargo run -p ztl-authz --example jwt --features dev-issuer`.
//!
//! The issuer is the development one, so that the example needs nobody else; a service reads the key set that its issuer
//! publishes.

use std::error::Error;

use serde_json::json;
use ztl_authz::jwt::{DevIssuer, Issuer, Jwks, TokenVerifier, bearer_token};
use ztl_core::Timestamp;

fn main() -> Result<(), Box<dyn Error>> {
    let dev = DevIssuer::new("https://idp.example")?;
    let keys = Jwks::from_json(dev.jwks_json().as_bytes())?;
    let verifier = TokenVerifier::builder()
        .issuer(Issuer::access_tokens("corp", dev.iss(), "model-server", keys).only_typ(["at+jwt"]))
        .build()?;

    // Whoever enforces reads the clock; here it stands still.
    let now = Timestamp::from_unix_secs(1_790_000_000);
    let token = dev.sign(json!({
        "sub": "alice", "aud": "model-server", "exp": 1_790_000_300, "scope": "infer",
    }))?;
    let field = format!("Bearer {token}");

    let token = bearer_token([field.as_bytes()], None)?.ok_or("the request has no token")?;
    let claims = verifier.verify(token, now)?;
    println!(
        "now:             {:?} may infer: {}",
        claims.subject(),
        claims.has_scope("infer")
    );

    let elsewhere = dev.sign(json!({ "sub": "alice", "aud": "payroll", "exp": 1_790_000_300 }))?;
    let stranger = DevIssuer::new(dev.iss())?;
    let forged =
        stranger.sign(json!({ "sub": "root", "aud": "model-server", "exp": 1_790_000_300 }))?;
    let altered = token.replacen('.', ".e", 1);
    for (what, token, at) in [
        ("at its expiry:  ", token, claims.expires_at()),
        ("for a neighbour:", &elsewhere, now),
        ("another's key:  ", &forged, now),
        ("altered:        ", &altered, now),
    ] {
        match verifier.verify(token, at) {
            Ok(_) => return Err(format!("{what} was taken").into()),
            Err(err) => println!("{what} {} ({err})", err.code()),
        }
    }
    Ok(())
}
