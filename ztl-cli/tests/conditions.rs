//! Conditions (`when`), through every verb that loads a policy.

#![cfg(test)]
#![cfg(feature = "cel")]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::{policy, ztl, ztl_with_input};

const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"

[workloads.gateway]
id = "spiffe://prod.example/gateway"

[workloads.models]
id = "spiffe://prod.example/models"
ports = [8443]

[[permit]]
name = "infers"
from = "gateway"
to = "models"
actions = "POST /v1/{model}"
require.when = 'params.model in token.claims.models && posture.managed'

[[test]]
name = "a-model-of-theirs"
from = "gateway"
to = "models"
method = "POST"
path = "/v1/llama"
claims = { models = ["llama"] }
posture = { managed = true }
expect = "permit"

[[test]]
name = "a-device-that-nobody-knows"
from = "gateway"
to = "models"
method = "POST"
path = "/v1/llama"
claims = { models = ["llama"] }
expect = "deny"
reason = "evidence_missing"
"#;

#[test]
fn a_policy_with_conditions_is_checked_and_tested() {
    let path = policy("conditions-good", POLICY);
    let run = ztl(&["check", &path]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let run = ztl(&["test", &path]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_condition_is_decided_and_explained() {
    let path = policy("conditions-asked", POLICY);
    let ask = |more: &str| {
        format!(r#"{{"from":"gateway","to":"models","method":"POST","path":"/v1/llama"{more}}}"#)
    };
    for (more, reason) in [
        (
            r#","claims":{"models":["llama"]},"posture":{"managed":true}"#,
            "permitted",
        ),
        (
            r#","claims":{"models":["gpt"]},"posture":{"managed":true}"#,
            "objected",
        ),
        (
            r#","claims":{"models":["llama"]},"posture":{}"#,
            "authorizer_failed",
        ),
        (r#","claims":{"models":["llama"]}"#, "evidence_missing"),
        ("", "evidence_missing"),
    ] {
        let run = ztl_with_input(
            &["decide", "--policy", &path, "--requests", "-"],
            ask(more).as_bytes(),
        );
        assert!(
            run.stdout.contains(&format!(r#""reason":"{reason}""#)),
            "{more}: {}{}",
            run.stdout,
            run.stderr
        );
    }
    let run = ztl(&[
        "explain",
        &path,
        "--from",
        "gateway",
        "--to",
        "models",
        "--method",
        "POST",
        "--path",
        "/v1/llama",
        "--claims",
        r#"{"models":["llama"]}"#,
        "--posture",
        "{}",
    ]);
    assert_eq!(run.code, Some(1));
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(
        all.contains("`posture.managed` at 1:40 is not there"),
        "{all}"
    );
}

#[test]
fn a_bad_condition_is_shown_where_it_stands() {
    let path = policy(
        "conditions-bad",
        &POLICY.replace("params.model", "params.modle"),
    );
    let run = ztl(&["check", &path]);
    assert_eq!(run.code, Some(3));
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(
        all.contains(":17:17: no path of the rule has a parameter `modle`"),
        "{all}"
    );
    assert!(all.contains("did you mean `params.model`?"), "{all}");
}
