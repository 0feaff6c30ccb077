//! A service that says hello, its guard, and a caller that may ask.

use core::convert::Infallible;
use core::task::{Context, Poll};
use core::time::Duration;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use rustls_pki_types::CertificateDer;
use tower::Service;
use ztl_core::audit::Sink;
use ztl_core::policy::Policy;
use ztl_core::{Arrival, Flow, FlowPermit, Peer, Proof, SpiffeId, Timestamp};
use ztl_mtls::{TrustBundle, X509Svid};
use ztl_tower::Guard;

use crate::authority::{Authority, Issued, Secret};
use crate::document;
use crate::mesh::{Caller, Mesh, Pattern, Workload};

/// How many rules the policy of the service has.
const RULES: usize = 1_000;

/// A target of a mesh, one of its callers, and a path that the caller may `GET`.
pub struct Hello {
    mesh: Mesh,
    authority: Authority,
    target: Workload,
    caller: Workload,
    path: String,
}

impl Hello {
    /// Looks a rule up that permits one caller to `GET` one path.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Authority::new())
    }

    /// The same, and the same authority, in another process.
    #[must_use]
    pub fn from_secret(secret: &Secret) -> Self {
        Self::of(Authority::from_secret(secret))
    }

    fn of(authority: Authority) -> Self {
        let mesh = Mesh::new(RULES);
        let found = mesh
            .rules
            .iter()
            .find_map(|rule| match (&rule.caller, &rule.path) {
                (Caller::One(caller), Pattern::Exact(path)) if rule.methods & 1 == 1 => {
                    Some((rule.target, *caller, path.clone()))
                }
                _ => None,
            });
        let (target, caller, path) = found.expect("a rule for a GET");
        Self {
            target: mesh.workloads[target].clone(),
            caller: mesh.workloads[caller].clone(),
            path,
            mesh,
            authority,
        }
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The service: one route.
    pub fn router(&self) -> Router {
        Router::new().route(&self.path, get(async || "hello"))
    }

    /// The policy of the whole mesh.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    pub fn policy(&self, port: u16) -> Policy {
        Policy::from_toml(&document::toml(&self.mesh, port)).expect("a policy")
    }

    /// Its guard, under the policy of the whole mesh. To be called within a tokio runtime.
    pub async fn guard(&self, port: u16, audit: impl Sink + 'static) -> Guard {
        Guard::builder(&self.target.name)
            .policy(self.policy(port))
            .identity(self.service_svid())
            .bundle(self.authority.bundle())
            // All connections of a bench are one caller's.
            .max_connections_per_peer(usize::MAX)
            .max_requests_per_peer(usize::MAX)
            .max_unproved_per_prefix(usize::MAX)
            // Which also bounds how long an idle connection of HTTP/1.1 is kept.
            .header_timeout(Duration::from_secs(600))
            .audit(audit)
            .build()
            .await
            .expect("a guard")
    }

    /// The name of the service in its policy.
    #[must_use]
    pub fn service_name(&self) -> &str {
        &self.target.name
    }

    /// The permit of the caller's flow.
    pub fn permit(&self, guard: &Guard, port: u16) -> FlowPermit {
        let proof = Proof::X509 {
            id: id(&self.caller),
            leaf_sha256: [7; 32].into(),
            serial: Box::new([1]),
            not_after: Timestamp::MAX,
        };
        let peer = Peer::assertion(proof, "made up for a bench");
        let flow = Flow::ingress(&self.target.name, port, Arrival::unknown(), Some(&peer));
        guard.engine().permit_flow(&flow, now()).expect("permitted")
    }

    /// The caller's request on a permitted flow, as it is when the layer sees it.
    #[must_use]
    pub fn request(&self, permit: &FlowPermit) -> Request<Body> {
        Request::get(&self.path)
            .header("host", "hello.example")
            .extension(permit.clone())
            .body(Body::empty())
            .expect("a request")
    }

    /// Who issued all certificates.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The name of the caller in the policy, and the subject of its certificate.
    #[must_use]
    pub fn caller_name(&self) -> &str {
        &self.caller.name
    }

    /// The certificate and key of the service.
    #[must_use]
    pub fn service(&self) -> Issued {
        self.authority.issue(&self.target)
    }

    /// The same, loaded.
    #[must_use]
    pub fn service_svid(&self) -> X509Svid {
        self.service().svid
    }

    /// The certificate and key of the caller.
    #[must_use]
    pub fn caller_svid(&self) -> X509Svid {
        self.authority.issue(&self.caller).svid
    }

    /// Those of a workload of the mesh that may ask the service for nothing.
    ///
    /// # Panics
    /// Where every workload may ask for something.
    #[must_use]
    pub fn stranger_svid(&self) -> X509Svid {
        let targets = self.mesh.by_target();
        let rules = &targets[self.target.name.as_str()];
        let may_ask = |workload: &Workload| {
            let mut rules = rules.iter();
            rules.any(|rule| self.mesh.speaks_of(rule, &workload.id))
        };
        let stranger = self.mesh.workloads.iter().find(|one| !may_ask(one));
        self.authority.issue(stranger.expect("a stranger")).svid
    }

    /// The authorities that all were issued by.
    #[must_use]
    pub fn roots(&self) -> Vec<CertificateDer<'static>> {
        self.authority.bundle().certificates().to_vec()
    }

    /// The same as a bundle.
    #[must_use]
    pub fn bundle(&self) -> TrustBundle {
        self.authority.bundle()
    }
}

impl Default for Hello {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Hello {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hello")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn id(workload: &Workload) -> SpiffeId {
    SpiffeId::parse(&workload.id).expect("a SPIFFE ID")
}

/// The time of day.
#[must_use]
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// A layer's service that does nothing.
#[derive(Clone, Debug)]
pub struct NoOp<S>(pub S);

impl<S, R> Service<R> for NoOp<S>
where
    S: Service<R, Error = Infallible>,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.call(request)
    }
}

/// Calls a service that answers at once, as a server does for each request, and reads its answer.
///
/// # Panics
/// Where the answer is late, or is not `hello`.
pub fn call<S, B>(service: &S, request: Request<Body>)
where
    S: Service<Request<Body>, Response = http::Response<B>, Error = Infallible> + Clone,
    B: http_body_util::BodyExt<Data = bytes::Bytes>,
    B::Error: core::fmt::Debug,
{
    use tower::ServiceExt;
    let answer = at_once(service.clone().oneshot(request)).expect("never fails");
    assert_eq!(answer.status(), 200);
    let body = at_once(answer.into_body().collect())
        .expect("a body")
        .to_bytes();
    assert_eq!(&body[..], b"hello");
}

fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = core::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(core::task::Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("late"),
    }
}
