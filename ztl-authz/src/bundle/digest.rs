//! What a signature says of a file: its digest, as OPA takes it.
//!
//! A file whose bytes are its content is digested as it is. A document (`data.json`, `.manifest`) is digested in one form whatever
//! its blanks and the order of its members: members by name, no blanks, numbers as they are written.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, SHA512_256, digest};
use serde_json::value::RawValue;

use super::limits::MAX_DATA_DEPTH;
use super::path;
use super::read::{DATA, MANIFEST};

/// By the name that OPA has for it. MD5, SHA-1 and what is cut below 256 bits is none.
pub(super) fn algorithm(name: &str) -> Option<&'static Algorithm> {
    match name {
        "SHA-256" => Some(&SHA256),
        "SHA-384" => Some(&SHA384),
        "SHA-512" => Some(&SHA512),
        "SHA-512-256" => Some(&SHA512_256),
        _ => None,
    }
}

/// The digest of a file; `None` where it is a document and not JSON.
pub(super) fn of_file(algorithm: &'static Algorithm, path: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let digest = if is_document(path) {
        digest(algorithm, canonical(bytes)?.as_bytes())
    } else {
        digest(algorithm, bytes)
    };
    Some(digest.as_ref().to_vec())
}

/// What is parsed for its digest: the reader bounds the length of both before.
fn is_document(path: &str) -> bool {
    matches!(path::name(path), DATA | MANIFEST)
}

fn canonical(json: &[u8]) -> Option<String> {
    let raw: &RawValue = serde_json::from_slice(json).ok()?;
    let mut out = String::new();
    walk(raw, &mut out, MAX_DATA_DEPTH)?;
    Some(out)
}

fn walk(raw: &RawValue, out: &mut String, left: usize) -> Option<()> {
    let text = raw.get();
    match text.bytes().next()? {
        b'{' => {
            let left = left.checked_sub(1)?;
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            out.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quoted(&name, out)?;
                out.push(':');
                walk(value, out, left)?;
            }
            out.push('}');
        }
        b'[' => {
            let left = left.checked_sub(1)?;
            let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            out.push('[');
            for (index, value) in values.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                walk(value, out, left)?;
            }
            out.push(']');
        }
        b'"' => quoted(&serde_json::from_str::<String>(text).ok()?, out)?,
        _ => out.push_str(text),
    }
    Some(())
}

/// As Go writes a text, without its escapes for HTML: as `serde_json` does, but for two separators.
fn quoted(text: &str, out: &mut String) -> Option<()> {
    let quoted = serde_json::to_string(text).ok()?;
    if text.contains(['\u{2028}', '\u{2029}']) {
        out.push_str(
            &quoted
                .replace('\u{2028}', "\\u2028")
                .replace('\u{2029}', "\\u2029"),
        );
    } else {
        out.push_str(&quoted);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(json: &str) -> Option<String> {
        canonical(json.as_bytes())
    }

    #[test]
    fn rule57_a_document_has_one_form() {
        for json in [
            r#"{"b":[1,2.0,1e3,-0],"a":{"d":null,"c":true}}"#,
            "{ \"a\" : {\"c\":true, \"d\":null},\n\t\"b\":[1, 2.0 ,1e3,-0] } ",
            r#"{"\u0061":{"c":true,"d":null},"b":[1,2.0,1e3,-0]}"#,
        ] {
            assert_eq!(
                form(json).as_deref(),
                Some(r#"{"a":{"c":true,"d":null},"b":[1,2.0,1e3,-0]}"#),
                "{json}"
            );
        }
        assert_eq!(
            form("\"<&>\\u2028\\u001f\\b\\f\\n\\/\u{7f}ä\"").as_deref(),
            Some("\"<&>\\u2028\\u001f\\b\\f\\n/\u{7f}ä\"")
        );
        assert_eq!(form("{\"a\":}"), None);
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        assert_eq!(form(&deep), None);
    }

    #[test]
    fn only_documents_are_read_as_such() {
        let one = |path| of_file(&SHA256, path, b"{ }");
        assert_eq!(one("data.json"), one("a/.manifest"));
        assert_ne!(one("data.json"), one("a.json"));
        assert_eq!(one("a.json"), one("policy.wasm"));
        assert_eq!(of_file(&SHA256, "a/data.json", b"{"), None);
    }

    #[test]
    fn weak_digests_are_none() {
        for name in ["MD5", "SHA-1", "SHA-224", "SHA-512-224", "", "sha-256"] {
            assert!(algorithm(name).is_none(), "{name}");
        }
    }
}
