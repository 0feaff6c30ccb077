//! The client.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{Extensions, HeaderMap, Request, Response, request};
use http_body::Body;
use hyper::body::Incoming;
use tower_service::Service;
use ztl_core::{Arrival, Evidence, Flow, FlowPermit, HTTPS_PORT, Reason, Stage};

use super::body::{Boxed, Held, boxed};
use super::dial::{broken, dial};
use super::error::EgressError;
use super::fields;
use super::live::as_named;
use super::pool::{Key, To};
use super::target::{Named, check_upgrade, shown, target};
use crate::extract::ActionPermit;
use crate::forwarded;
use crate::guard::Guard;
use crate::live::Earlier;
use crate::name;
use crate::peer::Peer;
use crate::said::Said;
use crate::trace::{TraceContext, came_with, pass_on};

/// Sends requests to other workloads, as this one, and to the hosts outside the mesh that a permit names. A tower service; cheap to clone. Made by [`Guard::client`].
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
    passes_authorization: bool,
}

impl Guard {
    /// A client that speaks to other workloads as this one.
    #[must_use]
    pub fn client(&self) -> Client {
        Client {
            guard: self.clone(),
            passes_authorization: false,
        }
    }
}

/// Whether these are of a request that a guard let in.
fn came_in(extensions: &Extensions) -> bool {
    extensions.get::<FlowPermit>().is_some() || extensions.get::<ActionPermit>().is_some()
}

impl Client {
    /// Sends the `Authorization` of a request that came in and is handed on as well: to every target of this client, which then holds a
    /// token that was meant for us (T27).
    ///
    /// Without this, what comes in with a request stays here, and only another that is set on a request of one's own is sent. What came in
    /// is known by the extensions of the request, and by its value where a request of one's own has it, with all fields copied for one:
    /// for as long as a handler or the body of an answer is polled by a listener, where it calls this client or where it waits for it. In a
    /// task that a handler spawns, and behind a guard's layer in a host's own server, nobody knows it by its value: hand on the extensions
    /// with the fields.
    #[must_use]
    pub fn pass_on_authorization(self) -> Self {
        Self {
            passes_authorization: true,
            ..self
        }
    }

    /// Sends a request to `https://workload[:port]/path`, or outside the mesh to `https://host.example[:port]/path`, where a
    /// permit names that host.
    ///
    /// The response carries the proved [`Peer`] in its extensions, or the proved [`WebHost`](ztl_core::WebHost). It has no deadline: only the connection has one, so put a
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
        if self.keeps_token(&parts.headers, &parts.extensions) {
            parts.headers.remove(AUTHORIZATION);
        }
        let (named, port) = target(&parts.uri)?;
        check_upgrade(&parts)?;
        let (to, port) = match named {
            Named::Workload(name) => {
                // Before anything is awaited: what is answered just now is known here.
                if let Some(trace) = pass_on(&parts, guard.provider().secure_random) {
                    trace.write(&mut parts.headers);
                }
                let declared = policy.workload_by_name(&name);
                let port = match declared {
                    Some(declared) => port.or_else(|| declared.default_port()),
                    // Not in the policy: denied and recorded below, whatever the port.
                    None => port.or(Some(0)),
                };
                let port = port.ok_or_else(|| EgressError::Port {
                    workload: name.to_string(),
                })?;
                let id = declared.map(|declared| declared.id().clone());
                (
                    id.map(|id| To::Workload {
                        name: name.clone(),
                        id,
                    })
                    .ok_or(name),
                    port,
                )
            }
            Named::Host(host) => {
                // T27: whom we trace is nobody's business outside, also where the fields came with what is handed on.
                TraceContext::strip(&mut parts.headers);
                (Ok(To::Host(host)), port.unwrap_or(HTTPS_PORT))
            }
        };
        {
            let said = Said::of(&parts.headers);
            let action = name::action(&parts, &said).map_err(|ambiguity| {
                let flow = match &to {
                    Ok(To::Host(host)) => {
                        Flow::external_unproved(guard.name(), port, host, Arrival::unknown())
                    }
                    _ => Flow::egress_unproved(guard.name(), port),
                };
                let denial = guard.engine().refuse(
                    &flow,
                    None,
                    Stage::Action,
                    Reason::PathAmbiguous,
                    guard.now(),
                );
                EgressError::Ambiguous { ambiguity, denial }
            })?;
            let (engine, me, now) = (guard.engine(), guard.name(), guard.now());
            match &to {
                Ok(To::Host(host)) => engine.foresee_external(me, host, port, &action, now)?,
                Ok(To::Workload { name, .. }) | Err(name) => {
                    engine.foresee_egress(me, name, port, &action, now)?;
                }
            }
        }
        let to = to.map_err(|_| EgressError::Target {
            uri: shown(&parts.uri),
            why: "the policy declares no such workload",
        })?;
        let key = Key {
            to,
            port,
            identity: None,
        };
        let outside = matches!(key.to, To::Host(_));
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
                identity: (!outside).then(|| guard.identity().generation()),
                ..key.clone()
            };
            match self.attempt(key, parts.clone(), body, trailers).await? {
                Sent::Answered(response) => return Ok(*response),
                // The connection went away before it took the request: another one does.
                Sent::Untaken(again) => body = again,
            }
        }
        Err(EgressError::Broken {
            workload: key.name().to_owned(),
            error: "each connection went away before it took the request".into(),
        })
    }

    /// T27: whose token came in is not told to others. What a guard let in, its handler may hand on whole, or copy the fields of. To be
    /// asked before anything is awaited: what is answered just now is known here.
    fn keeps_token(&self, fields: &HeaderMap, extensions: &Extensions) -> bool {
        !self.passes_authorization
            && (came_in(extensions) || came_with(fields.get_all(AUTHORIZATION).iter()))
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
        // Rule 30: whoever cannot prove itself asks nobody, over a connection that is kept neither.
        guard.svid()?;
        let mut sender = match guard.pool().take(&key, guard) {
            Some(sender) => sender,
            None => dial(guard, &key).await?,
        };
        let workload = key.name().to_owned();
        let outside = matches!(key.to, To::Host(_));
        let live = Arc::clone(&sender.live);
        let epoch = guard.engine().epoch();
        let permit = live.current(guard)?;
        let said = Said::of(&parts.headers);
        let names = said.names;
        {
            let action = name::action(&parts, &said).map_err(|ambiguity| {
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
            let authorized = match &key.to {
                To::Workload { name, .. } => {
                    peer.and_then(|peer| as_named(guard, peer, name, authorize))
                }
                To::Host(_) => Some(authorize()),
            };
            let _permit = authorized.ok_or_else(|| EgressError::Unproven {
                workload: workload.clone(),
                address: format!("{workload}:{}", key.port),
                why: "the policy has given the name to somebody else".to_owned(),
            })??;
        }
        if outside {
            // Law 8: out there nobody else ends it where it would no longer be permitted.
            let earlier = if sender.carries_several() {
                Earlier::MayRun
            } else {
                Earlier::AreOver
            };
            live.sends(epoch, (&parts.method, parts.uri.path()), earlier);
        }
        // What was judged here must not be taken as judged there.
        parts.extensions.clear();
        // T12: whom we speak for is said by a proxy alone.
        forwarded::strip(&mut parts.headers, names, permit.forwards_in());
        let held = Held::new(body);
        let request = Request::from_parts(parts, held.body());
        let mut response = match sender.send(request, trailers).await {
            Ok(response) => {
                held.is_taken();
                response
            }
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
        if let Some(host) = permit.host() {
            response.extensions_mut().insert(host.clone());
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

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let client = self.clone();
        // Who calls may not be who waits. Asked here for a handler that calls, whatever task has the future; and once more where that is
        // polled first, for a handler that waits for what another task called, as that of a buffer.
        if client.keeps_token(request.headers(), request.extensions()) {
            request.headers_mut().remove(AUTHORIZATION);
        }
        Box::pin(async move { client.request(request).await })
    }
}
