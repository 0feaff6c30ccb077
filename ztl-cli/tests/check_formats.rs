//! `ztl check` as programs read it, and what each rule is for.

#![cfg(test)]

mod common;

use common::{policy, ztl, ztl_with_input};
use serde_json::{Value, json};

const HEAD: &str = "schema = 1\ntrust_domain = \"prod.example\"\n\
        [workloads.web]\nid = \"spiffe://prod.example/web\"\n\
        [workloads.api]\nid = \"spiffe://prod.example/api\"\nports = [8443]\n";
const OPEN: &str = "[[permit]]\nname = \"open\"\nfrom = \"any\"\nto = \"any\"\nactions = \"any\"\n";

fn open() -> String {
    format!("{HEAD}{OPEN}")
}

/// What SARIF 2.1.0 asks of a log, by the sections of the standard.
fn assert_is_sarif(log: &Value) {
    assert_eq!(log["version"], "2.1.0", "§3.13.2");
    assert!(
        log["$schema"]
            .as_str()
            .expect("§3.13.3")
            .ends_with("sarif-schema-2.1.0.json")
    );
    for run in log["runs"].as_array().expect("§3.13.4") {
        let driver = &run["tool"]["driver"];
        assert!(driver["name"].is_string(), "§3.19.8");
        assert!(
            driver["informationUri"]
                .as_str()
                .expect("uri")
                .starts_with("https://"),
            "§3.19.17"
        );
        let rules = driver["rules"].as_array().expect("§3.19.23");
        for rule in rules {
            assert!(rule["id"].is_string(), "§3.49.3");
            assert!(
                rule["shortDescription"]["text"].is_string(),
                "§3.49.9, §3.12.3"
            );
            let level = rule["defaultConfiguration"]["level"]
                .as_str()
                .expect("§3.50.3");
            assert!(["none", "note", "warning", "error"].contains(&level));
            let uri = rule["helpUri"].as_str().expect("§3.49.12");
            assert!(
                uri.starts_with("https://") && uri.contains("/docs/"),
                "{uri}"
            );
        }
        assert_eq!(run["columnKind"], "unicodeCodePoints", "§3.14.17");
        assert!(
            run["invocations"][0]["executionSuccessful"].is_boolean(),
            "§3.20.14"
        );
        for result in run["results"].as_array().expect("§3.14.23") {
            assert!(result["message"]["text"].is_string(), "§3.27.11");
            let level = result["level"].as_str().expect("§3.27.10");
            assert!(["none", "note", "warning", "error"].contains(&level));
            let index = result["ruleIndex"].as_u64().expect("§3.27.6");
            let rule = &rules[usize::try_from(index).expect("index")];
            assert_eq!(rule["id"], result["ruleId"], "§3.27.5");
            assert_eq!(rule["defaultConfiguration"]["level"], level);
            let place = &result["locations"][0]["physicalLocation"];
            assert!(place["artifactLocation"]["uri"].is_string(), "§3.29.3");
            let region = &place["region"];
            let at = |key: &str| region[key].as_u64();
            assert!(at("startLine").expect("§3.30.5") >= 1);
            assert!(at("startColumn").expect("§3.30.6") >= 1);
            if let (Some(line), Some(column)) = (at("endLine"), at("endColumn")) {
                assert!(
                    (line, column)
                        > (
                            at("startLine").expect("line"),
                            at("startColumn").expect("column")
                        )
                );
            }
        }
    }
}

#[test]
fn a_finding_is_sarif() {
    let path = policy("sarif", &open());
    let run = ztl(&["check", &path, "--format", "sarif"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let log: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_is_sarif(&log);
    let results = log["runs"][0]["results"].as_array().expect("results");
    let any = results
        .iter()
        .find(|one| one["ruleId"] == "permit-any-to-any")
        .expect("finding");
    let place = &any["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], format!("file://{path}"));
    assert_eq!(place["region"]["startLine"], 8);
    assert_eq!(
        log["runs"][0]["invocations"][0]["executionSuccessful"],
        true
    );
    let rules = log["runs"][0]["tool"]["driver"]["rules"]
        .as_array()
        .expect("rules");
    let help = rules
        .iter()
        .find(|rule| rule["id"] == "permit-any-to-any")
        .expect("rule");
    assert!(
        help["help"]["markdown"]
            .as_str()
            .expect("page")
            .starts_with("# permit-any-to-any\n")
    );
}

#[test]
fn a_policy_that_does_not_load_is_sarif() {
    let text = open().replace("to = \"any\"", "to = \"apo\"");
    let run = ztl_with_input(&["check", "-", "--format", "sarif"], text.as_bytes());
    assert_eq!(run.code, Some(3));
    assert!(
        run.stderr.contains("there is no workload `apo`"),
        "{}",
        run.stderr
    );
    let log: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_is_sarif(&log);
    let result = &log["runs"][0]["results"][0];
    assert_eq!(
        (&result["ruleId"], &result["level"]),
        (&json!("invalid-policy"), &json!("error"))
    );
    assert_eq!(
        result["locations"][0]["physicalLocation"]["region"]["startLine"],
        11
    );
    let message = result["message"]["text"].as_str().expect("text");
    assert!(message.contains("help: did you mean `api`?"), "{message}");
    assert_eq!(
        log["runs"][0]["invocations"][0]["executionSuccessful"],
        false
    );
}

#[test]
fn t30_a_workflow_command_is_one_line() {
    let run = ztl_with_input(&["check", "-", "--format", "github"], open().as_bytes());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let any = run
        .lines()
        .into_iter()
        .find(|line| line.contains("permit-any-to-any"))
        .expect("command")
        .to_owned();
    assert!(
        any.starts_with("::warning file=<stdin>,line=8,col=1,endLine=12,title=permit-any-to-any::the permit `open` lets"),
        "{any}"
    );
    assert!(any.contains("%0Ahelp: name the callers"), "{any}");
    assert!(
        run.stdout
            .contains("::notice file=<stdin>,line=1,col=1,title=no-tests::"),
        "{}",
        run.stdout
    );
    let broken = ztl_with_input(
        &["check", "-", "--format", "github"],
        b"schema = 1\nx = \"\x1b]0;\"\n",
    );
    assert_eq!(broken.code, Some(3));
    assert!(
        broken
            .lines()
            .iter()
            .all(|line| line.starts_with("::error file=<stdin>,line=")),
        "{}",
        broken.stdout
    );
    assert!(!broken.stdout.contains('\u{1b}'), "{}", broken.stdout);
}

#[test]
fn json_says_where_it_ends() {
    let run = ztl_with_input(&["check", "-", "--format", "json"], open().as_bytes());
    let told: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let any = told["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .find(|one| one["code"] == "permit-any-to-any")
        .expect("finding");
    assert_eq!(
        (&any["line"], &any["column"], &any["end_line"]),
        (&json!(8), &json!(1), &json!(12))
    );
    assert_eq!(
        ztl_with_input(&["check", "-", "--json"], open().as_bytes()).stdout,
        run.stdout
    );
}

#[test]
fn the_level_leaves_notes_out_and_strict_counts_warnings() {
    let both = ztl_with_input(&["check", "-"], open().as_bytes());
    assert!(both.stdout.contains("[no-tests]") && both.stdout.contains("[permit-any-to-any]"));
    let one = ztl_with_input(
        &["check", "-", "--level", "warning", "--deny-warnings"],
        open().as_bytes(),
    );
    assert!(!one.stdout.contains("[no-tests]") && one.stdout.contains("[permit-any-to-any]"));
    assert_eq!((both.code, one.code), (Some(0), Some(1)));
    assert_eq!(
        ztl_with_input(&["lint", "-", "--strict"], open().as_bytes()).code,
        Some(1)
    );
}

#[test]
fn a_page_is_printed() {
    for (name, wanted) in [
        ("void-requirement", "# void-requirement\n\n*warning*: "),
        ("no_flow_permitted", "# no_flow_permitted\n\n"),
        ("forbidden", "# forbidden\n\n"),
    ] {
        let run = ztl(&["lint", "--explain", name]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        assert!(run.stdout.starts_with(wanted), "{}", run.stdout);
    }
    let run = ztl(&["check", "--explain", "no-such-lint"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(
        run.stderr.contains("lints: any-beside-specific, ") && run.stderr.contains("reasons: "),
        "{}",
        run.stderr
    );
}

const EXPLAINED: &str = "[[permit]]\nname = \"web-reads\"\nfrom = \"web\"\nto = \"api\"\nactions = \"GET /v1/items\"\n\
        why = \"the shop shows what it sells\"\ncontrols = [\"NIST SP 800-207 2.1.3\", \"ISO 27001 A.8.3\"]\n\
        [[forbid]]\nname = \"no-admin\"\nmode = \"shadow\"\nfrom = \"web\"\nto = \"api\"\nactions = \"GET /admin\"\nwhy = \"a\\u001bb\\nc\"\n\
        [[permit]]\nname = \"silent\"\nfrom = \"api\"\nto = \"api\"\nactions = \"GET /self\"\n\
        [[never]]\nname = \"no-strangers\"\nfrom = \"spiffe://other.example/x\"\nto = \"api\"\nwhy = \"theirs\"\ncontrols = [\"IEC 62443-3-3 SR 5.1\"]\n";

#[test]
fn each_rule_says_what_it_is_for() {
    let text = format!("{HEAD}{EXPLAINED}");
    let run = ztl_with_input(&["check", "-", "--controls"], text.as_bytes());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    for wanted in [
        "RULE                      RISK                          CONTROLS\n",
        "permit web-reads          the shop shows what it sells  NIST SP 800-207 2.1.3; ISO 27001 A.8.3\n",
        "forbid no-admin (shadow)  a\\u001bb c ",
        "permit silent             -                             -\n",
        "never no-strangers        theirs                        IEC 62443-3-3 SR 5.1\n",
        "\nneither `why` nor `controls`:\n  permit `silent` (<stdin>:22:1)\n",
    ] {
        assert!(run.stdout.contains(wanted), "{wanted:?} in {}", run.stdout);
    }
    let strict = ztl_with_input(&["check", "-", "--controls", "--strict"], text.as_bytes());
    assert_eq!(strict.code, Some(1));
    let all = text.replace(
        "actions = \"GET /self\"\n",
        "actions = \"GET /self\"\nwhy = \"itself\"\n",
    );
    let strict = ztl_with_input(&["check", "-", "--controls", "--strict"], all.as_bytes());
    assert_eq!(strict.code, Some(0));
}

#[test]
fn a_program_is_told_what_each_rule_is_for() {
    let text = format!("{HEAD}{EXPLAINED}");
    let run = ztl_with_input(
        &["check", "-", "--controls", "--format", "json"],
        text.as_bytes(),
    );
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let told: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(told["unexplained"], json!(["silent"]));
    assert_eq!(told["revision"].as_str().map(str::len), Some(64));
    assert_eq!(
        told["rules"][0],
        json!({
            "rule": "web-reads", "kind": "permit", "mode": "enforce", "line": 8, "column": 1,
            "why": "the shop shows what it sells",
            "controls": ["NIST SP 800-207 2.1.3", "ISO 27001 A.8.3"],
        })
    );
    assert_eq!(told["rules"][1]["mode"], "shadow");
    assert_eq!(told["rules"][3]["kind"], "never");
    let sarif = ztl_with_input(
        &["check", "-", "--controls", "--format", "sarif"],
        text.as_bytes(),
    );
    assert_eq!(sarif.code, Some(2));
}
