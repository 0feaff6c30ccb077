//! Whether a body says that it is JSON or a form, in a way that has one reading.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};
use ztl_core::{is_same_field, json};

/// RFC 9110 §8.3, RFC 6839 §3.1, RFC 8259 §11.
pub(in crate::duty) fn check(headers: &HeaderMap) -> Result<(), &'static str> {
    one(headers, is_json, "is not said to be JSON in UTF-8")
}

/// WHATWG URL §5: forms have no other characters than those of ASCII, and escapes of UTF-8.
pub(super) fn check_form(headers: &HeaderMap) -> Result<(), &'static str> {
    one(headers, is_form, "is not said to be a form in UTF-8")
}

fn one(
    headers: &HeaderMap,
    is: impl FnOnce(&str) -> bool,
    otherwise: &'static str,
) -> Result<(), &'static str> {
    // By whatever name a server in the manner of CGI would take for it.
    let named = |field: HeaderName| {
        let is = |name: &&HeaderName| is_same_field(name.as_str().as_bytes(), field.as_str());
        headers.keys().filter(is).count()
    };
    if named(CONTENT_ENCODING) > 0 {
        return Err("has a content coding, and cannot be looked at");
    }
    if named(CONTENT_TYPE) > 1 {
        return Err("has two content types");
    }
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) if kind.to_str().is_ok_and(is) => Ok(()),
        (Some(_), Some(_)) => Err("has two content types"),
        _ => Err(otherwise),
    }
}

fn is_json(kind: &str) -> bool {
    let (media, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let media = media.trim().to_ascii_lowercase();
    json::is_media_type(&media) && is_utf8(parameters)
}

fn is_form(kind: &str) -> bool {
    let (media, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let media = media.trim();
    media.eq_ignore_ascii_case("application/x-www-form-urlencoded") && is_utf8(parameters)
}

/// Whether what stands behind a media type names no other charset.
fn is_utf8(parameters: &str) -> bool {
    parameters.split(';').all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forms_in_utf_8_are_forms() {
        for kind in [
            "application/x-www-form-urlencoded",
            "Application/X-WWW-Form-Urlencoded; charset=\"UTF-8\"",
        ] {
            assert!(is_form(kind), "{kind}");
        }
        for kind in [
            "",
            "multipart/form-data; boundary=a",
            "application/x-www-form-urlencoded; charset=utf-16",
            "application/x-www-form-urlencoded, application/json",
            "application/json",
        ] {
            assert!(!is_form(kind), "{kind}");
        }
    }

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
