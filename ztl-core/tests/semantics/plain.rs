//! An edge where nothing but plain permits can speak is judged in a straight line, and comes out as any other does.

use super::*;

pub(crate) const TEMPLATES: [&str; 12] = [
    "/",
    "/v1/items",
    "/v1/items/",
    "/v1/{x}",
    "/v1/{n:int}",
    "/{x}/items",
    "/v1/items/{x}/parts",
    "/{x}/items/{y}",
    "/v1/{*rest}",
    "/{x}/{*rest}",
    "/v1/caf%C3%A9",
    "/v1/items-with-a-name-of-more-than-thirty-two-bytes",
];

pub(crate) const TARGETS: [&str; 17] = [
    "/",
    "/v1",
    "/v1/",
    "/v1/items",
    "/v1/items/",
    "/v1/itemz",
    "/v1/7",
    "/v1/-7",
    "/v1/items/7",
    "/v1/items/7/parts",
    "/v1/items/7/8/parts",
    "/v1/items/7/partz",
    "/v1/caf%C3%A9",
    "/v1/%24",
    "/v2/items/x?y",
    "/v1/items-with-a-name-of-more-than-thirty-two-bytes",
    "/v1/items-with-a-name-of-more-than-thirty-two-bytez",
];

fn questions() -> Vec<Question> {
    let mut questions = Vec::new();
    for target in TARGETS {
        for (from, port) in [(ROUTER, 8443), (ROUTER, 9443), (RETRIEVER, 8443)] {
            let get = Question::get(from, "gateway", port, target);
            questions.push(get.clone().method("POST"));
            questions.push(get.clone().method("TRACE"));
            questions.push(get.clone().forwards(SENSOR));
            let mut upgraded = get.clone();
            upgraded.upgrade = Some("websocket");
            questions.extend([upgraded, get]);
        }
    }
    let mut raw = Question::get(ROUTER, "gateway", 8443, "/");
    raw.action = Some(None);
    questions.push(raw);
    questions
}

#[test]
fn a_straight_line_comes_out_as_the_way_around() {
    let questions = questions();
    let mut permitted = 0;
    for one in TEMPLATES {
        for two in TEMPLATES {
            let permits = [
                json!({ "name": "one", "from": "router", "to": "gateway", "actions": [format!("GET {one}")] }),
                json!({ "name": "two", "from": "any", "to": "gateway", "ports": "1-9000", "actions": [format!("GET,POST {two}")] }),
            ];
            // It forbids nobody, and takes every question the long way.
            let nobody =
                json!({ "from": "spiffe://prod.example/no/body", "to": "gateway", "ports": 1 });
            let plain = load(&document(&permits, &[]));
            let around = load(&document(&permits, &[nobody]));
            for question in &questions {
                let (said, meant) = question.ask_both(&plain, false);
                assert_eq!(said, meant, "{one} {two} {question:?}");
                let said = outcome(question, &plain);
                assert_eq!(said, outcome(question, &around), "{one} {two} {question:?}");
                permitted += usize::from(said.0 == Verdict::Permit);
            }
        }
    }
    assert!(permitted > 1000, "{permitted}");
}
