//! One connection, from its handshake to its end.

use core::pin::pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio_rustls::server::TlsStream;
use tower_service::Service;
use tracing::Span;

use super::activity::{Activity, Verdict};
use super::body::RequestBody;
use super::door::Door;
use super::place::Place;
use super::protocols::{Served, Spoken};
use super::remote::Remote;
use super::running::Running;
use super::watched::Watched;
use crate::authorize::{Authorize, ResponseBody};
use crate::guard::Guard;
use crate::live::{self, Asking, Carried, Live, Registered, Revocable, State};
use crate::transport::Transport;

/// How long a client of HTTP/2 that asked nothing may take, once its connection has to end, to send the preface that hyper answers with a
/// GOAWAY (RFC 9113 §3.4).
const PREFACE: Duration = Duration::from_millis(250);

pub(super) async fn serve<T, S, B>(door: &Door, stream: T, remote: Remote, place: Place, app: S)
where
    T: Transport,
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
{
    let guard = &door.guard;
    let Some((stream, registered, span)) = door.open(stream, remote, place).await else {
        return;
    };
    let live = Arc::clone(registered.live());
    let activity = Activity::new();
    let (connection, spoken) = begin(door, stream, registered, &activity, span, app);
    let two = spoken == Spoken::Two;
    let mut connection = pin!(connection);
    let mut draining = false;
    let mut cut = pin!(tokio::time::sleep(Duration::MAX));
    let mut quiet = pin!(tokio::time::sleep(guard.limits().header));
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = live.changed() => match live.state() {
                State::Revoked => return,
                State::Draining => {
                    let mut left = live.deadline().since(guard.now());
                    if two && !activity.has_asked() {
                        left = left.min(PREFACE);
                    }
                    cut.set(tokio::time::sleep(left));
                    // For a rotation of our own, HTTP/1.1 says `Connection: close` with its next response instead, and HTTP/2 its
                    // GOAWAY once it has taken a request: hyper closes a connection whose preface is still on its way. A client
                    // that sends just now must not find the connection closed.
                    if !draining && (guard.is_shutting_down() || two && activity.has_asked()) {
                        draining = true;
                        live.parts();
                        connection.as_mut().graceful_shutdown();
                    }
                }
                State::Open => {}
            },
            () = quiet.as_mut(), if !draining => match activity.judge(&guard.limits()) {
                Verdict::Silent => return live.parts(),
                Verdict::Keep(until) => quiet.as_mut().reset(until),
                Verdict::Idle => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                    live.drain(guard.now().saturating_add(guard.limits().drain));
                }
            },
            () = cut.as_mut(), if live.state() == State::Draining => {
                let left = live.deadline().since(guard.now());
                if left.is_zero() || draining && !activity.has_asked() {
                    return;
                }
                cut.set(tokio::time::sleep(left));
            }
        }
    }
}

type Connection<T, S> = Served<TokioIo<Revocable<TlsStream<T>>>, TowerToHyperService<Carry<S>>>;

/// Has hyper take a connection that was let in. No part of the task that waits for it: what this borrows would be kept there for
/// as long as the connection.
fn begin<T, S, B>(
    door: &Door,
    stream: TlsStream<T>,
    registered: Registered,
    activity: &Activity,
    span: Span,
    app: S,
) -> (Connection<T, S>, Spoken)
where
    T: Transport,
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
{
    let spoken = Spoken::from_alpn(stream.get_ref().1.alpn_protocol());
    let service = Carry {
        guard: door.guard.clone(),
        live: Arc::clone(registered.live()),
        carried: spoken.carries(),
        activity: activity.clone(),
        span,
        inner: Authorize::new(app, door.guard.clone()),
    };
    let stream = TokioIo::new(Revocable::new(stream, registered));
    let service = TowerToHyperService::new(service);
    let connection = door.protocols.serve(spoken, stream, service);
    (connection, spoken)
}

/// Registers each request of the connection, and puts a flow permit in it that rests on what is in force.
#[derive(Clone)]
struct Carry<S> {
    guard: Guard,
    live: Arc<Live>,
    carried: Carried,
    activity: Activity,
    span: Span,
    inner: Authorize<S>,
}

impl<S, R> Service<Request<Incoming>> for Carry<S>
where
    S: Service<Request<RequestBody>, Response = Response<R>> + Clone,
{
    type Response = Response<Running<ResponseBody<R>>>;
    type Error = S::Error;
    type Future = Running<<Authorize<S> as Service<Request<RequestBody>>>::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Service::<Request<RequestBody>>::poll_ready(&mut self.inner, cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let running = live::Request::begin(&self.live, self.carried, self.activity.begin());
        if self.live.state() == State::Draining {
            self.live.notify();
        }
        let opens_stream = request.extensions().get::<hyper::ext::Protocol>().is_some();
        let mut request = request.map(|body| RequestBody::new(body, Arc::clone(&running)));
        let watched = Watched::begin(&self.span, &mut request);
        let answer = watched.within(|| match self.live.current(&self.guard) {
            Ok(permit) => {
                request.extensions_mut().insert(permit);
                request
                    .extensions_mut()
                    .insert(Asking(Arc::clone(&running)));
                self.inner.call(request)
            }
            Err(denial) => Authorize::<S>::refuse(&self.guard, denial, request),
        });
        Running::new(answer, running, watched, opens_stream)
    }
}
