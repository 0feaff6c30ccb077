//! A proved connection to a target, ready to take requests.

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use ztl_core::FlowPermit;

use super::client::EgressBody;

/// A connection and the permit of its flow.
pub(super) struct Sender {
    pub(super) permit: FlowPermit,
    kind: Kind,
}

enum Kind {
    One(http1::SendRequest<EgressBody>),
    Two(http2::SendRequest<EgressBody>),
}

impl Sender {
    /// Speaks HTTP over a proved stream: the version that the handshake agreed on.
    pub(super) async fn start(
        stream: TlsStream<TcpStream>,
        permit: FlowPermit,
    ) -> hyper::Result<Self> {
        let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let io = TokioIo::new(stream);
        let kind = if two {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .handshake(io)
                .await?;
            tokio::spawn(async move { drop(connection.await) });
            Kind::Two(sender)
        } else {
            let (sender, connection) = http1::handshake(io).await?;
            tokio::spawn(async move { drop(connection.with_upgrades().await) });
            Kind::One(sender)
        };
        Ok(Self { permit, kind })
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
                permit: self.permit.clone(),
                kind: Kind::Two(sender.clone()),
            }),
        }
    }

    pub(super) async fn send(
        &mut self,
        mut request: Request<EgressBody>,
    ) -> hyper::Result<Response<Incoming>> {
        match &mut self.kind {
            Kind::One(sender) => {
                // HTTP/1.1 takes the origin form and a Host field, which the client has set.
                *request.version_mut() = Version::HTTP_11;
                let target = request.uri().path_and_query().cloned();
                *request.uri_mut() = target.map(http::Uri::from).unwrap_or_default();
                sender.send_request(request).await
            }
            Kind::Two(sender) => {
                *request.version_mut() = Version::HTTP_2;
                request.headers_mut().remove(http::header::HOST);
                sender.send_request(request).await
            }
        }
    }
}

/// Boxes whatever body a request has.
pub(super) fn boxed<B>(body: B) -> EgressBody
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
{
    use http_body_util::BodyExt;
    body.map_err(Into::into).boxed_unsync()
}
