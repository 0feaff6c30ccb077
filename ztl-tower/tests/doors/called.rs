//! Requests on a flow, put to a guard without a listener.

use ztl_core::{FlowPermit, Peer, Proof};

use super::*;

/// The flow of a caller to the workload `gateway`.
#[expect(
    clippy::disallowed_methods,
    reason = "the test stands for the verifier"
)]
pub(super) fn flow(guard: &Guard, caller: &str) -> FlowPermit {
    let proof = Proof::X509 {
        id: support::id(caller),
        leaf_sha256: [0; 32].into(),
        serial: Box::new([1]),
        not_after: ztl_core::Timestamp::MAX,
    };
    let peer = Peer::assertion(proof, "test");
    let arrival = Arrival::from_addr("127.0.0.1".parse().expect("address"));
    let flow = Flow::ingress("gateway", 8443, arrival, Some(&peer));
    let permitted = guard.engine().permit_flow(&flow, now());
    permitted.expect("a flow")
}

/// What comes of a request for a path of an app, and whether it has a `Retry-After`.
pub(super) fn ask(
    guard: &Guard,
    flow: &FlowPermit,
    path: &str,
    app: Router,
) -> impl Future<Output = (StatusCode, bool)> + Send + use<> {
    let request = Request::get(path).header("host", "a");
    let mut request = request.body(axum::body::Body::empty()).expect("request");
    request.extensions_mut().insert(flow.clone());
    let app = guard.authorize().layer(app);
    async move {
        let response = app.oneshot(request).await.expect("response");
        let later = response.headers().contains_key("retry-after");
        (response.status(), later)
    }
}
