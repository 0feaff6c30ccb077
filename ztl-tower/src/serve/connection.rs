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
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tower_service::Service;
use tracing::Span;

use super::activity::{Activity, Verdict, later};
use super::body::RequestBody;
use super::carry::{Answered, Answers, Carry};
use super::door::Door;
use super::place::Place;
use super::protocols::{Served, Spoken};
use super::remote::Remote;
use crate::guard::Guard;
use crate::live::{Carried, Registered, Revocable, State};
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
    let Ok((stream, registered, span)) = door.open(stream, remote, place).await else {
        return;
    };
    let live = Arc::clone(registered.live());
    let activity = Activity::new(live.busy());
    let (connection, spoken) = begin(door, stream, registered, &activity, (span, remote), app);
    let two = spoken == Spoken::Two;
    let mut connection = pin!(connection);
    let mut draining = false;
    let mut cut = pin!(tokio::time::sleep(Duration::MAX));
    let mut quiet = pin!(tokio::time::sleep(guard.limits().header));
    loop {
        tokio::select! {
            // What was withdrawn first; none of them is ready so often that another would wait.
            biased;
            () = live.changed() => match live.state() {
                State::Revoked => return,
                State::Draining => {
                    let mut left = live.deadline().since(guard.now());
                    if !activity.has_asked() {
                        left = left.min(if two { PREFACE } else { guard.limits().header });
                    }
                    cut.set(tokio::time::sleep(left));
                    // For a rotation of our own, HTTP/1.1 says `Connection: close` with its next response instead, and HTTP/2 its
                    // GOAWAY once it has taken a request: hyper closes a connection whose preface is still on its way. A client
                    // that sends just now must not find the connection closed.
                    let ends = guard.is_shutting_down() || live.is_aged(guard.now());
                    if !draining && (ends || two && activity.has_asked()) {
                        draining = true;
                        live.parts();
                        connection.as_mut().graceful_shutdown();
                    }
                }
                State::Open => {}
            },
            _ = connection.as_mut() => return,
            () = quiet.as_mut(), if !(draining && two) => match activity.judge(limits(guard, two)) {
                Verdict::Silent => return live.parts(),
                Verdict::Keep(until) => quiet.as_mut().reset(until),
                // Of HTTP/1.1 there is at most half a header section, which is no reason to wait longer.
                Verdict::Idle if draining => return,
                Verdict::Idle => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                    let slow = two || activity.is_writing();
                    let left = if slow { guard.limits().drain } else { PREFACE };
                    live.drain(guard.now().saturating_add(left));
                    quiet.as_mut().reset(later(Instant::now(), left));
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

/// How long a connection may take to ask for the first time, and afterwards between two requests. One of HTTP/1.1 has as long for the
/// next header section, from the last answer on, as for the first: one that comes byte by byte keeps no slot. An answer that a client
/// does not take waits as long as HTTP/2 may ask nothing.
fn limits(guard: &Guard, two: bool) -> (Duration, Duration, Duration) {
    let limits = guard.limits();
    let idle = if two {
        limits.idle
    } else {
        limits.idle.min(limits.header)
    };
    (limits.header, idle, limits.idle)
}

type Connection<T, S> = Served<TokioIo<Revocable<TlsStream<T>>>, TowerToHyperService<Ours<S>>>;

/// Has hyper take a connection that was let in. No part of the task that waits for it: what this borrows would be kept there for
/// as long as the connection.
fn begin<T, S, B>(
    door: &Door,
    stream: TlsStream<T>,
    registered: Registered,
    activity: &Activity,
    (span, remote): (Span, Remote),
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
    let live = registered.live();
    let service = Ours {
        carried: spoken.carries(),
        carry: Carry::new(&door.guard, live, activity, span, remote.address(), app),
    };
    let stream = TokioIo::new(Revocable::new(stream, registered).telling(activity));
    let service = TowerToHyperService::new(service);
    let connection = door.protocols.serve(spoken, stream, service);
    (connection, spoken)
}

/// The service of a connection that we serve ourselves.
#[derive(Clone)]
struct Ours<S> {
    carried: Carried,
    carry: Carry<S>,
}

impl<S, R> Service<Request<Incoming>> for Ours<S>
where
    S: Service<Request<RequestBody>, Response = Response<R>> + Clone,
{
    type Response = Answered<R>;
    type Error = S::Error;
    type Future = Answers<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.carry.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        self.carry.ask(self.carried, request, RequestBody::new)
    }
}
