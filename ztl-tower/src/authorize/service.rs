//! The service: judge, then call or answer.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use http::request::Parts;
use http::{Request, Response};
use pin_project_lite::pin_project;
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
    pub(crate) fn refuse<B, F, R>(
        denial: ztl_core::Denial,
        request: Request<B>,
    ) -> ResponseFuture<F, R> {
        let (parts, _) = request.into_parts();
        let refused = Refused {
            denial,
            detail: None,
        };
        ResponseFuture::Refusal {
            response: Some(refusal(refused, Credential::Absent, dress(&parts))),
        }
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
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        match judge(&self.guard, &mut parts) {
            Ok(()) => ResponseFuture::Service {
                future: self.inner.call(Request::from_parts(parts, body)),
            },
            Err((refused, credential)) => {
                let response = refusal(*refused, credential, dress(&parts));
                ResponseFuture::Refusal {
                    response: Some(response),
                }
            }
        }
    }
}

pin_project! {
    /// The answer of the inner service, or a refusal.
    #[project = Projected]
    #[derive(Debug)]
    #[expect(missing_docs, reason = "the two cases say what they are")]
    #[non_exhaustive]
    pub enum ResponseFuture<F, R> {
        Service { #[pin] future: F },
        Refusal { response: Option<Response<ResponseBody<R>>> },
    }
}

impl<F, R, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Service { future } => {
                let response = ready!(future.poll(cx))?;
                Poll::Ready(Ok(response.map(|body| ResponseBody::Service { body })))
            }
            // A future is not polled again once it is ready.
            Projected::Refusal { response } => response
                .take()
                .map_or(Poll::Pending, |response| Poll::Ready(Ok(response))),
        }
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
            (Box::new(Refused { denial, detail }), Credential::Absent)
        })?;
        // T34: the cheap question before the dear one.
        let action = name::action(parts).map_err(|ambiguity| {
            let denial = engine.refuse_on(&flow, None, Reason::PathAmbiguous, now);
            (
                Box::new(Refused {
                    denial,
                    detail: Some(ambiguity.to_string()),
                }),
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
                return Err((Box::new(Refused { denial, detail }), token.credential));
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
    (Box::new(Refused { denial, detail }), Credential::Absent)
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
