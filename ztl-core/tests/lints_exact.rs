//! What lints say of calls is exact: `never-matching-rule`, `permit-shadowed-by-forbid` and `unreachable-workload` are found where
//! no question of a small world says otherwise, and nowhere else.

#![cfg(test)]

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

fn messages(rules: &str, of: Lint) -> Vec<String> {
    let policy =
        Policy::from_toml(&format!("{HEAD}{rules}")).unwrap_or_else(|error| panic!("{error}"));
    let found = lint(&policy).into_iter().filter(|one| one.lint == of);
    found.map(|one| one.message).collect()
}

const READS: &str = "[[permit]]\nname = 'reads'\nfrom = 'web'\nto = 'db'\nports = [5432, 8443]\nactions = ['GET /a', 'POST /b']\n";

#[test]
fn forbids_that_take_all_of_a_permit_together_are_named() {
    let forbid = |name: &str, more: &str| {
        format!("[[forbid]]\nname = '{name}'\nfrom = 'any'\nto = 'db'\n{more}\n")
    };
    let told = |forbids: &[String]| {
        messages(
            &format!("{READS}{}", forbids.concat()),
            Lint::ShadowedByForbid,
        )
    };
    let [gets, posts] = [
        ("gets", "actions = 'GET /{x}'"),
        ("posts", "actions = 'POST /b'"),
    ]
    .map(|(name, more)| forbid(name, more));
    let together = "the permit `reads` lets nothing through: the forbids `gets`, `posts` together take all of it away";
    assert_eq!(told(&[gets.clone(), posts.clone()]), [together]);
    assert!(told(&[gets]).is_empty());
    let ports =
        [("one", "ports = 5432"), ("other", "ports = 8443")].map(|(name, more)| forbid(name, more));
    let together = "the permit `reads` lets nothing through: the forbids `one`, `other` together take all of it away";
    assert_eq!(told(&ports), [together]);
    let alone = "the permit `reads` lets nothing through: the forbid `all` takes all of it away";
    assert_eq!(told(&[posts.clone(), forbid("all", "")]), [alone]);
    // One that may not fire, or counts for nothing, takes nothing away.
    for more in [
        "actions = 'GET /a'\nsubject = 'any'",
        "actions = 'GET /a'\nmode = 'shadow'",
    ] {
        assert!(told(&[posts.clone(), forbid("gets", more)]).is_empty());
    }
}

#[test]
fn a_workload_is_unreachable_for_each_of_three_reasons() {
    let told = |rules: &str| {
        messages(rules, Lint::UnreachableWorkload)
            .into_iter()
            .filter(|text| text.contains("`db`"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told(""),
        ["nobody may reach the workload `db`: no enforced permit has it as `to`"]
    );
    assert!(told(READS).is_empty());
    let taken = "nobody may reach the workload `db`: what enforced permits have it as `to` matches no call, or is taken away by forbids";
    assert_eq!(
        told(&format!(
            "{READS}[[forbid]]\nfrom = 'zone:office'\nto = 'db'\n"
        )),
        [taken]
    );
    assert_eq!(told(&READS.replace("'web'", "'ghost'")), [taken]);
}

#[test]
fn who_never_comes_is_named_with_the_reason() {
    let told = |rule: &str| messages(rule, Lint::NeverMatching);
    let of = |from: &str, more: &str| {
        format!(
            "[[permit]]\nname = 'p'\nfrom = {from}\nto = 'any'\nports = 8443\nactions = 'any'\n{more}\n"
        )
    };
    for (from, more, reason) in [
        (
            "['web', 'zone:wide']",
            "",
            "nobody is seen to arrive from the zone `wide`",
        ),
        (
            "'label:tier=gone'",
            "",
            "nobody of whom it speaks comes from where",
        ),
        (
            "['web', 'gauge']",
            "require = { zone_trust = 2 }",
            "the zone `plant` has a trust of 1, and the permit requires 2",
        ),
        (
            "['web', 'public']",
            "anonymous = true",
            "none of its targets takes callers without an SVID",
        ),
    ] {
        let found = told(&of(from, more));
        assert!(
            matches!(found.as_slice(), [one] if one.contains(reason)),
            "{from}: {found:?}"
        );
    }
    let forbid = |ports: &str| {
        told(&format!(
            "[[forbid]]\nname = 'f'\nfrom = 'public'\nto = 'any'\n{ports}"
        ))
    };
    assert!(forbid("").is_empty());
    let nobody =
        "the forbid `f` can never match: nobody of whom it speaks comes to one of its targets";
    assert_eq!(forbid("ports = 8443\n"), [nobody]);
}

#[test]
fn a_forbid_of_what_is_outside_matches_as_a_whole() {
    let told = |from: &str, to: &str, ports: &str| {
        let rule = format!("[[forbid]]\nname = 'f'\nfrom = {from}\nto = '{to}'\n{ports}\n");
        messages(&rule, Lint::NeverMatching)
    };
    for (from, to, ports) in [
        ("['any', 'public']", "external:hub", ""),
        ("['web', 'spiffe://t/undeclared']", "external:hub", ""),
        ("['zone:low', 'zone:office']", "external:hub", ""),
        ("['zone:low', 'zone:plant']", "any", "ports = 9443"),
    ] {
        assert!(told(from, to, ports).is_empty(), "{from} {to}");
    }
    let no_port =
        "the forbid `f` can never match: none of its targets listens on a port that it speaks of";
    for to in ["external:hub", "any"] {
        assert_eq!(told("'any'", to, "ports = 9444"), [no_port]);
    }
    let nobody =
        "the forbid `f` can never match: nobody of whom it speaks comes to one of its targets";
    for from in ["'public'", "'zone:low'"] {
        assert_eq!(told(from, "external:hub", ""), [nobody]);
    }
}

#[test]
fn only_forbids_of_its_own_ports_take_a_permit_of_what_is_outside_away() {
    let permit = "[[permit]]\nname = 'out'\nfrom = 'web'\nto = 'external:hub'\nports = 443\nactions = ['GET /a', 'POST /b']\n";
    let forbid = |name: &str, more: &str| {
        format!("[[forbid]]\nname = '{name}'\nfrom = 'any'\nto = 'external:hub'\n{more}\n")
    };
    let told = |forbids: &[(&str, &str)]| {
        let forbids: String = forbids
            .iter()
            .map(|(name, more)| forbid(name, more))
            .collect();
        messages(&format!("{permit}{forbids}"), Lint::ShadowedByForbid)
    };
    let gets = ("gets", "ports = 443\nactions = 'GET /{x}'");
    let posts = ("posts", "actions = 'POST /b'");
    let there = ("there", "ports = '9000-9999'");
    let together = "the permit `out` lets nothing through: the forbids `gets`, `posts` together take all of it away";
    assert_eq!(told(&[there, gets, posts]), [together]);
    assert!(told(&[there, gets]).is_empty());
    let alone = "the permit `out` lets nothing through: the forbid `here` takes all of it away";
    assert_eq!(told(&[there, ("here", "ports = 443")]), [alone]);
}

/// Nothing fits below such an id, so that no caller there can be made up.
#[test]
fn beside_an_id_that_is_too_long_nothing_is_said_of_calls() {
    let long = format!("spiffe://t/{}", "a".repeat(2046 - "spiffe://t/".len()));
    let rules = format!(
        "{READS}[[permit]]\nname = 'long'\nfrom = '{long}/**'\nto = 'db'\nports = 8443\nactions = 'any'\n"
    );
    for of in [
        Lint::NeverMatching,
        Lint::UnreachableWorkload,
        Lint::ShadowedByForbid,
    ] {
        let told = messages(&rules, of);
        // That no permit names it needs no trying.
        assert!(
            told.iter().all(|one| one.ends_with("has it as `to`")),
            "{told:?}"
        );
    }
    let told = messages(&rules, Lint::Incomplete);
    assert!(
        matches!(told.as_slice(), [one] if one.contains("is so long")),
        "{told:?}"
    );
}

#[test]
fn public_that_listens_is_told_what_else_keeps_it_away() {
    let of = |from: &str, least: u8| {
        let rule = format!(
            "[[permit]]\nname = 'p'\nfrom = {from}\nto = 'web'\nports = [443, 8443]\nactions = 'any'\n\
            anonymous = true\nrequire = {{ zone_trust = {least} }}\n"
        );
        messages(&rule, Lint::NeverMatching)
    };
    assert!(of("'public'", 2).is_empty());
    let least = "this caller of the permit `p` can never match: nobody of whom it speaks comes from where its targets take calls, and is trusted enough there";
    assert_eq!(of("'public'", 3), [least]);
    assert_eq!(
        of("['web', 'public']", 3).last().map(String::as_str),
        Some(least)
    );
}

/// What would take for ever ends, and says that it did not look at all: many callers beside rules that tell too many actions apart.
#[test]
fn actions_beyond_number_end_with_a_note() {
    let mut rules = String::new();
    for at in 0..14 {
        let part = |part: usize| match part == at {
            true => format!("/s{at}"),
            false => format!("/{{p{part}}}"),
        };
        let path: String = (0..14).map(part).collect();
        let _ = writeln!(
            rules,
            "[[forbid]]\nname = 'f{at}'\nfrom = 'any'\nto = 'db'\nactions = 'GET {path}'"
        );
    }
    for at in 0..400 {
        let (third, last) = (at / 200, at % 200);
        let _ = writeln!(
            rules,
            "[workloads.c{at}]\nid = 'spiffe://t/c{at}'\n[zones.z{at}]\nnetworks = ['10.77.{third}.{last}/32']"
        );
    }
    let path: String = (0..14).map(|part| format!("/{{p{part}}}")).collect();
    let _ = writeln!(
        rules,
        "[[permit]]\nname = 'p'\nfrom = 'any'\nto = 'db'\nports = [5432, 8443]\nactions = 'GET {path}'"
    );
    let told = messages(&rules, Lint::Incomplete);
    assert!(
        matches!(told.as_slice(), [one] if one.contains("too many actions apart")),
        "{told:?}"
    );
}
