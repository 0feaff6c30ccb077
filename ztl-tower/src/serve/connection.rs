//! One connection, from its handshake to its end.

use core::net::SocketAddr;
use core::pin::pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;
use tower_service::Service;
use ztl_core::FlowPermit;

use super::activity::{Activity, Running, Verdict};
use super::handshake::Door;
use super::listener::Knock;
use crate::authorize::{Authorize, ResponseBody};
use crate::guard::Guard;

/// How often an open connection is looked at by the wall clock: timers sleep with the machine (T23).
const SWEEP: Duration = Duration::from_secs(1);
/// Largest header section of a request, in bytes.
const MAX_HEADER_BYTES: u32 = 32 * 1024;
/// The same for HTTP/1.1, where it bounds what is read ahead as well.
const MAX_BUFFER_BYTES: usize = 32 * 1024;
/// Most bytes that wait to be sent on one HTTP/2 stream.
const MAX_SEND_BYTES: usize = 64 * 1024;
/// How often an HTTP/2 client that says nothing is asked whether it is there, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);

pub(super) async fn serve<S, B>(door: &Door, stream: TcpStream, remote: SocketAddr, app: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
{
    let guard = &door.guard;
    // Before anything is judged, so that no change slips in between.
    let mut changes = guard.changes();
    let mut shutdown = guard.shutdown_signal();
    let mut seen = (guard.engine().epoch(), guard.engine().trust_generation());
    let Some((stream, permit)) = door.admit(Knock { stream, remote }).await else {
        return;
    };
    let permit = Arc::new(ArcSwap::from_pointee(permit));
    let activity = Activity::new();
    let service = Carry {
        permit: Arc::clone(&permit),
        activity: activity.clone(),
        inner: Authorize::new(app, guard.clone()),
    };
    // RFC 9113 §3.2: HTTP/2 over TLS is what ALPN says, so nothing waits for a first byte to tell.
    let builder = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => builder(guard).http2_only(),
        _ => builder(guard).http1_only(),
    };
    let mut connection =
        pin!(builder.serve_connection_with_upgrades(
            TokioIo::new(stream),
            TowerToHyperService::new(service)
        ));
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut draining = false;
    let mut cut = pin!(tokio::time::sleep(Duration::MAX));
    let mut quiet = pin!(tokio::time::sleep(guard.limits().header));
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            changed = changes.changed() => if changed.is_err() || !still_permitted(guard, &permit) { return },
            _ = sweep.tick() => {
                // Also what no notification told: the engine may be changed by itself.
                let now = (guard.engine().epoch(), guard.engine().trust_generation());
                if guard.now() >= permit.load().expires_at() {
                    // Recorded as the denial that it is.
                    let _ = still_permitted(guard, &permit);
                    return;
                }
                if now != seen && !still_permitted(guard, &permit) {
                    return;
                }
                seen = now;
            },
            () = quiet.as_mut(), if !draining => match activity.judge(&guard.limits()) {
                Verdict::Silent => return,
                Verdict::Keep(until) => quiet.as_mut().reset(until),
                Verdict::Idle => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                    cut.set(tokio::time::sleep(guard.limits().drain));
                }
            },
            _ = shutdown.wait_for(|stop| *stop), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
                cut.set(tokio::time::sleep(guard.limits().drain));
            },
            () = cut.as_mut(), if draining => return,
        }
    }
}

/// Judges the flow of a live connection again and keeps the new permit (law 8).
fn still_permitted(guard: &Guard, permit: &ArcSwap<FlowPermit>) -> bool {
    match guard.engine().renew_flow(&permit.load(), guard.now()) {
        Ok(renewed) => {
            permit.store(Arc::new(renewed));
            true
        }
        Err(_) => false,
    }
}

fn builder(guard: &Guard) -> auto::Builder<TokioExecutor> {
    let limits = guard.limits();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(MAX_BUFFER_BYTES)
        .max_headers(128);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_send_buf_size(MAX_SEND_BYTES)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .enable_connect_protocol();
    builder
}

/// Puts the flow permit of the connection into each of its requests.
#[derive(Clone)]
struct Carry<S> {
    permit: Arc<ArcSwap<FlowPermit>>,
    activity: Activity,
    inner: Authorize<S>,
}

impl<S, R> Service<Request<Incoming>> for Carry<S>
where
    S: Service<Request<Incoming>, Response = Response<R>>,
{
    type Response = Response<Running<ResponseBody<R>>>;
    type Error = S::Error;
    type Future = Running<<Authorize<S> as Service<Request<Incoming>>>::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Service::<Request<Incoming>>::poll_ready(&mut self.inner, cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        request
            .extensions_mut()
            .insert(FlowPermit::clone(&self.permit.load()));
        let opens_stream = request.extensions().get::<hyper::ext::Protocol>().is_some();
        let ticket = self.activity.begin();
        Running::new(self.inner.call(request), ticket, opens_stream)
    }
}
