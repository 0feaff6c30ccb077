//! Whether a body says that it is JSON, in a way that has one reading.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use ztl_core::json;

/// RFC 9110 §8.3, RFC 6839 §3.1, RFC 8259 §11.
pub(in crate::duty) fn check(headers: &HeaderMap) -> Result<(), &'static str> {
    if headers.contains_key(CONTENT_ENCODING) {
        return Err("has a content coding, and cannot be looked at");
    }
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) if kind.to_str().is_ok_and(is_json) => Ok(()),
        (Some(_), Some(_)) => Err("has two content types"),
        _ => Err("is not said to be JSON in UTF-8"),
    }
}

fn is_json(kind: &str) -> bool {
    let mut parts = kind.split(';');
    let media = parts.next().unwrap_or_default().trim();
    json::is_media_type(&media.to_ascii_lowercase())
        && parts.all(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            !name.trim().eq_ignore_ascii_case("charset")
                || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_in_utf_8_is_json() {
        for kind in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/problem+json;charset=\"utf-8\"",
            "application/json; profile=x",
        ] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in [
            "",
            "text/json",
            "application/+json",
            "application/jsonp",
            "application/json, text/plain",
            "application/json; charset=utf-16",
            "application/json; Charset = latin1",
            "application/x-www-form-urlencoded",
        ] {
            assert!(!is_json(kind), "{kind}");
        }
    }
}
