//! By exhaustion: every document of up to three rules over a few names, and every question about each.
//!
//! For each document and each question the engine has to say what the reference interpreter says, and over all documents the
//! laws have to hold: a forbid more never widens, a permit more never narrows, a shadow rule changes nothing (law 4), and
//! order never matters (rule 5). The counts say what the universes are; a count that moves is a universe that changed.

#![cfg(test)]

mod census;
mod universe;

use census::Census;
use universe::{Questions, Rule, orders, rules, sets};

/// The only port of `a`, and both of `b`.
const PORTS: [(&str, u16); 3] = [("a", 1), ("b", 1), ("b", 2)];
const REQUESTS: [(&str, &str); 3] = [("GET", "/a/b"), ("GET", "/a/c"), ("HEAD", "/a/b")];

/// Who asks `b` for what on its one port: principals of three kinds, three patterns that overlap, one kind of requirement.
fn who_asks_what() -> Vec<Rule> {
    let patterns = [
        "actions = 'GET /a/{x}'",
        "actions = 'GET /a/b'",
        "actions = 'any'",
    ];
    let mut all = rules(
        "permit",
        &[
            &["from = 'a'", "from = 'any'", "from = 'zone:near'"],
            &["to = 'b'"],
            &patterns,
            &["", "require = { trust_score = 50 }"],
        ],
    );
    let [_, text, any] = patterns;
    all.extend(rules(
        "forbid",
        &[
            &["from = 'any'", "from = 'zone:far'"],
            &["to = 'b'"],
            &["", text, any],
        ],
    ));
    all
}

/// Modes, both ports of `b`, and callers that prove nothing.
fn modes_ports_and_the_public() -> Vec<Rule> {
    let modes = ["", "mode = 'shadow'"];
    let mut all = rules(
        "permit",
        &[
            &modes,
            &["from = 'public'\nanonymous = true", "from = 'any'"],
            &["to = 'b'"],
            &["", "ports = [1, 2]"],
            &["actions = 'GET /a/{x}'", "actions = ['any', 'connect']"],
        ],
    );
    all.extend(rules(
        "forbid",
        &[
            &modes,
            &["from = ['any', 'public']", "from = 'any'"],
            &["to = 'b'"],
            &["", "actions = 'GET /a/b'"],
        ],
    ));
    all
}

/// One of every kind, about both workloads and all ports, for every order of them.
fn one_of_every_kind() -> Vec<Rule> {
    let permit = |lines: &[&str]| {
        rules(
            "permit",
            &lines.iter().map(std::slice::from_ref).collect::<Vec<_>>(),
        )
    };
    let forbid = |lines: &[&str]| {
        rules(
            "forbid",
            &lines.iter().map(std::slice::from_ref).collect::<Vec<_>>(),
        )
    };
    [
        permit(&["from = 'any'", "to = 'any'", "actions = 'GET /a/{x}'"]),
        permit(&[
            "from = 'spiffe://t/**'",
            "to = 'b'",
            "actions = ['GET,HEAD /a/b', 'connect']",
        ]),
        permit(&[
            "from = 'zone:near'",
            "to = 'b'",
            "actions = 'any'",
            "require = { trust_score = 50 }",
        ]),
        permit(&[
            "from = 'public'",
            "anonymous = true",
            "to = 'b'",
            "actions = 'GET /a/b'",
        ]),
        permit(&[
            "mode = 'shadow'",
            "from = 'any'",
            "to = 'b'",
            "actions = 'any'",
        ]),
        forbid(&[
            "from = ['any', 'public']",
            "to = 'b'",
            "actions = 'GET /a/b'",
        ]),
        forbid(&["from = 'zone:far'", "to = 'b'"]),
        forbid(&["from = ['a', 'public']", "to = 'any'", "ports = 2"]),
        forbid(&["mode = 'shadow'", "from = 'zone:near'", "to = 'b'"]),
    ]
    .concat()
}

#[test]
fn law_4_over_who_asks_what() {
    let rules = who_asks_what();
    let questions = Questions::new(&PORTS[1..2], &REQUESTS[..2], true);
    let census = Census::take(&rules, &sets(rules.len(), 3), &questions);
    assert_eq!((rules.len(), questions.all.len()), (24, 112));
    assert_eq!(census.counts(), (2325, 0, 58_452));
    assert_eq!(census.assert_monotonic(), 6_648);
}

#[test]
fn law_4_over_modes_ports_and_the_public() {
    let rules = modes_ports_and_the_public();
    let questions = Questions::new(&PORTS[1..], &REQUESTS, false);
    let census = Census::take(&rules, &sets(rules.len(), 3), &questions);
    assert_eq!((rules.len(), questions.all.len()), (24, 140));
    assert_eq!(census.counts(), (2325, 576, 38_664));
    assert_eq!(census.assert_monotonic(), 4_952);
}

#[test]
fn rule_5_over_every_order() {
    let rules = one_of_every_kind();
    let questions = Questions::new(&PORTS, &REQUESTS, true);
    let sets = sets(rules.len(), 3);
    let every: Vec<_> = sets.iter().flat_map(|set| orders(set)).collect();
    let census = Census::take(&rules, &every, &questions);
    assert_eq!((rules.len(), questions.all.len()), (9, 420));
    assert_eq!(census.counts(), (586, 0, 26_784));
    assert_eq!(census.assert_order_does_not_matter(), 456);
    assert_eq!(census.assert_monotonic(), 1_665);
}

/// A universe too big to walk: every document of three rules out of both of the above, one in so many; in a release build
/// one in fewer.
#[test]
fn the_reference_agrees_over_a_sample_of_a_bigger_universe() {
    let rules = [who_asks_what(), modes_ports_and_the_public()].concat();
    let questions = Questions::new(&PORTS, &REQUESTS, true);
    let stride = if cfg!(debug_assertions) { 211 } else { 7 };
    let sample: Vec<_> = sets(rules.len(), 3).into_iter().step_by(stride).collect();
    let (documents, refused, permitted) = Census::take(&rules, &sample, &questions).counts();
    assert_eq!(documents, 18_473_usize.div_ceil(stride));
    assert!(permitted > 0 && refused < documents);
}
