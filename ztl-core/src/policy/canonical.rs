//! One form of a document's content, so that TOML and JSON of the same content have the same digest.
//!
//! It is JSON without white space: keys sorted by their bytes, texts with no more escapes than RFC 8259 §7 asks for,
//! integers in decimal, other numbers in the shortest form that reads back as the same number, always with a fraction or an
//! exponent. What two documents mean may be the same where this form differs: `1` and `1.0`, one value and a list of it.

use sha2::{Digest as _, Sha256};

use super::tree::{Node, Tree};

/// SHA-256 over the canonical form.
pub(crate) fn digest(root: &Node) -> [u8; 32] {
    let mut hash = Sha256::new();
    write(root, &mut |bytes| hash.update(bytes));
    hash.finalize().into()
}

/// Writes the canonical form piece by piece.
fn write(node: &Node, out: &mut dyn FnMut(&[u8])) {
    match &node.value {
        Tree::Null => out(b"null"),
        Tree::Bool(value) => out(if *value { b"true" } else { b"false" }),
        Tree::Int(value) => out(value.to_string().as_bytes()),
        // A zero has one form; `Debug` is the shortest form that reads back.
        Tree::Float(value) if *value == 0.0 => out(b"0.0"),
        Tree::Float(value) => out(format!("{value:?}").as_bytes()),
        Tree::Text(text) => write_text(text, out),
        Tree::List(items) => {
            out(b"[");
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out(b",");
                }
                write(item, out);
            }
            out(b"]");
        }
        Tree::Table(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|(left, _), (right, _)| left.value.cmp(&right.value));
            out(b"{");
            for (at, (key, item)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out(b",");
                }
                write_text(&key.value, out);
                out(b":");
                write(item, out);
            }
            out(b"}");
        }
    }
}

fn write_text(text: &str, out: &mut dyn FnMut(&[u8])) {
    out(b"\"");
    let special = |character: char| matches!(character, '"' | '\\' | '\0'..='\u{1f}');
    for piece in text.split_inclusive(special) {
        match piece.chars().next_back().filter(|last| special(*last)) {
            Some(last) => {
                out(piece.strip_suffix(last).unwrap_or_default().as_bytes());
                match last {
                    '"' => out(b"\\\""),
                    '\\' => out(b"\\\\"),
                    _ => out(format!("\\u{:04x}", u32::from(last)).as_bytes()),
                }
            }
            None => out(piece.as_bytes()),
        }
    }
    out(b"\"");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tree::{parse_json, parse_toml};

    fn canonical(node: &Node) -> String {
        let mut bytes = Vec::new();
        write(node, &mut |piece| bytes.extend_from_slice(piece));
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
        let node = parse_json("{ }").expect("JSON");
        assert_eq!(digest(&node), <[u8; 32]>::from(Sha256::digest(b"{}")));
    }
}
