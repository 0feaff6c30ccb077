//! A service for clients that prove whom they speak to by its host name, and for browsers: `examples/clients/run`.
//!
//! The argument is a folder, where the callers' certificates and keys, the bundle and the audit log go.

mod authority;
mod pages;

use core::time::Duration;
use std::error::Error;
use std::path::Path;

use axum::body::Body;
use axum::routing::post;
use axum::{Router, extract::Request};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use ztl_tower::core::policy::Policy;
use ztl_tower::mtls::DevWebCa;
use ztl_tower::{Guard, PublicTls};

use authority::Authority;

/// Why there is no service.
pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// Where callers with an SVID are served, browsers, and the other site's visitors; the policy names the ports.
const MUTUAL: &str = "127.0.0.1:28448";
const PUBLIC: &str = "127.0.0.1:28449";
const ELSEWHERE: &str = "127.0.0.1:28450";

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let folder = std::env::args()
        .nth(1)
        .ok_or("which folder? see examples/clients/run")?;
    let folder = Path::new(&folder);
    let authority = Authority::new("clients.example")?;
    authority.issue("grpcio", None)?.write(folder, "grpcio")?;
    std::fs::write(folder.join("bundle.pem"), authority.bundle_pem())?;
    let guard = Guard::builder("greeter")
        .policy(Policy::from_toml(include_str!("../policy.toml"))?)
        .identity(authority.issue("greeter", Some("localhost"))?.svid()?)
        .bundle(authority.bundle()?)
        .audit_file(folder.join("audit.jsonl"))
        .build()
        .await?;
    let web = DevWebCa::new(dev_mesh::now())?;
    let web = web.issue(&["localhost"], dev_mesh::now(), Duration::from_secs(3600))?;
    let tls = PublicTls::from_pem(web.cert_pem.as_bytes(), web.key_pem.as_bytes());
    let elsewhere = TcpListener::bind(ELSEWHERE).await?;
    let site = pages::elsewhere("https://localhost:28449");
    let (mutual, public) = (greeter(), pages::guarded(folder)?);
    // The first that ends ends all: none of them does.
    tokio::select! {
        ended = guard.serve(MUTUAL, mutual) => ended?,
        ended = guard.serve_public(PUBLIC, tls, public) => ended?,
        ended = async { axum::serve(elsewhere, site).await } => ended?,
    }
    Err("a listener ended".into())
}

/// A gRPC service on the wire: what is sent comes back, message by message. A method that nobody may call is one of its routes.
fn greeter() -> Router {
    let echo = || {
        post(async |request: Request| {
            let status = async {
                let ok = HeaderValue::from_static("0");
                Some(Ok(HeaderMap::from_iter([(
                    "grpc-status".parse().ok()?,
                    ok,
                )])))
            };
            let body = Body::new(request.into_body().with_trailers(status));
            let mut response = Response::new(body);
            let grpc = HeaderValue::from_static("application/grpc");
            response.headers_mut().insert(CONTENT_TYPE, grpc);
            response
        })
    };
    Router::new()
        .route("/hello.Greeter/Say", echo())
        .route("/hello.Greeter/Chat", echo())
        .route("/hello.Greeter/Secret", echo())
}
