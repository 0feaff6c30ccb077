//! A guarded service, its policy, and who asks it.

use core::convert::Infallible;
use core::future::{Ready, ready};
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum_core::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt};
use ztl_authz::cel::Cel;
use ztl_authz::jwt::{Issuer, Jwks, TokenVerifier};
use ztl_authz::rego::RegoKind;
use ztl_core::audit::MemorySink;
use ztl_core::policy::{Format, Loader, Policy};
use ztl_core::{Arrival, Flow, FlowPermit, Peer, Proof, SpiffeId, Timestamp, TrustDomain};
use ztl_mtls::DevCa;
use ztl_tower::{Authorize, Guard};

use crate::token::{AUDIENCE, ISSUER, Signer};

/// A module with OPA's ABI, written by hand for the tests: some of its entrypoints never end.
const MODULE: &str = include_str!("../../../ztl-authz/tests/opa/policy.wat");
/// A policy that compares every number with every other.
const LOOPS: &str = "package loops\nallow if { some a in numbers.range(0, 9999); some b in numbers.range(0, 9999); a + b < 0 }\n";
/// How long a policy may take for one answer, as the document says it.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(50);

fn document() -> String {
    let mut text = format!(
        r#"
schema = 1
trust_domain = "prod.example"

[workloads.honest]
id = "spiffe://prod.example/honest"

[workloads.hostile]
id = "spiffe://prod.example/hostile"

[workloads.service]
id = "spiffe://prod.example/service"
ports = [8443]

[issuers.corp]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
"#
    );
    let timeout = TIMEOUT.as_millis();
    for (name, kind, file, entrypoint) in [
        ("readers", "opa", "policy.wasm", "policy/readers"),
        ("forever", "opa", "policy.wasm", "policy/forever"),
        ("grows", "opa", "policy.wasm", "policy/grows"),
        ("loops", "rego", "loops.rego", "loops/allow"),
    ] {
        text += &format!(
            "[authorizers.{name}]\nkind = \"{kind}\"\npolicy = \"{file}\"\nentrypoint = \"{entrypoint}\"\ntimeout = \"{timeout}ms\"\n"
        );
        let require = format!("authorizer = \"{name}\"");
        text += &permit(name, &require);
    }
    text += &permit("plain", "");
    let token = "token = { issuer = \"corp\" }";
    let reads = format!("{token}\nwhen = \"token.claims.role == 'reader'\"");
    text += &permit("token", &reads);
    // A list of lists, as long as the list multiplied by itself.
    let multiplies = "token.claims.list.map(x, token.claims.list.map(y, [x, y])).size() == 1";
    text += &permit("lists", &format!("{token}\nwhen = \"{multiplies}\""));
    text
}

/// A rule for both callers: to `GET` the path of that name.
fn permit(name: &str, require: &str) -> String {
    let mut rule = format!(
        "[[permit]]\nname = \"{name}\"\nfrom = [\"honest\", \"hostile\"]\nto = \"service\"\nactions = \"GET /{name}\"\n"
    );
    if !require.is_empty() {
        rule += &format!("[permit.require]\n{require}\n");
    }
    rule
}

fn policy() -> Policy {
    let module = wat::parse_str(MODULE.replace("BUILTINS", "{}")).expect("a module");
    let files = Arc::new(BTreeMap::from([
        ("policy.wasm".to_owned(), module),
        ("loops.rego".to_owned(), LOOPS.as_bytes().to_vec()),
    ]));
    let loader = Loader::new()
        .with_conditions(Arc::new(Cel::new()))
        .authorizer_kind("opa", Arc::new(RegoKind::wasm(files.clone())))
        .authorizer_kind("rego", Arc::new(RegoKind::interpreter(files)));
    let loaded = loader.load(&document(), Format::Toml);
    loaded.unwrap_or_else(|error| panic!("{error}"))
}

/// The guarded service, and the flows of its two callers.
pub(crate) struct Host {
    app: Authorize<Hello>,
    pub(crate) honest: FlowPermit,
    pub(crate) hostile: FlowPermit,
}

impl Host {
    /// Guards it. To be called within a tokio runtime.
    pub(crate) async fn new(signer: &Signer) -> Self {
        let domain = TrustDomain::parse("prod.example").expect("a trust domain");
        let authority = DevCa::new(domain, now()).expect("an authority");
        let service = SpiffeId::parse("spiffe://prod.example/service").expect("an ID");
        let life = Duration::from_secs(3600);
        let svid = authority.issue(&service, now(), life, &ztl_mtls::provider());
        let keys = Jwks::from_json(signer.jwks().as_bytes()).expect("keys");
        let issuer = Issuer::access_tokens("corp", ISSUER, AUDIENCE, keys);
        let tokens = TokenVerifier::builder().issuer(issuer).build();
        let guard = Guard::builder("service")
            .policy(policy())
            .identity(svid.expect("an SVID").svid)
            .bundle(authority.bundle())
            .allow_dev_authority()
            .token_verifier(tokens.expect("a verifier"))
            .audit(MemorySink::new(1024))
            .build()
            .await
            .expect("a guard");
        Self {
            honest: flow(&guard, "honest", 1),
            hostile: flow(&guard, "hostile", 2),
            app: guard.authorize().layer(Hello),
        }
    }

    /// One request on a flow, from its first look to its answer.
    pub(crate) fn ask(
        &self,
        flow: &FlowPermit,
        path: &str,
        token: Option<HeaderValue>,
    ) -> impl Future<Output = StatusCode> + Send + use<> {
        let mut request = Request::get(path)
            .header("host", "service.example")
            .extension(flow.clone())
            .body(Body::empty())
            .expect("a request");
        if let Some(token) = token {
            request.headers_mut().insert("authorization", token);
        }
        let asked = self.app.clone().oneshot(request);
        async move { asked.await.expect("never fails").status() }
    }
}

fn flow(guard: &Guard, caller: &str, last: u8) -> FlowPermit {
    let id = format!("spiffe://prod.example/{caller}");
    let proof = Proof::X509 {
        id: SpiffeId::parse(&id).expect("an ID"),
        leaf_sha256: [last; 32].into(),
        serial: Box::new([last]),
        not_after: Timestamp::MAX,
    };
    let peer = Peer::assertion(proof, "made up for a bench");
    let arrival = Arrival::from_addr([10, 0, 0, last].into());
    let flow = Flow::ingress("service", 8443, arrival, Some(&peer));
    guard.engine().permit_flow(&flow, now()).expect("permitted")
}

/// The time of day.
pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

/// The service behind the guard: whatever reaches it was permitted.
#[derive(Clone, Copy, Debug)]
struct Hello;

impl<B> Service<Request<B>> for Hello {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(Response::new(Full::from("hello"))))
    }
}
