//! One `GET` over a connection that is there: what is asked says nothing of us, and no more is read than may come.

mod error;
#[cfg(any(
    feature = "bundle",
    feature = "oidc",
    all(feature = "client", feature = "trust")
))]
mod web;

use core::pin::pin;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, HeaderName, IF_NONE_MATCH, LOCATION,
};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

pub use error::FetchError;
#[cfg(feature = "oidc")]
pub(crate) use web::from_web;
#[cfg(any(feature = "bundle", all(feature = "client", feature = "trust")))]
pub(crate) use web::{Credentials, from_web_with};

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

/// What is asked beside the target.
#[derive(Default)]
pub(crate) struct Question<'a> {
    /// Most bytes of body.
    pub(crate) most: usize,
    /// What we show.
    pub(crate) authorization: Option<HeaderValue>,
    /// What may come: JSON where nothing is said.
    pub(crate) accept: Option<&'static str>,
    /// What we would rather have (RFC 7240).
    pub(crate) prefer: Option<String>,
    /// Of what we have: `304` is answered where that is the newest.
    pub(crate) etag: Option<&'a str>,
}

/// What an answer says of its body.
#[derive(Default)]
pub(crate) struct Said {
    #[cfg_attr(
        not(any(feature = "bundle", feature = "trust")),
        allow(
            dead_code,
            reason = "only bundles and signals are asked for again by it"
        )
    )]
    pub(crate) etag: Option<String>,
    #[cfg_attr(
        not(feature = "bundle"),
        allow(dead_code, reason = "only a server of bundles says anything by it")
    )]
    pub(crate) content_type: Option<String>,
}

/// Asks for JSON at `target`. Whoever gives the future up closes the connection.
#[cfg(feature = "federation")]
pub(crate) async fn get<S>(
    stream: S,
    authority: &str,
    target: &str,
    most: usize,
) -> Result<Answer, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let question = Question {
        most,
        ..Question::default()
    };
    let answered = get_with(stream, authority, target, question).await;
    answered.map(|(answer, _)| answer)
}

/// Asks for what the question says, and answers with what is said of it.
pub(crate) async fn get_with<S>(
    stream: S,
    authority: &str,
    target: &str,
    question: Question<'_>,
) -> Result<(Answer, Said), FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |error: BoxError| FetchError::Broken {
        host: authority.to_owned(),
        error,
    };
    // No field but these: no cookie, no credential that was not asked for, nothing of the environment.
    let request = Request::get(target)
        .header(HOST, authority)
        .header(ACCEPT, question.accept.unwrap_or("application/json"));
    let request = match question.authorization {
        Some(value) => request.header(AUTHORIZATION, value),
        None => request,
    };
    let request = match question.etag {
        Some(etag) => request.header(IF_NONE_MATCH, etag),
        None => request,
    };
    let request = match question.prefer {
        Some(prefer) => request.header("prefer", prefer),
        None => request,
    };
    let request = request
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
        let response = response.map_err(|error| broken(error.into()))?;
        let said = Said {
            etag: once(&response, ETAG),
            content_type: once(&response, CONTENT_TYPE),
        };
        let answer = read(response, authority, question.most).await?;
        Ok((answer, said))
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
        return Ok(Answer::Other {
            status,
            location: once(&response, LOCATION),
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

/// A field that is there once, and a text.
fn once(response: &Response<Incoming>, name: HeaderName) -> Option<String> {
    let mut values = response.headers().get_all(name).iter();
    let value = values.next().and_then(|value| value.to_str().ok());
    let value = value.filter(|_| values.next().is_none());
    value.map(str::to_owned)
}
