//! The client.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{Method, Request, Response, Uri, request};
use http_body::Body;
use hyper::body::Incoming;
use tower_service::Service;
use ztl_core::{Evidence, Flow, Reason, SpiffeId, Stage};

use super::body::{Boxed, Held, boxed};
use super::dial::{broken, dial};
use super::error::EgressError;
use super::fields;
use super::live::as_named;
use super::pool::Key;
use crate::forwarded;
use crate::guard::Guard;
use crate::name;
use crate::peer::Peer;
use crate::trace::pass_on;

/// Sends requests to other workloads, as this one. A tower service; cheap to clone. Made by [`Guard::client`].
///
/// ```no_run
/// # async fn example(guard: ztl_tower::Guard) -> Result<(), Box<dyn std::error::Error>> {
/// let request = http::Request::post("https://retriever/v1/search").body(String::from("{}"))?;
/// let response = guard.client().request(request).await?;
/// assert!(response.status().is_success());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    guard: Guard,
}

impl Guard {
    /// A client that speaks to other workloads as this one.
    #[must_use]
    pub fn client(&self) -> Client {
        Client {
            guard: self.clone(),
        }
    }
}

impl Client {
    /// Sends a request to `https://workload[:port]/path`.
    ///
    /// The response carries the proved [`Peer`] in its extensions. It has no deadline: only the connection has one, so put a
    /// timeout around this where a target that never answers must not hold you.
    ///
    /// # Errors
    /// [`EgressError`]; one that is [`Denied`](EgressError::Denied) has cost no connection where the policy alone could tell.
    pub async fn request<B>(&self, request: Request<B>) -> Result<Response<Incoming>, EgressError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let guard = &self.guard;
        let policy = guard.engine().policy();
        let (mut parts, body) = request.into_parts();
        // Before anything is awaited: what is answered just now is known here.
        if let Some(trace) = pass_on(&parts, guard.provider().secure_random) {
            trace.write(&mut parts.headers);
        }
        let (workload, port) = target(&parts.uri)?;
        check_upgrade(&parts)?;
        let (id, port) = match policy.workload_by_name(workload) {
            Some(declared) => {
                let port = port.or_else(|| declared.default_port());
                (
                    Some(declared.id().clone()),
                    port.ok_or_else(|| EgressError::Port {
                        workload: workload.to_owned(),
                    })?,
                )
            }
            // Not in the policy: denied and recorded below, whatever the port.
            None => (None, port.unwrap_or(0)),
        };
        let workload = workload.to_owned();
        {
            let action = name::action(&parts).map_err(|ambiguity| {
                let flow = Flow::egress_unproved(guard.name(), port);
                let denial = guard.engine().refuse(
                    &flow,
                    None,
                    Stage::Action,
                    Reason::PathAmbiguous,
                    guard.now(),
                );
                EgressError::Ambiguous { ambiguity, denial }
            })?;
            guard
                .engine()
                .foresee_egress(guard.name(), &workload, port, &action, guard.now())?;
        }
        let id: SpiffeId = id.ok_or_else(|| EgressError::Target {
            uri: shown(&parts.uri),
            why: "the policy declares no such workload",
        })?;
        let trailers = fields::strip(&mut parts.headers);
        if let Some(host) = parts
            .uri
            .authority()
            .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok())
        {
            parts.headers.insert(HOST, host);
        }
        let mut body = boxed(body);
        for _ in 0..TRIES {
            let key = Key {
                workload: workload.as_str().into(),
                id: id.clone(),
                port,
                identity: guard.identity().generation(),
            };
            match self.attempt(key, parts.clone(), body, trailers).await? {
                Sent::Answered(response) => return Ok(*response),
                // The connection went away before it took the request: another one does.
                Sent::Untaken(again) => body = again,
            }
        }
        Err(EgressError::Broken {
            workload,
            error: "each connection went away before it took the request".into(),
        })
    }

    /// Authorizes the request on a connection and sends it there.
    async fn attempt(
        &self,
        key: Key,
        mut parts: request::Parts,
        body: Boxed,
        trailers: bool,
    ) -> Result<Sent, EgressError> {
        let guard = &self.guard;
        let mut sender = match guard.pool().take(&key, guard) {
            Some(sender) => sender,
            None => dial(guard, &key).await?,
        };
        let workload = key.workload.to_string();
        let live = Arc::clone(&sender.live);
        let permit = live.current(guard)?;
        {
            let action = name::action(&parts).map_err(|ambiguity| {
                let denial =
                    guard
                        .engine()
                        .refuse_on(&permit, None, Reason::PathAmbiguous, guard.now());
                EgressError::Ambiguous { ambiguity, denial }
            })?;
            // The permit is spent on this one request, which is sent at once.
            let authorize = || {
                let evidence = Evidence::none();
                let renew = || live.current(guard);
                guard
                    .engine()
                    .authorize_or_renew(&permit, renew, &action, &evidence, guard.now())
            };
            let peer = permit.peer().map(ztl_core::Peer::id);
            let _permit = peer
                .and_then(|peer| as_named(guard, peer, &workload, authorize))
                .ok_or_else(|| EgressError::Unproven {
                    workload: workload.clone(),
                    address: format!("{workload}:{}", key.port),
                    why: "the policy has given the name to somebody else".to_owned(),
                })??;
        }
        // What was judged here must not be taken as judged there.
        parts.extensions.clear();
        // T12: whom we speak for is said by a proxy alone.
        forwarded::strip(&mut parts.headers, permit.forwards_in());
        let held = Held::new(body);
        let request = Request::from_parts(parts, held.body());
        let mut response = match sender.send(request, trailers).await {
            Ok(response) => response,
            Err(_) if sender.was_refused().await => {
                return Err(EgressError::FlowRefused { workload });
            }
            Err(failed) => {
                let again = failed.untaken.then(|| held.take()).flatten();
                let Some(again) = again else {
                    return Err(broken(&workload, failed.error));
                };
                // The pool gives this connection to nobody again.
                live.drain(guard.now().saturating_add(guard.limits().rotation));
                return Ok(Sent::Untaken(again));
            }
        };
        if let Some(peer) = permit.peer() {
            response.extensions_mut().insert(Peer(peer.clone()));
        }
        guard.pool().put(key, sender);
        Ok(Sent::Answered(Box::new(response)))
    }
}

/// How often a request is put on another connection, while none has taken it.
const TRIES: usize = 4;

/// What became of a request.
enum Sent {
    Answered(Box<Response<Incoming>>),
    Untaken(Boxed),
}

impl<B> Service<Request<B>> for Client
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
{
    type Response = Response<Incoming>;
    type Error = EgressError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, EgressError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let client = self.clone();
        Box::pin(async move { client.request(request).await })
    }
}

/// What of a URI goes into errors: nothing that could be a credential or a query (T30).
fn shown(uri: &Uri) -> String {
    match (uri.scheme(), uri.host()) {
        (Some(scheme), Some(host)) => format!("{scheme}://{host}"),
        (None, Some(host)) => host.to_owned(),
        (_, None) => "(no host)".to_owned(),
    }
}

/// What is judged as an upgrade would have to be sent as one, and no version of HTTP here does that.
fn check_upgrade(parts: &request::Parts) -> Result<(), EgressError> {
    let refused = |what| Err(EgressError::Upgrade { what });
    if parts.headers.contains_key(UPGRADE) {
        refused("an `Upgrade` field")
    } else if parts.extensions.get::<hyper::ext::Protocol>().is_some() {
        refused("the protocol of an extended CONNECT")
    } else if parts.method == Method::CONNECT {
        refused("the method CONNECT")
    } else {
        Ok(())
    }
}

/// The workload and port that a URI names.
fn target(uri: &Uri) -> Result<(&str, Option<u16>), EgressError> {
    let refused = |why| EgressError::Target {
        uri: shown(uri),
        why,
    };
    if uri.scheme() != Some(&Scheme::HTTPS) {
        return Err(refused("its scheme is not `https`"));
    }
    let authority: &Authority = uri.authority().ok_or_else(|| refused("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(refused("it holds user information"));
    }
    let host = authority.host();
    // A workload's name has no dot, an external host has one (T27).
    if host.is_empty()
        || !host
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    {
        return Err(refused(
            "its host is not the name of a workload (`a-z`, `0-9`, `-`)",
        ));
    }
    match (authority.port_u16(), authority.as_str().len() > host.len()) {
        (None, true) => Err(refused("its port is not a number from 1 to 65535")),
        (port, _) => Ok((host, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t27_only_a_workload_over_https_is_a_target() {
        let of = |text: &str| {
            target(&text.parse().expect("uri"))
                .map(|(host, port)| (host.to_owned(), port))
                .ok()
        };
        assert_eq!(of("https://db/x"), Some(("db".to_owned(), None)));
        assert_eq!(of("https://db:5432/x"), Some(("db".to_owned(), Some(5432))));
        for bad in [
            "http://db/x",
            "/x",
            "https://u@db/x",
            "https://db.example/x",
            "https://127.0.0.1/x",
            "https://DB/x",
            "https://db:/x",
            "https://[::1]/x",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
