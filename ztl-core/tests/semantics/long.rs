//! An edge with many rules is judged along the path, and comes out as the prose says, rule by rule.

use super::plain::{TARGETS, TEMPLATES};
use super::*;

/// Enough rules about one edge that both kinds are looked up by their paths.
fn rules(turn: usize, is_plain: bool) -> (Vec<Value>, Vec<Value>) {
    let requirements = [
        json!({ "trust_score": 50 }),
        json!({ "when": "name-is-admin" }),
        json!({ "token": { "scopes": ["read"] } }),
    ];
    let templates = TEMPLATES.iter().cycle().skip(turn).take(36);
    let permits = templates.enumerate().map(|(at, template)| {
        let from = ["router", "label:tier=agent", "any"][(at + turn) % 3];
        let mut rule = json!({ "from": from, "to": "gateway", "ports": "1-9000" });
        rule["actions"] = match (is_plain, at % 4) {
            (true, _) | (_, 0) => json!([format!("GET {template}")]),
            (_, 1) => json!([format!("POST {template}"), "grpc v1/items"]),
            (_, 2) => json!([format!("websocket {template}"), "GET /only/here"]),
            _ => json!([format!("PUT {template}"), "grpc v1/*"]),
        };
        if !is_plain && at % 3 == 0 {
            rule["require"] = requirements[(at / 3) % 3].clone();
        }
        rule
    });
    let forbids = TEMPLATES.iter().cycle().skip(turn).take(24).enumerate();
    let forbids = forbids.map(|(at, template)| {
        let from = ["sensor", "label:tier=thing", "any"][(at + turn) % 3];
        // Most hang on something that does not hold, so that not all is forbidden.
        let when = ["false", "token", "name-is-admin"][(at / 3 + turn) % 3];
        json!({ "from": from, "to": "gateway", "actions": [format!("GET {template}")], "when": when })
    });
    (permits.collect(), forbids.collect())
}

fn questions() -> Vec<Question> {
    let mut questions = Vec::new();
    for target in TARGETS.into_iter().chain(["/only/here", "/v1/items/"]) {
        for (from, port) in [(ROUTER, 8443), (ROUTER, 9443), (STRANGER, 8443)] {
            let get = Question::get(from, "gateway", port, target);
            let mut upgraded = get.clone();
            upgraded.upgrade = Some("websocket");
            let mut scored = get.clone().method("PUT");
            scored.score = Some(70);
            questions.extend([
                get.clone().method("POST"),
                get.clone().method("HEAD"),
                get.clone().method("TRACE"),
                get.clone().forwards(SENSOR),
                get.clone()
                    .token(json!({ "iss": support::CORP, "sub": "alice", "scope": "read" })),
                upgraded,
                scored,
                get,
            ]);
        }
    }
    let mut raw = Question::get(ROUTER, "gateway", 8443, "/");
    raw.action = Some(None);
    questions.push(raw);
    questions
}

#[test]
fn many_rules_come_out_as_each_by_itself() {
    let questions = questions();
    let mut reasons = std::collections::BTreeMap::new();
    for turn in 0..TEMPLATES.len() {
        for is_plain in [true, false] {
            let (permits, forbids) = rules(turn, is_plain);
            let forbids = if is_plain { Vec::new() } else { forbids };
            let policy = load(&document(&permits, &forbids));
            for question in &questions {
                let (said, meant) = question.ask_both(&policy, false);
                assert_eq!(said, meant, "{turn} {is_plain} {question:?}");
                *reasons.entry(said.reason.code()).or_insert(0) += 1;
            }
        }
    }
    for reason in [
        "permitted",
        "forbidden",
        "no_action_permitted",
        "no_flow_permitted",
    ] {
        assert!(
            reasons.get(reason).is_some_and(|count| *count > 100),
            "{reason}: {reasons:?}"
        );
    }
}

/// A permit for a label holds for the workloads that have it, however many labels are named; a forbid also for whose label is unknown.
#[test]
fn rule_8_many_labels_are_told_apart() {
    let mut text = "schema = 1\ntrust_domain = 'p.example'\n\
        [workloads.db]\nid = 'spiffe://p.example/db'\nports = [1]\n\
        [workloads.two]\nid = 'spiffe://p.example/two'\nlabels = { team = 't7', tier = 't8' }\n\
        [workloads.none]\nid = 'spiffe://p.example/none'\n"
        .to_owned();
    for at in 0..40 {
        text += &format!(
            "[workloads.w{at}]\nid = 'spiffe://p.example/w/{at}'\nlabels = {{ team = 't{at}', tier = 't{at}' }}\n"
        );
        text += &format!(
            "[[permit]]\nname = 'team-{at}'\nfrom = 'label:team=t{at}'\nto = 'db'\nactions = ['GET /team/{at}']\n"
        );
        text += &format!(
            "[[permit]]\nname = 'tier-{at}'\nfrom = 'label:tier=t{at}'\nto = 'db'\nactions = ['GET /tier/{at}']\n"
        );
    }
    let policy = Policy::from_toml(&text).unwrap_or_else(|error| panic!("{error}"));
    let said = |caller: &str, path: &str| {
        let peer = peer(caller);
        let flow = ztl_core::Flow::ingress("db", 1, ztl_core::Arrival::unknown(), Some(&peer));
        let input =
            ztl_core::policy::Input::new(flow).with_action(ztl_core::Action::request("GET", path));
        let decision = ztl_core::policy::decide(&policy, &input, NOW);
        (decision.reason, decision.rule.map(|rule| rule.to_string()))
    };
    let two = "spiffe://p.example/two";
    assert_eq!(
        said(two, "/team/7"),
        (Reason::Permitted, Some("team-7".to_owned()))
    );
    assert_eq!(
        said(two, "/tier/8"),
        (Reason::Permitted, Some("tier-8".to_owned()))
    );
    assert_eq!(said(two, "/team/8").0, Reason::NoActionPermitted);
    assert_eq!(said(two, "/tier/7").0, Reason::NoActionPermitted);
    assert_eq!(
        said("spiffe://p.example/none", "/team/7").0,
        Reason::NoFlowPermitted
    );
    assert_eq!(
        said("spiffe://p.example/stranger", "/team/7").0,
        Reason::NoFlowPermitted
    );
}
