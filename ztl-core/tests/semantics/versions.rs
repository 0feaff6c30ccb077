//! Which version of what an authorizer is made from spoke, where the revision of the policy does not cover it (T24).

use std::sync::Arc;

use ztl_core::audit::MemorySink;
use ztl_core::authorizer::{
    Authorizer, AuthorizerError, Demands, Facts, ObjectionCode, Opinion, Reads, Spoken, Version,
};
use ztl_core::policy::Format;
use ztl_core::{Action, Arrival, Engine, Evidence, Flow, ObligationKinds};

use super::*;

/// Says so, by a version whose digest has this byte throughout.
#[derive(Debug)]
struct Says(Result<Opinion, AuthorizerError>, u8, Option<&'static str>);

impl Authorizer for Says {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn objects(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        Ok(!matches!(self.0.clone()?, Opinion::Agrees(_)))
    }

    fn speaks(&self, _: &Facts<'_>) -> Spoken {
        Spoken::new(self.0.clone()).by(Some(Version::new([self.1; 32], self.2)))
    }
}

/// The record of one request under permits that ask these, each in its own order.
fn record(permits: &[&[&str]]) -> Value {
    let small = Demands::none().with_max_body(7);
    let objects = Opinion::Objects(ObjectionCode::new("because"));
    let says = [
        ("agrees", Says(Ok(Opinion::agrees()), 1, Some("1742"))),
        ("obliges", Says(Ok(Opinion::Agrees(small)), 2, None)),
        ("objects", Says(Ok(objects), 3, Some("a\u{202e}\nb"))),
        ("says-not-why", Says(Ok(Opinion::objects()), 4, None)),
        (
            "fails",
            Says(Err(AuthorizerError("no idea".into())), 5, Some("5")),
        ),
    ];
    let loader = says
        .into_iter()
        .fold(support::loader(), |loader, (name, says)| {
            loader.with_authorizer(name, Arc::new(says))
        });
    let permits: Vec<Value> = permits
        .iter()
        .map(|asked| json!({ "name": asked.join("-and-"), "from": "router", "to": "gateway", "actions": ["any"], "require": { "authorizer": asked } }))
        .collect();
    let policy = loader.load(&document(&permits, &[]).to_string(), Format::Json);
    let policy = policy.unwrap_or_else(|error| panic!("{error}"));
    let audit = Arc::new(MemorySink::new(8));
    let engine = Engine::new(policy, Arc::clone(&audit)).expect("engine");
    let engine = engine.with_obligations(ObligationKinds::none().with_max_body());
    let caller = peer(ROUTER);
    let arrival = Arrival::from_addr("10.10.0.5".parse().expect("address"));
    let flow = Flow::ingress("gateway", 8443, arrival, Some(&caller));
    let permit = engine.permit_flow(&flow, NOW).expect("a flow");
    let action = Action::request("GET", "/v1/a").expect("a path");
    let authorized = engine.authorize(&permit, &action, &Evidence::none(), NOW);
    let lines = audit.lines();
    let text = lines.last().expect("a record");
    // No text of a bundle ends a line of the record, or turns it (T30).
    assert!(!text.contains(['\n', '\u{202e}']), "{text:?}");
    let line: Value = serde_json::from_str(text).expect("JSON");
    let verdict = if authorized.is_ok() { "permit" } else { "deny" };
    assert_eq!(line["verdict"], verdict, "{line}");
    line
}

fn version(byte: u8, revision: Option<&str>) -> Value {
    let mut version = json!({ "sha256": format!("{byte:02x}").repeat(32) });
    if let Some(revision) = revision {
        version["revision"] = revision.into();
    }
    version
}

#[test]
fn t24_the_record_says_by_what_the_deciding_rule_s_authorizers_spoke() {
    let line = record(&[&["agrees"]]);
    assert_eq!(
        (&line["verdict"], &line["rule"]),
        (&json!("permit"), &json!("agrees"))
    );
    assert_eq!(
        line["authorizers"],
        json!({ "agrees": version(1, Some("1742")) })
    );
    assert!(line["obligations"].is_null());

    let line = record(&[&["obliges", "agrees"]]);
    let both = json!({ "obliges": version(2, None), "agrees": version(1, Some("1742")) });
    assert_eq!(line["authorizers"], both);
    assert_eq!(line["obligations"], json!({ "max_body": 7 }));

    let line = record(&[&["obliges", "objects"]]);
    assert_eq!(
        (&line["reason"], &line["objection"]),
        (&json!("objected"), &json!("because"))
    );
    let objects = &line["authorizers"]["objects"];
    assert_eq!(objects["sha256"], "03".repeat(32));
    assert_eq!(objects["revision"], "a\u{202e}\nb");
    assert_eq!(line["authorizers"]["obliges"], version(2, None));

    let line = record(&[&["says-not-why"]]);
    assert_eq!(
        line["authorizers"],
        json!({ "says-not-why": version(4, None) })
    );
    assert!(line["objection"].is_null());

    let line = record(&[&["agrees", "fails"]]);
    assert_eq!(
        (&line["reason"], &line["failed"]),
        (&json!("authorizer_failed"), &json!("no idea"))
    );
    let both = json!({ "agrees": version(1, Some("1742")), "fails": version(5, Some("5")) });
    assert_eq!(line["authorizers"], both);
}

#[test]
fn t24_who_was_asked_for_another_rule_is_not_in_the_record() {
    let line = record(&[&["agrees", "objects"], &["obliges"]]);
    assert_eq!(
        (&line["verdict"], &line["rule"]),
        (&json!("permit"), &json!("obliges"))
    );
    assert_eq!(line["authorizers"], json!({ "obliges": version(2, None) }));
    // Of a denial it is the first rule that came near.
    let line = record(&[&["says-not-why"], &["objects"]]);
    assert_eq!(
        line["authorizers"],
        json!({ "says-not-why": version(4, None) })
    );
    // What the document's revision covers needs no version.
    let line = record(&[&["agreeable"]]);
    assert!(line["authorizers"].is_null());
}
