//! The layer.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::csp::{self, Csp};
use super::integrity::Nonce;
use super::origin::{self, Allowed, OriginError};
use crate::authorize::ResponseBody;

/// What else a response says, whatever its page needs.
const FIELDS: [(HeaderName, &str); 7] = [
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-embedder-policy"),
        "require-corp",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), autoplay=(), bluetooth=(), browsing-topics=(), camera=(), display-capture=(), encrypted-media=(), \
         fullscreen=(), gamepad=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), local-fonts=(), magnetometer=(), \
         microphone=(), midi=(), payment=(), publickey-credentials-create=(), publickey-credentials-get=(), \
         screen-wake-lock=(), serial=(), storage-access=(), usb=(), window-management=(), xr-spatial-tracking=()",
    ),
];

/// Puts the [boundary](crate::browser) around a service with pages: a [`Layer`].
#[derive(Clone, Debug)]
pub struct Browser(Arc<Settings>);

#[derive(Clone, Debug)]
struct Settings {
    csp: Csp,
    origins: Vec<String>,
    other_clients: bool,
}

/// Why a request was refused: in the extensions of its response, for outer layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrossSite {
    /// A field that says who asks is repeated or unknown.
    #[error("a field that says on whose behalf it is asked has more than one reading")]
    Ambiguous,
    /// Another origin wants something changed.
    #[error("another origin asks for something that may change something")]
    OtherOrigin,
    /// Another site wants it as a part of its page.
    #[error("another site asks for it as a part of its own page")]
    Embedded,
    /// Nobody says who wants something changed.
    #[error("nothing says on whose behalf it is asked for something that may change something")]
    Unsaid,
}

impl Browser {
    /// With this policy for pages.
    #[must_use]
    pub fn new(csp: Csp) -> Self {
        Self(Arc::new(Settings {
            csp,
            origins: Vec::new(),
            other_clients: false,
        }))
    }

    /// Lets an origin, such as `https://admin.example`, ask for changes.
    ///
    /// # Errors
    /// [`OriginError`] where it is none.
    pub fn allow_origin(mut self, origin: &str) -> Result<Self, OriginError> {
        // A browser names no other scheme as the origin of a request (RFC 6454 §7).
        if !csp::is_origin(origin) || !origin.starts_with("https://") {
            return Err(OriginError::of(origin));
        }
        Arc::make_mut(&mut self.0).origins.push(origin.to_owned());
        Ok(self)
    }

    /// Lets clients ask for changes that say neither `Sec-Fetch-Site` nor `Origin`: those that are no browsers, and browsers from
    /// before 2020.
    #[must_use]
    pub fn allow_other_clients(mut self) -> Self {
        Arc::make_mut(&mut self.0).other_clients = true;
        self
    }
}

impl Settings {
    /// Never weaker than what the service says itself.
    fn put(&self, headers: &mut HeaderMap, nonce: Option<&Nonce>) {
        for (name, value) in FIELDS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let text = self.csp.text(nonce);
        let value = HeaderValue::try_from(text);
        let none = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.append(CONTENT_SECURITY_POLICY, value.unwrap_or(none));
    }
}

impl<S> Layer<S> for Browser {
    type Service = Boundary<S>;

    fn layer(&self, inner: S) -> Boundary<S> {
        let settings = Arc::clone(&self.0);
        Boundary { inner, settings }
    }
}

/// A service behind the [boundary](crate::browser). Made by [`Browser`].
#[derive(Clone, Debug)]
pub struct Boundary<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S, B, R> Service<Request<B>> for Boundary<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = BoundaryFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let allowed = Allowed {
            origins: &self.settings.origins,
            other_clients: self.settings.other_clients,
        };
        let checked = origin::check(&parts, &allowed);
        let nonce = self
            .settings
            .csp
            .asks_for_nonce()
            .then(Nonce::draw)
            .flatten();
        parts.extensions.remove::<Nonce>();
        if let Some(nonce) = &nonce {
            parts.extensions.insert(nonce.clone());
        }
        let state = match checked {
            Ok(()) => State::Service {
                future: self.inner.call(Request::from_parts(parts, body)),
            },
            Err(why) => {
                tracing::warn!(target: "ztl", method = %parts.method, %why, "a request was refused at the boundary to browsers");
                State::Refused { why }
            }
        };
        BoundaryFuture {
            state,
            settings: Arc::clone(&self.settings),
            nonce,
        }
    }
}

pin_project! {
    /// The answer of the inner service, or a refusal.
    #[derive(Debug)]
    pub struct BoundaryFuture<F> {
        #[pin]
        state: State<F>,
        settings: Arc<Settings>,
        nonce: Option<Nonce>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum State<F> {
        Service { #[pin] future: F },
        Refused { why: CrossSite },
    }
}

impl<F, R, E> Future for BoundaryFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = match this.state.project() {
            Projected::Service { future } => {
                ready!(future.poll(cx))?.map(|body| ResponseBody::Service { body })
            }
            Projected::Refused { why } => refusal(*why),
        };
        this.settings
            .put(response.headers_mut(), this.nonce.as_ref());
        Poll::Ready(Ok(response))
    }
}

fn refusal<R>(why: CrossSite) -> Response<ResponseBody<R>> {
    // RFC 9457
    let body = Full::from("{\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403}");
    let mut response = Response::new(ResponseBody::Refusal { body });
    *response.status_mut() = StatusCode::FORBIDDEN;
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.extensions_mut().insert(why);
    response
}
