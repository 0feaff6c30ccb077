//! The five services: small, and real. Each takes who is calling, does its work and calls the next one by its name.

pub(crate) mod gateway;
pub(crate) mod model_server;
pub(crate) mod retriever;
pub(crate) mod router;
pub(crate) mod tools;
pub(crate) mod vector_store;
pub(crate) mod words;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::Value;
use tokio::time::timeout;
use ztl_core::SpiffeId;
use ztl_tower::{Client, Peer, Rejection};

use crate::wire::{self, Answer, Call, DEADLINE, Protocol};
use tools::Tools;

/// All of them, in the order of a request.
pub(crate) const NAMES: [&str; 5] = [
    "gateway",
    "router",
    "retriever",
    "vector-store",
    "model-server",
];

/// Who is calling: proved, or nobody. On the flat network it is always nobody.
pub(crate) type Caller = Result<Peer, Rejection>;

/// Where the workloads listen.
pub(crate) type Addresses = HashMap<&'static str, SocketAddr>;

/// What every service holds.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) out: Outbound,
    callers: Arc<Mutex<Vec<Option<SpiffeId>>>>,
}

impl Service {
    pub(crate) fn new(out: Outbound) -> Self {
        Self {
            out,
            callers: Arc::default(),
        }
    }

    /// Called by every handler before all else: what a refusal cost can be told by it, and whether handlers are told who calls.
    pub(crate) fn serve(&self, caller: &Caller) {
        let caller = caller.as_ref().ok().map(|peer| peer.id().clone());
        self.lock().push(caller);
    }

    /// How often a handler ran.
    pub(crate) fn served(&self) -> usize {
        self.lock().len()
    }

    /// Who called, each time that a handler ran; nobody, where nobody was proved.
    pub(crate) fn callers(&self) -> Vec<Option<SpiffeId>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<SpiffeId>>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The routes of the workload of this name.
    pub(crate) fn routes(&self, name: &str, tools: Tools) -> Router {
        let service = self.clone();
        match name {
            "gateway" => gateway::routes(service),
            "router" => router::routes(service),
            "retriever" => retriever::routes(service, tools),
            "vector-store" => vector_store::routes(service),
            _ => model_server::routes(service),
        }
    }
}

/// How a service reaches the others.
#[derive(Clone)]
pub(crate) enum Outbound {
    /// By their names, through its own guard.
    Guarded(Client),
    /// By their addresses, in the clear.
    Flat(IpAddr, Arc<Addresses>),
}

impl Outbound {
    /// Posts to a workload. Whatever keeps it from answering is a 502 to whoever asked us, and no more is said.
    pub(crate) async fn post(
        &self,
        workload: &str,
        path: &str,
        body: &Value,
    ) -> Result<Value, StatusCode> {
        let (status, answer) = match self {
            Self::Guarded(client) => timeout(DEADLINE, guarded(client, workload, path, body))
                .await
                .map_err(|_| StatusCode::GATEWAY_TIMEOUT)?
                .ok_or(StatusCode::BAD_GATEWAY)?,
            Self::Flat(from, addresses) => {
                let to = addresses.get(workload).ok_or(StatusCode::BAD_GATEWAY)?;
                let call = Call {
                    from: *from,
                    to: *to,
                    host: workload,
                    tls: None,
                    protocol: Protocol::Http1,
                    method: "POST",
                    path,
                    token: None,
                    body,
                };
                match wire::exchange(call).await.answer {
                    Answer::Status(status, body) => (status, body),
                    Answer::Alert(_) | Answer::Failed(_) => return Err(StatusCode::BAD_GATEWAY),
                }
            }
        };
        if status.is_success() {
            Ok(answer)
        } else {
            Err(StatusCode::BAD_GATEWAY)
        }
    }
}

async fn guarded(
    client: &Client,
    workload: &str,
    path: &str,
    body: &Value,
) -> Option<(StatusCode, Value)> {
    let request = Request::post(format!("https://{workload}{path}"))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .ok()?;
    let response = client.request(request).await.ok()?;
    let status = response.status();
    let body = Limited::new(response.into_body(), 64 * 1024);
    let body = body.collect().await.ok()?.to_bytes();
    Some((status, serde_json::from_slice(&body).unwrap_or_default()))
}
