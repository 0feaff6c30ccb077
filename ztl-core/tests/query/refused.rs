//! What is refused, and in which words.

use serde_json::json;
use ztl_core::policy::{MAX_QUERY_BYTES, Query, QueryError};

use super::{ask, query};

#[test]
fn every_wrong_value_is_an_error_that_says_so() {
    let cases = [
        (
            json!({}),
            "the key `to` is missing: it names the workload that is called",
        ),
        (json!({ "to": 7 }), "`to` is 7; it has to be a text"),
        (json!({ "to": "" }), "`to` is empty"),
        (
            json!({ "to": "spiffe://TD/x" }),
            "`to` is `spiffe://TD/x`, which has a trust domain with a character",
        ),
        (
            json!({ "to": "one", "form": "client" }),
            "unknown key `form`; did you mean `from`?",
        ),
        (json!({ "to": "one", "extra": 1 }), "unknown key `extra`"),
        (
            json!({ "to": "one", "from": "" }),
            "`from` is ``, which is empty",
        ),
        (
            json!({ "to": "one", "from": "SPIFFE://td/x" }),
            "`from` is `SPIFFE://td/x`, which does not begin with `spiffe://`",
        ),
        (
            json!({ "to": "one", "from": "spiffe://td" }),
            "which has no path",
        ),
        (
            json!({ "to": "one", "from": "cliant" }),
            "which the policy does not declare; did you mean `client`?",
        ),
        (
            json!({ "to": "one", "from": ["client"] }),
            "`from` is a list; it has to be a SPIFFE ID, a workload's name or null",
        ),
        (
            json!({ "to": "one", "from_addr": "10.0.0.0/8" }),
            "`from_addr` is no IP address: `10.0.0.0/8`",
        ),
        (
            json!({ "to": "one", "from_addr": null }),
            "`from_addr` is null; it has to be a text",
        ),
        (
            json!({ "to": "one", "port": 0 }),
            "`port` is 0; it has to be an integer from 1 to 65535",
        ),
        (json!({ "to": "one", "port": 65536 }), "`port` is 65536"),
        (json!({ "to": "one", "port": -1 }), "`port` is -1"),
        (json!({ "to": "one", "port": 8443.0 }), "`port` is 8443.0"),
        (json!({ "to": "one", "port": "8443" }), "`port` is `8443`"),
        (
            json!({ "to": "one", "method": "GET" }),
            "`method` stands without `path`",
        ),
        (
            json!({ "to": "one", "path": "/" }),
            "`path` stands without `method`",
        ),
        (
            json!({ "to": "one", "action": "connect", "method": "GET", "path": "/" }),
            "which has neither `method` nor `path`",
        ),
        (
            json!({ "to": "one", "action": "any" }),
            "`action` is `any`; it can only be `connect`",
        ),
        (
            json!({ "to": "one", "headers": [] }),
            "`headers` is a list; it has to be an object",
        ),
        (
            json!({ "to": "one", "headers": { "a b": "c" } }),
            "`headers` has `a b`, which is no field name",
        ),
        (
            json!({ "to": "one", "headers": { ":path": "/" } }),
            "which is no field name",
        ),
        (
            json!({ "to": "one", "headers": { "a": 1 } }),
            "neither a text nor a list of texts",
        ),
        (
            json!({ "to": "one", "headers": { "a": ["b", 1] } }),
            "neither a text nor a list of texts",
        ),
        (
            json!({ "to": "one", "headers": { "a": "b\r\nc: d" } }),
            "has a control character in a value of `a`",
        ),
        (
            json!({ "to": "one", "headers": { "A": "b", "a": "c" } }),
            "`headers` has `a` twice",
        ),
        (
            json!({ "to": "one", "claims": "x" }),
            "`claims` is `x`; it has to be an object",
        ),
        (
            json!({ "to": "one", "trust_score": 101 }),
            "`trust_score` is 101; it has to be an integer from 0 to 100",
        ),
        (
            json!({ "to": "one", "trust_score": 70.5 }),
            "`trust_score` is 70.5",
        ),
        (
            json!({ "to": "one", "now": -1 }),
            "`now` is -1; it has to be seconds since",
        ),
        (json!({ "to": "one", "now": -0.001 }), "`now` is -0.001"),
        (json!({ "to": "one", "now": 1e300 }), "`now` is 1e+300"),
        (
            json!({ "to": "one", "now": "2026-01-01" }),
            "`now` is `2026-01-01`",
        ),
    ];
    for (request, wanted) in cases {
        let error = ask(&request).expect_err("an error").to_string();
        assert!(error.contains(wanted), "{request}: {error}");
    }
}

#[test]
fn rule_22_a_text_that_is_not_strict_json_is_refused() {
    let cases = [
        ("", "not JSON"),
        ("null", "the request is no JSON object"),
        ("[]", "the request is no JSON object"),
        (
            r#"{"to":"one","to":"two"}"#,
            "duplicate key `to`, at byte 13",
        ),
        (
            r#"{"to":"one","claims":{"a":{"b":1,"b":2}}}"#,
            "duplicate key `b`",
        ),
        (
            r#"{"to":"one","headers":{"a":"x","a":"y"}}"#,
            "duplicate key `a`",
        ),
        (r#"{"to":"one","\u0074o":"two"}"#, "duplicate key `to`"),
        (r#"{"to":"one",}"#, "not JSON"),
        (r#"{to:"one"}"#, "not JSON"),
        (r#"{"to":'one'}"#, "not JSON"),
        (r#"{"to":"one"} {}"#, "not JSON"),
        (r#"{"to":"one"} // comment"#, "not JSON"),
        (r#"{"to":"one","now":NaN}"#, "not JSON"),
        (r#"{"to":"\ud800"}"#, "not JSON"),
        ("\u{feff}{\"to\":\"one\"}", "byte order mark"),
    ];
    for (text, wanted) in cases {
        let error = Query::from_json(text).expect_err("an error").to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
}

#[test]
fn the_bounds_are_exact() {
    let text = r#"{"to":"one"}"#;
    let padded = |bytes: usize| format!("{text}{}", " ".repeat(bytes - text.len()));
    assert!(Query::from_json(&padded(MAX_QUERY_BYTES)).is_ok());
    assert_eq!(
        Query::from_json(&padded(MAX_QUERY_BYTES + 1)).err(),
        Some(QueryError::TooLong)
    );
    let deep = |depth: usize| {
        format!(
            r#"{{"to":"one","claims":{{"a":{}{}}}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert!(Query::from_json(&deep(30)).is_ok());
    assert!(Query::from_json(&deep(31)).is_err());
    assert!(Query::from_json(&deep(200_000)).is_err());
}

#[test]
fn t30_an_error_shows_nothing_that_a_terminal_obeys() {
    for key in ["to\u{1b}[31m", "x\u{202e}", &"k".repeat(100_000)] {
        let error = ask(&json!({ "to": "one", key: 1 }))
            .expect_err("an error")
            .to_string();
        assert!(
            error.len() < 600 && !error.contains(['\u{1b}', '\u{202e}', '\n']),
            "{error}"
        );
        let error = ask(&json!({ "to": "one", "from": key }))
            .expect_err("an error")
            .to_string();
        assert!(
            error.len() < 600 && !error.contains(['\u{1b}', '\u{202e}', '\n']),
            "{error}"
        );
    }
    let secret =
        query(&json!({ "to": "one", "headers": { "a": "s3cret" }, "claims": { "sub": "s3cret" } }));
    assert!(!format!("{secret:?}").contains("s3cret"));
}
