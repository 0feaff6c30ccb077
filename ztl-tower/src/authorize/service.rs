//! The service: judge, then call or answer.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::sync::oneshot;
use tokio::time::Sleep;
use tower_service::Service;
use ztl_core::{Action, FlowPermit, Prefix, Reason};

use super::alike;
use super::came::{Came, judged_on};
use super::judge::{Refusal, is_judged, judge, plain};
use super::response::{Credential, Dress, Hidden, Refused, ResponseBody, refusal};
use super::switch::Switch;
use crate::duty::{self, After, AnyBody, Discharging};
use crate::extract::ActionPermit;
use crate::guard::Guard;
use crate::name;
use crate::said::Said;
use crate::watch;

/// Judges every request before the inner service sees it. Made by [`AuthorizeLayer`](super::AuthorizeLayer).
#[derive(Clone, Debug)]
pub struct Authorize<S> {
    inner: S,
    guard: Guard,
}

impl<S> Authorize<S> {
    pub(crate) const fn new(inner: S, guard: Guard) -> Self {
        Self { inner, guard }
    }

    /// The service inside.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service inside, unguarded.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, R> Service<Request<B>> for Authorize<S>
where
    B: AnyBody,
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let at = alike::Moment::of(&self.guard, &mut parts.extensions);
        let came = Came::of(&self.guard, &mut parts);
        let state = State::decide(&self.guard, &mut self.inner, (parts, body), came);
        ResponseFuture { state, at }
    }
}

#[cfg(feature = "serve")]
impl<S, B, R> ResponseFuture<S, B, R>
where
    B: AnyBody,
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    /// Answers a request that a listener of ours took, by a service that is ready.
    pub(crate) fn of(
        guard: &Guard,
        inner: &mut S,
        (mut parts, body): (Parts, B),
        request: &Arc<crate::live::Request>,
    ) -> Self {
        let at = alike::Moment::of(guard, &mut parts.extensions);
        match Came::on(guard, &mut parts, request) {
            Ok(came) => Self {
                state: State::decide(guard, inner, (parts, body), came.ok_or(None)),
                at,
            },
            Err(denial) => Self::refused(guard, denial, &parts),
        }
    }
}

#[cfg(any(feature = "serve", feature = "test-util"))]
impl<S: Service<Request<B>>, B, R> ResponseFuture<S, B, R> {
    /// The answer to a request that is not judged at all: its connection is no longer permitted, or its caller asks too much. When it
    /// came was noted before that was found out.
    pub(crate) fn refused(guard: &Guard, denial: ztl_core::Denial, parts: &Parts) -> Self {
        let refused = Refused::new(denial, None);
        Self {
            state: State::refusal(guard, refused, Credential::Absent, dress(parts)),
            at: alike::Moment::noted(&parts.extensions),
        }
    }
}

/// The one that is ready is called; another takes its place.
fn ready_one<S: Clone>(inner: &mut S) -> S {
    let clone = inner.clone();
    core::mem::replace(inner, clone)
}

pin_project! {
    /// The answer of the inner service, or a refusal.
    pub struct ResponseFuture<S, B, R>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, R>,
        at: alike::Moment,
    }
}

pin_project! {
    #[project = Projected]
    enum State<S, B, R>
    where
        S: Service<Request<B>>,
    {
        Judging { told: oneshot::Receiver<Told>, waiting: Option<Waiting<S, B>>, dress: Dress },
        Discharging { duty: Discharging<B>, go: Option<Go<S>> },
        Service { #[pin] future: S::Future, hidden: Hidden, after: Option<Box<After>>, switch: Option<Box<Switch>> },
        Refusal { response: Option<Response<ResponseBody<R>>> },
        Held { response: Option<Response<ResponseBody<R>>>, step: Pin<Box<Sleep>> },
    }
}

/// What the judgement of a request came to, and the request itself.
struct Told {
    parts: Parts,
    judged: Result<(), Refusal>,
}

/// What a permitted request goes on with.
struct Waiting<S, B> {
    inner: S,
    body: B,
    guard: Guard,
    flow: FlowPermit,
    /// What an earlier permit obliged to was done.
    after: Option<After>,
}

/// What a request goes on with once its obligations are discharged.
struct Go<S> {
    inner: S,
    guard: Guard,
}

impl<S: Service<Request<B>> + Clone, B: AnyBody, R> State<S, B, R> {
    /// Judges a request that came so, and has it answered; one that nobody let in is refused.
    #[inline]
    fn decide(
        guard: &Guard,
        inner: &mut S,
        (mut parts, body): (Parts, B),
        came: Result<Came, Option<FlowPermit>>,
    ) -> Self {
        #[cfg(feature = "browser")]
        guard.tell_of_its_boundary();
        let came = match came {
            Ok(came) => came,
            Err(flow) => {
                let (flow, reason) = (flow.as_ref(), Reason::NotJudged);
                let (refused, credential) = plain(guard, &parts, flow, reason, None);
                return Self::refusal(guard, *refused, credential, dress(&parts));
            }
        };
        if is_heavy(guard, &parts, &came.flow) && !is_judged(guard, &mut parts, &came) {
            return Self::judge_apart(guard, (parts, came), body, ready_one(inner), None);
        }
        match judge(guard, &mut parts, came) {
            Ok(()) => Self::permitted(guard, parts, body, inner),
            Err((refused, credential)) => Self::refusal(guard, *refused, credential, dress(&parts)),
        }
    }

    /// To the service, at once or when what the permit obliges to is discharged.
    #[inline]
    fn permitted(guard: &Guard, parts: Parts, body: B, inner: &mut S) -> Self {
        let permit: Option<&ActionPermit> = parts.extensions.get();
        let Some(permit) = permit.filter(|permit| !permit.given_for.is_cut()) else {
            return Self::withdrawn(guard, &parts);
        };
        if duty::is_free(&parts, permit) {
            let hidden = Hidden::of(guard, &parts);
            let switch = Switch::of(guard, permit);
            return Self::to_service(
                Request::from_parts(parts, body),
                inner,
                hidden,
                None,
                switch,
            );
        }
        let duty = duty::begin(guard, parts, body);
        let (inner, guard) = (ready_one(inner), guard.clone());
        let go = Some(Go { inner, guard });
        Self::Discharging { duty, go }
    }
}

impl<S: Service<Request<B>>, B, R> State<S, B, R> {
    /// Judges on threads that are there for it, and goes on afterwards.
    fn judge_apart(
        guard: &Guard,
        (parts, came): (Parts, Came),
        body: B,
        inner: S,
        after: Option<After>,
    ) -> Self {
        let (dress, flow) = (dress(&parts), came.flow.clone());
        let caller = caller(guard, &flow);
        let (tell, told) = oneshot::channel();
        // Where there is no place for them they are needed here.
        let unjudged = Arc::new(Mutex::new(Some((parts, came.later()))));
        let taken = Arc::clone(&unjudged);
        let take = |unjudged: &Mutex<Option<(Parts, Came)>>| {
            (unjudged.lock().unwrap_or_else(PoisonError::into_inner)).take()
        };
        let judges = guard.clone();
        let runs = guard.judging().run(&caller, move || {
            // Whoever gave up waiting gets no judgement made for them.
            let unjudged = (!tell.is_closed()).then(|| take(&taken)).flatten();
            if let Some((mut parts, came)) = unjudged {
                let judged = judge(&judges, &mut parts, came);
                let _ = tell.send(Told { parts, judged });
            }
        });
        if runs {
            let waiting = Some(Waiting {
                inner,
                body,
                guard: guard.clone(),
                flow,
                after,
            });
            return Self::Judging {
                told,
                waiting,
                dress,
            };
        }
        watch::judgement_turned_away(guard);
        let parts = take(&unjudged).map(|(parts, _)| parts);
        let parts = parts.unwrap_or_else(|| Request::new(()).into_parts().0);
        let failed = Reason::AuthorizerFailed;
        let (mut refused, credential) = plain(guard, &parts, Some(&flow), failed, None);
        refused.overloaded = true;
        Self::refusal(guard, *refused, credential, dress)
    }

    /// To the service, where the request is permitted still: what its permit obliged to may have taken as long as its caller liked
    /// (law 8).
    fn discharged(guard: &Guard, request: Request<B>, after: After, mut inner: S) -> Self {
        let (mut parts, body) = request.into_parts();
        let Ok(came) = Came::of(guard, &mut parts) else {
            return Self::withdrawn(guard, &parts);
        };
        if !is_judged(guard, &mut parts, &came) {
            if is_heavy(guard, &parts, &came.flow) {
                // T34: not here, where others wait.
                return Self::judge_apart(guard, (parts, came), body, inner, Some(after));
            }
            if let Err((refused, credential)) = judge(guard, &mut parts, came) {
                return Self::refusal(guard, *refused, credential, dress(&parts));
            }
        }
        Self::concluded(guard, parts, body, after, &mut inner)
    }

    /// To the service, where what was done is what the permit in force obliges to.
    fn concluded(guard: &Guard, mut parts: Parts, body: B, after: After, inner: &mut S) -> Self {
        let permit: Option<&ActionPermit> = parts.extensions.get();
        if permit.is_some_and(|permit| permit.given_for.is_cut()) {
            return Self::withdrawn(guard, &parts);
        }
        if let Err((refused, dress)) = after.conclude(&mut parts) {
            return Self::refusal(guard, *refused, Credential::Absent, dress);
        }
        let permit: Option<&ActionPermit> = parts.extensions.get();
        let switch = permit.and_then(|permit| Switch::of(guard, permit));
        let hidden = Hidden::of(guard, &parts);
        let request = Request::from_parts(parts, body);
        Self::to_service(request, inner, hidden, Some(Box::new(after)), switch)
    }

    /// The request was cut while it was on its way to the service.
    fn withdrawn(guard: &Guard, parts: &Parts) -> Self {
        let withdrawn = Reason::FlowWithdrawn;
        let (refused, credential) = plain(guard, parts, judged_on(parts), withdrawn, None);
        Self::refusal(guard, *refused, credential, dress(parts))
    }

    #[inline]
    fn to_service(
        request: Request<B>,
        inner: &mut S,
        hidden: Hidden,
        after: Option<Box<After>>,
        switch: Option<Box<Switch>>,
    ) -> Self {
        watch::permitted(request.extensions());
        let future = inner.call(request);
        Self::Service {
            future,
            hidden,
            after,
            switch,
        }
    }

    /// An answer that waits for the end of its step.
    fn held(response: Response<ResponseBody<R>>, step: Pin<Box<Sleep>>) -> Self {
        let response = Some(response);
        Self::Held { response, step }
    }

    fn refusal(guard: &Guard, refused: Refused, credential: Credential, dress: Dress) -> Self {
        Self::Refusal {
            response: Some(refusal(guard, refused, credential, dress)),
        }
    }
}

impl<S: Service<Request<B>>, B, R> core::fmt::Debug for ResponseFuture<S, B, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match &self.state {
            State::Judging { .. } => "Judging",
            State::Discharging { .. } => "Discharging",
            State::Service { .. } => "Service",
            State::Refusal { .. } => "Refusal",
            State::Held { .. } => "Held",
        })
    }
}

impl<S, B, R> Future for ResponseFuture<S, B, R>
where
    B: AnyBody,
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (mut state, at) = (this.state, *this.at);
        loop {
            let next = match state.as_mut().project() {
                Projected::Judging {
                    told,
                    waiting,
                    dress,
                } => {
                    let told = ready!(Pin::new(told).poll(cx));
                    let Some(Waiting {
                        mut inner,
                        body,
                        guard,
                        flow,
                        after,
                    }) = waiting.take()
                    else {
                        return Poll::Pending;
                    };
                    match told {
                        Ok(Told {
                            parts,
                            judged: Ok(()),
                        }) => match after {
                            None => State::permitted(&guard, parts, body, &mut inner),
                            Some(after) => State::concluded(&guard, parts, body, after, &mut inner),
                        },
                        Ok(Told {
                            judged: Err((refused, credential)),
                            ..
                        }) => State::refusal(&guard, *refused, credential, *dress),
                        // The judgement ended without an answer.
                        Err(_) => {
                            let parts = Request::new(()).into_parts().0;
                            // Law 6: whoever asked stands in the record; what for went with the judgement.
                            let (refused, credential) =
                                plain(&guard, &parts, Some(&flow), Reason::NotJudged, None);
                            State::refusal(&guard, *refused, credential, *dress)
                        }
                    }
                }
                Projected::Discharging { duty, go } => {
                    let discharged = ready!(duty.as_mut().poll(cx));
                    let Some(Go { inner, guard }) = go.take() else {
                        return Poll::Pending;
                    };
                    match discharged {
                        Ok((request, after)) => State::discharged(&guard, request, after, inner),
                        Err((refused, dress)) => {
                            State::refusal(&guard, *refused, Credential::Absent, dress)
                        }
                    }
                }
                Projected::Service {
                    future,
                    hidden,
                    after,
                    switch,
                } => {
                    let response = ready!(future.poll(cx))?;
                    let kept =
                        (switch.as_ref()).and_then(|switch| switch.refuses(response.status()));
                    if let Some((guard, refused)) = kept {
                        let refused =
                            State::refusal(guard, refused, Credential::Absent, Dress::Problem);
                        state.set(refused);
                        continue;
                    }
                    let (response, is_ours) = hidden.answer(response, after.take());
                    match is_ours.then(|| at.step()).flatten() {
                        Some(step) => State::held(response, step),
                        None => return Poll::Ready(Ok(response)),
                    }
                }
                // A future is not polled again once it is ready.
                Projected::Refusal { response } => {
                    let Some(response) = response.take() else {
                        return Poll::Pending;
                    };
                    match alike::is_marked(&response).then(|| at.step()).flatten() {
                        Some(step) => State::held(response, step),
                        None => return Poll::Ready(Ok(response)),
                    }
                }
                Projected::Held { response, step } => {
                    ready!(step.as_mut().poll(cx));
                    return (response.take())
                        .map_or(Poll::Pending, |response| Poll::Ready(Ok(response)));
                }
            };
            state.set(next);
        }
    }
}

/// Whether judging a request could take so long that nobody must wait for it.
fn is_heavy(guard: &Guard, parts: &Parts, flow: &FlowPermit) -> bool {
    let engine = guard.engine();
    // T34: the name only where a rule of the flow could ask.
    if !engine.asks_heavy(flow, None) {
        return false;
    }
    let asks = |action: Action<'_>| engine.asks_heavy(flow, Some(&action));
    // Judged again it is what it was at first, whatever a router took off its path since.
    let earlier: Option<&ActionPermit> = parts.extensions.get();
    earlier.is_some_and(|earlier| earlier.given_for.wire.action().is_ok_and(asks))
        || name::action(parts, &Said::of(&parts.headers)).is_ok_and(asks)
}

/// Whose share of the judgements a request on this flow counts against.
pub(crate) fn caller(guard: &Guard, flow: &FlowPermit) -> String {
    match (flow.peer(), flow.arrival().addr()) {
        // T13: one share under all its names.
        (Some(peer), _) => {
            let policy = guard.engine().policy();
            policy.one_id_of(peer.id()).to_string()
        }
        (None, Some(addr)) => Prefix::from(addr).to_string(),
        (None, None) => String::new(),
    }
}

pub(crate) fn dress(parts: &Parts) -> Dress {
    if name::is_grpc(&parts.headers) {
        Dress::Grpc
    } else if parts.method == http::Method::HEAD {
        Dress::Head
    } else {
        Dress::Problem
    }
}
