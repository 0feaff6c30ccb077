//! `guard.toml`: what each key puts in force, what refuses the file, and that nothing of the builder was forgotten.

#![cfg(test)]

mod audit;
mod browser;
mod fetched;
mod list;
mod refused;
mod revocation;
#[cfg(all(feature = "signal", unix))]
mod stop;
mod tokens;
mod whole;

#[path = "../support/folder.rs"]
mod folder;
#[path = "../bundle/pack.rs"]
#[allow(dead_code, reason = "bundles without a policy are another test's")]
mod pack;
#[path = "../support/provider.rs"]
mod provider;
#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use folder::Folder;
use http::StatusCode;
use provider::{Provider, Reply};
use support::{Marker, Mesh, get2, knock, listener, now, serve};
use ztl_mtls::{DevWebCa, X509Svid};
use ztl_tower::{BuildError, Guard, GuardBuilder};

/// What every file begins with. Keys of no table go before it, tables after it.
const HEAD: &str = r#"
workload = "model-server"
policy = "policy.toml"
reload_every = "20ms"
allow_dev_authority = true

[identity]
certificate = "svid.pem"
key = "svid.key"

[bundles]
"prod.example" = "bundle.pem"
"#;

/// A folder with all that a guard is made of, but for its own file.
struct Place {
    folder: Folder,
    mesh: Mesh,
    web: DevWebCa,
    port: u16,
    listener: Option<tokio::net::TcpListener>,
}

impl Place {
    /// `head` goes above the rules, `more` below the one that lets the router ask for `/v1/`; in it `PORT` is the service's.
    async fn new(name: &str, head: &str, more: &str) -> Self {
        let (listener, address) = listener().await;
        let port = address.port();
        let policy = format!(
            r#"
schema = 1
trust_domain = "prod.example"
{head}
[workloads.router]
id = "spiffe://prod.example/router"

[workloads.model-server]
id = "spiffe://prod.example/model-server"
ports = [{port}]
public_ports = [1]

[[permit]]
name = "router-asks"
from = "router"
to = "model-server"
ports = {port}
actions = ["GET /v1/{{*rest}}"]
{more}
"#
        );
        let policy = policy.replace("PORT", &port.to_string());
        let place = Self {
            folder: Folder::new(name),
            mesh: Mesh::new(&policy),
            web: DevWebCa::new(now()).expect("authority"),
            port,
            listener: Some(listener),
        };
        let hour = Duration::from_secs(3600);
        let id = support::id("/model-server");
        let svid = (place.mesh.authority).issue(&id, now(), hour, &ztl_mtls::provider());
        let svid = svid.expect("svid");
        for (name, text) in [
            ("policy.toml", policy.as_str()),
            ("svid.pem", &svid.cert_pem),
            ("svid.key", &svid.key_pem),
            ("bundle.pem", place.mesh.authority.bundle_pem()),
            ("roots.pem", place.web.root_pem()),
        ] {
            place.folder.write(name, text);
        }
        place
    }

    fn builder(&self, above: &str, tables: &str) -> Result<GuardBuilder, BuildError> {
        let text = format!("{above}\n{HEAD}\n{tables}");
        GuardBuilder::from_file(self.folder.write("guard.toml", &text))
    }

    async fn guard(&self, above: &str, tables: &str) -> Guard {
        let builder = self.builder(above, tables);
        let builder = builder.unwrap_or_else(|error| panic!("{error}"));
        let built = builder.build().await;
        built.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Why the file is refused, or no guard can be built from it.
    async fn refused(&self, above: &str, tables: &str) -> String {
        match self.builder(above, tables) {
            Err(error) => error.to_string(),
            Ok(builder) => match builder.build().await {
                Err(error) => support::chain(&error),
                Ok(_) => "built".to_owned(),
            },
        }
    }

    /// Serves what the file says.
    async fn serve(&mut self, above: &str, tables: &str) -> Service {
        let guard = self.guard(above, tables).await;
        serve(
            &guard,
            self.listener.take().expect("once"),
            Marker::default().app(),
        );
        Service {
            guard,
            address: SocketAddr::from(([127, 0, 0, 1], self.port)),
            caller: self.mesh.svid("/router"),
        }
    }
}

struct Service {
    guard: Guard,
    address: SocketAddr,
    caller: X509Svid,
}

impl Service {
    async fn ask(&self, path: &str, token: Option<&str>) -> StatusCode {
        let mut request = get2(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answered = knock(self.address, None, Some(&self.caller), b"h2", request).await;
        answered.expect("response").status()
    }

    /// Asks until the answer is this one.
    async fn comes(&self, path: &str, token: Option<&str>, wanted: StatusCode) {
        let deadline = tokio::time::Instant::now() + support::PATIENCE;
        loop {
            let status = self.ask(path, token).await;
            if status == wanted {
                return;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{status}, not {wanted}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
