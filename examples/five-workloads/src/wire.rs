//! One HTTP exchange by hand: a socket, rustls where asked for, hyper. What came back is told exactly: a status, or the TLS
//! alert and whether a single byte of HTTP had been answered before it.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{AlertDescription, ClientConfig};
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::tap::{Seen, Tap};

/// Longest time that one exchange may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);
/// Longest answer that is read.
const MAX_BODY: usize = 64 * 1024;

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    pub(crate) const BOTH: [Self; 2] = [Self::Http1, Self::Http2];

    /// The one of a request.
    pub(crate) fn of(version: Version) -> Self {
        if version == Version::HTTP_2 {
            Self::Http2
        } else {
            Self::Http1
        }
    }

    /// Its name in ALPN (RFC 7301 §6).
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
        }
    }
}

/// What is sent, from where, to whom.
#[derive(Clone)]
pub(crate) struct Call<'a> {
    pub(crate) from: IpAddr,
    pub(crate) to: SocketAddr,
    /// The host that the request and the handshake name.
    pub(crate) host: &'a str,
    /// Without it the exchange is in the clear.
    pub(crate) tls: Option<&'a Arc<ClientConfig>>,
    pub(crate) protocol: Protocol,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) body: &'a Value,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A response, its body read as JSON; null where it is none.
    Status(StatusCode, Value),
    /// The handshake was refused.
    Alert(AlertDescription),
    /// Neither.
    Failed(String),
}

/// An answer, and how many bytes of HTTP were in it.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) answer: Answer,
    pub(crate) http_bytes: usize,
}

impl Exchange {
    /// The body of a response.
    pub(crate) const fn body(&self) -> &Value {
        match &self.answer {
            Answer::Status(_, body) => body,
            Answer::Alert(_) | Answer::Failed(_) => &Value::Null,
        }
    }
}

/// Makes a connection for one request, and ends it.
pub(crate) async fn exchange(call: Call<'_>) -> Exchange {
    let seen = Arc::new(Seen::default());
    let answer = match timeout(DEADLINE, connect(&call, &seen)).await {
        Ok(Ok((status, body))) => Answer::Status(status, body),
        Ok(Err(error)) => match seen.alert() {
            Some(alert) => Answer::Alert(alert),
            None => Answer::Failed(chain(&*error)),
        },
        Err(_) => Answer::Failed(format!("no answer within {} seconds", DEADLINE.as_secs())),
    };
    Exchange {
        answer,
        http_bytes: seen.bytes(),
    }
}

type Reply = Result<(StatusCode, Value), Box<dyn Error + Send + Sync>>;

async fn connect(call: &Call<'_>, seen: &Arc<Seen>) -> Reply {
    let socket = match call.to {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(call.from, 0))?;
    let stream: TcpStream = socket.connect(call.to).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = call.tls else {
        return talk(Tap::new(stream, seen), call).await;
    };
    let mut config = ClientConfig::clone(tls);
    config.alpn_protocols = vec![call.protocol.as_str().into()];
    let name = ServerName::try_from(call.host.to_owned())?;
    let shaken = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    let stream = shaken.inspect_err(|error| seen.note(error))?;
    talk(Tap::new(stream, seen), call).await
}

async fn talk<S>(stream: S, call: &Call<'_>) -> Reply
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let io = TokioIo::new(stream);
    match call.protocol {
        Protocol::Http1 => {
            let (mut sender, connection) = http1::handshake(io).await?;
            let driven = tokio::spawn(connection);
            let sent = sender.send_request(request(call)?).await;
            let reply = read(sent).await;
            drop(sender);
            // How the connection ends matters to nobody once it has answered; an alert has been noted.
            let _ = driven.await;
            reply
        }
        Protocol::Http2 => {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            let driven = tokio::spawn(connection);
            let sent = sender.send_request(request(call)?).await;
            let reply = read(sent).await;
            drop(sender);
            let _ = driven.await;
            reply
        }
    }
}

fn request(call: &Call<'_>) -> http::Result<Request<Full<Bytes>>> {
    let scheme = if call.tls.is_some() { "https" } else { "http" };
    let mut request = Request::builder()
        .method(Method::from_bytes(call.method.as_bytes())?)
        .header(CONTENT_TYPE, "application/json");
    request = match call.protocol {
        Protocol::Http1 => request.uri(call.path).header(HOST, call.host),
        Protocol::Http2 => request.uri(format!("{scheme}://{}{}", call.host, call.path)),
    };
    if let Some(token) = call.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body(Full::from(call.body.to_string()))
}

async fn read(sent: hyper::Result<Response<Incoming>>) -> Reply {
    let response = sent?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BODY)
        .collect()
        .await?;
    Ok((
        status,
        serde_json::from_slice(&body.to_bytes()).unwrap_or_default(),
    ))
}

/// An error with all that caused it.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
