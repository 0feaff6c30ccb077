//! The question, and the core's own time for it.

use std::path::Path;
use std::time::Duration;

use cpu_time::ThreadTime;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use ztl_core::audit::MemorySink;
use ztl_core::policy::Policy;
use ztl_core::{
    Action, Arrival, Engine, Evidence, Flow, FlowPermit, HeaderPairs, Timestamp, is_host,
};
use ztl_mtls::{BundleSet, Bundles, Prover, Purpose, TrustBundle, provider};

const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"

[workloads.router]
id = "spiffe://prod.example/router"
[workloads.model-server]
id = "spiffe://prod.example/model-server"
ports = [8443]

[[permit]]
name = "router-infers"
from = "router"
to = "model-server"
actions = ["POST /v1/models/{model}/infer", "GET /v1/live", "GET /v1/who"]
"#;

/// The time at which everything is asked.
pub(crate) const NOW: u64 = 1_790_000_000;
/// How many decisions one figure is of.
pub(crate) const COUNT: u32 = 100_000;

const FIELDS: [(&str, &[u8]); 4] = [
    ("host", b"model-server"),
    ("accept", b"*/*"),
    ("x-tenant", b"blue"),
    ("x-tenant", b""),
];

/// A flow of the router's.
pub(crate) struct Asked {
    engine: Engine,
    flow: FlowPermit,
}

impl Asked {
    /// Makes policy and certificates, and leaves them in the folder for the others.
    pub(crate) fn new(folder: &Path) -> Self {
        let at = |unix| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(unix);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (params.not_before, params.not_after) = (at(NOW - 3600), at(NOW + 86_400));
        let key = KeyPair::generate().expect("a key");
        let root = params.self_signed(&key).expect("a root");
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::default();
        let id = "spiffe://prod.example/router".try_into().expect("ASCII");
        params.subject_alt_names = vec![SanType::URI(id)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        (params.not_before, params.not_after) = (at(NOW - 3600), at(NOW + 3600));
        let key = KeyPair::generate().expect("a key");
        let leaf = params.signed_by(&key, &issuer).expect("a leaf");
        let write = |name, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect(name);
        write("policy.toml", POLICY.as_bytes());
        write("root.der", root.der());
        write("root.pem", root.pem().as_bytes());
        write("leaf.der", leaf.der());

        let domain = ztl_core::TrustDomain::parse("prod.example").expect("a trust domain");
        let bundle = TrustBundle::from_der(domain, [root.der().clone()]).expect("a bundle");
        let bundles = Bundles::new(BundleSet::new([bundle]).expect("one bundle"));
        let now = Timestamp::from_unix_secs(NOW);
        let peer = Prover::new(bundles, &provider())
            .prove(&[leaf.der().clone()], now, Purpose::Client)
            .expect("proved");
        let policy = Policy::from_toml(POLICY).expect("a policy");
        // As much audit as an engine of C has without a file.
        let engine = Engine::new(policy, MemorySink::new(1024)).expect("an engine");
        let from = Arrival::from_addr("10.0.0.7".parse().expect("an address"));
        let flow = Flow::ingress("model-server", 8443, from, Some(&peer));
        let flow = engine.permit_flow(&flow, now).expect("permitted");
        Self { engine, flow }
    }

    /// ns of processor time a decision.
    pub(crate) fn ns(&self) -> f64 {
        let now = Timestamp::from_unix_secs(NOW);
        timed(|| {
            let fields = HeaderPairs(&FIELDS);
            let action = Action::request("POST", "/v1/models/llama/infer").expect("an action");
            let evidence = Evidence::none().with_headers(&fields);
            let permit = self.engine.authorize(&self.flow, &action, &evidence, now);
            let _ = std::hint::black_box(permit).expect("permitted");
        })
    }

    /// The same with what a host in Rust would have to do besides, as the C library does: look for fields that ask for another host,
    /// method or target, judge the flow under the policy in force, and take the id and the rule for its own log.
    pub(crate) fn ns_with_duties(&self) -> f64 {
        let now = Timestamp::from_unix_secs(NOW);
        timed(|| {
            let host = owed(std::hint::black_box(&FIELDS)).expect("nothing is asked for twice");
            assert!(host.is_none_or(is_host), "a host");
            let flow = self.engine.renew_flow(&self.flow, now).expect("permitted");
            let fields = HeaderPairs(&FIELDS);
            let action = Action::request("POST", "/v1/models/llama/infer").expect("an action");
            let evidence = Evidence::none().with_headers(&fields);
            let permit = self.engine.authorize(&flow, &action, &evidence, now);
            let permit = permit.expect("permitted");
            let mut rule = [0_u8; 72];
            let name = permit.rule().as_bytes();
            rule[..name.len()].copy_from_slice(name);
            std::hint::black_box((rule, permit.id().as_u128(), permit.expires_at()));
        })
    }
}

fn timed(ask: impl Fn()) -> f64 {
    let start = ThreadTime::now();
    for _ in 0..COUNT {
        ask();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(COUNT)
}

/// The host that is asked for; none where something is asked for twice, or otherwise than by the request line.
fn owed<'a>(fields: &[(&str, &'a [u8])]) -> Option<Option<&'a [u8]>> {
    let mut host = None;
    for (name, value) in fields {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 | 10 if is("host") || is(":authority") => {
                if host.replace(*value).is_some() {
                    return None;
                }
            }
            7 if is("upgrade") => return None,
            13 if is("x-http-method") || is("x-rewrite-url") => return None,
            14 if is("x-original-url") => return None,
            17 if is("x-method-override") => return None,
            22 if is("x-http-method-override") => return None,
            _ => {}
        }
    }
    Some(host)
}
