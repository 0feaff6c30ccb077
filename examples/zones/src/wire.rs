//! One connection by hand, over mutual TLS: a few bytes out, and what comes back, as the caller hears it.
//!
//! There is no guard at this end. A caller that was taken over has none either; its target has to hold alone.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest time that it may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Most that is read of an answer.
const MAX_ANSWER: u64 = 64 * 1024;

/// What is sent, from where, to whom.
pub(crate) struct Call<'a> {
    pub(crate) from: IpAddr,
    pub(crate) to: SocketAddr,
    pub(crate) host: &'a str,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) bytes: String,
    /// Whether the caller says that it has no more to say. An HTTP server would take that for a caller who has gone.
    pub(crate) ends: bool,
}

/// The status of an HTTP answer, the line of a broker, `alert` with its name, or why there was no answer.
pub(crate) async fn ask(call: Call<'_>) -> String {
    match timeout(DEADLINE, exchange(call)).await {
        Ok(Ok(answer)) => heard(&answer),
        Ok(Err(error)) => match error.get_ref().and_then(|held| held.downcast_ref()) {
            Some(rustls::Error::AlertReceived(alert)) => format!("alert {alert:?}"),
            _ => format!("no answer: {error}"),
        },
        Err(_) => "no answer in time".to_owned(),
    }
}

fn heard(answer: &str) -> String {
    let first = answer.lines().next().unwrap_or_default();
    let status = first
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    match status {
        Some(status) => status.to_owned(),
        None if first.is_empty() => "closed".to_owned(),
        None => first.to_owned(),
    }
}

async fn exchange(call: Call<'_>) -> io::Result<String> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(call.from, 0))?;
    let stream = socket.connect(call.to).await?;
    let name = ServerName::try_from(call.host.to_owned()).map_err(io::Error::other)?;
    let mut stream = TlsConnector::from(call.tls).connect(name, stream).await?;
    // In TLS 1.3 a client learns at its first read that it was refused; that it could not write says less.
    let _ = stream.write_all(call.bytes.as_bytes()).await;
    let _ = if call.ends {
        stream.shutdown().await
    } else {
        stream.flush().await
    };
    let mut answer = Vec::new();
    let read = (&mut stream)
        .take(MAX_ANSWER)
        .read_to_end(&mut answer)
        .await;
    match read {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}
