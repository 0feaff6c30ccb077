//! What carries the requests of one connection to the service, each judged before it sees it.

use core::net::SocketAddr;
use core::task::{Context, Poll};
use std::sync::Arc;

use http::{Request, Response};
use tower_service::Service;
use tracing::Span;
use ztl_core::Reason;

use super::activity::Activity;
use super::body::RequestBody;
use super::running::Running;
use super::watched::Watched;
use crate::authorize::{Authorize, ResponseBody, ResponseFuture};
use crate::guard::Guard;
use crate::live::{self, Carried, Live, State};

/// Registers each request of the connection, and has it judged on a flow permit that rests on what is in force. hyper clones it for each
/// request, so that all but the service is shared.
#[derive(Clone)]
pub(super) struct Carry<S> {
    shared: Arc<Shared>,
    service: S,
}

struct Shared {
    guard: Guard,
    live: Arc<Live>,
    activity: Activity,
    span: Span,
    #[cfg(feature = "axum")]
    remote: Option<SocketAddr>,
}

/// What answers a request that was carried.
pub(super) type Answers<S> = Running<<Authorize<S> as Service<Request<RequestBody>>>::Future>;

/// The answer.
pub(super) type Answered<R> = Response<Running<ResponseBody<R>>>;

impl<S> Carry<S> {
    pub(super) fn new(
        guard: &Guard,
        live: &Arc<Live>,
        activity: &Activity,
        span: Span,
        #[cfg_attr(
            not(feature = "axum"),
            expect(unused_variables, reason = "handlers of axum ask for it")
        )]
        remote: Option<SocketAddr>,
        service: S,
    ) -> Self {
        let shared = Arc::new(Shared {
            guard: guard.clone(),
            live: Arc::clone(live),
            activity: activity.clone(),
            span,
            #[cfg(feature = "axum")]
            remote,
        });
        Self { shared, service }
    }
}

impl<S, R> Carry<S>
where
    S: Service<Request<RequestBody>, Response = Response<R>> + Clone,
{
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    /// A request that came on the connection in this way; `body` is what its body becomes.
    pub(super) fn ask<B>(
        &mut self,
        carried: Carried,
        request: Request<B>,
        body: impl FnOnce(B, Arc<live::Request>) -> RequestBody,
    ) -> Answers<S> {
        let of = &*self.shared;
        let ticket = of.activity.begin();
        let is_too_many = ticket.is_too_many();
        let running = live::Request::begin(&of.live, carried, ticket);
        if of.live.state() == State::Draining {
            of.live.notify();
        }
        let (mut parts, came) = request.into_parts();
        // Where axum's handlers look for it. What a host of its own has put there stays.
        #[cfg(feature = "axum")]
        if let Some(remote) = of.remote {
            let remote = axum::extract::ConnectInfo(remote);
            parts.extensions.get_or_insert(remote);
        }
        let opens_stream = parts.extensions.get::<hyper::ext::Protocol>().is_some();
        let body = body(came, Arc::clone(&running));
        let mut watched = Watched::begin(&of.span, &mut parts);
        let (guard, service) = (&of.guard, &mut self.service);
        let answer = watched.within(|| {
            if is_too_many {
                // T35: before anything is done for it.
                crate::authorize::Moment::of(guard, &mut parts.extensions);
                let (engine, now) = (guard.engine(), guard.now());
                let refuse = |permit| engine.refuse_on(&permit, None, Reason::LimitExceeded, now);
                let denial = of.live.current(guard).map_or_else(|denial| denial, refuse);
                return ResponseFuture::refused(guard, denial, &parts);
            }
            ResponseFuture::of(guard, service, (parts, body), &running)
        });
        Running::new(answer, running, watched, opens_stream)
    }
}
