//! The service: judge, then call or answer.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::sync::oneshot;
use tower_service::Service;
use ztl_core::{
    ActionPermit, Claims, DecisionId, Direction, Evidence, Flow, FlowPermit, Reason, Stage,
};

use super::response::{Credential, Dress, Refused, ResponseBody, refusal};
use crate::gather::Gathered;
use crate::guard::Guard;
use crate::live::Asking;
use crate::name::{self, Fields, WireTarget};
use crate::peer::Peer;
use crate::token::Token;

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

    /// The answer to a request whose connection is no longer permitted.
    #[cfg(feature = "serve")]
    pub(crate) fn refuse<B, R>(
        denial: ztl_core::Denial,
        request: Request<B>,
    ) -> ResponseFuture<S, B, R>
    where
        S: Service<Request<B>>,
    {
        let (parts, _) = request.into_parts();
        let refused = Refused::new(denial, None);
        ResponseFuture::refusal(refused, Credential::Absent, dress(&parts))
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
        if is_heavy(&self.guard, &parts) {
            let clone = self.inner.clone();
            // The one that is ready is called.
            let inner = core::mem::replace(&mut self.inner, clone);
            return self.judge_apart(parts, body, inner);
        }
        match judge(&self.guard, &mut parts) {
            Ok(()) => ResponseFuture {
                state: State::Service {
                    future: self.inner.call(Request::from_parts(parts, body)),
                },
            },
            Err((refused, credential)) => {
                ResponseFuture::refusal(*refused, credential, dress(&parts))
            }
        }
    }
}

impl<S> Authorize<S> {
    /// Judges on threads that are there for it, and calls the service afterwards.
    fn judge_apart<B, R>(&self, parts: Parts, body: B, inner: S) -> ResponseFuture<S, B, R>
    where
        S: Service<Request<B>, Response = Response<R>>,
    {
        let (dress, caller) = (dress(&parts), caller(&self.guard, &parts));
        let (tell, told) = oneshot::channel();
        // Where there is no place for them they are needed here.
        let unjudged = Arc::new(Mutex::new(Some(parts)));
        let taken = Arc::clone(&unjudged);
        let take = |parts: &Mutex<Option<Parts>>| {
            parts.lock().unwrap_or_else(PoisonError::into_inner).take()
        };
        let guard = self.guard.clone();
        let runs = self.guard.judging().run(&caller, move || {
            // Whoever gave up waiting gets no judgement made for them.
            let parts = (!tell.is_closed()).then(|| take(&taken)).flatten();
            if let Some(mut parts) = parts {
                let judged = judge(&guard, &mut parts);
                let _ = tell.send(Told { parts, judged });
            }
        });
        if runs {
            let guard = self.guard.clone();
            let waiting = Some(Waiting { inner, body, guard });
            return ResponseFuture {
                state: State::Judging {
                    told,
                    waiting,
                    dress,
                },
            };
        }
        let parts = take(&unjudged).unwrap_or_else(|| Request::new(()).into_parts().0);
        let (mut refused, credential) = plain(&self.guard, &parts, Reason::AuthorizerFailed, None);
        refused.overloaded = true;
        ResponseFuture::refusal(*refused, credential, dress)
    }
}

pin_project! {
    /// The answer of the inner service, or a refusal.
    pub struct ResponseFuture<S, B, R>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, R>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<S, B, R>
    where
        S: Service<Request<B>>,
    {
        Judging { told: oneshot::Receiver<Told>, waiting: Option<Waiting<S, B>>, dress: Dress },
        Service { #[pin] future: S::Future },
        Refusal { response: Option<Response<ResponseBody<R>>> },
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
}

impl<S: Service<Request<B>>, B, R> State<S, B, R> {
    fn refusal(refused: Refused, credential: Credential, dress: Dress) -> Self {
        Self::Refusal {
            response: Some(refusal(refused, credential, dress)),
        }
    }
}

impl<S: Service<Request<B>>, B, R> ResponseFuture<S, B, R> {
    fn refusal(refused: Refused, credential: Credential, dress: Dress) -> Self {
        let state = State::refusal(refused, credential, dress);
        Self { state }
    }
}

impl<S: Service<Request<B>>, B, R> core::fmt::Debug for ResponseFuture<S, B, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match &self.state {
            State::Judging { .. } => "Judging",
            State::Service { .. } => "Service",
            State::Refusal { .. } => "Refusal",
        })
    }
}

impl<S, B, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
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
                    }) = waiting.take()
                    else {
                        return Poll::Pending;
                    };
                    match told {
                        Ok(Told {
                            parts,
                            judged: Ok(()),
                        }) => State::Service {
                            future: inner.call(Request::from_parts(parts, body)),
                        },
                        Ok(Told {
                            judged: Err((refused, credential)),
                            ..
                        }) => State::refusal(*refused, credential, *dress),
                        // The judgement ended without an answer.
                        Err(_) => {
                            let parts = Request::new(()).into_parts().0;
                            let (refused, credential) =
                                plain(&guard, &parts, Reason::NotJudged, None);
                            State::refusal(*refused, credential, *dress)
                        }
                    }
                }
                Projected::Service { future } => {
                    let response = ready!(future.poll(cx))?;
                    return Poll::Ready(Ok(response.map(|body| ResponseBody::Service { body })));
                }
                // A future is not polled again once it is ready.
                Projected::Refusal { response } => {
                    return (response.take())
                        .map_or(Poll::Pending, |response| Poll::Ready(Ok(response)));
                }
            };
            state.set(next);
        }
    }
}

/// Whether judging a request could take so long that nobody must wait for it.
fn is_heavy(guard: &Guard, parts: &Parts) -> bool {
    let engine = guard.engine();
    flow_of(guard, parts).is_some_and(|flow| {
        // T34: the name only where a rule of the flow could ask.
        engine.asks_heavy(flow, None)
            && name::action(parts).is_ok_and(|action| engine.asks_heavy(flow, Some(&action)))
    })
}

/// Whose share of the judgements a request counts against.
fn caller(guard: &Guard, parts: &Parts) -> String {
    let flow = flow_of(guard, parts);
    match flow.map(|flow| (flow.peer(), flow.arrival().addr())) {
        Some((Some(peer), _)) => peer.id().to_string(),
        Some((None, Some(addr))) => addr.to_string(),
        _ => String::new(),
    }
}

fn dress(parts: &Parts) -> Dress {
    if name::is_grpc(&parts.headers) {
        Dress::Grpc
    } else if parts.method == http::Method::HEAD {
        Dress::Head
    } else {
        Dress::Problem
    }
}

/// A request that was judged: the permit, and what exactly it was given for.
#[derive(Clone)]
struct Judged {
    permit: ActionPermit,
    wire: WireTarget,
    flow: DecisionId,
    trust_generation: u64,
}

type Refusal = (Box<Refused>, Credential);

/// How often a request is judged while the policy changes under the judgement, before it is refused.
const TRIES: usize = 16;

/// Judges a request. Permitted, it carries an [`ActionPermit`], its [`Peer`] and its [`Claims`] in its extensions.
fn judge(guard: &Guard, parts: &mut Parts) -> Result<(), Refusal> {
    let now = guard.now();
    let engine = guard.engine();
    let Some(flow) = flow_of(guard, parts).cloned() else {
        return Err(plain(guard, parts, Reason::NotJudged, None));
    };
    // Read before anything is judged, so that what is withdrawn in between is noticed.
    let trust_generation = engine.trust_generation();
    let wire = WireTarget::of(parts);
    if let Some(judged) = parts.extensions.get::<Judged>() {
        if judged.wire != wire {
            // T19: what reaches the service is not what was judged.
            return Err(plain(guard, parts, Reason::NotJudged, None));
        }
        if judged.flow == flow.id()
            && judged.trust_generation == trust_generation
            && engine.is_current(&judged.permit, now)
            && name::action(parts).is_ok()
        {
            return Ok(());
        }
    }
    let asking = parts.extensions.get::<Asking>().cloned();
    let mut tries = 0;
    let (flow, token, permit) = loop {
        tries += 1;
        // What changes after this is noticed below, by the policy here and by the request's own record of what it rests on.
        let (epoch, evidence_generation) = (engine.epoch(), guard.evidence_generation());
        // Under the policy in force, so that evidence is gathered for the rules that will judge (T12).
        let renewed = match &asking {
            Some(asking) => asking.renew(guard),
            None => engine.renew_flow(&flow, now),
        };
        let flow = renewed.map_err(|denial| {
            let detail = None;
            (Box::new(Refused::new(denial, detail)), Credential::Absent)
        })?;
        // T34: the cheap question before the dear one.
        let action = name::action(parts).map_err(|ambiguity| {
            let denial = engine.refuse_on(&flow, None, Reason::PathAmbiguous, now);
            (
                Box::new(Refused::new(denial, Some(ambiguity.to_string()))),
                Credential::Absent,
            )
        })?;
        let token = token(guard, &flow, parts);
        let fields = Fields::new(&parts.headers);
        let context = guard.context(&flow, parts, now);
        let gathered = Gathered::now(guard, &flow, token.claims.as_ref(), context, now);
        let mut evidence = gathered.beside(Evidence::none().with_headers(&fields));
        if let Some(claims) = &token.claims {
            evidence = evidence.with_claims(claims);
        }
        let permitted = match &asking {
            Some(asking) => {
                let renew = || asking.renew(guard);
                engine.authorize_or_renew(&flow, renew, &action, &evidence, now)
            }
            None => engine.authorize(&flow, &action, &evidence, now),
        };
        let permit = match permitted {
            Ok(permit) => permit,
            Err(denial) => {
                let detail = token.detail;
                return Err((Box::new(Refused::new(denial, detail)), token.credential));
            }
        };
        if engine.epoch() == epoch {
            if let Some(asking) = &asking {
                let asked = (&wire, &token, &fields, gathered.context.as_ref());
                asking.authorized(guard, &permit, evidence_generation, asked);
            }
            break (flow, token, permit);
        }
        if tries == TRIES {
            return Err(plain(guard, parts, Reason::FlowWithdrawn, None));
        }
    };
    match flow.peer() {
        Some(peer) => drop(parts.extensions.insert(Peer(peer.clone()))),
        None => drop(parts.extensions.remove::<Peer>()),
    }
    match token.claims {
        Some(claims) => drop(parts.extensions.insert(claims)),
        None => drop(parts.extensions.remove::<Claims>()),
    }
    parts.extensions.insert(permit.clone());
    parts.extensions.insert(Judged {
        permit,
        wire,
        flow: flow.id(),
        trust_generation,
    });
    Ok(())
}

/// The permit of the flow that the request came on: into this workload, and no other.
fn flow_of<'a>(guard: &Guard, parts: &'a Parts) -> Option<&'a FlowPermit> {
    parts
        .extensions
        .get::<FlowPermit>()
        .filter(|flow| flow.direction() == Direction::Ingress && flow.me() == guard.name())
}

/// A refusal of a request that came past the door.
fn plain(guard: &Guard, parts: &Parts, reason: Reason, detail: Option<String>) -> Refusal {
    let now = guard.now();
    let engine = guard.engine();
    let denial = match flow_of(guard, parts) {
        Some(flow) => engine.refuse_on(flow, name::action(parts).ok().as_ref(), reason, now),
        None => {
            let flow = Flow::ingress(guard.name(), 0, ztl_core::Arrival::unknown(), None);
            engine.refuse(
                &flow,
                name::action(parts).ok().as_ref(),
                Stage::Action,
                reason,
                now,
            )
        }
    };
    (Box::new(Refused::new(denial, detail)), Credential::Absent)
}

/// The caller's token, where a rule of this flow could read it (T34).
#[cfg(feature = "jwt")]
fn token(guard: &Guard, flow: &FlowPermit, parts: &Parts) -> Token {
    match guard.tokens().filter(|_| flow.reads_token()) {
        Some(verifier) => Token::of(guard, &verifier, flow, &parts.headers),
        None => Token::absent(),
    }
}

#[cfg(not(feature = "jwt"))]
const fn token(_: &Guard, _: &FlowPermit, _: &Parts) -> Token {
    Token::absent()
}
