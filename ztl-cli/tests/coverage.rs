//! `ztl test`: what of the rules the tests exercise, more tests beside the document, and a report for build servers.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::{policy, scratch, ztl, ztl_with_input};
use serde_json::{Value, json};

const POLICY: &str = "schema = 1\ntrust_domain = \"prod.example\"\ntrust_domain_aliases = [\"old.example\"]\n\
        [zones.here]\nnetworks = [\"10.0.0.0/8\"]\n\
        [workloads.web]\nid = \"spiffe://prod.example/ns/web\"\nlabels = { tier = \"front\" }\n\
        [workloads.api]\nid = \"spiffe://prod.example/api\"\nports = [8443, 9443]\nlabels = { tier = \"back\" }\n\
        [workloads.db]\nid = \"spiffe://prod.example/db\"\nports = [5432]\nlabels = { tier = \"back\" }\n\
        [[permit]]\nname = \"reads\"\nfrom = [\"web\", \"spiffe://old.example/jobs/**\"]\nto = \"api\"\nports = [8443]\n\
        actions = [\"GET /v1/{item}\", \"websocket /live\"]\n\
        [permit.require]\ntrust_score = 50\ntoken = { scopes = [\"read\"] }\n\
        [[forbid]]\nname = \"sealed\"\nfrom = \"label:tier=front\"\nto = \"label:tier=back\"\nactions = \"GET /v1/secrets\"\n";

/// The clauses of a rule with what never came about, as `kind clause never`.
fn missing(tests: &str) -> (u64, Vec<String>) {
    let run = ztl_with_input(
        &["test", "-", "--json"],
        format!("{POLICY}{tests}").as_bytes(),
    );
    let told: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let clauses = &told["coverage"]["clauses"];
    let lines = clauses["missing"]
        .as_array()
        .expect("missing")
        .iter()
        .map(|one| {
            let text = |key: &str| one[key].as_str().expect("text").to_owned();
            format!(
                "{} {} {} {}",
                text("rule"),
                text("kind"),
                text("clause"),
                text("never")
            )
        });
    (
        clauses["exercised"].as_u64().expect("number"),
        lines.collect(),
    )
}

fn test(name: &str, keys: &str) -> String {
    format!("[[test]]\nname = \"{name}\"\n{keys}\nexpect = \"deny\"\n")
}

#[test]
fn nothing_is_exercised_by_no_test() {
    let (exercised, missing) = missing("");
    assert_eq!(exercised, 0);
    // Two callers, a target, a port, two actions, a score, a token and its scope; a caller, a target and an action: each both ways.
    assert_eq!(missing.len(), 2 * 9 + 2 * 3);
}

#[test]
fn a_test_exercises_what_it_comes_to() {
    // The target is another one: nothing after it is asked of `reads`.
    let (_, left) = missing(&test("db", "from = \"web\"\nto = \"db\""));
    assert!(!left.contains(&"reads to api unmet".to_owned()), "{left:?}");
    assert!(
        left.contains(&"reads to api met".to_owned())
            && left.contains(&"reads from web met".to_owned())
    );
    assert!(
        !left.contains(&"sealed to label:tier=back met".to_owned()),
        "{left:?}"
    );
    // A caller that neither entry means.
    let (_, left) = missing(&test("api", "from = \"db\"\nto = \"api\"\nport = 8443"));
    for from in ["web", "spiffe://old.example/jobs/**"] {
        assert!(
            !left.contains(&format!("reads from {from} unmet")),
            "{left:?}"
        );
        assert!(left.contains(&format!("reads from {from} met")), "{left:?}");
    }
    assert!(left.contains(&"reads port 8443 met".to_owned()), "{left:?}");
    // An id in the primary trust domain, under a pattern written in an alias of it (rule 28), on the wrong port.
    let (_, left) = missing(&test(
        "port",
        "from = \"spiffe://prod.example/jobs/a\"\nto = \"api\"\nport = 9443",
    ));
    assert!(
        !left.contains(&"reads from spiffe://old.example/jobs/** met".to_owned()),
        "{left:?}"
    );
    assert!(
        !left.contains(&"reads port 8443 unmet".to_owned()),
        "{left:?}"
    );
    assert!(
        left.contains(&"reads action websocket /live met".to_owned()),
        "{left:?}"
    );
}

#[test]
fn a_requirement_is_met_and_unmet() {
    let request = "from = \"web\"\nto = \"api\"\nport = 8443\nmethod = \"GET\"\npath = \"/v1/a\"\n";
    let (_, left) = missing(&test("score", &format!("{request}trust_score = 20")));
    assert!(
        !left.contains(&"reads require trust_score unmet".to_owned()),
        "{left:?}"
    );
    assert!(
        left.contains(&"reads require trust_score met".to_owned()),
        "{left:?}"
    );
    assert!(
        left.contains(&"reads require token unmet".to_owned()),
        "{left:?}"
    );
    let (_, left) = missing(&test(
        "scope",
        &format!("{request}trust_score = 70\nclaims = {{ scope = \"write\" }}"),
    ));
    assert!(
        !left.contains(&"reads require trust_score met".to_owned()),
        "{left:?}"
    );
    assert!(
        !left.contains(&"reads require token met".to_owned()),
        "{left:?}"
    );
    assert!(
        left.contains(&"reads require token unmet".to_owned()),
        "{left:?}"
    );
    assert!(
        !left.contains(&"reads require token.scopes unmet".to_owned()),
        "{left:?}"
    );
    assert!(
        left.contains(&"reads require token.scopes met".to_owned()),
        "{left:?}"
    );
    let (_, left) = missing(&test(
        "all",
        &format!("{request}trust_score = 70\nclaims = {{ scope = \"read\" }}"),
    ));
    for met in ["token", "token.scopes"] {
        assert!(
            !left.contains(&format!("reads require {met} met")),
            "{left:?}"
        );
    }
}

#[test]
fn everything_can_be_exercised() {
    let request = "to = \"api\"\nport = 8443\nmethod = \"GET\"\n";
    let score = "trust_score = 70\n";
    let token = "claims = { scope = \"read\" }\n";
    let all = [
        test("a", "from = \"db\"\nto = \"db\"\nmethod = \"GET\"\npath = \"/v1/secrets\""),
        test("b", "from = \"web\"\nto = \"web\"\nport = 1"),
        test("c", &format!("from = \"web\"\n{request}path = \"/v1/a\"\n{score}{token}")),
        test("d", &format!("from = \"spiffe://old.example/jobs/x\"\n{request}path = \"/live\"\nheaders = {{ Upgrade = \"websocket\" }}\n{score}{token}")),
        test("e", &format!("from = \"web\"\n{request}path = \"/v1/a\"")),
        test("f", &format!("from = \"web\"\n{request}path = \"/v1/a\"\n{score}")),
        test("g", &format!("from = \"web\"\n{request}path = \"/v1/secrets\"")),
        test("h", "from = \"web\"\nto = \"api\"\nport = 9443"),
        test("i", &format!("from = \"web\"\n{request}path = \"/v1/a\"\n{score}claims = {{ scope = \"write\" }}")),
    ]
    .concat();
    let (exercised, left) = missing(&all);
    assert_eq!((exercised, left), (24, Vec::new()));
    let text = format!("{POLICY}{all}");
    let run = ztl_with_input(&["test", "-"], text.as_bytes());
    assert!(
        run.stdout
            .contains("24 of 24 outcomes of their clauses came about (100 %)"),
        "{}",
        run.stdout
    );
}

#[test]
fn t27_a_rule_about_the_outside_is_exercised_by_tests_about_its_hosts() {
    const OUTSIDE: &str = "schema = 1\ntrust_domain = \"prod.example\"\n\
        [zones.here]\nnetworks = [\"10.0.0.0/8\"]\n\
        [workloads.web]\nid = \"spiffe://prod.example/web\"\nzone = \"here\"\nports = [8443]\n\
        [workloads.api]\nid = \"spiffe://prod.example/api\"\n\
        [external.hub]\nhosts = [\"hub.example.org\"]\nports = [443, 8443]\n\
        [external.web]\nhosts = [\"web.example.org\"]\n\
        [[permit]]\nname = \"out\"\nfrom = [\"zone:here\"]\nto = [\"external:hub\"]\nports = [\"1-1000\"]\n\
        actions = [\"GET /v1/{item}\", \"connect\"]\n\
        [[forbid]]\nname = \"off\"\nfrom = \"web\"\nto = \"any\"\nactions = \"GET /v1/secrets\"\n";
    let left = |tests: &[String]| {
        let text = format!("{OUTSIDE}{}", tests.concat());
        let run = ztl_with_input(&["test", "-", "--json"], text.as_bytes());
        let told: Value = serde_json::from_str(&run.stdout).expect("JSON");
        let missing = told["coverage"]["clauses"]["missing"].clone();
        let lines = missing.as_array().expect("missing").iter().map(|one| {
            let text = |key: &str| one[key].as_str().expect("text").to_owned();
            format!(
                "{} {} {} {}",
                text("rule"),
                text("kind"),
                text("clause"),
                text("never")
            )
        });
        lines.collect::<Vec<_>>()
    };
    // One caller, one target, one range, two actions; one caller, one action and a target that is always met.
    assert_eq!(left(&[]).len(), 2 * 5 + 2 * 2 + 1);
    let hub = |more: &str| format!("to = \"hub.example.org\"\n{more}");
    let get = |path: &str| format!("port = 443\nmethod = \"GET\"\npath = \"{path}\"");
    // Whoever is no workload calls nobody, a host that may not be there is not called, and nor is one that nothing names.
    let nobody = [
        test("a", &hub(&get("/v1/a"))),
        test(
            "b",
            &hub(&format!(
                "from = \"web\"\nto_addr = \"127.0.0.1\"\n{}",
                get("/v1/a")
            )),
        ),
        test("c", "from = \"web\"\nto = \"evil.example.org\""),
    ];
    assert_eq!(left(&nobody).len(), 2 * 5 + 2 * 2 + 1);
    // A workload and a section of one name are two targets.
    let other = left(&[test("a", "from = \"web\"\nto = \"web.example.org\"")]);
    assert!(
        !other.contains(&"out to external:hub unmet".to_owned()),
        "{other:?}"
    );
    assert!(
        other.contains(&"out to external:hub met".to_owned()),
        "{other:?}"
    );
    // A workload without a zone is in none as it sees itself.
    let outside = left(&[test(
        "a",
        &hub(&format!("from = \"api\"\n{}", get("/v1/a"))),
    )]);
    assert!(
        !outside.contains(&"out to external:hub met".to_owned()),
        "{outside:?}"
    );
    assert!(
        !outside.contains(&"out from zone:here unmet".to_owned()),
        "{outside:?}"
    );
    assert!(
        outside.contains(&"out from zone:here met".to_owned()),
        "{outside:?}"
    );
    let all = [
        test("a", &hub(&format!("from = \"web\"\n{}", get("/v1/a")))),
        test(
            "b",
            &hub(&format!("from = \"web\"\n{}", get("/v1/secrets"))),
        ),
        test(
            "c",
            &hub("from = \"web\"\nport = 443\naction = \"connect\""),
        ),
        test("d", &hub("from = \"web\"\nport = 8443")),
        test("e", &hub(&format!("from = \"api\"\n{}", get("/v1/a")))),
        test("f", "from = \"web\"\nto = \"web.example.org\""),
    ];
    assert_eq!(left(&all), Vec::<String>::new());
}

#[test]
fn too_little_coverage_is_a_finding() {
    let passing =
        "[[test]]\nname = \"no\"\nfrom = \"db\"\nto = \"api\"\nport = 8443\nexpect = \"deny\"\n";
    let text = format!("{POLICY}{passing}");
    let run =
        |least: &str| ztl_with_input(&["test", "-", "--min-coverage", least], text.as_bytes());
    assert_eq!(run("10").code, Some(0));
    let little = run("90");
    assert_eq!(little.code, Some(1));
    assert!(
        little.stdout.ends_with(" % of what 90 % were asked for\n"),
        "{}",
        little.stdout
    );
    assert_eq!(run("101").code, Some(2));
}

#[test]
fn cases_stand_in_files_of_their_own() {
    let folder = scratch("cases");
    let path = policy(
        "cases-policy",
        &format!(
            "{POLICY}{}",
            test("own", "from = \"db\"\nto = \"api\"\nport = 8443")
        ),
    );
    let cases = folder.join("cases.jsonl").display().to_string();
    let lines = concat!(
        r#"{"name":"named","from":"web","to":"api","port":9443,"expect":"deny","reason":"no_flow_permitted"}"#,
        "\n\n",
        r#"{"from":"web","to":"db","method":"GET","path":"/v1/secrets","expect":"permit"}"#,
        "\n",
    );
    std::fs::write(&cases, lines).expect("write");
    let run = ztl(&["test", &path, &cases]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    assert!(
        run.stdout
            .starts_with(&format!("ok    own\nok    named\nFAIL  {cases}:3\n")),
        "{}",
        run.stdout
    );
    let told: Value =
        serde_json::from_str(&ztl(&["test", &path, &cases, "--format", "json"]).stdout)
            .expect("JSON");
    assert_eq!((&told["passed"], &told["failed"]), (&json!(2), &json!(1)));
    assert_eq!(
        (&told["tests"][2]["file"], &told["tests"][2]["line"]),
        (&json!(cases), &json!(3))
    );
    assert_eq!(told["tests"][0]["line"], 31);
}

#[test]
fn rule_22_a_line_that_is_no_test_is_wrong_use() {
    let folder = scratch("no-cases");
    let path = policy("no-cases-policy", POLICY);
    let cases = folder.join("cases.jsonl").display().to_string();
    for (line, why) in [
        (
            r#"{"to":"api","expect":"deny","expect":"permit"}"#,
            "duplicate key `expect`",
        ),
        (
            r#"{"to":"api","expect":"deny","form":"web"}"#,
            "unknown key `form`",
        ),
        (r#"{"to":"api"}"#, "expect"),
        (r#"{"to":"api","expect":"perhaps"}"#, "expect"),
        (
            r#"{"to":"api","expect":"deny","reason":"because"}"#,
            "reason",
        ),
        (
            r#"{"to":"api","expect":"deny"}],"permit":[{}"#,
            "it is no JSON object",
        ),
        ("[]", "it is no JSON object"),
        ("7", "it is no JSON object"),
    ] {
        std::fs::write(&cases, format!("\n{line}\n")).expect("write");
        let run = ztl(&["test", &path, &cases]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{line}");
        let told = format!("`{cases}`, line 2: ");
        assert!(
            run.stderr.contains(&told) && run.stderr.contains(why),
            "{line}: {}",
            run.stderr
        );
    }
    assert_eq!(ztl(&["test", &path, "no-such-file.jsonl"]).code, Some(2));
}

#[test]
fn t30_a_report_is_xml_whatever_a_test_is_called() {
    let folder = scratch("junit");
    let path = policy("junit-policy", POLICY);
    let cases = folder.join("a&b<c>'\".jsonl").display().to_string();
    let lines = concat!(
        r#"{"from":"web","to":"db","expect":"permit"}"#,
        "\n",
        r#"{"from":"nobody","to":"db","expect":"deny"}"#,
        "\n",
        r#"{"from":"web","to":"db","expect":"deny"}"#,
        "\n",
    );
    std::fs::write(&cases, lines).expect("write");
    let run = ztl(&["test", &path, &cases, "--format", "junit"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    let report = run.stdout.as_str();
    assert!(report.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"ztl test\" tests=\"3\" failures=\"1\" errors=\"1\">\n"), "{report}");
    assert!(
        report.contains("a&amp;b&lt;c&gt;&apos;&quot;.jsonl:1\""),
        "{report}"
    );
    assert!(report.contains("<failure type=\"failure\" message=\"expected permit, got deny (no_flow_permitted), at the flow stage\">"), "{report}");
    assert!(
        report.contains("<error type=\"error\" message=\"expected deny, got no answer: "),
        "{report}"
    );
    assert_well_formed(report);
}

/// Every element that opens closes, in order, and no text holds what would open one.
fn assert_well_formed(xml: &str) {
    let mut open: Vec<&str> = Vec::new();
    for piece in xml.split('<').skip(2) {
        let (tag, text) = piece.split_once('>').expect("a tag that ends");
        assert!(!text.contains('>'), "{piece}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{piece}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{piece}"),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().expect("name")),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}
