//! Rule 56: nothing of a decision is kept. On one permit of a flow each input changes the verdict, at once and back again.

use std::sync::atomic::{AtomicBool, Ordering};

use ztl_core::audit::MemorySink;
use ztl_core::authorizer::{Authorizer, AuthorizerError, Facts, Reads};
use ztl_core::{
    Action, Arrival, Attributes, Claims, Engine, Evidence, Flow, HeaderPairs, LeafDigest, Peer,
    Proof, SpiffeId, Timestamp, TrustScore,
};

use super::*;

/// Says what is in force, as the policy of a bundle does.
#[derive(Debug, Default)]
struct Bundle(AtomicBool);

impl Authorizer for Bundle {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn objects(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        Ok(self.0.load(Ordering::SeqCst))
    }
}

/// What one request is judged by.
#[derive(Clone)]
struct Inputs {
    path: &'static str,
    score: TrustScore,
    claims: Claims,
    posture: Attributes,
    context: Attributes,
    tenant: &'static [u8],
    forwarded: Option<SpiffeId>,
    now: Timestamp,
}

fn attributes(name: &str, holds: bool) -> Attributes {
    let values = json!({ name: holds });
    let values = values.as_object().expect("object").clone();
    Attributes::new(values, NOW, Timestamp::MAX)
}

fn id(name: &str) -> SpiffeId {
    SpiffeId::parse(&format!("spiffe://prod.example/{name}")).expect("id")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test vouches for its own claims"
)]
fn claims(team: &str) -> Claims {
    let claims =
        json!({ "iss": "https://idp.example", "sub": "alice", "scope": "infer", "team": team });
    let claims = claims.as_object().expect("object").clone();
    Claims::assertion(claims, Timestamp::MAX, "test")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test vouches for its own peers"
)]
fn router() -> Peer {
    let proof = Proof::X509 {
        id: id("router"),
        leaf_sha256: LeafDigest::from([7; 32]),
        serial: [1].into(),
        not_after: Timestamp::MAX,
    };
    Peer::assertion(proof, "test")
}

const DOCUMENT: &str = r#"
schema = 1
trust_domain = "prod.example"
[issuers.idp]
issuer = "https://idp.example"
[workloads.router]
id = "spiffe://prod.example/router"
forwards = ["browser", "kiosk"]
[workloads.browser]
id = "spiffe://prod.example/browser"
[workloads.kiosk]
id = "spiffe://prod.example/kiosk"
[workloads.models]
id = "spiffe://prod.example/models"
ports = [8443]
[[permit]]
name = "asks-for-all"
from = "router"
to = "models"
actions = "POST /v1/models/{model}/infer"
[permit.require]
trust_score = 50
token = { issuer = "idp", scopes = ["infer"] }
headers = { x-tenant = ["a"] }
when = "posture.encrypted && context.open && token.claims.team == 'search' && params.model == 'llama'"
authorizer = "bundle"
[[forbid]]
name = "no-kiosk"
from = "kiosk"
to = "models"
"#;

#[test]
fn rule_56_on_one_permit_of_a_flow_each_input_changes_the_verdict_and_back() {
    let bundle = Arc::new(Bundle::default());
    let asked: Arc<dyn Authorizer> = bundle.clone();
    let loader = loader().with_authorizer("bundle", asked);
    let load = |text: &str| {
        let loaded = loader.load(text, Format::Toml);
        loaded.unwrap_or_else(|error| panic!("{error}"))
    };
    let audit = Arc::new(MemorySink::new(1000));
    let engine = Engine::new(load(DOCUMENT), Arc::clone(&audit)).expect("engine");
    let peer = router();
    let flow = Flow::ingress("models", 8443, Arrival::unknown(), Some(&peer));
    let permit = engine.permit_flow(&flow, NOW).expect("flow");
    let ask = |inputs: &Inputs| {
        let fields: [(&str, &[u8]); 1] = [("x-tenant", inputs.tenant)];
        let fields = HeaderPairs(&fields);
        let mut evidence = Evidence::none()
            .with_trust_score(inputs.score)
            .with_claims(&inputs.claims)
            .with_posture(&inputs.posture)
            .with_context(&inputs.context)
            .with_headers(&fields);
        evidence.forwarded = inputs.forwarded.as_ref();
        let action = Action::request("POST", inputs.path).expect("an action");
        match engine.authorize(&permit, &action, &evidence, inputs.now) {
            Ok(_) => "permitted",
            Err(denial) => denial.reason().code(),
        }
    };
    let score = |value| TrustScore::new(value, NOW, Timestamp::MAX).expect("a score");
    let good = Inputs {
        path: "/v1/models/llama/infer",
        score: score(50),
        claims: claims("search"),
        posture: attributes("encrypted", true),
        context: attributes("open", true),
        tenant: b"a",
        forwarded: Some(id("browser")),
        now: NOW,
    };
    assert_eq!(ask(&good), "permitted");
    let ends = NOW.saturating_add(core::time::Duration::from_secs(30));
    let short = TrustScore::new(90, NOW, ends).expect("a score");
    type Change<'a> = (&'a str, Box<dyn Fn(&mut Inputs) + 'a>, &'a str);
    let changes: [Change<'_>; 9] = [
        (
            "score",
            Box::new(|it| it.score = score(49)),
            "requirement_unmet",
        ),
        (
            "token",
            Box::new(|it| it.claims = claims("ads")),
            "objected",
        ),
        (
            "posture",
            Box::new(|it| it.posture = attributes("encrypted", false)),
            "objected",
        ),
        (
            "context",
            Box::new(|it| it.context = attributes("open", false)),
            "objected",
        ),
        (
            "field",
            Box::new(|it| it.tenant = b"b"),
            "requirement_unmet",
        ),
        (
            "parameter",
            Box::new(|it| it.path = "/v1/models/other/infer"),
            "objected",
        ),
        (
            "action",
            Box::new(|it| it.path = "/v1/models"),
            "no_action_permitted",
        ),
        (
            "forwarded id",
            Box::new(|it| it.forwarded = Some(id("kiosk"))),
            "forbidden",
        ),
        (
            "time",
            Box::new(|it| (it.score, it.now) = (short, ends)),
            "evidence_stale",
        ),
    ];
    for (what, change, reason) in &changes {
        let mut other = good.clone();
        change(&mut other);
        assert_eq!(ask(&other), *reason, "{what}");
        // A clock does not go back; all else does.
        let again = Inputs {
            now: other.now,
            ..good.clone()
        };
        assert_eq!(ask(&again), "permitted", "{what}, and back");
    }
    let good = Inputs { now: ends, ..good };
    // What is asked beside the request changes as well: a bundle, and the document itself.
    bundle.0.store(true, Ordering::SeqCst);
    assert_eq!(ask(&good), "objected");
    bundle.0.store(false, Ordering::SeqCst);
    assert_eq!(ask(&good), "permitted");
    let stricter = DOCUMENT.replace("trust_score = 50", "trust_score = 51");
    engine.swap_policy(load(&stricter)).expect("swapped");
    assert_eq!(ask(&good), "requirement_unmet");
    engine.swap_policy(load(DOCUMENT)).expect("swapped");
    assert_eq!(ask(&good), "permitted");
    engine.withdraw_flows();
    assert_eq!(ask(&good), "flow_withdrawn");
    // Each was judged, and recorded as what it was.
    assert_eq!(audit.lines().len(), 1 + 1 + 2 * changes.len() + 5);
}
