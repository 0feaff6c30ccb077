use ::toml::de::{DeTable, DeValue};
use proptest::prelude::*;

use super::*;
use crate::policy::limits::MAX_KEY_PARTS;

/// Runs on a stack of the size that threads have by default.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(run)
        .expect("a thread")
        .join()
        .expect("it neither panics nor overflows");
}

fn at(text: &str, span: Span) -> &str {
    text.get(span.start..span.end).expect("a place in the text")
}

fn spanned(error: &SyntaxError) -> (usize, usize) {
    let span = error.span.expect("a place");
    (span.start, span.end)
}

#[test]
fn toml_keeps_places_and_the_order_of_the_text() {
    let text = "z = 1\na = 'x'\n[t.u]\nk = [true, 2.5]\n[b]\n";
    let root = parse_toml(text).expect("TOML");
    let Tree::Table(entries) = &root.value else {
        panic!("a table")
    };
    let keys: Vec<_> = entries.iter().map(|(key, _)| key.value.as_str()).collect();
    assert_eq!(keys, ["z", "a", "t", "b"]);
    let (key, node) = &entries[1];
    assert_eq!(at(text, key.span), "a");
    assert_eq!(at(text, node.span), "'x'");
    let (_, node) = &entries[2];
    let extent = node.extent();
    assert_eq!(at(text, extent), "t.u]\nk = [true, 2.5]");
    assert_eq!(
        root.to_json(),
        serde_json::json!({ "z": 1, "a": "x", "t": { "u": { "k": [true, 2.5] } }, "b": {} })
    );
}

#[test]
fn json_keeps_places_and_the_order_of_the_text() {
    let text = "{ \"z\": null, \"a\": [ -1, 0.5, \"\\u00e9\\ud83d\\ude00\" ] }";
    let root = parse_json(text).expect("JSON");
    let Tree::Table(entries) = &root.value else {
        panic!("a table")
    };
    let (key, node) = &entries[1];
    assert_eq!(at(text, key.span), "\"a\"");
    assert!(at(text, node.span).starts_with("[ -1"));
    assert_eq!(
        root.to_json(),
        serde_json::json!({ "z": null, "a": [-1, 0.5, "é😀"] })
    );
}

#[test]
fn toml_refuses_what_a_policy_cannot_hold() {
    let cases = [
        ("a = 1\na = 2", (6, 7), "duplicate key `a`"),
        ("[a]\n[b]\n[a]\n", (9, 10), "duplicate key `a`"),
        ("t = { a = 1, a = 2 }", (13, 14), "duplicate key `a`"),
        (
            "a = 1979-05-27",
            (4, 14),
            "a date or time means nothing in a policy",
        ),
        (
            "a = 9223372036854775808",
            (4, 23),
            "`9223372036854775808` does not fit in 64 bits with sign",
        ),
        ("a = inf", (4, 7), "`inf` is no finite number"),
        ("a = nan", (4, 7), "`nan` is no finite number"),
        ("a = 1e999", (4, 9), "`1e999` is no finite number"),
        (
            "\u{feff}a = 1",
            (0, 3),
            "the document begins with a byte order mark",
        ),
    ];
    for (text, place, message) in cases {
        let error = parse_toml(text).expect_err(text);
        assert_eq!(
            (spanned(&error), error.message.as_str()),
            (place, message),
            "{text}"
        );
    }
    let error = parse_toml("a = \nb = 1").expect_err("no value");
    assert!(error.message.starts_with("not TOML: "), "{error}");
    let smallest = parse_toml("a = -9223372036854775808").expect("TOML");
    assert_eq!(smallest.to_json(), serde_json::json!({ "a": i64::MIN }));
}

#[test]
fn json_refuses_every_leniency() {
    let cases = [
        ("", (0, 0), "not JSON: there is nothing in the document"),
        (" // c\n1", (1, 2), "not JSON: there are no comments"),
        ("# c", (0, 1), "not JSON: there are no comments"),
        ("{\"a\":1,\"b\":2,\"a\":3}", (13, 16), "duplicate key `a`"),
        ("{\"a\":1,\"\\u0061\":3}", (7, 15), "duplicate key `a`"),
        (
            "9223372036854775808",
            (0, 19),
            "`9223372036854775808` does not fit in 64 bits with sign",
        ),
        ("1e999", (0, 5), "`1e999` is no finite number"),
        (
            "\u{feff}1",
            (0, 3),
            "the document begins with a byte order mark",
        ),
        (
            "[1,\u{a0}2]",
            (3, 5),
            "not JSON: the character `\u{a0}` stands outside of a text",
        ),
        (
            "[1,\u{c}2]",
            (3, 4),
            "not JSON: the character `\u{c}` stands outside of a text",
        ),
        (
            "[1,2,]",
            (4, 5),
            "not JSON: trailing commas are not allowed",
        ),
        (
            "\"a\nb\"",
            (2, 3),
            "not JSON: a control character in a text has to be escaped (RFC 8259 §7)",
        ),
    ];
    for (text, place, message) in cases {
        let error = parse_json(text).expect_err(text);
        assert_eq!(
            (spanned(&error), error.message.as_str()),
            (place, message),
            "{text}"
        );
    }
    let more = [
        "{a:1}",
        "{'a':1}",
        "'a'",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,}",
        "0x10",
        "+1",
        ".5",
        "5.",
        "01",
        "-",
        "1e",
        "NaN",
        "Infinity",
        "-Infinity",
        "\"\\x41\"",
        "\"\\v\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\\n\"",
        "\"a",
        "\"\\",
        "\"\\u12",
        "tru",
        "nul",
        "truex",
        "True",
        "undefined",
        "1 2",
        "[",
        "{",
        "]",
        "}",
        "[}",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{:1}",
        "{1:2}",
        "[,]",
        ",",
        ":",
        "[1,,2]",
        "{\"a\":1,,}",
        "{\"a\" 1}",
        "{[]}",
        "\"\\'\"",
        "\u{2028}1",
        "\0",
    ];
    for text in more {
        let error = parse_json(text).expect_err(text);
        assert!(error.message.starts_with("not JSON: "), "{text}: {error}");
        let (start, end) = spanned(&error);
        assert!(start <= end && end <= text.len(), "{text}");
    }
}

#[test]
fn depth_is_bounded_exactly() {
    // The document is the first table, `a` the first list.
    let lists = |count: usize| format!("{}1{}", "[".repeat(count), "]".repeat(count));
    let max = MAX_DEPTH - 1;
    assert!(parse_toml(&format!("a = {}", lists(max))).is_ok());
    assert!(parse_toml(&format!("a = {}", lists(max + 1))).is_err());
    assert!(parse_json(&format!("{{\"a\": {}}}", lists(max))).is_ok());
    let error = parse_json(&format!("{{\"a\": {}}}", lists(max + 1))).expect_err("too deep");
    assert_eq!(spanned(&error), (6 + max, 7 + max));
    assert_eq!(
        error.message,
        "tables and lists stand in each other more than 32 deep"
    );
    // Brackets in texts and comments are none.
    assert!(parse_toml(&format!("a = '{}' # {}", "[".repeat(99), "{".repeat(99))).is_ok());
    assert!(
        parse_toml(&format!(
            "a = '''{}'''''\nb = \"\\\"{}\"",
            "[".repeat(99),
            "{".repeat(99)
        ))
        .is_ok()
    );
    assert!(parse_json(&format!("\"\\\"{}\"", "[".repeat(99))).is_ok());
}

#[test]
fn keys_have_a_bounded_number_of_parts() {
    let key = |parts: usize| vec!["a"; parts].join(".");
    assert!(parse_toml(&format!("{} = 1", key(MAX_KEY_PARTS))).is_ok());
    assert!(parse_toml(&format!("[{}]", key(MAX_KEY_PARTS))).is_ok());
    for text in [
        format!("{} = 1", key(MAX_KEY_PARTS + 1)),
        format!("[[{}]]", key(MAX_KEY_PARTS + 1)),
    ] {
        let error = parse_toml(&text).expect_err("too many parts");
        assert_eq!(error.message, "a key has more than 8 parts");
    }
    // Dots in texts, numbers and comments are no parts.
    assert!(parse_toml("a = ['1.2.3.4.5.6.7.8.9', 1.5, 2.5] # 1.2.3.4.5.6.7.8.9").is_ok());
}

#[test]
fn a_document_has_a_largest_size() {
    let text = " ".repeat(MAX_DOCUMENT_BYTES + 1);
    for error in [parse_toml(&text), parse_json(&text)] {
        let error = error.expect_err("too large");
        assert_eq!(error.span, None);
        assert_eq!(
            error.message,
            "the document has 67108865 bytes; at most 67108864 are read"
        );
    }
}

#[test]
fn bombs_neither_overflow_the_stack_nor_take_long() {
    on_a_small_stack(|| {
        for text in [
            "[".repeat(100_000),
            "{".repeat(100_000),
            "[{".repeat(50_000),
            "[}".repeat(50_000),
            format!("a = {}", "[".repeat(100_000)),
            format!("a = {}", "{a=".repeat(100_000)),
            format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
            format!("{}a = 1", "a.".repeat(100_000)),
            format!("[{}a]", "a.".repeat(100_000)),
            format!("a = {}", "{a.a.a.a.a.a.a = [".repeat(10_000)),
            "\"".repeat(100_000),
            "'".repeat(100_000),
            ".".repeat(100_000),
            "=".repeat(100_000),
            "]".repeat(100_000),
            "\\".repeat(100_000),
            "a = 1\n".repeat(10_000),
        ] {
            assert!(parse_toml(&text).is_err());
            assert!(parse_json(&text).is_err());
        }
    });
}

#[test]
fn what_a_parser_may_build_fits_a_small_stack() {
    on_a_small_stack(|| {
        let key = ["a"; MAX_KEY_PARTS].join(".");
        // The deepest tree that the first look lets through: every header one level more, then brackets in keys.
        let mut text = String::new();
        for parts in 1..=MAX_KEY_PARTS {
            text += &format!("[[{}]]\n", vec!["a"; parts].join("."));
        }
        text += &format!("{key} = {}", format!("{{{key} = ").repeat(MAX_DEPTH));
        let unclosed = parse_toml(&text).expect_err("not closed");
        assert!(unclosed.message.starts_with("not TOML: "), "{unclosed}");
        text += &format!("1{}", "}".repeat(MAX_DEPTH));
        let deep = parse_toml(&text).expect_err("too deep");
        assert_eq!(
            deep.message,
            "tables and lists stand in each other more than 32 deep"
        );
        // A value that is dropped on the way, since its key stands there already.
        let again = parse_toml(&format!("{text}\n{key} = 1")).expect_err("twice");
        assert!(again.message.contains("duplicate key"), "{again}");
    });
}

fn depth_of_table(table: &DeTable<'_>) -> usize {
    let depths = table.iter().map(|(_, value)| depth_of(value.get_ref()));
    1 + depths.max().unwrap_or_default()
}

fn depth_of(value: &DeValue<'_>) -> usize {
    match value {
        DeValue::Table(table) => depth_of_table(table),
        DeValue::Array(items) => {
            let depths = items.iter().map(|item| depth_of(item.get_ref()));
            1 + depths.max().unwrap_or_default()
        }
        _ => 0,
    }
}

const TOML_WORDS: &[&str] = &[
    "[", "]", "{", "}", "[[", "]]", "\"", "'", "\"\"\"", "'''", "\\", "\n", "\r", "\r\n", " ", ".",
    "=", ",", "#", "a", "b", "1", "1.5", "a = ", "a.b", "é", "\u{1b}", "true", "\u{feff}",
];
const JSON_WORDS: &[&str] = &[
    "[", "]", "{", "}", "\"", "\"a\"", "\"a\":", ":", ",", " ", "\n", "1", "-", "0", ".", "e",
    "true", "null", "\\", "\\u", "d800", "dc00", "é", "\u{2028}", "/", "'", "\u{feff}", "a",
];

fn text_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(words), 0..60)
        .prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in any::<String>()) {
        let _ = parse_toml(&text);
        let _ = parse_json(&text);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = parse_toml(&text);
        let _ = parse_json(&text);
    }

    #[test]
    fn the_first_look_bounds_what_the_parser_recovers(text in text_of(TOML_WORDS)) {
        let _ = parse_toml(&text);
        let (root, _) = DeTable::parse_recoverable(&text);
        for (depth, parts) in [(0, 1), (1, 1), (2, 1), (1, 2)] {
            if scan::toml_within(&text, depth, parts).is_ok() {
                // The document, then a header of lists of tables, a key, and a bracket with a key each.
                let bound = 1 + 2 * parts + (parts - 1) + depth * parts;
                prop_assert!(depth_of_table(root.get_ref()) <= bound, "{text:?} {depth} {parts}");
            }
        }
    }

    #[test]
    fn json_agrees_with_serde(text in text_of(JSON_WORDS)) {
        // serde_json reads the integer `-0` as a fraction.
        let text = text.replace("-0", "-1");
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match (parse_json(&text), theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours.to_json(), theirs),
            (Ok(_), Err(theirs)) => prop_assert!(false, "{text:?}: {theirs}"),
            // Valid JSON may still be a duplicate key or a number out of bounds.
            (Err(ours), Ok(_)) => prop_assert!(!ours.message.starts_with("not JSON"), "{text:?}: {ours}"),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn a_tree_reads_back_from_its_json(text in text_of(TOML_WORDS)) {
        if let Ok(tree) = parse_toml(&text) {
            let json = parse_json(&tree.to_json().to_string());
            prop_assert_eq!(json.expect("JSON").to_json(), tree.to_json());
        }
    }
}
