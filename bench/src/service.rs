//! A service that says hello, its guard, and a caller that may ask.

use core::convert::Infallible;
use core::task::{Context, Poll};
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use rustls_pki_types::CertificateDer;
use tower::Service;
use ztl_core::audit::Sink;
use ztl_core::policy::Policy;
use ztl_core::{Arrival, Flow, FlowPermit, Peer, Proof, SpiffeId, Timestamp, TrustDomain};
use ztl_mtls::{DevCa, TrustBundle, X509Svid};
use ztl_tower::Guard;

use crate::document;
use crate::mesh::{Caller, Mesh, Pattern, TRUST_DOMAIN, Workload};

/// How many rules the policy of the service has.
const RULES: usize = 1_000;
/// How long its certificates are good.
const LIFE: Duration = Duration::from_secs(3600);

/// A target of a mesh, one of its callers, and a path that the caller may `GET`.
pub struct Hello {
    mesh: Mesh,
    authority: DevCa,
    target: Workload,
    caller: Workload,
    path: String,
}

/// An authority's certificate and key, in PEM.
pub struct Secret {
    /// The certificate.
    pub bundle: String,
    /// The key.
    pub key: String,
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret")
    }
}

impl Hello {
    /// Looks a rule up that permits one caller to `GET` one path.
    #[must_use]
    pub fn new() -> Self {
        let domain = TrustDomain::parse(TRUST_DOMAIN).expect("a trust domain");
        Self::of(DevCa::new(domain, now()).expect("an authority"))
    }

    /// The same, and the same authority, in another process.
    #[must_use]
    pub fn from_secret(secret: &Secret) -> Self {
        Self::of(DevCa::from_pem(&secret.bundle, &secret.key).expect("an authority"))
    }

    /// What another process needs to speak as the caller.
    #[must_use]
    pub fn secret(&self) -> Secret {
        Secret {
            bundle: self.authority.bundle_pem().to_owned(),
            key: self.authority.key_pem(),
        }
    }

    fn of(authority: DevCa) -> Self {
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
    #[must_use]
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
            .identity(self.svid(&self.target))
            .bundle(self.authority.bundle())
            .allow_dev_authority()
            // All connections of a bench are one caller's.
            .max_connections_per_peer(usize::MAX)
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
    #[must_use]
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

    /// The certificate and key of the service.
    #[must_use]
    pub fn service_svid(&self) -> X509Svid {
        self.svid(&self.target)
    }

    /// The certificate and key of the caller.
    #[must_use]
    pub fn caller_svid(&self) -> X509Svid {
        self.svid(&self.caller)
    }

    /// The authorities that both were issued by.
    #[must_use]
    pub fn roots(&self) -> Vec<CertificateDer<'static>> {
        self.authority.bundle().certificates().to_vec()
    }

    /// The same as a bundle.
    #[must_use]
    pub fn bundle(&self) -> TrustBundle {
        self.authority.bundle()
    }

    fn svid(&self, workload: &Workload) -> X509Svid {
        let issued = self
            .authority
            .issue(&id(workload), now(), LIFE, &ztl_mtls::provider());
        issued.expect("an SVID").svid
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
///
/// # Panics
/// Where the clock stands before 1970.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    Timestamp::from_unix_millis(since.as_millis() as u64)
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
