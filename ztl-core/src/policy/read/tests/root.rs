//! What comes before the sections: the syntax, the schema, the trust domain. What is accepted at the edge of a rule.

use super::*;

/// A whole document, and what is wrong with it.
#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(listing(&faults(text), 0).trim_end(), *expected, "{text}");
    }
}

#[test]
fn the_schema_is_the_integer_1() {
    check(&[
        (
            "trust_domain = \"a\"\n",
            "1:1: missing `schema` in the document\nhelp: write `schema = 1` on the first line",
        ),
        (
            // Nothing else of a newer document is judged.
            "trust_domain = \"a\"\nschema = 2\nnews = 1\n",
            "2:10: the document has schema 2, and this version of ztl reads 1\nhelp: it needs a newer ztl",
        ),
        (
            "schema = 0\n",
            "1:10: there is no schema 0\nhelp: write `schema = 1`",
        ),
        (
            "schema = \"1\"\n",
            "1:10: `schema` takes the integer 1, not text\nhelp: write `schema = 1`",
        ),
        (
            "schema = 1.0\n",
            "1:10: `schema` takes the integer 1, not a number with a fraction\nhelp: write `schema = 1`",
        ),
    ]);
    assert_eq!(faults("").len(), 2);
}

#[test]
fn the_trust_domain_is_a_bare_name() {
    let fault = "has a trust domain with a character other than `a-z`, `0-9`, `.`, `-`, `_` (SPIFFE-ID §2.1)";
    check(&[
        (
            "schema = 1\n",
            "1:1: missing `trust_domain` in the document\nhelp: write `trust_domain = \"example.org\"`, the name that your SPIFFE IDs begin with",
        ),
        (
            "schema = 1\ntrust_domain = \"spiffe://Prod.example/x\"",
            &format!("2:16: `spiffe://Prod.example/x` {fault}\nhelp: write `prod.example`"),
        ),
        (
            "schema = 1\ntrust_domain = \"a b\"",
            &format!("2:16: `a b` {fault}"),
        ),
        (
            "schema = 1\ntrust_domain = \"\"",
            "2:16: `trust_domain` is empty",
        ),
        (
            "schema = 1\ntrust_domain = [\"a\"]",
            "2:16: `trust_domain` takes text, not a list",
        ),
        (
            "schema = 1\ntrust_domain = \"a\"\ntrust_domain_aliases = [\"b\", \"a\"]",
            "3:30: the trust domain `a` is named twice\nhelp: remove one of the two",
        ),
        (
            "schema = 1\ntrust_domain = \"a\"\ntrust_domain_aliases = []",
            "3:24: `trust_domain_aliases` is an empty list, which means nothing\nhelp: write at least one value, or remove `trust_domain_aliases`",
        ),
    ]);
}

#[test]
fn json_has_lines_and_columns_too() {
    for (text, expected) in [
        (
            "{\n  \"schema\": 1,\n  \"schema\": 1}",
            "3:3: duplicate key `schema`\nhelp: a key stands once in its object\n",
        ),
        ("[]", "1:1: the document is a table, not a list\n"),
        ("", "1:1: not JSON: there is nothing in the document\n"),
        (
            "\u{feff}{}",
            "1:1: the document begins with a byte order mark\nhelp: save it as UTF-8 without one\n",
        ),
        (
            "{\"schema\": 1, \"trust_domain\": \"é\", \"é\": [null], \"relays\": null}",
            "1:31: `é` has a trust domain with a character other than `a-z`, `0-9`, `.`, `-`, `_` (SPIFFE-ID §2.1)\n1:36: unknown key `é` in the document\n1:59: `relays` takes text, not null\n",
        ),
    ] {
        let error = load(text, Format::Json).expect_err(text);
        assert_eq!(listing(error.diagnostics(), 0), expected, "{text}");
    }
}

#[test]
fn what_is_just_right_is_accepted() {
    let permit = "[[permit]]\nto = \"b\"\nactions = \"any\"\n";
    let forbid = "[[forbid]]\nfrom = \"a\"\nto = \"b\"\n";
    for text in [
        "[zones.x]\nnetworks = ['0.0.0.0/0', '::/0', '10.0.0.1/32', '::1/128', '64:ff9b::/64']\ntrust = 255\n",
        // A made name is the rule's own, and rules and tests are named apart.
        &format!(
            "{permit}from = \"a\"\n{permit}from = \"a\"\nname = \"permit-2\"\n[[test]]\nname = \"permit-2\"\nto = \"b\"\nexpect = \"deny\"\n"
        ),
        &format!(
            "{forbid}{}{forbid}[end]\nrules = 3\n",
            forbid.replace("forbid", "never")
        ),
        &format!("{forbid}ports = [1, 65535, \"1-65535\", \"9000-9001\"]\n"),
        &format!("{permit}from = [\"a\", \"public\"]\nanonymous = true\n"),
        &format!("{permit}from = \"public\"\nanonymous = false\nrequire = {{ token = {{}} }}\n"),
        &forbid.replace("\"a\"", "\"public\""),
        &format!("[zones.{}]\nnetworks = '::/0'\n", "a".repeat(64)),
        &format!("{forbid}why = \"{}\"\n", "x".repeat(4096)),
        &format!("[issuers.x]\nissuer = \"{}\"\n", "a".repeat(2048)),
    ] {
        read(text);
    }
}

#[test]
fn what_is_a_little_too_long_is_refused() {
    let forbid = "[[forbid]]\nfrom = \"a\"\nto = \"b\"\n";
    let long = "a".repeat(65);
    for (text, expected) in [
        (
            format!("[zones.{long}]\nnetworks = '::/0'\n"),
            format!("1:8: `{long}` is longer than the 64 bytes of a name\n"),
        ),
        (
            format!("{forbid}why = \"{}\"\n", "x".repeat(4097)),
            "4:7: `why` is longer than 4096 bytes\n".to_owned(),
        ),
        (
            format!("[issuers.x]\nissuer = \"{}\"\n", "a".repeat(2049)),
            "2:10: `issuer` is longer than 2048 bytes\n".to_owned(),
        ),
        (
            format!("[external.x]\nhosts = \"{}a.b\"\n", "a.".repeat(126)),
            format!(
                "2:9: `{}…` is longer than the 253 bytes of a host name\n",
                "a.".repeat(40)
            ),
        ),
        (
            format!("{forbid}from_label = 1\n")
                .replace("\"a\"", &format!("\"label:a={}\"", "b".repeat(129)))
                .replace("from_label = 1\n", ""),
            format!(
                "2:8: `label:a={}…` has a label value of more than 128 bytes\n",
                "b".repeat(72)
            ),
        ),
    ] {
        let found = listing(&faults(&format!("{HEAD}{text}")), 2);
        assert_eq!(found, expected, "{text}");
    }
}
