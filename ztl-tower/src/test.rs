//! Tests without sockets: what stands for the handshake, and what is to be said of an answer.
//!
//! ```
//! # #[cfg(feature = "axum-core")]
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use axum::{Router, routing::get};
//! use http::Request;
//! use tower::{Layer, ServiceExt};
//! use ztl_tower::core::Reason;
//! use ztl_tower::{Peer, assert_denied, assert_permitted, test};
//!
//! let policy = r#"
//! schema = 1
//! trust_domain = "prod.example"
//! [workloads]
//! cart = { id = "spiffe://prod.example/cart" }
//! shop = { id = "spiffe://prod.example/shop", ports = 8443 }
//! [[permit]]
//! name = "cart-reads"
//! from = "cart"
//! to = "shop"
//! actions = ["GET /v1/items/{id}"]
//! "#;
//! let app = Router::new().route("/v1/items/{id}", get(async |peer: Peer| peer.id().to_string()));
//!
//! let guard = test::guard("shop", policy).await;
//! let cart = test::handshake(&guard, test::peer("spiffe://prod.example/cart")).layer(app);
//! let ask = |path: &str| cart.clone().oneshot(Request::get(path).body(axum::body::Body::empty()).unwrap());
//! assert_permitted!(ask("/v1/items/7").await.unwrap());
//! assert_denied!(ask("/v1/orders").await.unwrap(), Reason::NoActionPermitted);
//! # });
//! ```

#![expect(
    clippy::expect_used,
    reason = "it serves tests, which end where something does not fit"
)]

use core::net::IpAddr;
use core::task::{Context, Poll};
use core::time::Duration;

use http::header::HOST;
use http::{HeaderValue, Request, Response};
use tower_layer::Layer;
use tower_service::Service;
use ztl_core::audit::{MemorySink, Sink};
use ztl_core::policy::Policy;
use ztl_core::{Arrival, Engine, EngineError, Flow, Peer, Reason, SpiffeId};
use ztl_mtls::DevCa;

use crate::authorize::{Authorize, Refused, ResponseBody, ResponseFuture};
use crate::duty::AnyBody;
use crate::guard::{Guard, GuardBuilder, default_provider, wall_clock};
use crate::host::ServerName;

/// A peer that nobody proved. Only a guard that was built [for tests](GuardBuilder::for_test) takes it (T18).
///
/// # Panics
/// The text is no SPIFFE ID.
#[must_use]
#[track_caller]
pub fn peer(id: &str) -> Peer {
    Peer::for_test(SpiffeId::parse(id).expect("a SPIFFE ID"))
}

/// A guard of the workload of this name for tests alone: its SVID is of a development authority made for it, and its records go to
/// [a ring in memory](MemorySink).
///
/// # Panics
/// The policy does not load or has no such workload; or as [`GuardBuilder::build`].
pub async fn guard(workload: &str, policy: &str) -> Guard {
    builder(workload, policy).build().await.expect("a guard")
}

impl GuardBuilder {
    /// Takes peers that a test made up ([`test::peer`](peer)). No other guard takes them (T18).
    pub const fn for_test(mut self) -> Self {
        self.for_test = true;
        self
    }
}

pub(crate) fn engine(
    for_test: bool,
    policy: Policy,
    sink: Box<dyn Sink>,
) -> Result<Engine, EngineError> {
    if for_test {
        Engine::for_test(policy, sink)
    } else {
        Engine::new(policy, sink)
    }
}

/// The same to be built, with what the service adds to it: a token verifier, its own sink.
///
/// # Panics
/// The policy does not load or has no such workload.
pub fn builder(workload: &str, policy: &str) -> GuardBuilder {
    const HOUR: Duration = Duration::from_secs(3600);
    let policy = Policy::from_toml(policy).unwrap_or_else(|error| refuse(&error));
    let me = policy
        .workload_by_name(workload)
        .expect("a workload of the policy");
    let now = wall_clock();
    let provider = default_provider().expect("a crypto provider");
    let authority = DevCa::new(me.id().trust_domain(), now).expect("an authority");
    let svid = authority
        .issue(me.id(), now, HOUR, &provider)
        .expect("an SVID")
        .svid;
    Guard::builder(workload)
        .policy(policy)
        .identity(svid)
        .bundle(authority.bundle())
        .allow_dev_authority()
        .audit(MemorySink::new(1024))
        .for_test()
}

/// With the place and the caret, as an author sees it.
#[expect(clippy::panic, reason = "a test ends where its policy does not load")]
fn refuse(error: &ztl_core::policy::LoadError) -> Policy {
    panic!("{error}")
}

/// Stands for the handshake of this peer with the guard.
#[must_use]
pub fn handshake(guard: &Guard, peer: Peer) -> Handshake {
    Handshake::of(guard, Some(peer))
}

/// Stands for the handshake of somebody without an SVID at a public port.
#[must_use]
pub fn public(guard: &Guard) -> Handshake {
    Handshake::of(guard, None)
}

/// A layer that stands for a handshake: each request that passes it comes on a flow of its own, which the policy in force judges,
/// and is judged itself before the service sees it.
///
/// A flow that is not permitted would end with a TLS alert on the wire; here it is a response that [`assert_denied!`](crate::assert_denied)
/// reads. A request without a host gets the workload's name as one, as a client would send it.
#[derive(Clone, Debug)]
pub struct Handshake {
    guard: Guard,
    peer: Option<Peer>,
    arrival: Arrival,
    port: u16,
    server_name: Option<ServerName>,
}

impl Handshake {
    fn of(guard: &Guard, peer: Option<Peer>) -> Self {
        let policy = guard.engine().policy();
        let me = policy.workload_by_name(guard.name());
        let port = me.and_then(|me| match peer {
            Some(_) => me.default_port(),
            None => me.default_public_port(),
        });
        Self {
            guard: guard.clone(),
            peer,
            arrival: Arrival::unknown(),
            port: port.unwrap_or_default(),
            server_name: None,
        }
    }

    /// Where the connection comes from. Unknown where not said.
    #[must_use]
    pub fn from_addr(self, address: IpAddr) -> Self {
        Self {
            arrival: Arrival::from_addr(address),
            ..self
        }
    }

    /// On which port. The workload's only one where not said.
    #[must_use]
    pub fn on_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The server name that the client asks for in the handshake. None where not said.
    #[must_use]
    pub fn asking_for(self, server_name: &str) -> Self {
        Self {
            server_name: Some(ServerName::new(server_name)),
            ..self
        }
    }
}

impl<S> Layer<S> for Handshake {
    type Service = Shaken<S>;

    fn layer(&self, inner: S) -> Shaken<S> {
        Shaken {
            inner: Authorize::new(inner, self.guard.clone()),
            handshake: self.clone(),
        }
    }
}

/// A service behind a handshake that a test made up. Made by [`Handshake`].
#[derive(Clone, Debug)]
pub struct Shaken<S> {
    inner: Authorize<S>,
    handshake: Handshake,
}

impl<S, B, R> Service<Request<B>> for Shaken<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: AnyBody,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Service::<Request<B>>::poll_ready(&mut self.inner, cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Handshake {
            guard,
            peer,
            arrival,
            port,
            server_name,
        } = &self.handshake;
        if request.uri().authority().is_none() && !request.headers().contains_key(HOST) {
            let host = HeaderValue::from_str(guard.name()).expect("a name");
            request.headers_mut().insert(HOST, host);
        }
        crate::authorize::Moment::of(guard, request.extensions_mut());
        let flow = Flow::ingress(guard.name(), *port, *arrival, peer.as_ref());
        match guard.engine().permit_flow(&flow, guard.now()) {
            Ok(permit) => {
                request.extensions_mut().insert(permit);
                if let Some(name) = server_name {
                    request.extensions_mut().insert(name.clone());
                }
                self.inner.call(request)
            }
            Err(denial) => ResponseFuture::refused(guard, denial, &request.into_parts().0),
        }
    }
}

/// An open connection of a guard as a listener registers one, for whoever measures what that takes. Dropped, it is closed.
#[cfg(feature = "serve")]
#[doc(hidden)]
pub struct Registered(crate::live::Registered);

#[cfg(feature = "serve")]
impl Registered {
    /// Registers one. To be called within a tokio runtime.
    #[must_use]
    pub fn new(guard: &Guard) -> Self {
        let live = crate::live::Live::ingress(guard, Arrival::unknown(), 0, true);
        Self(crate::live::Registry::register(guard, live))
    }

    /// A request that runs on it until it is dropped.
    #[must_use]
    pub fn request(&self) -> impl Sized + use<> {
        let live = self.0.live();
        crate::live::Request::begin(
            live,
            crate::live::Carried::AmongOthers,
            live.hosted().begin(),
        )
    }
}

#[cfg(feature = "serve")]
impl core::fmt::Debug for Registered {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Registered").finish_non_exhaustive()
    }
}

/// What [`assert_permitted!`](crate::assert_permitted) does.
///
/// # Panics
/// It was refused.
#[doc(hidden)]
#[track_caller]
pub fn permitted<B>(response: &Response<B>) {
    let refused = response.extensions().get::<Refused>();
    let why = refused.map(|refused| (refused.denial().reason(), refused.denial().rule()));
    assert!(why.is_none(), "refused, with its rule: {why:?}");
}

/// What [`assert_denied!`](crate::assert_denied) does.
///
/// # Panics
/// It was let in, or refused for another reason or by another rule.
#[doc(hidden)]
#[track_caller]
pub fn denied<B>(response: &Response<B>, reason: Reason, rule: Option<&str>) {
    let refused = response.extensions().get::<Refused>();
    let denial = refused.expect("a refusal, and it was let in").denial();
    assert_eq!(denial.reason(), reason, "the reason of {denial:?}");
    if rule.is_some() {
        assert_eq!(denial.rule(), rule, "the rule of {denial:?}");
    }
}

/// Asserts that a response is the service's own.
#[macro_export]
macro_rules! assert_permitted {
    ($response:expr $(,)?) => {
        $crate::test::permitted(&$response)
    };
}

/// Asserts that a response is a refusal, for this reason, and by this rule: `assert_denied!(response, Reason::Forbidden, rule = "no-iot")`.
#[macro_export]
macro_rules! assert_denied {
    ($response:expr, $reason:expr $(,)?) => {
        $crate::test::denied(&$response, $reason, None)
    };
    ($response:expr, $reason:expr, rule = $rule:expr $(,)?) => {
        $crate::test::denied(&$response, $reason, Some($rule))
    };
}
