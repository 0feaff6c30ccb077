//! The reader, and what it saw.

use core::time::Duration;
use std::error::Error;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use serde_json::{Value, json};
use tokio::time::Instant;
use ztl_tower::Guard;
use ztl_tower::core::audit::MemorySink;

use crate::Agent;

/// What the reader saw. `failed` has to be 0.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Requests over connections that are kept while SVIDs rotate.
    pub kept: u64,
    /// Requests of guards that were built anew: each takes its SVID from the Workload API and shakes hands.
    pub fresh: u64,
    /// How often the reader's own SVID changed.
    pub rotations: u64,
    /// Requests that were not answered with 200.
    pub failed: u64,
    /// The first failures, in words.
    pub why: Vec<String>,
}

impl Report {
    /// The report as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "kept": self.kept,
            "fresh": self.fresh,
            "rotations": self.rotations,
            "failed": self.failed,
            "why": self.why,
        })
    }

    /// Whether nothing failed, and SVIDs did rotate meanwhile.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.failed == 0 && self.rotations > 0 && self.kept > 0 && self.fresh > 0
    }

    fn count(&mut self, result: Result<(), String>) {
        if let Err(why) = result {
            self.failed += 1;
            if self.why.len() < 5 {
                self.why.push(why);
            }
        }
    }
}

/// Reads from the store without pause, for a while.
///
/// # Errors
/// Where the reader gets no SVID at all.
pub async fn load(
    agent: &Agent,
    policy: &str,
    store: SocketAddr,
    lasts: Duration,
) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let build = async || -> Result<Guard, Box<dyn Error + Send + Sync>> {
        // Of the many guards that come and go here, only the last records are of any use.
        let audit = MemorySink::new(100);
        let builder = agent
            .guard("reader", policy, audit)?
            .endpoint("store", store);
        Ok(builder.build().await?)
    };
    let lasting = build().await?;
    let mut report = Report::default();
    let mut shown = chain(&lasting);
    let end = Instant::now() + lasts;
    while Instant::now() < end {
        for _ in 0..20 {
            report.kept += 1;
            report.count(read(&lasting).await);
        }
        report.fresh += 1;
        let fresh = match build().await {
            Ok(guard) => read(&guard).await,
            Err(error) => Err(error.to_string()),
        };
        report.count(fresh);
        let now = chain(&lasting);
        if now != shown {
            report.rotations += 1;
            shown = now;
        }
    }
    Ok(report)
}

fn chain(guard: &Guard) -> Vec<u8> {
    let svid = guard.svid().ok();
    let leaf = svid.as_ref().and_then(|svid| svid.chain().first());
    leaf.map(|leaf| leaf.to_vec()).unwrap_or_default()
}

async fn read(guard: &Guard) -> Result<(), String> {
    let request = Request::get("https://store/items/1").body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let asked = async {
        let response = guard.client().request(request).await;
        let response = response.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = response.into_body().collect().await;
        body.map_err(|error| error.to_string())?;
        if status == StatusCode::OK {
            Ok(())
        } else {
            Err(format!("answered {status}"))
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asked)
        .await
        .unwrap_or_else(|_| Err("no answer in 10 seconds".to_owned()))
}
