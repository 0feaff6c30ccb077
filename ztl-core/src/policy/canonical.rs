//! One form of a document's content, so that TOML and JSON of the same content have the same digest.
//!
//! It is JSON without white space: keys sorted by their bytes, texts with no more escapes than RFC 8259 §7 asks for,
//! integers in decimal, other numbers in the shortest form that reads back as the same number, always with a fraction or an
//! exponent. What two documents mean may be the same where this form differs: `1` and `1.0`, one value and a list of it.

use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;

use super::tree::{Node, Tree};

/// How much of the form is held before it is hashed.
const HELD: usize = 16 * 1024;

/// SHA-256 over the canonical form.
pub(crate) fn digest(root: &Node) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut held = Vec::with_capacity(HELD + 1024);
    write(root, &mut held, &mut |held| {
        if held.len() >= HELD {
            hash.update(&*held);
            held.clear();
        }
    });
    hash.update(&held);
    hash.finalize().into()
}

/// Writes the canonical form, and calls `written` after each value: it may take away what is there.
fn write(node: &Node, out: &mut Vec<u8>, written: &mut impl FnMut(&mut Vec<u8>)) {
    match &node.value {
        Tree::Null => out.extend(b"null"),
        Tree::Bool(value) => out.extend(if *value { &b"true"[..] } else { b"false" }),
        Tree::Int(value) => out.extend(value.to_string().as_bytes()),
        // A zero has one form; `Debug` is the shortest form that reads back.
        Tree::Float(value) if *value == 0.0 => out.extend(b"0.0"),
        Tree::Float(value) => out.extend(format!("{value:?}").as_bytes()),
        Tree::Text(text) => write_text(text, out),
        Tree::List(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out, written);
            }
            out.push(b']');
        }
        Tree::Table(entries) => {
            let mut sorted: SmallVec<[_; 16]> = entries.iter().collect();
            sorted.sort_by(|(left, _), (right, _)| left.value.cmp(&right.value));
            out.push(b'{');
            for (at, (key, item)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_text(&key.value, out);
                out.push(b':');
                write(item, out, written);
            }
            out.push(b'}');
        }
    }
    written(out);
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    out.push(b'"');
    // What is special is ASCII, so that it is no part of another character.
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    while let Some((plain, [byte, behind @ ..])) =
        (rest.iter().position(special)).and_then(|at| rest.split_at_checked(at))
    {
        out.extend_from_slice(plain);
        match byte {
            b'"' => out.extend(b"\\\""),
            b'\\' => out.extend(b"\\\\"),
            _ => out.extend(format!("\\u{byte:04x}").as_bytes()),
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tree::{parse_json, parse_toml};

    fn canonical(node: &Node) -> String {
        let mut bytes = Vec::new();
        write(node, &mut bytes, &mut |_| {});
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn toml_and_json_of_one_content_have_one_digest() {
        let toml = "z = 1\na = [0x10, 1.50, -0.0, 1e3, true]\n[t.\"é\\\"\"]\nk = 'x\\y'\nl = \"\\u0001\\n\"\n";
        let json = r#" { "t" : { "é\"" : { "l":"\u0001\n", "k":"x\\y" } },
            "a" : [16, 1.5, 0.0, 1000.0, true], "z": 1 } "#;
        let toml = parse_toml(toml).expect("TOML");
        let json = parse_json(json).expect("JSON");
        assert_eq!(
            canonical(&toml),
            "{\"a\":[16,1.5,0.0,1000.0,true],\"t\":{\"é\\\"\":{\"k\":\"x\\\\y\",\"l\":\"\\u0001\\u000a\"}},\"z\":1}"
        );
        assert_eq!(canonical(&toml), canonical(&json));
        assert_eq!(digest(&toml), digest(&json));
    }

    #[test]
    fn another_content_has_another_digest() {
        let digests: Vec<_> = [
            "{}",
            "[]",
            "null",
            "1",
            "1.0",
            "\"1\"",
            "[1]",
            "[[1]]",
            "{\"a\":1}",
            "{\"a\":[1]}",
            "{\"a\":\"\"}",
            "[\"a\",\"b\"]",
            "[\"a,b\"]",
            "[\"a\\\",\\\"b\"]",
        ]
        .iter()
        .map(|text| digest(&parse_json(text).expect("JSON")))
        .collect();
        for (at, one) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(one), "{at}");
        }
    }

    #[test]
    fn the_digest_is_sha_256_of_the_form() {
        let long = "x".repeat(HELD);
        let lists = [
            String::new(),
            format!("\"{long}\""),
            vec!["12345"; HELD].join(","),
        ];
        for list in lists {
            let form = format!("{{\"list\":[{list}]}}");
            let node = parse_json(&form).expect("JSON");
            let whole: [u8; 32] = Sha256::digest(form.as_bytes()).into();
            assert_eq!(digest(&node), whole);
        }
    }
}
