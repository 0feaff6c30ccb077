//! Documents with `[authorizers.NAME]`, whose files lie beside them, through every verb that loads a policy.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

#[cfg(any(feature = "rego", feature = "opa"))]
use std::path::Path;

use common::{policy, ztl};

fn document(authorizer: &str) -> String {
    format!(
        r#"
schema = 1
trust_domain = "prod.example"

[workloads.gateway]
id = "spiffe://prod.example/gateway"

[workloads.models]
id = "spiffe://prod.example/models"
ports = [8443]

[authorizers.teams]
{authorizer}

[[permit]]
name = "infers"
from = "gateway"
to = "models"
actions = "GET,POST /v1/{{model}}"
require.authorizer = "teams"
"#
    )
}

/// A document in a folder of this test's own, with files beside it.
#[cfg(any(feature = "rego", feature = "opa"))]
fn beside(test: &str, authorizer: &str, files: &[(&str, &[u8])]) -> String {
    let path = policy(test, &document(authorizer));
    let folder = Path::new(&path).parent().expect("a folder");
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).expect("write");
    }
    path
}

/// What `ztl check` says of a document that it refuses.
#[cfg(any(feature = "rego", feature = "opa"))]
fn refused(test: &str, authorizer: &str, files: &[(&str, &[u8])]) -> String {
    let run = ztl(&["check", &beside(test, authorizer, files)]);
    assert_eq!(run.code, Some(3), "{test}: {}{}", run.stdout, run.stderr);
    format!("{}{}", run.stdout, run.stderr)
}

/// Whoever was not built with a kind says so, and takes no document that needs it.
#[cfg(not(all(feature = "rego", feature = "opa")))]
#[test]
fn a_kind_that_the_tool_was_built_without_refuses_the_document() {
    let kinds = [
        ("rego", cfg!(feature = "rego")),
        ("opa", cfg!(feature = "opa")),
    ];
    for (kind, _) in kinds.iter().filter(|(_, built)| !built) {
        let section =
            format!("kind = \"{kind}\"\npolicy = \"teams.{kind}\"\nentrypoint = \"teams/allow\"");
        let path = policy(&format!("rego-without-{kind}"), &document(&section));
        let run = ztl(&["check", &path]);
        assert_eq!(run.code, Some(3), "{}{}", run.stdout, run.stderr);
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(
            all.contains(&format!("no kind of authorizer `{kind}` is registered")),
            "{all}"
        );
    }
}

#[cfg(feature = "rego")]
mod interpreted {
    use super::common::{data, ztl, ztl_with_input};
    use super::{beside, refused};

    const SECTION: &str = r#"kind = "rego"
policy = "teams.rego"
data = "teams.json"
entrypoint = "teams/answer"
reads = ["token"]
timeout = "5s""#;

    const TEAMS: &[u8] = br#"package teams
import rego.v1

default answer := {"allow": false, "reason_code": "no_such_team"}

answer := {"allow": model in models, "reason_code": "model_of_others"} if {
	model := input.params.model
	models := data.teams[input.claims.team].models
}
"#;

    const DATA: &[u8] = br#"{ "teams": { "search": { "models": ["llama"] } } }"#;

    #[test]
    fn a_document_is_checked_with_the_files_beside_it() {
        let path = beside(
            "rego-good",
            SECTION,
            &[("teams.rego", TEAMS), ("teams.json", DATA)],
        );
        let run = ztl(&["check", &path]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        // Beside the document, wherever the tool is started.
        assert_ne!(std::path::Path::new(&path).parent(), Some(&*data("")));
    }

    #[test]
    fn a_policy_in_rego_is_decided_and_explained() {
        let path = beside(
            "rego-asked",
            SECTION,
            &[("teams.rego", TEAMS), ("teams.json", DATA)],
        );
        for (model, claims, reason, objection) in [
            ("llama", r#","claims":{"team":"search"}"#, "permitted", None),
            (
                "gpt",
                r#","claims":{"team":"search"}"#,
                "objected",
                Some("model_of_others"),
            ),
            (
                "llama",
                r#","claims":{"team":"sales"}"#,
                "objected",
                Some("no_such_team"),
            ),
            ("llama", "", "evidence_missing", None),
        ] {
            let query = format!(
                r#"{{"from":"gateway","to":"models","method":"POST","path":"/v1/{model}"{claims}}}"#
            );
            let run = ztl_with_input(
                &["decide", "--policy", &path, "--requests", "-"],
                query.as_bytes(),
            );
            let all = format!("{}{}", run.stdout, run.stderr);
            assert!(
                all.contains(&format!(r#""reason":"{reason}""#)),
                "{query}: {all}"
            );
            let run = ztl(&["explain", &path, "--json", &query]);
            assert_eq!(
                run.code,
                Some(i32::from(reason != "permitted")),
                "{}{}",
                run.stdout,
                run.stderr
            );
            if let Some(objection) = objection {
                assert!(run.stdout.contains(objection), "{query}: {}", run.stdout);
            }
        }
    }

    #[test]
    fn a_file_that_is_not_there_or_is_bad_refuses_the_document() {
        let all = refused("rego-missing", SECTION, &[("teams.json", DATA)]);
        assert!(all.contains("`teams.rego` No such file"), "{all}");
        let all = refused("rego-no-data", SECTION, &[("teams.rego", TEAMS)]);
        assert!(all.contains("`teams.json` No such file"), "{all}");
        let all = refused(
            "rego-bad",
            SECTION,
            &[
                ("teams.rego", b"package teams\nanswer if {"),
                ("teams.json", DATA),
            ],
        );
        assert!(all.contains("teams.rego:2:"), "{all}");
        let all = refused(
            "rego-bad-data",
            SECTION,
            &[("teams.rego", TEAMS), ("teams.json", b"[1]")],
        );
        assert!(all.contains("`teams.json` is no object"), "{all}");
        let calls = [TEAMS, b"x := http.send({})\n"].concat();
        let all = refused(
            "rego-calls",
            SECTION,
            &[("teams.rego", &calls), ("teams.json", DATA)],
        );
        assert!(
            all.contains("`http.send`") && all.contains("teams.rego:"),
            "{all}"
        );
    }

    #[test]
    fn t24_no_file_elsewhere_is_read() {
        for elsewhere in ["../teams.rego", "/etc/hostname", "./teams.rego"] {
            let section = SECTION.replace("teams.rego", elsewhere);
            let all = refused(
                "rego-elsewhere",
                &section,
                &[("teams.rego", TEAMS), ("teams.json", DATA)],
            );
            assert!(
                all.contains("names no file beside the document"),
                "{elsewhere}: {all}"
            );
        }
    }

    #[test]
    fn t24_the_revision_is_another_with_other_files() {
        let of = |test: &str, data: &[u8]| {
            let path = beside(
                test,
                SECTION,
                &[("teams.rego", TEAMS), ("teams.json", data)],
            );
            let query = r#"{"from":"gateway","to":"models","method":"POST","path":"/v1/llama","claims":{"team":"search"}}"#;
            let run = ztl(&["explain", &path, "--json", query, "--format", "json"]);
            let revision = run
                .stdout
                .split("\"revision\"")
                .nth(1)
                .map(|rest| rest.split(',').next().unwrap_or_default().to_owned());
            revision.unwrap_or_else(|| panic!("no revision: {}{}", run.stdout, run.stderr))
        };
        let own = of("rego-revision", DATA);
        assert_eq!(own, of("rego-revision", DATA));
        let more = br#"{ "teams": { "search": { "models": ["llama", "gpt"] } } }"#;
        assert_ne!(own, of("rego-revision", more));
    }
}

#[cfg(feature = "opa")]
mod compiled {
    use super::common::{ztl, ztl_with_input};
    use super::{beside, refused};

    const SECTION: &str = r#"kind = "opa"
policy = "policy.wasm"
entrypoint = "policy/readers"
timeout = "5s""#;

    /// A module written by hand, which agrees to what has `"method":"GET"` in its input.
    fn module(builtins: &str) -> Vec<u8> {
        let text = include_str!("../../ztl-authz/tests/opa/policy.wat");
        wat::parse_str(text.replace("BUILTINS", builtins)).expect("a module")
    }

    #[test]
    fn a_module_is_decided_and_explained() {
        let path = beside("opa-asked", SECTION, &[("policy.wasm", &module("{}"))]);
        let run = ztl(&["check", &path]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        for (method, reason) in [("GET", "permitted"), ("POST", "objected")] {
            let query = format!(
                r#"{{"from":"gateway","to":"models","method":"{method}","path":"/v1/llama"}}"#
            );
            let run = ztl_with_input(
                &["decide", "--policy", &path, "--requests", "-"],
                query.as_bytes(),
            );
            assert!(
                run.stdout.contains(&format!(r#""reason":"{reason}""#)),
                "{}{}",
                run.stdout,
                run.stderr
            );
            let run = ztl(&["explain", &path, "--json", &query]);
            assert_eq!(
                run.code,
                Some(i32::from(reason != "permitted")),
                "{}{}",
                run.stdout,
                run.stderr
            );
            let asked = run.stdout.contains("no objection of teams");
            assert_eq!(asked, reason == "objected", "{}", run.stdout);
        }
    }

    #[test]
    fn a_module_that_is_not_there_or_is_bad_refuses_the_document() {
        let all = refused("opa-missing", SECTION, &[]);
        assert!(all.contains("`policy.wasm` No such file"), "{all}");
        let mut torn = module("{}");
        torn.truncate(torn.len() - 1);
        let all = refused("opa-torn", SECTION, &[("policy.wasm", &torn)]);
        assert!(all.contains("`policy.wasm`"), "{all}");
        let greedy = module(r#"{\"http.send\":0}"#);
        let all = refused("opa-greedy", SECTION, &[("policy.wasm", &greedy)]);
        assert!(all.contains("http.send"), "{all}");
        let section = SECTION.replace("readers", "nobody");
        let all = refused(
            "opa-entrypoint",
            &section,
            &[("policy.wasm", &module("{}"))],
        );
        assert!(all.contains("policy/nobody"), "{all}");
    }
}
