//! What lints say is true: a rule that is said to add nothing can go, and nothing is decided otherwise.

#![cfg(test)]

use std::fmt::Write as _;

use proptest::prelude::*;
use ztl_core::analysis::lint::{Finding, Lint, lint};
use ztl_core::policy::{Effect, Policy, Query};
use ztl_core::{Decision, Timestamp, Verdict};

const HEAD: &str = r#"
schema = 1
trust_domain = "prod.example"
trust_domain_aliases = ["old.example"]
relays = ["10.9.0.0/24"]
[zones.office]
trust = 2
networks = ["10.1.0.0/16"]
[zones.plant]
trust = 1
networks = ["10.1.2.0/24", "10.2.0.0/16"]
[zones.behind]
trust = 3
networks = ["10.9.0.0/25"]
[issuers.i]
issuer = "https://i.example"
[workloads.web]
id = "spiffe://prod.example/ns/web"
zone = "office"
labels = { tier = "front" }
ports = [8443]
public_ports = [443]
[workloads.gauge]
id = "spiffe://prod.example/ns/gauge"
zone = "plant"
labels = { tier = "back" }
[workloads.ghost]
id = "spiffe://prod.example/ghost"
zone = "behind"
labels = { tier = "back" }
[workloads.db]
id = "spiffe://prod.example/db"
zone = "plant"
labels = { tier = "back" }
ports = [5432, 8443]
"#;

const FROM: [&str; 11] = [
    "web",
    "gauge",
    "ghost",
    "spiffe://old.example/ns/web",
    "spiffe://prod.example/ns/**",
    "spiffe://other.example/x",
    "trust-domain:old.example",
    "label:tier=back",
    "zone:office",
    "zone:plant",
    "any",
];
const TO: [&str; 6] = [
    "web",
    "db",
    "label:tier=back",
    "zone:plant",
    "spiffe://prod.example/ns/**",
    "any",
];
const PORTS: [&str; 4] = ["8443", "[5432, 8443]", "\"1-65535\"", "9443"];
const ACTIONS: [&str; 12] = [
    "any",
    "connect",
    "GET /a",
    "GET /{x}",
    "GET,POST /a",
    "GET,HEAD /{x:int}",
    "POST /{*rest}",
    "HEAD /a",
    "grpc s.S/M",
    "grpc s.S/*",
    "websocket /a",
    "upgrade:x /{y}",
];
const REQUIRE: [&str; 6] = [
    "",
    "trust_score = 40",
    "trust_score = 80",
    "zone_trust = 2",
    "token = { issuer = \"https://i.example\" }",
    "headers = { x = [\"1\"] }",
];

const SUBJECT: [&str; 3] = ["any", "issuer:i", "gauge"];

#[derive(Clone, Debug)]
struct Rule {
    subject: Option<usize>,
    permit: bool,
    shadow: bool,
    from: Vec<usize>,
    to: Vec<usize>,
    ports: Option<usize>,
    actions: Vec<usize>,
    require: usize,
}

fn rule() -> impl Strategy<Value = Rule> {
    let some = |pool: usize, most: usize| prop::collection::vec(0..pool, 1..=most);
    (
        prop::bool::weighted(0.75),
        prop::bool::weighted(0.2),
        some(FROM.len(), 2),
        some(TO.len(), 2),
        prop::option::weighted(0.8, 0..PORTS.len()),
        prop::collection::vec(0..ACTIONS.len(), 0..=2),
        0..REQUIRE.len(),
        prop::option::weighted(0.2, 0..SUBJECT.len()),
    )
        .prop_map(
            |(permit, shadow, from, to, ports, mut actions, require, subject)| Rule {
                subject,
                permit,
                shadow,
                from,
                to,
                ports,
                actions: {
                    // A permit without actions does not load.
                    if permit && actions.is_empty() {
                        actions.push(0);
                    }
                    actions
                },
                require,
            },
        )
}

fn list(at: &[usize], pool: &[&str]) -> String {
    let mut at = at.to_vec();
    at.dedup();
    let texts: Vec<_> = at.iter().map(|at| format!("\"{}\"", pool[*at])).collect();
    format!("[{}]", texts.join(", "))
}

fn document(rules: &[Rule], without: Option<&str>) -> String {
    let mut text = HEAD.to_owned();
    for (at, rule) in rules.iter().enumerate() {
        if without == Some(&format!("r{at}")) {
            continue;
        }
        let kind = if rule.permit { "permit" } else { "forbid" };
        let mode = if rule.shadow { "shadow" } else { "enforce" };
        let _ = writeln!(text, "[[{kind}]]\nname = \"r{at}\"\nmode = \"{mode}\"");
        let _ = writeln!(
            text,
            "from = {}\nto = {}",
            list(&rule.from, &FROM),
            list(&rule.to, &TO)
        );
        if let Some(ports) = rule.ports {
            let _ = writeln!(text, "ports = {}", PORTS[ports]);
        }
        if let Some(subject) = rule.subject {
            let _ = writeln!(text, "subject = \"{}\"", SUBJECT[subject]);
        }
        if !rule.actions.is_empty() {
            let _ = writeln!(text, "actions = {}", list(&rule.actions, &ACTIONS));
        }
        if rule.permit && !REQUIRE[rule.require].is_empty() {
            let _ = writeln!(text, "[permit.require]\n{}", REQUIRE[rule.require]);
        }
    }
    text
}

/// Every request of a small world.
fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    let from = [
        ("web", "10.1.0.1"),
        ("web", "10.1.2.1"),
        ("gauge", "10.1.2.1"),
        ("gauge", "10.2.0.1"),
        ("ghost", "10.9.0.1"),
        ("spiffe://old.example/ns/web", "10.1.0.1"),
        ("spiffe://prod.example/ns/new", "10.1.0.1"),
        ("spiffe://prod.example/ns/new", "10.1.2.1"),
        ("spiffe://other.example/x", "10.2.0.1"),
    ];
    let asked = [
        r#""action":"connect""#,
        r#""method":"GET","path":"/a""#,
        r#""method":"GET","path":"/a/""#,
        r#""method":"GET","path":"/7""#,
        r#""method":"HEAD","path":"/a""#,
        r#""method":"POST","path":"/a/b""#,
        r#""method":"POST","path":"/s.S/M""#,
        r#""method":"POST","path":"/s.S/N""#,
        r#""method":"GET","path":"/a","headers":{"upgrade":"websocket"}"#,
        r#""method":"GET","path":"/a","headers":{"upgrade":"x"}"#,
        r#""method":"DELETE","path":"/z""#,
    ];
    let facts = [
        "",
        r#","trust_score":50"#,
        r#","trust_score":90,"claims":{"iss":"https://i.example","sub":"spiffe://prod.example/ns/gauge"}"#,
    ];
    for (id, addr) in from {
        for (to, port) in [("web", 8443), ("db", 8443), ("db", 5432)] {
            for asked in asked {
                for facts in facts {
                    let text = format!(
                        r#"{{"from":"{id}","from_addr":"{addr}","to":"{to}","port":{port},{asked}{facts}}}"#
                    );
                    queries.push(Query::from_json(&text).expect("query"));
                }
            }
        }
    }
    queries
}

fn decisions(policy: &Policy, queries: &[Query]) -> Vec<Decision> {
    let now = Timestamp::from_unix_secs(1_790_000_000);
    let decide = |query: &Query| query.decide(policy, now).expect("decision");
    queries.iter().map(decide).collect()
}

/// The rule that a finding speaks of.
fn named<'a>(finding: &Finding, policy: &'a Policy) -> &'a str {
    let rules = &policy.document().rules;
    let of = |span: ztl_core::policy::Span| {
        span.start <= finding.span.start && finding.span.end <= span.end
    };
    &rules
        .iter()
        .find(|rule| of(rule.span))
        .expect("rule")
        .name
        .value
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn rule_38_a_rule_that_adds_nothing_can_go(rules in prop::collection::vec(rule(), 1..6)) {
        let Ok(policy) = Policy::from_toml(&document(&rules, None)) else {
            return Err(TestCaseError::reject("does not load"));
        };
        let queries = queries();
        let before = decisions(&policy, &queries);
        for finding in lint(&policy) {
            let name = named_if_whole(&finding, &policy);
            let Some(name) = name else { continue };
            let text = document(&rules, Some(name));
            let Ok(less) = Policy::from_toml(&text) else { continue };
            for (before, after) in before.iter().zip(decisions(&less, &queries)) {
                prop_assert_eq!(before.verdict, after.verdict, "{:?} in {}", finding, document(&rules, None));
            }
        }
        for (finding, decision) in lint(&policy).iter().flat_map(|one| before.iter().map(move |decision| (one, decision))) {
            let Some(name) = named_if_whole(finding, &policy) else { continue };
            let decided = decision.rule.as_deref() == Some(name) && decision.verdict == Verdict::Permit;
            let never = matches!(finding.lint, Lint::ShadowedByForbid | Lint::NeverMatching);
            prop_assert!(!(never && decided), "{finding:?}");
        }
    }
}

/// The rule, where the finding says that it can go as a whole.
fn named_if_whole<'a>(finding: &Finding, policy: &'a Policy) -> Option<&'a str> {
    let whole = match finding.lint {
        Lint::ShadowedByForbid
        | Lint::DuplicatePermit
        | Lint::VoidRequirement
        | Lint::ShadowWithoutEffect => true,
        // One entry of a list, or all of it.
        Lint::NeverMatching => !finding.message.starts_with("this caller"),
        Lint::AnyBesideSpecific => !finding.message.contains("same list"),
        _ => false,
    };
    whole.then(|| named(finding, policy))
}

fn slugs(text: &str) -> Vec<&'static str> {
    let policy = Policy::from_toml(text).unwrap_or_else(|error| panic!("{error}"));
    lint(&policy).iter().map(|one| one.lint.slug()).collect()
}

#[test]
fn the_random_documents_have_every_finding_of_pairs() {
    // So that the property above is about something.
    let permit = |name: &str, more: &str| {
        format!(
            "[[permit]]\nname = \"{name}\"\nfrom = \"gauge\"\nto = \"db\"\nports = 8443\n{more}\n"
        )
    };
    let wide = permit("wide", "actions = \"any\"");
    let narrow = permit(
        "narrow",
        "actions = \"GET /a\"\n[permit.require]\ntrust_score = 40",
    );
    assert!(slugs(&format!("{HEAD}{narrow}{wide}")).contains(&"any-beside-specific"));
    let other = permit("other", "actions = [\"GET /{x}\", \"connect\"]");
    assert!(slugs(&format!("{HEAD}{narrow}{other}")).contains(&"void-requirement"));
    let same = permit(
        "same",
        "actions = \"GET /a\"\n[permit.require]\ntrust_score = 40",
    );
    let found = slugs(&format!("{HEAD}{narrow}{same}"));
    assert_eq!(
        found
            .iter()
            .filter(|slug| **slug == "duplicate-permit")
            .count(),
        1,
        "{found:?}"
    );
    let forbid = "[[forbid]]\nname = \"stop\"\nfrom = \"zone:plant\"\nto = \"any\"\n";
    assert!(slugs(&format!("{HEAD}{narrow}{forbid}")).contains(&"permit-shadowed-by-forbid"));
    let soft = forbid.replace("from", "mode = \"shadow\"\nfrom");
    assert!(!slugs(&format!("{HEAD}{narrow}{soft}")).contains(&"permit-shadowed-by-forbid"));
    let whose = permit("whose", "subject = \"issuer:i\"\nactions = \"GET /a\"");
    let found = slugs(&format!("{HEAD}{whose}{other}"));
    assert!(
        found.contains(&"void-requirement") && !found.contains(&"unused-issuer"),
        "{found:?}"
    );
    let limited = permit(
        "limited",
        "actions = \"GET /a\"\n[permit.oblige]\nmax_body = 1",
    );
    let plain = permit("plain", "actions = \"GET /a\"");
    // The first that holds says what its caller is obliged to: the later one is too much, whichever it is.
    for (text, name) in [
        (format!("{HEAD}{limited}{plain}"), "plain"),
        (format!("{HEAD}{plain}{limited}"), "limited"),
    ] {
        let policy = Policy::from_toml(&text).expect("policy");
        let found = lint(&policy);
        let twice = found.iter().filter(|one| one.lint == Lint::DuplicatePermit);
        let names: Vec<_> = twice.map(|one| named(one, &policy)).collect();
        assert_eq!(names, [name]);
    }
    let ghost =
        "[[permit]]\nname = \"ghost-calls\"\nfrom = \"ghost\"\nto = \"web\"\nactions = \"any\"\n";
    assert!(slugs(&format!("{HEAD}{ghost}")).contains(&"never-matching-rule"));
}

#[test]
fn t26_the_same_network_twice_over_is_told_once() {
    let zones = "schema = 1\ntrust_domain = \"td\"\n\
        [zones.world]\nnetworks = [\"0.0.0.0/0\", \"::/0\"]\n\
        [zones.wide]\nnetworks = [\"10.0.0.0/8\", \"fd00::/8\"]\n\
        [zones.narrow]\nnetworks = [\"10.1.0.0/16\", \"10.2.0.0/16\", \"192.0.2.0/24\", \"fd00:1::/32\"]\n\
        [zones.inner]\nnetworks = [\"10.1.2.0/24\"]\n";
    let policy = Policy::from_toml(zones).expect("policy");
    let nested: Vec<_> = lint(&policy)
        .into_iter()
        .filter(|one| one.lint == Lint::NestedZones)
        .map(|one| {
            zones
                .get(one.span.start..one.span.end)
                .expect("span")
                .to_owned()
        })
        .collect();
    assert_eq!(nested, ["\"10.1.0.0/16\"", "\"10.1.2.0/24\""]);
}

#[test]
fn t16_an_audience_is_shared_by_workloads_or_by_issuers() {
    let text = |issuers: &str, one: &str, two: &str| {
        format!(
            "schema = 1\ntrust_domain = \"td\"\n{issuers}\
             [workloads.a]\nid = \"spiffe://td/a\"\nports = [1]\n[workloads.b]\nid = \"spiffe://td/b\"\nports = [1]\n\
             [[permit]]\nfrom = \"any\"\nto = \"a\"\nactions = \"GET /a\"\n[permit.require]\ntoken = {{ {one} }}\n\
             [[permit]]\nfrom = \"any\"\nto = \"b\"\nactions = \"GET /b\"\n[permit.require]\ntoken = {{ {two} }}\n"
        )
    };
    let has = |text: &str| slugs(text).contains(&"shared-audience");
    let with = "[issuers.i]\nissuer = \"https://i.example\"\naudience = \"all\"\n";
    let without = "[issuers.i]\nissuer = \"https://i.example\"\n";
    assert!(has(&text(
        with,
        "issuer = \"i\"",
        "issuer = \"https://i.example\""
    )));
    assert!(!has(&text(without, "issuer = \"i\"", "issuer = \"i\"")));
    assert!(!has(&text(
        with,
        "issuer = \"i\"",
        "issuer = \"i\", audience = \"b\""
    )));
    assert!(has(&text(without, "audience = \"x\"", "audience = \"x\"")));
    let both = format!("{with}[issuers.j]\nissuer = \"https://j.example\"\naudience = \"all\"\n");
    assert!(has(&text(
        &both,
        "issuer = \"i\"",
        "issuer = \"j\", audience = \"b\""
    )));
}

/// Ten thousand rules, on as many edges or on one.
fn many(one_edge: bool) -> String {
    let mut text = "schema = 1\ntrust_domain = \"td\"\n".to_owned();
    for at in 0..100 {
        let _ = writeln!(
            text,
            "[workloads.w{at}]\nid = \"spiffe://td/w{at}\"\nports = [1]"
        );
    }
    for at in 0..10_000 {
        let (from, to) = if one_edge {
            (0, 1)
        } else {
            (at / 100, at % 100)
        };
        let _ = writeln!(
            text,
            "[[permit]]\nfrom = \"w{from}\"\nto = \"w{to}\"\nactions = \"GET /{at}/{{id}}\""
        );
    }
    text
}

#[test]
fn ten_thousand_rules_are_compared_and_more_on_one_edge_end_with_a_note() {
    let policy = Policy::from_toml(&many(false)).expect("policy");
    assert_eq!(policy.document().rules.len(), 10_000);
    assert!(
        policy
            .document()
            .rules
            .iter()
            .all(|rule| rule.effect == Effect::Permit)
    );
    assert_eq!(slugs(&many(false)), ["no-tests"]);
    let found = slugs(&many(true));
    assert_eq!(
        found
            .iter()
            .filter(|slug| **slug == "lint-incomplete")
            .count(),
        1
    );
}
