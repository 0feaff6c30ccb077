//! What a good document becomes.

use super::*;
use crate::id::IdPattern;
use crate::policy::HeaderRequire;
use crate::policy::document::{Mfa, Mode, Principal, Target};
use crate::reason::Verdict;

const WHOLE: &str = r#"
schema = 1
serial = 7
trust_domain = "prod.example"
trust_domain_aliases = ["old.example"]
relays = "10.9.0.0/24"

[zones.production]
trust = 3
networks = ["10.10.0.0/16", "fd00:10::/64"]

[workloads.retriever]
id = "spiffe://prod.example/ns/agents/sa/retriever"
zone = "production"
labels = { tier = "middle", "app.kubernetes.io/name" = "Retriever_1" }
hosts = ["Retriever.prod.example."]
asserted_by = "edge"

[workloads.model-server]
id = "spiffe://prod.example/ns/models/sa/model-server"
ports = [8443]
public_ports = 443

[external.search]
hosts = "api.search.example"

[external.mail]
hosts = ["mx.example.org"]
ports = [465, 587]

[issuers.corp]
issuer = "https://corp.example"
audience = "models"
jwks_file = "keys/corp.json"

[[forbid]]
name = "things-stay-with-things"
from = "zone:iot"
to = "zone:production"
when = "params.x == 1"

[[permit]]
name = "retriever-infers"
from = ["retriever", "label:tier=middle", "trust-domain:old.example", "any"]
to = ["model-server", "spiffe://prod.example/ns/models/**", "external:search"]
ports = [8443, "9000-9010"]
actions = ["POST /v1/models/{model}/infer", "grpc a.B/*"]
why = "it asks the models"
controls = ["NIST SP 800-207 2.1.3"]
mode = "shadow"

[permit.require]
trust_score = 70
zone_trust = 255
token = { issuer = "corp", audience = "models", scopes = ["infer"], claims = { team = "a", level = 2, on = true } }
mfa = "phishing-resistant"
headers = { x-tenant = ["a", "b"], x-one = "c" }
when = 'params.model in token.claims.models'
authorizer = "fraud"

[[permit]]
from = "public"
to = "any"
actions = "any"
anonymous = true

[[never]]
from = "spiffe://prod.example/ns/agents/sa/router"
to = "label:tier=data"
why = "it is the crown"
controls = ["ISO 27001 A.8.3"]

[[test]]
from = "retriever"
from_addr = "10.10.0.7"
to = "model-server"
port = 8443
method = "POST"
path = "/v1/models/m/infer"
headers = { x-tenant = "a" }
claims = { models = ["m"] }
trust_score = 71
now = 1790000000
expect = "deny"
reason = "no_flow_permitted"
rule = "things-stay-with-things"

[end]
rules = 4
"#;

#[test]
fn every_key_of_a_document_is_read() {
    let document = load(WHOLE, Format::Toml).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(document.serial, Some(7));
    assert_eq!(document.trust_domain.value.as_str(), "prod.example");
    assert_eq!(document.aliases[0].value.as_str(), "old.example");
    assert_eq!(document.relays[0].value.to_string(), "10.9.0.0/24");

    let zone = &document.zones[0];
    assert_eq!(
        (&*zone.name.value, zone.trust, zone.networks.len()),
        ("production", 3, 2)
    );

    let [retriever, server] = &document.workloads[..] else {
        panic!("two workloads")
    };
    assert_eq!(&*retriever.name.value, "retriever");
    assert_eq!(retriever.id.value.path(), "/ns/agents/sa/retriever");
    assert_eq!(
        retriever.zone.as_ref().map(|zone| &*zone.value),
        Some("production")
    );
    assert_eq!(
        retriever.labels["app.kubernetes.io/name"].as_ref(),
        "Retriever_1"
    );
    // Rule 42.
    assert_eq!(&*retriever.hosts[0].value, "retriever.prod.example");
    assert_eq!(&*retriever.asserted_by[0].value, "edge");
    assert_eq!(
        (server.ports[0].value, server.public_ports[0].value),
        (8443, 443)
    );

    assert_eq!(&*document.externals[0].hosts[0].value, "api.search.example");
    let ports = |at: usize| {
        document.externals[at]
            .ports
            .iter()
            .map(|port| port.value)
            .collect::<Vec<_>>()
    };
    assert_eq!((ports(0), ports(1)), (vec![443], vec![465, 587]));
    let issuer = &document.issuers[0];
    assert_eq!(&*issuer.issuer.value, "https://corp.example");
    assert_eq!(
        issuer.audience.as_ref().map(|audience| &*audience.value),
        Some("models")
    );
    assert_eq!(
        issuer.jwks_file.as_ref().map(|file| &*file.value),
        Some("keys/corp.json")
    );
    assert_eq!(document.end_rules.map(|rules| rules.value), Some(4));
}

#[test]
fn every_key_of_a_rule_is_read() {
    let document = load(WHOLE, Format::Toml).unwrap_or_else(|error| panic!("{error}"));
    // In the order of the text, permits and forbids mixed; a rule without a name is called by its place in its kind.
    let [forbid, permit, public] = &document.rules[..] else {
        panic!("three rules")
    };
    assert_eq!(
        [forbid, permit, public].map(|rule| (&*rule.name.value, rule.effect.as_str(), rule.mode)),
        [
            ("things-stay-with-things", "forbid", Mode::Enforce),
            ("retriever-infers", "permit", Mode::Shadow),
            ("permit-2", "permit", Mode::Enforce),
        ]
    );
    assert_eq!(forbid.from[0].value, Principal::Zone("iot".into()));
    assert_eq!(forbid.to[0].value, Target::Zone("production".into()));
    assert_eq!(
        forbid.when.as_ref().map(|when| &*when.value),
        Some("params.x == 1")
    );
    assert!(forbid.actions.is_empty() && forbid.ports.is_empty() && !forbid.anonymous);

    assert_eq!(permit.from.len(), 4);
    assert_eq!(
        permit.from[1].value,
        Principal::Label {
            key: "tier".into(),
            value: "middle".into()
        }
    );
    let below = IdPattern::parse("spiffe://prod.example/ns/models/**").expect("pattern");
    assert_eq!(permit.to[1].value, Target::Id(below));
    assert_eq!(permit.to[2].value, Target::External("search".into()));
    let ports: Vec<_> = permit
        .ports
        .iter()
        .map(|range| range.value.to_string())
        .collect();
    assert_eq!(ports, ["8443", "9000-9010"]);
    assert_eq!(permit.actions[1].value.to_string(), "grpc a.B/*");
    assert_eq!(permit.why.as_deref(), Some("it asks the models"));
    assert_eq!(&*permit.controls[0], "NIST SP 800-207 2.1.3");
    let shown = WHOLE
        .get(permit.span.start..permit.span.end)
        .expect("a place in the text");
    assert!(shown.starts_with("[[permit]]\nname = \"retriever-infers\""));
    assert!(shown.ends_with("authorizer = \"fraud\""));

    assert!(public.anonymous);
    assert_eq!(public.from[0].value, Principal::Public);
    assert_eq!(public.to[0].value, Target::Any);
}

#[test]
fn every_requirement_is_read() {
    let document = load(WHOLE, Format::Toml).unwrap_or_else(|error| panic!("{error}"));
    let require = &document.rules[1].require;
    assert_eq!(require.trust_score.map(|score| score.value), Some(70));
    assert_eq!(require.zone_trust.map(|trust| trust.value), Some(255));
    assert_eq!(
        require.mfa.map(|mfa| mfa.value),
        Some(Mfa::PhishingResistant)
    );
    let token = &require.token.as_ref().expect("a token").value;
    assert_eq!(
        token.issuer.as_ref().map(|issuer| &*issuer.value),
        Some("corp")
    );
    assert_eq!(token.audience.as_deref(), Some("models"));
    assert_eq!(&*token.scopes[0], "infer");
    let claims: Vec<_> = token
        .claims
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(claims, ["team=\"a\"", "level=2", "on=true"]);
    let HeaderRequire { name, values } = &require.headers[0];
    assert_eq!((&*name.value, values.len()), ("x-tenant", 2));
    assert_eq!(&*require.headers[1].values[0], "c");
    assert!(require.when.is_some());
    assert_eq!(&*require.authorizer[0].value, "fraud");

    let document = read(
        "[[permit]]\nfrom = \"public\"\nto = \"a\"\nactions = \"any\"\nrequire = { token = {}, mfa = true }\n",
    );
    let require = &document.rules[0].require;
    assert!(
        require
            .token
            .as_ref()
            .is_some_and(|token| token.value.claims.is_empty())
    );
    assert_eq!(require.mfa.map(|mfa| mfa.value), Some(Mfa::Any));
}

#[test]
fn nevers_and_tests_are_read() {
    let document = load(WHOLE, Format::Toml).unwrap_or_else(|error| panic!("{error}"));
    let never = &document.nevers[0];
    assert_eq!(&*never.name.value, "never-1");
    assert!(matches!(
        &never.from[0].value,
        Principal::Id(IdPattern::Exact(_))
    ));
    assert!(matches!(&never.to[0].value, Target::Label { .. }));
    assert_eq!(&*never.controls[0], "ISO 27001 A.8.3");

    let test = &document.tests[0];
    assert_eq!((&*test.name, test.expect), ("test-1", Verdict::Deny));
    assert_eq!(test.reason.as_deref(), Some("no_flow_permitted"));
    assert_eq!(test.rule.as_deref(), Some("things-stay-with-things"));
    assert_eq!(
        serde_json::Value::Object(test.request.clone()),
        serde_json::json!({
            "from": "retriever", "from_addr": "10.10.0.7", "to": "model-server", "port": 8443, "method": "POST",
            "path": "/v1/models/m/infer", "headers": { "x-tenant": "a" }, "claims": { "models": ["m"] },
            "trust_score": 71, "now": 1_790_000_000,
        })
    );
}

#[test]
fn json_is_the_same_document() {
    let document = load(WHOLE, Format::Toml).expect("a good document");
    let json = parse_toml(WHOLE).expect("TOML").to_json().to_string();
    let json_document = load(&json, Format::Json).expect("a good document");
    assert_eq!(document.revision, json_document.revision);
    assert_eq!(document.rules.len(), json_document.rules.len());
    assert_eq!(document.tests[0].request, json_document.tests[0].request);
}

#[test]
fn an_empty_document_declares_nothing() {
    let document = read("");
    assert!(
        document.rules.is_empty() && document.workloads.is_empty() && document.end_rules.is_none()
    );
    let document = load(
        "{\"schema\": 1, \"trust_domain\": \"a\", \"permit\": [], \"zones\": {}, \"end\": {\"rules\": 0}}",
        Format::Json,
    )
    .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(document.end_rules.map(|rules| rules.value), Some(0));
}

#[test]
fn the_file_name_says_the_format() {
    for (path, format) in [
        ("policy.toml", Format::Toml),
        ("a/policy.json", Format::Json),
        ("POLICY.JSON", Format::Json),
        ("json", Format::Toml),
        ("policy.json.bak", Format::Toml),
        ("", Format::Toml),
    ] {
        assert_eq!(Format::of_path(Path::new(path)), format, "{path}");
    }
}
