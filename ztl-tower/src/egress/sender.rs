//! A proved connection to a target, ready to take requests.

use core::time::Duration;
use std::sync::Arc;

use http::header::{HOST, HeaderValue, TE};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::client::TlsStream;

use super::body::EgressBody;
use super::error::{is_access_denied, is_going_away};
use super::handover::Handover;
use super::live::{Tied, drive};
use crate::live::{Live, Registered, Revocable};

/// How often a silent HTTP/2 target is asked whether it is there, and how long it may take to say so (RFC 9113 §6.7).
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How long a failed request waits to hear how its connection ended.
const PARTING: Duration = Duration::from_secs(1);

/// A connection and the permit of its flow.
pub(super) struct Sender {
    pub(super) live: Arc<Live>,
    kind: Kind,
    handover: Handover,
    /// Once the connection has ended: whether the target refused the flow.
    refused: watch::Receiver<Option<bool>>,
}

enum Kind {
    One(http1::SendRequest<EgressBody>),
    Two(http2::SendRequest<EgressBody>),
}

impl Sender {
    /// Speaks HTTP over a proved stream, in the version that the handshake agreed on, while the flow is watched.
    pub(super) async fn start(
        stream: TlsStream<TcpStream>,
        registered: Registered,
    ) -> hyper::Result<Self> {
        let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let live = Arc::clone(registered.live());
        let io = TokioIo::new(Revocable::new(stream, registered));
        let (ended, refused) = refusal();
        let handover = Handover::default();
        let kind = if two {
            let (tied, tie) = Tied::new();
            let (sender, connection) = http2::Builder::new(tied)
                .timer(TokioTimer::new())
                .keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE)
                .keep_alive_while_idle(true)
                .handshake(io)
                .await?;
            let connection = tie.around(told(handover.taker(connection), ended));
            tokio::spawn(drive(connection, Arc::clone(&live)));
            Kind::Two(sender)
        } else {
            let (sender, connection) = http1::handshake(io).await?;
            let connection = told(handover.taker(connection), ended);
            tokio::spawn(drive(connection, Arc::clone(&live)));
            Kind::One(sender)
        };
        Ok(Self {
            live,
            kind,
            handover,
            refused,
        })
    }

    /// HTTP/1.1 over any stream, watched by nobody.
    #[cfg(test)]
    pub(super) async fn over(
        stream: tokio::io::DuplexStream,
        live: Arc<Live>,
    ) -> hyper::Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let (ended, refused) = refusal();
        let handover = Handover::default();
        tokio::spawn(told(handover.taker(connection), ended));
        let kind = Kind::One(sender);
        Ok(Self {
            live,
            kind,
            handover,
            refused,
        })
    }

    /// Whether the connection ended because the target refused the flow. hyper tells a request only that its connection is
    /// gone; why, it tells the connection.
    pub(super) async fn was_refused(&mut self) -> bool {
        let ended = self.refused.wait_for(Option::is_some);
        let ended = tokio::time::timeout(PARTING, ended).await;
        ended.is_ok_and(|ended| ended.is_ok_and(|refused| *refused == Some(true)))
    }

    /// Whether a request can be sent without waiting for an earlier one.
    pub(super) fn is_ready(&self) -> bool {
        match &self.kind {
            Kind::One(sender) => sender.is_ready(),
            Kind::Two(sender) => sender.is_ready(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match &self.kind {
            Kind::One(sender) => sender.is_closed(),
            Kind::Two(sender) => sender.is_closed(),
        }
    }

    /// The same connection for another request at the same time, where it can carry several.
    pub(super) fn share(&self) -> Option<Self> {
        match &self.kind {
            Kind::One(_) => None,
            Kind::Two(sender) => Some(Self {
                live: Arc::clone(&self.live),
                kind: Kind::Two(sender.clone()),
                handover: self.handover.clone(),
                refused: self.refused.clone(),
            }),
        }
    }

    pub(super) const fn carries_several(&self) -> bool {
        matches!(self.kind, Kind::Two(_))
    }

    /// Sends a request. `trailers` says that the caller takes trailers, which only HTTP/2 is told.
    pub(super) async fn send(
        &mut self,
        mut request: Request<EgressBody>,
        trailers: bool,
    ) -> Result<Response<Incoming>, Failed> {
        let sent = match &mut self.kind {
            Kind::One(sender) => {
                // HTTP/1.1 takes the origin form and a Host field, which the client has set.
                *request.version_mut() = Version::HTTP_11;
                let target = request.uri().path_and_query().cloned();
                *request.uri_mut() = target.map(http::Uri::from).unwrap_or_default();
                let sent = self.handover.give(|| sender.try_send_request(request));
                sent.await
            }
            Kind::Two(sender) => {
                *request.version_mut() = Version::HTTP_2;
                request.headers_mut().remove(HOST);
                if trailers {
                    request
                        .headers_mut()
                        .insert(TE, HeaderValue::from_static("trailers"));
                }
                let sent = self.handover.give(|| sender.try_send_request(request));
                sent.await
            }
        };
        sent.map_err(|failed| Failed {
            untaken: failed.message().is_some() || is_going_away(failed.error()),
            error: failed.into_error(),
        })
    }
}

/// A request that failed.
pub(super) struct Failed {
    /// Whether the connection did not take it: it was handed back before it was written, or the target said that it will not
    /// process it (RFC 9113 §6.8), which it also says of what comes after that.
    pub(super) untaken: bool,
    pub(super) error: hyper::Error,
}

fn refusal() -> (watch::Sender<Option<bool>>, watch::Receiver<Option<bool>>) {
    watch::channel(None)
}

/// Drives a connection to its end and tells whether that was a refusal.
async fn told<C>(connection: C, ended: watch::Sender<Option<bool>>)
where
    C: Future<Output = hyper::Result<()>>,
{
    let outcome = connection.await;
    ended.send_replace(Some(outcome.is_err_and(|error| is_access_denied(&error))));
}
