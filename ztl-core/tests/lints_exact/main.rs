//! What lints say of calls is exact: `never-matching-rule`, `permit-shadowed-by-forbid` and `unreachable-workload` are found where
//! no question of a small world says otherwise, and nowhere else.

#![cfg(test)]

mod messages;

use std::fmt::Write as _;
use std::sync::LazyLock;

use proptest::prelude::*;
use ztl_core::analysis::lint::{Lint, lint};
use ztl_core::policy::{Policy, Query};
use ztl_core::{Reason, Timestamp, Verdict};

/// `behind` lies behind a relay, and of `wide` narrower zones leave nothing.
const HEAD: &str = r#"
schema = 1
trust_domain = "t"
relays = ["10.9.0.0/24"]
[zones.office]
trust = 2
networks = ["10.1.0.0/16"]
[zones.plant]
trust = 1
networks = ["10.1.2.0/24"]
[zones.behind]
trust = 3
networks = ["10.9.0.0/25"]
[zones.wide]
networks = ["10.2.0.0/16"]
[zones.low]
networks = ["10.2.0.0/17"]
[zones.high]
trust = 2
networks = ["10.2.128.0/17"]
[workloads.web]
id = "spiffe://t/ns/web"
zone = "office"
labels = { tier = "front" }
ports = [8443]
public_ports = [443]
[workloads.gauge]
id = "spiffe://t/ns/gauge"
zone = "plant"
labels = { tier = "back" }
[workloads.ghost]
id = "spiffe://t/ghost"
zone = "behind"
labels = { tier = "gone" }
ports = [9000]
[workloads.db]
id = "spiffe://t/db"
zone = "wide"
labels = { tier = "back" }
ports = [5432, 8443]
[external.hub]
hosts = ["hub.example.org"]
ports = [443, 9443]
"#;

const FROM: [&str; 14] = [
    "web",
    "gauge",
    "ghost",
    "db",
    "spiffe://t/ns/**",
    "spiffe://u/x",
    "label:tier=back",
    "label:tier=gone",
    "zone:office",
    "zone:plant",
    "zone:behind",
    "zone:wide",
    "any",
    "public",
];
const TO: [&str; 6] = [
    "web",
    "db",
    "ghost",
    "label:tier=back",
    "any",
    "external:hub",
];
const PORTS: [&str; 6] = [
    "8443",
    "[5432, 8443]",
    "\"1-65535\"",
    "\"1-8000\"",
    "443",
    "[8443, 9443]",
];
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

#[derive(Clone, Debug)]
struct Rule {
    permit: bool,
    from: Vec<usize>,
    to: Vec<usize>,
    ports: Option<usize>,
    actions: Vec<usize>,
    require: &'static str,
}

fn rule(permit: bool) -> impl Strategy<Value = Rule> {
    let some = |pool: usize, least: usize, most: usize| {
        prop::collection::btree_set(0..pool, least..=most).prop_map(Vec::from_iter)
    };
    (
        some(FROM.len(), 1, 2),
        some(TO.len(), 1, 2),
        prop::option::weighted(0.8, 0..PORTS.len()),
        some(ACTIONS.len(), usize::from(permit), 2),
        prop::sample::select(vec!["", "", "zone_trust = 2", "trust_score = 50"]),
    )
        .prop_map(move |(from, to, ports, actions, require)| Rule {
            permit,
            from,
            to,
            ports,
            actions,
            require,
        })
}

fn list(at: &[usize], pool: &[&str]) -> String {
    let texts: Vec<_> = at.iter().map(|at| format!("\"{}\"", pool[*at])).collect();
    format!("[{}]", texts.join(", "))
}

fn document<'a>(rules: impl IntoIterator<Item = (usize, &'a Rule)>) -> String {
    let mut text = HEAD.to_owned();
    for (at, rule) in rules {
        let kind = if rule.permit { "permit" } else { "forbid" };
        let (from, to) = (list(&rule.from, &FROM), list(&rule.to, &TO));
        let _ = writeln!(
            text,
            "[[{kind}]]\nname = \"r{at}\"\nfrom = {from}\nto = {to}"
        );
        if let Some(ports) = rule.ports {
            let _ = writeln!(text, "ports = {}", PORTS[ports]);
        }
        if !rule.actions.is_empty() {
            let _ = writeln!(text, "actions = {}", list(&rule.actions, &ACTIONS));
        }
        if rule.permit && rule.from.iter().any(|from| FROM[*from] == "public") {
            text.push_str("anonymous = true\n");
        }
        if rule.permit && !rule.require.is_empty() {
            let _ = writeln!(text, "[permit.require]\n{}", rule.require);
        }
    }
    text
}

/// Every question of the world that its rules tell from another one. All that is asked of evidence is there.
static QUERIES: LazyLock<Vec<(&str, Query)>> = LazyLock::new(|| {
    let ids = [
        "web",
        "gauge",
        "ghost",
        "db",
        "spiffe://t/ns/new",
        "spiffe://t/new",
        "spiffe://u/x",
        "spiffe://u/y",
    ];
    let callers = ids
        .map(|id| format!(r#""from":"{id}","#))
        .into_iter()
        .chain([String::new()]);
    let callers: Vec<_> = callers.collect();
    let addrs = [
        "10.1.0.1",
        "10.1.2.1",
        "10.9.0.1",
        "10.2.0.1",
        "10.2.128.1",
        "192.0.2.1",
    ];
    let mut asked = vec![r#""action":"connect""#.to_owned()];
    for path in [
        "/", "/a", "/a/", "/7", "/b", "/a/b", "/s.S/M", "/s.S/N", "/s.S/M/x", "/b/c",
    ] {
        for method in ["GET", "HEAD", "POST", "PUT"] {
            asked.push(format!(r#""method":"{method}","path":"{path}""#));
        }
        for token in ["websocket", "x"] {
            asked.push(format!(
                r#""method":"GET","path":"{path}","headers":{{"upgrade":"{token}"}}"#
            ));
        }
    }
    let mut queries = Vec::new();
    for (to, port) in [
        ("web", 8443),
        ("web", 443),
        ("db", 8443),
        ("db", 5432),
        ("ghost", 9000),
    ] {
        for caller in &callers {
            for addr in addrs {
                for asked in &asked {
                    let text = format!(
                        r#"{{{caller}"from_addr":"{addr}","to":"{to}","port":{port},"trust_score":90,{asked}}}"#
                    );
                    queries.push((to, Query::from_json(&text).expect("a question")));
                }
            }
        }
    }
    for port in [443, 9443] {
        for id in &ids[..4] {
            for asked in &asked {
                let text = format!(
                    r#"{{"from":"{id}","to":"hub.example.org","to_addr":"93.184.216.34","port":{port},{asked}}}"#
                );
                queries.push(("hub", Query::from_json(&text).expect("a question")));
            }
        }
    }
    queries
});

fn permits(policy: &Policy, to: Option<&str>) -> bool {
    let now = Timestamp::from_unix_secs(1_790_000_000);
    let of = |(target, _): &&(&str, Query)| to.is_none_or(|to| *target == to);
    let mut asked = QUERIES.iter().filter(of);
    asked
        .any(|(_, query)| query.decide(policy, now).expect("a decision").verdict == Verdict::Permit)
}

/// The rules that a lint speaks of as wholes, and of a permit the entries of `from`.
fn said(policy: &Policy, lint_of: Lint) -> Vec<(String, Option<usize>)> {
    let mut said = Vec::new();
    for finding in lint(policy).iter().filter(|one| one.lint == lint_of) {
        let within = |span: ztl_core::policy::Span| {
            span.start <= finding.span.start && finding.span.end <= span.end
        };
        let rules = policy.document().rules.iter();
        for rule in rules.filter(|rule| within(rule.span)) {
            let entry = rule.from.iter().position(|from| from.span == finding.span);
            said.push((rule.name.value.to_string(), entry));
        }
        let workloads = policy.document().workloads.iter();
        said.extend(
            workloads
                .filter(|workload| workload.name.span == finding.span)
                .map(|workload| (workload.name.value.to_string(), None)),
        );
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn what_never_matches_or_is_shadowed_is_found_and_nothing_else(
        some in prop::collection::vec(rule(true), 1..4),
        forbids in prop::collection::vec(rule(false), 0..4),
    ) {
        let rules: Vec<Rule> = some.into_iter().chain(forbids).collect();
        let numbered = || rules.iter().enumerate();
        let Ok(policy) = Policy::from_toml(&document(numbered())) else {
            return Err(TestCaseError::reject("does not load"));
        };
        let never = said(&policy, Lint::NeverMatching);
        let shadowed = said(&policy, Lint::ShadowedByForbid);
        for (at, rule) in numbered().filter(|(_, rule)| rule.permit) {
            let name = format!("r{at}");
            let mut dead = 0;
            for (entry, who) in rule.from.iter().enumerate() {
                let alone = Rule { from: vec![*who], ..rule.clone() };
                let Ok(alone) = Policy::from_toml(&document([(at, &alone)])) else {
                    return Err(TestCaseError::reject("does not load alone"));
                };
                let matches = permits(&alone, None);
                dead += usize::from(!matches);
                let found = never.contains(&(name.clone(), Some(entry))) || never.contains(&(name.clone(), None));
                prop_assert_eq!(found, !matches, "{} {} of {}", name, entry, document(numbered()));
            }
            let forbids = numbered().filter(|(_, rule)| !rule.permit);
            let Ok(beside) = Policy::from_toml(&document([(at, rule)].into_iter().chain(forbids))) else {
                return Err(TestCaseError::reject("does not load"));
            };
            let taken = dead < rule.from.len() && !permits(&beside, None);
            let found = shadowed.contains(&(name.clone(), None));
            // One that matches nothing by itself is both, where one forbid covers all that it names.
            prop_assert!(found == taken || dead == rule.from.len(), "{} {} of {}", name, taken, document(numbered()));
        }
        let unreachable = said(&policy, Lint::UnreachableWorkload);
        for workload in ["web", "db", "ghost"] {
            let found = unreachable.contains(&(workload.to_owned(), None));
            prop_assert_eq!(found, !permits(&policy, Some(workload)), "{} in {}", workload, document(numbered()));
        }
    }

    /// Of a forbid that is said to match nothing, nothing is ever forbidden.
    #[test]
    fn a_forbid_that_never_matches_fires_on_nothing(forbid in rule(false)) {
        let names = |whom: &str| forbid.from.iter().any(|at| FROM[*at] == whom);
        // Else whoever is forbidden leaves its SVID at home, and the document does not load.
        let from = if names("public") { r#"["any", "public"]"# } else { r#""any""# };
        let actions = r#"["any", "connect", "HEAD /{*rest}", "websocket /{*rest}", "upgrade:x /{*rest}"]"#;
        let generous = format!(
            "[[permit]]\nfrom = {from}\nto = \"any\"\nports = \"1-65535\"\nactions = {actions}\n{}\
            [[permit]]\nfrom = \"any\"\nto = \"external:hub\"\nactions = {actions}\n",
            if names("public") { "anonymous = true\n" } else { "" },
        );
        let Ok(policy) = Policy::from_toml(&format!("{}{generous}", document([(0, &forbid)]))) else {
            return Err(TestCaseError::reject("does not load"));
        };
        let never = !said(&policy, Lint::NeverMatching).is_empty();
        let now = Timestamp::from_unix_secs(1_790_000_000);
        let fires = QUERIES.iter().any(|(_, query)| {
            query.decide(&policy, now).expect("a decision").reason == Reason::Forbidden
        });
        // Whom a forbid names may come along with somebody else, which is not asked here.
        let is_identity = |whom: &str| !whom.starts_with("zone:") && !["any", "public"].contains(&whom);
        let by_identity = forbid.from.iter().any(|at| is_identity(FROM[*at]))
            && forbid.to.iter().any(|at| TO[*at] != "external:hub");
        prop_assert!(!(never && fires));
        prop_assert!(fires || never || by_identity, "{}", document([(0, &forbid)]));
    }
}
