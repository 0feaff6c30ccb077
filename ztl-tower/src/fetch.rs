//! One `GET` over a connection that is there: what is asked says nothing of us, and no more is read than may come.

use core::pin::pin;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, LOCATION};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Most bytes of an answer's header section.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most fields of it.
const MAX_FIELDS: usize = 64;

/// What came back.
pub(crate) enum Answer {
    /// `200`, with this body.
    Body(Bytes),
    /// Another status, and where it leads where that is said once.
    Other {
        status: StatusCode,
        #[cfg_attr(
            not(feature = "federation"),
            allow(dead_code, reason = "only federation follows a redirect")
        )]
        location: Option<String>,
    },
}

/// Nothing that counts came back.
pub(crate) enum Fault {
    /// The exchange broke off.
    Broken(Box<dyn core::error::Error + Send + Sync>),
    /// There is more body than may come.
    TooLong,
}

impl From<hyper::Error> for Fault {
    fn from(error: hyper::Error) -> Self {
        Self::Broken(error.into())
    }
}

/// Asks for JSON at `target`. Whoever gives the future up closes the connection.
pub(crate) async fn get<S>(
    stream: S,
    authority: &str,
    target: &str,
    max_bytes: usize,
) -> Result<Answer, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // No field but these: no cookie, no credential, nothing of the environment.
    let request = Request::get(target)
        .header(HOST, authority)
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| Fault::Broken(error.into()))?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_FIELDS)
        .handshake(TokioIo::new(stream))
        .await?;
    let exchange = async { read(sender.send_request(request).await?, max_bytes).await };
    // Both live in this future.
    let (mut exchange, mut connection) = (pin!(exchange), pin!(connection));
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut exchange => return answer,
            _ = &mut connection, if open => open = false,
        }
    }
}

async fn read(response: Response<Incoming>, max_bytes: usize) -> Result<Answer, Fault> {
    let status = response.status();
    if status != StatusCode::OK {
        let mut locations = response.headers().get_all(LOCATION).iter();
        let location = locations.next().and_then(|location| location.to_str().ok());
        let location = location.filter(|_| locations.next().is_none());
        return Ok(Answer::Other {
            status,
            location: location.map(str::to_owned),
        });
    }
    match Limited::new(response.into_body(), max_bytes)
        .collect()
        .await
    {
        Ok(whole) => Ok(Answer::Body(whole.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(Fault::TooLong),
        Err(error) => Err(Fault::Broken(error)),
    }
}
