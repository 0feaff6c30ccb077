//! `ztl check`: the summary, and what is pointed at in a policy that loads.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::{data, policy, ztl, ztl_with_input};
use serde_json::Value;

const HEAD: &str = "schema = 1\ntrust_domain = \"prod.example\"\n";
const WORKLOADS: &str = "[workloads.router]\nid = \"spiffe://prod.example/router\"\n\
        [workloads.retriever]\nid = \"spiffe://prod.example/retriever\"\nports = [8443]\n";

/// The codes of what is found, with the lines they speak of.
fn found(text: &str) -> Vec<(String, String, u64)> {
    let run = ztl_with_input(&["check", "-", "--json"], text.as_bytes());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let told: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let findings = told["findings"].as_array().expect("findings");
    let text = |finding: &Value, key: &str| finding[key].as_str().expect("text").to_owned();
    let line = |finding: &Value| finding["line"].as_u64().expect("line");
    findings
        .iter()
        .map(|one| (text(one, "level"), text(one, "code"), line(one)))
        .collect()
}

fn has(text: &str, level: &str, code: &str, line: u64) {
    let found = found(text);
    assert!(
        found.contains(&(level.to_owned(), code.to_owned(), line)),
        "{code} in {found:?}"
    );
}

#[test]
fn a_summary_is_printed() {
    let run = ztl(&["check", "mesh.toml"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    for wanted in [
        "mesh.toml holds\n",
        "trust domain  prod.example\n",
        "serial        7\n",
        "workloads     7\n",
        "zones         2\n",
        "rules         6 permit, 4 forbid (of these 2 in shadow, 1 off)\n",
        "assertions    1 never, all proved\n",
        "tests         3 (`ztl test` runs them)\n",
    ] {
        assert!(run.stdout.contains(wanted), "{wanted} in {}", run.stdout);
    }
}

/// A revision that is not the service's is not printed as though it were.
#[cfg(not(feature = "schema"))]
#[test]
fn schemas_that_are_not_read_are_told() {
    let permit = |name: &str, oblige: &str| {
        format!(
            "[[permit]]\nname = \"{name}\"\nfrom = \"router\"\nto = \"retriever\"\nactions = \"POST /{name}\"\n{oblige}"
        )
    };
    let schema = "[permit.oblige]\nschema = \"body.json\"\n";
    for (oblige, unread) in [("", 0), (schema, 1)] {
        let rules = permit("one", oblige) + &permit("two", oblige);
        let text = format!("{HEAD}{WORKLOADS}{rules}");
        let run = ztl_with_input(&["check", "-"], text.as_bytes());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let told = run
            .stdout
            .contains("schemas       1 not read: a service has another revision");
        assert_eq!(told, unread == 1, "{}", run.stdout);
        let json = ztl_with_input(&["check", "-", "--json"], text.as_bytes());
        let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
        assert_eq!(json["schemas_unread"], unread);
    }
}

#[test]
fn toml_and_json_are_one_document() {
    let object = |name: &str| -> Value {
        serde_json::from_str(&ztl(&["check", name, "--json"]).stdout).expect("JSON")
    };
    let (toml, json) = (object("mesh.toml"), object("mesh.json"));
    for key in [
        "ok",
        "revision",
        "serial",
        "trust_domain",
        "workloads",
        "zones",
        "permits",
        "forbids",
        "nevers",
        "tests",
    ] {
        assert_eq!(toml[key], json[key], "{key}");
    }
    assert_eq!(toml["revision"].as_str().map(str::len), Some(64));
}

#[test]
fn a_permit_from_any_to_any() {
    let rule = "[[permit]]\nname = \"open\"\nfrom = \"any\"\nto = \"any\"\nports = \"1-65535\"\nactions = \"any\"\n";
    has(
        &format!("{HEAD}{WORKLOADS}{rule}"),
        "warning",
        "permit-any-to-any",
        8,
    );
}

#[test]
fn a_workload_that_nobody_may_reach_and_one_that_may_call_nobody() {
    let text = format!("{HEAD}{WORKLOADS}");
    has(&text, "warning", "unreachable-workload", 5);
    has(&text, "note", "workload-without-egress", 3);
    // The router listens on nothing: that nobody may call it is no mistake.
    assert!(!found(&text).contains(&("warning".to_owned(), "unreachable-workload".to_owned(), 3)));
    for (from, to) in [
        ("router", "retriever"),
        (
            "spiffe://prod.example/router",
            "spiffe://prod.example/retriever",
        ),
        ("spiffe://prod.example/**", "trust-domain:prod.example"),
        ("trust-domain:prod.example", "spiffe://prod.example/**"),
        ("label:tier=front", "label:tier=front"),
        ("zone:here", "zone:here"),
    ] {
        let zone = "[zones.here]\nnetworks = [\"10.0.0.0/8\"]\n";
        let facts = "zone = \"here\"\nlabels = { tier = \"front\" }\n";
        let workloads = WORKLOADS.replace(
            "[workloads.retriever]",
            &format!("{facts}[workloads.retriever]"),
        );
        let rule = format!(
            "[[permit]]\nfrom = \"{from}\"\nto = \"{to}\"\nports = 8443\nactions = \"any\"\n"
        );
        let found = found(&format!("{HEAD}{zone}{workloads}{facts}{rule}"));
        assert!(
            found.iter().all(|(level, ..)| level == "note"),
            "{from} {to}: {found:?}"
        );
    }
}

#[test]
fn a_shadow_permit_opens_nothing() {
    let rule =
        "[[permit]]\nmode = \"shadow\"\nfrom = \"router\"\nto = \"retriever\"\nactions = \"any\"\n";
    let text = format!("{HEAD}{WORKLOADS}{rule}");
    has(&text, "warning", "unreachable-workload", 5);
    has(&text, "note", "rule-in-shadow", 8);
    has(&text.replace("shadow", "off"), "note", "rule-off", 8);
}

#[test]
fn an_issuer_that_is_not_declared() {
    let rule = "[[permit]]\nfrom = \"router\"\nto = \"retriever\"\nactions = \"any\"\n\
            [permit.require]\ntoken = { issuer = \"corp\" }\n";
    let text = format!("{HEAD}{WORKLOADS}{rule}");
    has(&text, "warning", "undeclared-issuer", 13);
    let declared =
        format!("{HEAD}[issuers.corp]\nissuer = \"https://corp.example\"\n{WORKLOADS}{rule}");
    assert!(
        found(&declared)
            .iter()
            .all(|(_, code, _)| code != "undeclared-issuer")
    );
    let by_url = declared.replace("issuer = \"corp\"", "issuer = \"https://corp.example\"");
    assert!(
        found(&by_url)
            .iter()
            .all(|(_, code, _)| code != "undeclared-issuer")
    );
}

#[test]
fn tests_that_are_missing_or_depend_on_the_clock() {
    has(&format!("{HEAD}{WORKLOADS}"), "note", "no-tests", 1);
    let test = "[[test]]\nto = \"retriever\"\nclaims = { exp = 1790000000 }\nexpect = \"deny\"\n";
    has(
        &format!("{HEAD}{WORKLOADS}{test}"),
        "warning",
        "test-reads-the-clock",
        8,
    );
    let with_now = format!("{HEAD}{WORKLOADS}{test}now = 1780000000\n");
    assert!(
        found(&with_now)
            .iter()
            .all(|(_, code, _)| code != "test-reads-the-clock")
    );
}

#[test]
fn a_test_that_cannot_be_asked() {
    let test = "[[test]]\nto = \"retriever\"\nmethod = \"GET\"\nexpect = \"deny\"\n";
    let text = format!("{HEAD}{WORKLOADS}{test}");
    let run = ztl_with_input(&["check", "-"], text.as_bytes());
    assert_eq!(run.code, Some(3));
    assert!(
        run.stderr
            .contains("<stdin>:8:1: the request cannot be asked: `method` stands without `path`"),
        "{}",
        run.stderr
    );
}

#[test]
fn strict_makes_a_warning_count_and_a_note_not() {
    let warned = policy("strict-warned", &format!("{HEAD}{WORKLOADS}"));
    assert_eq!(ztl(&["check", &warned]).code, Some(0));
    assert_eq!(ztl(&["check", &warned, "--strict"]).code, Some(1));
    // From standard input, since the file's own mode is no part of this test.
    let mesh = std::fs::read(data("mesh.json")).expect("policy");
    let noted = ztl_with_input(&["check", "-", "--strict"], &mesh);
    assert!(noted.stdout.contains("note: <stdin>:"), "{}", noted.stdout);
    assert_eq!(noted.code, Some(0));
}

#[cfg(unix)]
#[test]
fn t6_a_file_that_others_may_write() {
    use std::os::unix::fs::PermissionsExt as _;
    let path = policy("writable", &format!("{HEAD}{WORKLOADS}"));
    for (mode, found) in [(0o600, false), (0o644, false), (0o664, true), (0o646, true)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode");
        let stdout = ztl(&["check", &path]).stdout;
        assert_eq!(
            stdout.contains("others than its owner may write this file"),
            found,
            "{mode:o}: {stdout}"
        );
    }
}
