//! Whether one action pattern covers everything that another does. Errs towards no.

use crate::action::Method;
use crate::policy::{ActionPattern, Template};

/// Whether a permit with `wide` permits whatever one with `narrow` does.
pub(super) fn permits_all_of(wide: &ActionPattern, narrow: &ActionPattern) -> bool {
    use ActionPattern::{Any, Connect, Grpc, Http, Upgrade, WebSocket};
    match (wide, narrow) {
        (Any, Http { methods, .. }) => !methods.contains(&Method::Head),
        (Any, Any | Grpc { .. }) | (Connect, Connect) => true,
        (
            Http { methods, path },
            Http {
                methods: fewer,
                path: longer,
            },
        ) => fewer.iter().all(|method| methods.contains(method)) && covers(path, longer, false),
        (Http { methods, path }, Grpc { .. }) => {
            methods.contains(&Method::Post) && segments_cover(&parts(path), &grpc(narrow), false)
        }
        (Grpc { .. }, Grpc { .. }) => segments_cover(&grpc(wide), &grpc(narrow), false),
        (WebSocket(path), WebSocket(longer)) => covers(path, longer, false),
        (
            Upgrade { token, path },
            Upgrade {
                token: other,
                path: longer,
            },
        ) => token == other && covers(path, longer, false),
        _ => false,
    }
}

/// Whether a forbid with `wide` forbids whatever a permit with `narrow` permits. A forbid reads its patterns in a wider sense
/// (rule 45, T19, T20).
pub(super) fn forbids_all_of(wide: &ActionPattern, narrow: &ActionPattern) -> bool {
    use ActionPattern::{Any, Connect, Grpc, Http, Upgrade, WebSocket};
    match (wide, narrow) {
        // In raw bytes anything could be asked.
        (_, Connect) | (Any, _) => true,
        (Connect, _) | (_, Any) => false,
        (
            Http { methods, path },
            Http {
                methods: fewer,
                path: longer,
            },
        ) => {
            let named = |method: &Method| {
                methods.contains(method)
                    || *method == Method::Head && methods.contains(&Method::Get)
            };
            fewer.iter().all(named) && covers(path, longer, true)
        }
        (Http { methods, path }, Grpc { .. }) => {
            methods.contains(&Method::Post) && segments_cover(&parts(path), &grpc(narrow), true)
        }
        (Http { methods, path }, WebSocket(longer) | Upgrade { path: longer, .. }) => {
            methods.contains(&Method::Get) && covers(path, longer, true)
        }
        (Grpc { .. }, Grpc { .. }) => segments_cover(&grpc(wide), &grpc(narrow), true),
        (Grpc { .. }, Http { path, .. } | WebSocket(path) | Upgrade { path, .. }) => {
            segments_cover(&grpc(wide), &parts(path), true)
        }
        (
            WebSocket(path) | Upgrade { path, .. },
            WebSocket(longer) | Upgrade { path: longer, .. },
        ) => covers(path, longer, true),
        (WebSocket(_) | Upgrade { .. }, Http { .. } | Grpc { .. }) => false,
    }
}

/// A segment of a template, read from the form in which it is shown.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// With what its value must look like.
    Param(String),
    Rest,
}

fn covers(wide: &Template, narrow: &Template, forbid: bool) -> bool {
    segments_cover(&parts(wide), &parts(narrow), forbid)
}

fn parts(template: &Template) -> Vec<Part> {
    let shown = template.to_string();
    let segments = shown.strip_prefix('/').unwrap_or(&shown).split('/');
    let part = |segment: &str| match segment.strip_prefix('{') {
        Some(rest) if rest.starts_with('*') => Part::Rest,
        Some(rest) => {
            let name = rest.strip_suffix('}').unwrap_or(rest);
            let kind = name.split_once(':').map_or("", |(_, kind)| kind);
            Part::Param(kind.to_owned())
        }
        None => Part::Text(segment.to_owned()),
    };
    segments.map(part).collect()
}

fn grpc(pattern: &ActionPattern) -> Vec<Part> {
    let ActionPattern::Grpc { service, method } = pattern else {
        return Vec::new();
    };
    let method = method.as_ref().map_or_else(
        || Part::Param(String::new()),
        |method| Part::Text(method.to_string()),
    );
    vec![Part::Text(service.to_string()), method]
}

/// A forbid passes over a slash at the end, and over what a parameter must look like.
fn segments_cover(wide: &[Part], narrow: &[Part], forbid: bool) -> bool {
    let whole = |part: &&Part| !forbid || !matches!(part, Part::Text(text) if text.is_empty());
    let mut wide = wide.iter().filter(whole);
    let mut narrow = narrow.iter().filter(whole);
    loop {
        let covered = match (wide.next(), narrow.next()) {
            (None, None) => return true,
            (None, Some(_))
            | (Some(_), None)
            | (Some(Part::Text(_) | Part::Param(_)), Some(Part::Rest)) => false,
            (Some(Part::Rest), Some(first)) => {
                return !matches!(first, Part::Text(text) if text.is_empty());
            }
            (Some(Part::Text(one)), Some(Part::Text(other))) => one == other,
            (Some(Part::Text(_)), Some(Part::Param(_))) => false,
            (Some(Part::Param(kind)), Some(Part::Param(other))) => {
                forbid || kind.is_empty() || kind == other
            }
            (Some(Part::Param(kind)), Some(Part::Text(text))) => {
                !text.is_empty() && (forbid || kind.is_empty())
            }
        };
        if !covered {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> ActionPattern {
        ActionPattern::parse(text).expect("pattern")
    }

    #[test]
    fn rule_38_a_permit_covers_another() {
        for (wide, narrow, covers) in [
            ("any", "GET /a", true),
            ("any", "HEAD /a", false),
            ("any", "grpc a.B/C", true),
            ("any", "websocket /a", false),
            ("any", "connect", false),
            ("connect", "connect", true),
            ("GET,POST /a/{x}", "GET /a/b", true),
            ("GET /a/{x}", "GET,POST /a/b", false),
            ("GET /a/{x:int}", "GET /a/7", false),
            ("GET /a/{x}", "GET /a/{y:uuid}", true),
            ("GET /a/{x:int}", "GET /a/{y:uuid}", false),
            ("GET /a/{x}", "GET /a/", false),
            ("GET /a/{*x}", "GET /a/b/c", true),
            ("GET /a/{*x}", "GET /a/b/{*y}", true),
            ("GET /a/{*x}", "GET /a", false),
            ("GET /a/{*x}", "GET /a/", false),
            ("GET /a/{x}", "GET /a/{*y}", false),
            ("GET /a", "GET /a/", false),
            ("grpc a.B/*", "grpc a.B/C", true),
            ("grpc a.B/C", "grpc a.B/*", false),
            ("POST /a.B/{m}", "grpc a.B/C", true),
            ("grpc a.B/C", "POST /a.B/C", false),
            ("websocket /{x}", "websocket /a", true),
            ("upgrade:x /a", "upgrade:y /a", false),
        ] {
            assert_eq!(
                permits_all_of(&pattern(wide), &pattern(narrow)),
                covers,
                "{wide} {narrow}"
            );
        }
    }

    #[test]
    fn rule_45_a_forbid_covers_in_the_wide_sense() {
        for (wide, narrow, covers) in [
            ("GET /a", "HEAD /a", true),
            ("GET /a", "GET /a/", true),
            ("GET /a", "websocket /a", true),
            ("POST /a", "websocket /a", false),
            ("GET /a", "connect", true),
            ("GET /{x:int}", "GET /a", true),
            ("GET /{*x}", "any", false),
            ("any", "any", true),
            ("grpc a.B/C", "GET /a.B/C", true),
            ("grpc a.B/C", "upgrade:x /a.B/C", true),
            ("grpc a.B/C", "grpc a.B/*", false),
            ("websocket /a", "GET /a", false),
            ("websocket /a", "upgrade:x /a", true),
            ("connect", "GET /a", false),
        ] {
            assert_eq!(
                forbids_all_of(&pattern(wide), &pattern(narrow)),
                covers,
                "{wide} {narrow}"
            );
        }
    }
}
