//! `tracestate` (W3C Trace Context §3.3): what vendors of tracing keep, passed on as it came or not at all.

use std::sync::Arc;

/// Most bytes of all that is passed on; a vendor must be able to count on as many (§3.3.1.5).
const MAX_BYTES: usize = 512;
/// Most members (§3.3.1.1).
const MAX_MEMBERS: usize = 32;

/// The members of all fields, in their order. `None` where one of them is bad, or there are none, or too many.
pub(super) fn join<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Option<Arc<str>> {
    let mut joined = String::new();
    let mut keys: Vec<&str> = Vec::new();
    for field in fields {
        if field.len() > MAX_BYTES {
            return None;
        }
        let members = core::str::from_utf8(field).ok()?.split(',');
        // §3.3.1.1: a list may have empty members.
        for member in members
            .map(|it| it.trim_matches([' ', '\t']))
            .filter(|it| !it.is_empty())
        {
            let (key, value) = member.split_once('=')?;
            if !is_key(key) || !is_value(value) || keys.contains(&key) || keys.len() == MAX_MEMBERS
            {
                return None;
            }
            keys.push(key);
            if !joined.is_empty() {
                joined.push(',');
            }
            joined.push_str(member);
            if joined.len() > MAX_BYTES {
                return None;
            }
        }
    }
    (!joined.is_empty()).then(|| joined.into())
}

/// §3.3.1.3.1, as of its second edition: a letter or digit in lower case, then those, `_`, `-`, `*`, `/` and `@`, 256 at most.
fn is_key(key: &str) -> bool {
    let first = key.bytes().next();
    first.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && key.len() <= 256
        && key.bytes().all(
            |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@'),
        )
}

/// §3.3.1.3.2: printable ASCII but `,` and `=`, 256 at most; a blank at the end was trimmed.
fn is_value(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= 256
        && value
            .bytes()
            .all(|byte| matches!(byte, 0x20..=0x7e) && byte != b',' && byte != b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[&str]) -> Option<String> {
        join(fields.iter().map(|it| it.as_bytes())).map(|it| it.to_string())
    }

    #[test]
    fn trace_context_3_3_members_are_passed_on_in_their_order_or_not_at_all() {
        assert_eq!(
            of(&["b=2, a=1 ,,", "t@v=x y"]).as_deref(),
            Some("b=2,a=1,t@v=x y")
        );
        for bad in [
            "A=1", "=1", "a", "a=", "a=1=2", "a=\u{e4}", "a b=1", "a=1,a=2", "_a=1",
        ] {
            assert_eq!(of(&[bad]), None, "{bad}");
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["", " , "]), None);
        let members: Vec<_> = (0..33).map(|at| format!("k{at}=v")).collect();
        assert!(of(&[&members[..32].join(",")]).is_some());
        assert_eq!(of(&[&members.join(",")]), None);
        assert_eq!(of(&[&format!("a={}", "x".repeat(257))]), None);
        let long = format!("a={0},b={0}", "x".repeat(255));
        assert_eq!(of(&[&long]), None);
    }
}
