//! T30: no record is longer than a line of the chain may be, whatever the document and the request hold.

use ztl_core::audit::chain::MAX_LINE_BYTES;
use ztl_core::authorizer::{
    Authorizer, AuthorizerError, Demands, Facts, Opinion, Reads, Spoken, Version,
};
use ztl_core::policy::Format;
use ztl_core::{Action, Evidence, HeaderPairs, ObligationKinds};

use super::support::{Question, loader};
use super::*;

/// Agrees, obliges to this, and speaks by a version of the longest name.
#[derive(Debug)]
struct Obliging(Demands);

impl Authorizer for Obliging {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn objects(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        Ok(false)
    }

    fn speaks(&self, _: &Facts<'_>) -> Spoken {
        let version = Version::new([7; 32], Some(&turned()));
        Spoken::new(Ok(Opinion::Agrees(self.0.clone()))).by(Some(version))
    }
}

/// The longest that a text of a record can get: each of its 256 characters is written as six.
fn turned() -> String {
    "\u{202e}".repeat(256)
}

/// So many names of header fields, each as long as one may be.
fn fields(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{at:0>256}")).collect()
}

/// What became of one request of the question under these permits, and the chain that tells of it.
fn chain(
    permits: &[Value],
    authorizers: &[(String, Demands)],
    question: &Question,
) -> (Result<(), Reason>, Vec<u8>) {
    let loader = (authorizers.iter()).fold(loader(), |loader, (name, demands)| {
        loader.with_authorizer(name, Arc::new(Obliging(demands.clone())))
    });
    let policy = loader.load(&document(permits, &[]).to_string(), Format::Json);
    let policy = policy.unwrap_or_else(|error| panic!("{error}"));
    let disk = Disk::default();
    let sink = quiet().deny_when_full().to_writer(disk.clone(), NOW);
    let engine = Engine::new(policy, sink.expect("sink")).expect("engine");
    let engine = engine.with_obligations(ObligationKinds::none().with_log().with_schema());
    let caller = peer(ROUTER);
    let arrival = Arrival::from_addr("10.10.0.5".parse().expect("address"));
    let flow = Flow::ingress("gateway", 8443, arrival, Some(&caller));
    let permit = engine.permit_flow(&flow, NOW).expect("flow");
    let action = Action::request("GET", "/v1/a").expect("action");
    let (claims, headers) = (question.claims(), HeaderPairs(&question.headers));
    let evidence: Evidence<'_> = question.evidence(claims.as_ref(), &headers, None);
    let asked = engine.authorize(&permit, &action, &evidence, NOW);
    let asked = asked.map(drop).map_err(|denial| denial.reason());
    drop(engine);
    (asked, disk.bytes())
}

fn question() -> Question {
    Question::get(ROUTER, "gateway", 8443, "/v1/a")
}

fn longest(bytes: &[u8]) -> usize {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::len);
    lines.max().expect("a line")
}

#[test]
fn t30_a_permit_that_logs_the_most_fields_is_a_line_that_can_be_verified() {
    let permit = json!({
        "from": "router", "to": "gateway", "actions": ["any"], "oblige": { "log": fields(256) },
    });
    let (asked, bytes) = chain(&[permit], &[], &question());
    assert_eq!(asked, Ok(()));
    assert!(verify(&bytes).expect("holds").is_whole());
    let told = &lines(&bytes)[2]["obligations"];
    assert_eq!(told["log"], json!(fields(32)));
    assert_eq!(told["log_more"], 224);
    assert!(longest(&bytes) < 16 * 1024, "{}", longest(&bytes));
}

#[test]
fn t30_a_permit_that_asks_the_most_authorizers_is_a_line_that_can_be_verified() {
    let names: Vec<_> = (0..256).map(|at| format!("asked-{at:0>50}")).collect();
    let permit = json!({
        "from": "router", "to": "gateway", "actions": ["any"], "require": { "authorizer": names },
    });
    let authorizers = names.iter().map(|name| (name.clone(), Demands::none()));
    let authorizers: Vec<_> = authorizers.collect();
    let (asked, bytes) = chain(&[permit], &authorizers, &question());
    assert_eq!(asked, Ok(()));
    assert!(verify(&bytes).expect("holds").is_whole());
    let record = &lines(&bytes)[2];
    let told = record["authorizers"].as_object().expect("some").len();
    assert!(told > 3, "{told}");
    assert_eq!(record["authorizers_more"], 256 - told);
    assert!(longest(&bytes) < 16 * 1024, "{}", longest(&bytes));
}

#[test]
fn rule_7_an_authorizer_that_logs_a_field_of_a_name_too_long_fails() {
    let permit = json!({
        "from": "router", "to": "gateway", "actions": ["any"], "require": { "authorizer": "wordy" },
    });
    for (bytes, wanted) in [(256, Ok(())), (257, Err(Reason::AuthorizerFailed))] {
        let demands = Demands::none().with_log(["x".repeat(bytes).as_str()]);
        let authorizers = [("wordy".to_owned(), demands)];
        let (asked, _) = chain(core::slice::from_ref(&permit), &authorizers, &question());
        assert_eq!(asked, wanted, "{bytes}");
    }
}

#[test]
fn t30_a_record_too_long_for_a_line_is_none() {
    // Each part as long as it can get.
    let names: Vec<_> = (0..8).map(|at| format!("asked-{at:0>50}")).collect();
    let authorizers = names.iter().map(|name| {
        let demands = Demands::none().with_schema(&turned());
        let fields = fields(256);
        let demands = demands.with_log(fields.iter().map(String::as_str));
        (name.clone(), demands)
    });
    let authorizers: Vec<_> = authorizers.collect();
    let mut permits = vec![json!({
        "from": "router", "to": "gateway", "actions": ["any"],
        "require": {
            "authorizer": names, "token": {}, "headers": { "x-a": [turned()], "x-b": [turned()] },
        },
    })];
    permits.extend((0..32).map(|at| {
        let name = format!("shadow-{at:0>50}");
        json!({ "name": name, "from": "router", "to": "gateway", "actions": ["any"], "mode": "shadow" })
    }));
    let party = |act: Value| json!({ "iss": turned(), "sub": turned(), "act": act });
    let innermost = json!({ "iss": turned(), "sub": turned() });
    let claims = (0..8).fold(innermost, |act, _| party(act));
    let value: &'static str = turned().leak();
    let header = |name: &'static str, count: usize| vec![(name, value.as_bytes()); count];
    let question = Question {
        claims: Some(claims),
        headers: [header("x-a", 4), header("x-b", 8)].concat(),
        ..question()
    };
    let (asked, bytes) = chain(&permits, &authorizers, &question);
    assert_eq!(asked, Err(Reason::AuditUnavailable));
    assert!(verify(&bytes).expect("holds").is_whole());
    assert!(longest(&bytes) < MAX_LINE_BYTES);
}
