//! What carries the requests of one connection to the service, each judged before it sees it.

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
use crate::authorize::{Authorize, ResponseBody};
use crate::guard::Guard;
use crate::live::{self, Asking, Carried, Live, State};

/// Registers each request of the connection, and puts a flow permit in it that rests on what is in force.
#[derive(Clone)]
pub(super) struct Carry<S> {
    guard: Guard,
    live: Arc<Live>,
    activity: Activity,
    span: Span,
    inner: Authorize<S>,
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
        service: S,
    ) -> Self {
        Self {
            guard: guard.clone(),
            live: Arc::clone(live),
            activity: activity.clone(),
            span,
            inner: Authorize::new(service, guard.clone()),
        }
    }
}

impl<S, R> Carry<S>
where
    S: Service<Request<RequestBody>, Response = Response<R>> + Clone,
{
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Service::<Request<RequestBody>>::poll_ready(&mut self.inner, cx)
    }

    /// A request that came on the connection in this way; `body` is what its body becomes.
    pub(super) fn ask<B>(
        &mut self,
        carried: Carried,
        request: Request<B>,
        body: impl FnOnce(B, Arc<live::Request>) -> RequestBody,
    ) -> Answers<S> {
        let ticket = self.activity.begin();
        let is_too_many = ticket.is_too_many();
        let running = live::Request::begin(&self.live, carried, ticket);
        if self.live.state() == State::Draining {
            self.live.notify();
        }
        let (mut parts, came) = request.into_parts();
        let opens_stream = parts.extensions.get::<hyper::ext::Protocol>().is_some();
        let mut watched = Watched::begin(&self.span, &mut parts);
        let mut request = Request::from_parts(parts, body(came, Arc::clone(&running)));
        let answer = watched.within(|| match self.live.current(&self.guard) {
            // T35: before anything is done for it.
            Ok(permit) if is_too_many => {
                let (engine, now) = (self.guard.engine(), self.guard.now());
                let denial = engine.refuse_on(&permit, None, Reason::LimitExceeded, now);
                Authorize::<S>::refuse(&self.guard, denial, request)
            }
            Ok(permit) => {
                let extensions = request.extensions_mut();
                extensions.insert(permit);
                extensions.insert(Asking(Arc::clone(&running)));
                self.inner.call(request)
            }
            Err(denial) => Authorize::<S>::refuse(&self.guard, denial, request),
        });
        Running::new(answer, running, watched, opens_stream)
    }
}
