//! One `GET` over a connection that is there: what is asked says nothing of us, and no more is read than may come.

mod error;
#[cfg(feature = "oidc")]
mod web;

use core::pin::pin;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, LOCATION};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

pub use error::FetchError;
#[cfg(feature = "oidc")]
pub(crate) use web::from_web;

/// Most bytes of an answer's header section.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most fields of it.
const MAX_FIELDS: usize = 64;

type BoxError = Box<dyn core::error::Error + Send + Sync>;

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

/// Asks for JSON at `target`. Whoever gives the future up closes the connection.
pub(crate) async fn get<S>(
    stream: S,
    authority: &str,
    target: &str,
    most: usize,
) -> Result<Answer, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |error: BoxError| FetchError::Broken {
        host: authority.to_owned(),
        error,
    };
    // No field but these: no cookie, no credential, nothing of the environment.
    let request = Request::get(target)
        .header(HOST, authority)
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| broken(error.into()))?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_FIELDS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(error.into()))?;
    let exchange = async {
        let response = sender.send_request(request).await;
        read(
            response.map_err(|error| broken(error.into()))?,
            authority,
            most,
        )
        .await
    };
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

async fn read(
    response: Response<Incoming>,
    authority: &str,
    most: usize,
) -> Result<Answer, FetchError> {
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
    match Limited::new(response.into_body(), most).collect().await {
        Ok(whole) => Ok(Answer::Body(whole.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLong {
            host: authority.to_owned(),
            most,
        }),
        Err(error) => Err(FetchError::Broken {
            host: authority.to_owned(),
            error,
        }),
    }
}
