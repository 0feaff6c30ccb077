//! Which requests a pattern speaks of, from its text.

use crate::action::{Resource, Upgrade};
use crate::path::CanonicalPath;

/// A path's segments, decoded.
fn segments(resource: &Resource<'_>) -> Vec<String> {
    resource
        .path()
        .segments()
        .map(|segment| segment.decoded())
        .collect()
}

/// A template's segments, as they are written, escapes resolved where it is text.
fn parts(template: &str) -> Vec<String> {
    let decoded = |part: &str| {
        let target = format!("/{part}");
        let path = CanonicalPath::parse(&target).ok();
        path.and_then(|path| path.segments().next())
            .map(|segment| segment.decoded())
    };
    let parts = template.split('/').skip(1);
    parts
        .map(|part| decoded(part).unwrap_or_else(|| part.to_owned()))
        .collect()
}

/// Whether a permit on this pattern names the request (§9.1).
pub(super) fn permits(pattern: &str, resource: &Resource<'_>) -> bool {
    let method = resource.method().as_str();
    let (verb, rest) = pattern.split_once(' ').unwrap_or((pattern, ""));
    match (verb, resource.upgrade()) {
        ("any", None) => !matches!(method, "HEAD" | "?"),
        ("grpc", None) => method == "POST" && grpc(rest, &segments(resource)),
        ("websocket", Some(Upgrade::WebSocket)) => {
            method == "GET" && exact(&parts(rest), &segments(resource))
        }
        ("connect" | "any" | "grpc" | "websocket", _) => false,
        (verb, Some(Upgrade::Other(token))) => {
            let named = verb
                .strip_prefix("upgrade:")
                .is_some_and(|named| named.eq_ignore_ascii_case(token));
            named && method == "GET" && exact(&parts(rest), &segments(resource))
        }
        (verb, None) => {
            verb.split(',').any(|one| one == method) && exact(&parts(rest), &segments(resource))
        }
        _ => false,
    }
}

/// Whether a forbid on this pattern covers the request: wider, since another view of it may be looser (§9.2).
pub(super) fn forbids(pattern: &str, resource: &Resource<'_>) -> bool {
    let method = resource.method().as_str();
    let (verb, rest) = pattern.split_once(' ').unwrap_or((pattern, ""));
    match verb {
        "any" => true,
        "connect" => false,
        "grpc" => grpc(rest, &without_empty(resource)),
        "websocket" => resource.upgrade().is_some() && loose(rest, resource),
        verb if verb.starts_with("upgrade:") => {
            resource.upgrade().is_some() && loose(rest, resource)
        }
        verb => {
            let named = |wanted: &str| verb.split(',').any(|one| one == wanted);
            let covered = named(method) || method == "?" || (method == "HEAD" && named("GET"));
            covered && loose(rest, resource)
        }
    }
}

fn grpc(pattern: &str, path: &[String]) -> bool {
    match (pattern.split_once('/'), path) {
        (Some((service, "*")), [one, two]) => one == service && !two.is_empty(),
        (Some((service, method)), [one, two]) => one == service && two == method,
        _ => false,
    }
}

/// §9.3
fn exact(parts: &[String], path: &[String]) -> bool {
    match (parts, path) {
        ([], []) => true,
        ([part, ..], [first, ..]) if part.starts_with("{*") => !first.is_empty(),
        ([part, parts @ ..], [first, path @ ..]) => {
            let kind = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'))
                .map(|part| part.split_once(':').map_or("", |(_, kind)| kind));
            let fits = match kind {
                None => part == first,
                Some("int") => is_int(first),
                Some("uuid") => is_uuid(first),
                Some(_) => !first.is_empty(),
            };
            fits && exact(parts, path)
        }
        _ => false,
    }
}

/// Without regard to slashes at the end and to what parameters look like (§9.4).
fn loose(template: &str, resource: &Resource<'_>) -> bool {
    let mut parts: Vec<_> = parts(template)
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    for part in &mut parts {
        if part.starts_with('{') && !part.starts_with("{*") {
            *part = "{any}".to_owned();
        }
    }
    exact(&parts, &without_empty(resource))
}

fn without_empty(resource: &Resource<'_>) -> Vec<String> {
    let segments = segments(resource).into_iter();
    segments.filter(|segment| !segment.is_empty()).collect()
}

fn is_int(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit())
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups
            .iter()
            .all(|group| group.chars().all(|digit| digit.is_ascii_hexdigit()))
}
