//! `ztl preset`: rules for probes, written down (rule 40).

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::ztl;
use ztl_core::Timestamp;
use ztl_core::analysis::lint::{Severity, lint};
use ztl_core::policy::{ActionPattern, Policy, Query, decision_json};

const POLICY: &str = "schema = 1\ntrust_domain = \"prod.example\"\n\
        [workloads.kubelet]\nid = \"spiffe://prod.example/kubelet\"\n\
        [workloads.prometheus]\nid = \"spiffe://prod.example/prometheus\"\n\
        [workloads.api]\nid = \"spiffe://prod.example/api\"\nports = [8443]\npublic_ports = [8080]\nlabels = { tier = \"front\" }\n";

fn preset(args: &[&str]) -> String {
    let run = ztl(&[&["preset"], args].concat());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{args:?}");
    run.stdout
}

fn with(rules: &[&str]) -> Policy {
    let text = format!("{POLICY}{}", rules.concat());
    Policy::from_toml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn decides(policy: &Policy, query: &str) -> String {
    let query = Query::from_json(query).expect("query");
    let decision = query
        .decide(policy, Timestamp::from_unix_secs(1_790_000_000))
        .expect("decision");
    decision_json(&decision)
}

#[test]
fn rule_40_what_is_written_loads_and_permits_exactly_that() {
    let health = preset(&[
        "health", "--from", "kubelet", "--to", "api", "--path", "/livez", "--path", "/readyz",
    ]);
    let metrics = preset(&[
        "metrics",
        "--from",
        "prometheus",
        "--to",
        "label:tier=front",
    ]);
    let policy = with(&[&health, &metrics]);
    let rules = &policy.document().rules;
    assert_eq!(rules.len(), 2);
    assert!(rules.iter().all(|rule| rule.why.is_some()));
    let of = |rule: usize| -> Vec<String> {
        let actions = rules[rule].actions.iter();
        actions.map(|action| action.value.to_string()).collect()
    };
    assert_eq!(of(0), ["GET /livez", "GET /readyz"]);
    assert_eq!(of(1), ["GET /metrics"]);
    let warned: Vec<_> = lint(&policy)
        .into_iter()
        .filter(|one| one.lint.severity() == Severity::Warning)
        .collect();
    assert!(warned.is_empty(), "{warned:?}");
    for (query, permitted) in [
        (
            r#"{"from":"kubelet","to":"api","port":8443,"method":"GET","path":"/livez"}"#,
            true,
        ),
        (
            r#"{"from":"kubelet","to":"api","port":8443,"method":"GET","path":"/livez?verbose"}"#,
            true,
        ),
        (
            r#"{"from":"kubelet","to":"api","port":8443,"method":"GET","path":"/livez/x"}"#,
            false,
        ),
        (
            r#"{"from":"kubelet","to":"api","port":8443,"method":"HEAD","path":"/livez"}"#,
            false,
        ),
        (
            r#"{"from":"kubelet","to":"api","port":8443,"method":"POST","path":"/readyz"}"#,
            false,
        ),
        (
            r#"{"from":"kubelet","to":"api","port":8443,"method":"GET","path":"/metrics"}"#,
            false,
        ),
        (
            r#"{"from":"prometheus","to":"api","port":8443,"method":"GET","path":"/metrics"}"#,
            true,
        ),
        (
            r#"{"from":"prometheus","to":"api","port":8443,"method":"GET","path":"/livez"}"#,
            false,
        ),
        (
            r#"{"to":"api","port":8080,"method":"GET","path":"/livez"}"#,
            false,
        ),
    ] {
        let said = decides(&policy, query);
        assert_eq!(
            said.contains(r#""verdict":"permit""#),
            permitted,
            "{query}: {said}"
        );
    }
}

#[test]
fn the_readme_shows_what_is_written() {
    let readme = include_str!("../README.md");
    let args = [
        "health",
        "--from",
        "kubelet",
        "--to",
        "retriever",
        "--path",
        "/livez",
        "--path",
        "/readyz",
    ];
    let shown = format!("$ ztl preset {}\n{}```\n", args.join(" "), preset(&args));
    assert!(readme.contains(&shown), "{shown}");
}

#[test]
fn t29_metrics_are_never_for_all_and_who_probes_is_stated() {
    for who in ["public", "any"] {
        let run = ztl(&[
            "preset",
            "metrics",
            "--from",
            "prometheus",
            "--from",
            who,
            "--to",
            "api",
        ]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{who}");
        assert!(
            run.stderr.contains("name who scrapes them"),
            "{}",
            run.stderr
        );
    }
    for args in [
        &["preset", "health", "--to", "api"][..],
        &["preset", "health", "--from", "kubelet"],
        &["preset", "health", "--from", "", "--to", "api"],
        &["preset", "health", "--from", "a\nmode = 1", "--to", "api"],
        &[
            "preset", "health", "--from", "kubelet", "--to", "api", "--port", "0",
        ],
        &["preset"],
        &["preset", "readiness", "--from", "kubelet", "--to", "api"],
    ] {
        assert_eq!(ztl(args).code, Some(2), "{args:?}");
    }
    for path in [
        "/a/{id}",
        "/a/{*rest}",
        "/a?b",
        "/a*",
        "a",
        "//a",
        "/../a",
        "/%61",
        "/a b",
        "",
    ] {
        let run = ztl(&[
            "preset", "health", "--from", "kubelet", "--to", "api", "--path", path,
        ]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{path}");
    }
}

#[test]
fn t3_a_public_probe_says_that_it_is_anonymous() {
    let health = preset(&["health", "--from", "public", "--to", "api"]);
    assert!(health.contains("\nanonymous = true\n"), "{health}");
    let policy = with(&[&health]);
    let said = decides(
        &policy,
        r#"{"to":"api","port":8080,"method":"GET","path":"/healthz"}"#,
    );
    assert!(said.contains(r#""verdict":"permit""#), "{said}");
    assert_eq!(
        policy.document().rules[0].actions[0].value,
        ActionPattern::parse("GET /healthz").expect("action")
    );
}

#[test]
fn names_are_the_same_for_the_same_and_differ_else() {
    let name = |args: &[&str]| -> Vec<String> {
        let written = preset(args);
        let names = written
            .lines()
            .filter_map(|line| line.strip_prefix("name = "));
        names.map(str::to_owned).collect()
    };
    let base = [
        "health", "--from", "kubelet", "--from", "any", "--to", "api",
    ];
    let swapped = [
        "health", "--from", "any", "--from", "kubelet", "--to", "api",
    ];
    assert_eq!(name(&base), name(&swapped));
    let mut all = name(&base);
    for more in [
        &["--path", "/x"][..],
        &["--port", "8443"],
        &["--from", "prometheus"],
        &["--path", "/x", "--path", "/y"],
    ] {
        all.extend(name(&[&base[..], more].concat()));
    }
    all.extend(name(&["metrics", "--from", "kubelet", "--to", "api"]));
    all.extend(name(&[
        "health",
        "--from",
        "kubelet",
        "--to",
        "trust-domain:prod.example",
        "--to",
        "spiffe://prod.example/a/**",
    ]));
    let count = all.len();
    assert_eq!(count, 8);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
    let long = format!("spiffe://prod.example/{}", "x".repeat(200));
    let names = name(&["health", "--from", "kubelet", "--to", &long]);
    assert!(names[0].len() <= 66, "{names:?}");
}
