//! The proxy: a request comes in on the one side and goes out on the other.

use core::convert::Infallible;
use core::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use ztl_tower::{Client, EgressError, RequestBody};

/// How long the target has for the head of its response.
const PATIENCE: Duration = Duration::from_secs(10);

/// What callers say about who sent a request: nobody behind us may take it for what we say.
const HEARSAY: [HeaderName; 4] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-client-cert"),
    HeaderName::from_static("x-real-ip"),
];

pub(crate) type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// Passes a request on to the workload `target`, and its response back.
///
/// The path and query go on as they came: they were judged as they are, and the target judges them again. Fields that belong to
/// one connection are taken away by the client.
pub(crate) async fn pass(
    client: Client,
    target: &str,
    request: Request<RequestBody>,
) -> Result<Response<Body>, Infallible> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = format!("https://{target}{path}").parse::<Uri>() else {
        return Ok(plain(StatusCode::BAD_REQUEST));
    };
    parts.uri = uri;
    for name in &HEARSAY {
        parts.headers.remove(name);
    }
    let sent = client.request(Request::from_parts(parts, body));
    Ok(match tokio::time::timeout(PATIENCE, sent).await {
        Ok(Ok(response)) => response.map(Incoming::boxed_unsync),
        // Our own policy does not let it through to there: what is not permitted is not there.
        Ok(Err(EgressError::Denied(_))) => plain(StatusCode::FORBIDDEN),
        Ok(Err(error)) => {
            eprintln!("edge: {error}");
            plain(StatusCode::BAD_GATEWAY)
        }
        Err(_) => plain(StatusCode::GATEWAY_TIMEOUT),
    })
}

fn plain(status: StatusCode) -> Response<Body> {
    let body = Full::new(Bytes::new()).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response
}
