//! `ztl canonical-path` and `ztl spiffe-id`: one line out for every line in.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::ztl_with_input;

#[test]
fn rule_48_a_path_has_one_reading_or_is_refused() {
    let input = concat!(
        "\"/v1/models?x=/../y\"\n",
        "\"/v1/%2e%2e/admin\"\n",
        "\n",
        "\"/a//b\"\n",
        "\"/%C3%A9\"\n",
        "\"\\u202e\\u001b\"\n",
        "/not/json\n",
        "7\n",
        "\"\\ud800\"\n",
        "\"/a\" \"/b\"\n",
    );
    let run = ztl_with_input(&["canonical-path"], input.as_bytes());
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    let wanted = [
        r#"{"raw":"/v1/models?x=/../y","ok":true,"canonical":"/v1/models","reason":null}"#,
        r#"{"raw":"/v1/%2e%2e/admin","ok":false,"canonical":null,"reason":"escaped_unreserved"}"#,
        r#"{"raw":"/a//b","ok":false,"canonical":null,"reason":"empty_segment"}"#,
        r#"{"raw":"/%C3%A9","ok":true,"canonical":"/%C3%A9","reason":null}"#,
        r#"{"raw":"\u202e\u001b","ok":false,"canonical":null,"reason":"no_leading_slash"}"#,
    ];
    let lines = run.lines();
    assert_eq!(lines.len(), 9, "{}", run.stdout);
    assert_eq!(lines[..5], wanted);
    for (line, number) in lines[5..].iter().zip(7..) {
        assert!(
            line.starts_with(&format!("{{\"line\":{number},\"error\":\"")),
            "{line}"
        );
    }
    assert_eq!(
        ztl_with_input(&["canonical-path"], b"\"/\"\n\"/a/\"\n").code,
        Some(0)
    );
}

#[test]
fn rules_17_and_18_an_id_is_taken_apart_or_refused() {
    let input = "\"spiffe://td/a/b\"\n\"spiffe://td\"\n\"SPIFFE://td/a\"\n\"spiffe://td/a/\"\n\"spiffe://td/\\u0000\"\nnull\n";
    let run = ztl_with_input(&["spiffe-id"], input.as_bytes());
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    let wanted = [
        r#"{"input":"spiffe://td/a/b","ok":true,"trust_domain":"td","path":"/a/b","reason":null}"#,
        r#"{"input":"spiffe://td","ok":true,"trust_domain":"td","path":"","reason":null}"#,
        r#"{"input":"SPIFFE://td/a","ok":false,"trust_domain":null,"path":null,"reason":"scheme"}"#,
        r#"{"input":"spiffe://td/a/","ok":false,"trust_domain":null,"path":null,"reason":"trailing_slash"}"#,
        r#"{"input":"spiffe://td/\u0000","ok":false,"trust_domain":null,"path":null,"reason":"path_char"}"#,
    ];
    let lines = run.lines();
    assert_eq!(lines[..5], wanted);
    assert!(
        lines[5].starts_with("{\"line\":6,\"error\":"),
        "{}",
        lines[5]
    );
    assert_eq!(
        ztl_with_input(&["spiffe-id"], b"\"spiffe://td/a\"\n").code,
        Some(0)
    );
}
