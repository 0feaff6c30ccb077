//! Whether one action pattern covers everything that another does. Errs towards no.

use crate::action::Method;
use crate::policy::{ActionPattern, Template};

/// A pattern and the segments of its path, read once.
#[derive(Debug)]
pub(super) struct Read<'a> {
    pub(super) action: &'a ActionPattern,
    parts: Vec<Part>,
}

/// A segment of a template, read from the form in which it is shown.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Param(Kind),
    Rest,
}

/// What the value of a parameter must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Uuid,
    Int,
    Other,
}

impl<'a> Read<'a> {
    pub(super) fn new(action: &'a ActionPattern) -> Self {
        let parts = match (action, action.template()) {
            (_, Some(template)) => parts(template),
            (ActionPattern::Grpc { service, method }, None) => {
                let text = |text: &str| Part::Text(text.into());
                let method = method.as_deref().map_or(Part::Param(Kind::Text), text);
                vec![text(service), method]
            }
            _ => Vec::new(),
        };
        Self { action, parts }
    }

    /// Whether a permit with this pattern permits whatever one with `narrow` does.
    pub(super) fn permits_all_of(&self, narrow: &Self) -> bool {
        use ActionPattern::{Any, Connect, Grpc, Http, Upgrade, WebSocket};
        let paths = || cover(&self.parts, &narrow.parts, false);
        match (self.action, narrow.action) {
            (Any, Http { methods, .. }) => !methods.contains(Method::Head),
            (Any, Any | Grpc { .. }) | (Connect, Connect) => true,
            (Http { methods, .. }, Http { methods: fewer, .. }) => {
                methods.union(*fewer) == *methods && paths()
            }
            (Http { methods, .. }, Grpc { .. }) => methods.contains(Method::Post) && paths(),
            (Grpc { .. }, Grpc { .. }) | (WebSocket(_), WebSocket(_)) => paths(),
            (Upgrade { token, .. }, Upgrade { token: other, .. }) => token == other && paths(),
            _ => false,
        }
    }

    /// Whether a forbid with this pattern forbids whatever a permit with `narrow` permits. A forbid reads its patterns in a
    /// wider sense (rule 45, T19, T20).
    pub(super) fn forbids_all_of(&self, narrow: &Self) -> bool {
        use ActionPattern::{Any, Connect, Grpc, Http, Upgrade, WebSocket};
        let paths = || cover(&self.parts, &narrow.parts, true);
        match (self.action, narrow.action) {
            // In raw bytes anything could be asked.
            (_, Connect) | (Any, _) => true,
            (Connect, _) | (_, Any) => false,
            (Http { methods, .. }, Http { methods: fewer, .. }) => {
                let named = |method: Method| {
                    methods.contains(method)
                        || method == Method::Head && methods.contains(Method::Get)
                };
                fewer.iter().all(named) && paths()
            }
            (Http { methods, .. }, Grpc { .. }) => methods.contains(Method::Post) && paths(),
            (Http { methods, .. }, WebSocket(_) | Upgrade { .. }) => {
                methods.contains(Method::Get) && paths()
            }
            (Grpc { .. }, Grpc { .. } | Http { .. } | WebSocket(_) | Upgrade { .. })
            | (WebSocket(_) | Upgrade { .. }, WebSocket(_) | Upgrade { .. }) => paths(),
            (WebSocket(_) | Upgrade { .. }, Http { .. } | Grpc { .. }) => false,
        }
    }
}

fn parts(template: &Template) -> Vec<Part> {
    let shown = template.to_string();
    let segments = shown.strip_prefix('/').unwrap_or(&shown).split('/');
    let part = |segment: &str| match segment.strip_prefix('{') {
        Some(rest) if rest.starts_with('*') => Part::Rest,
        Some(rest) => {
            let name = rest.strip_suffix('}').unwrap_or(rest);
            Part::Param(match name.split_once(':') {
                None => Kind::Text,
                Some((_, "uuid")) => Kind::Uuid,
                Some((_, "int")) => Kind::Int,
                Some(_) => Kind::Other,
            })
        }
        None => Part::Text(segment.into()),
    };
    segments.map(part).collect()
}

/// Whether every path of `narrow` is one of `wide`. A forbid passes over a slash at the end, and over what a parameter must look
/// like.
fn cover(wide: &[Part], narrow: &[Part], forbid: bool) -> bool {
    let whole = |part: &&Part| !forbid || !matches!(part, Part::Text(text) if text.is_empty());
    let mut wide = wide.iter().filter(whole);
    let mut narrow = narrow.iter().filter(whole);
    loop {
        let covered = match (wide.next(), narrow.next()) {
            (None, None) => return true,
            (Some(Part::Rest), Some(first)) => {
                return !matches!(first, Part::Text(text) if text.is_empty());
            }
            (None, Some(_)) | (Some(_), None | Some(Part::Rest)) => false,
            (Some(Part::Text(one)), Some(Part::Text(other))) => one == other,
            (Some(Part::Text(_)), Some(Part::Param(_))) => false,
            (Some(Part::Param(kind)), Some(Part::Param(other))) => {
                forbid || *kind == Kind::Text || (kind == other && *kind != Kind::Other)
            }
            (Some(Part::Param(kind)), Some(Part::Text(text))) => {
                !text.is_empty() && (forbid || *kind == Kind::Text)
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
                Read::new(&pattern(wide)).permits_all_of(&Read::new(&pattern(narrow))),
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
                Read::new(&pattern(wide)).forbids_all_of(&Read::new(&pattern(narrow))),
                covers,
                "{wide} {narrow}"
            );
        }
    }
}
