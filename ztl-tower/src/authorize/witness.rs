//! What a router says that it matched: a second witness of what a request asks for (rule 49, T19).
//!
//! Rules match the canonical path. Where axum matched a route before, its template, filled with the decoded parameters, has to be
//! that same path; what a handler is given can then be nothing else than what was judged.

#[cfg(feature = "axum")]
pub(super) use of_axum::{Routed, routed};

#[cfg(not(feature = "axum"))]
pub(super) use nobody::{Routed, routed};

#[cfg(not(feature = "axum"))]
mod nobody {
    use http::request::Parts;

    /// Without a router that could be asked there is no witness.
    pub(in crate::authorize) struct Routed;

    impl Routed {
        pub(in crate::authorize) const fn agrees(&self, _path: &str) -> Option<bool> {
            let _ = self;
            None
        }
    }

    pub(in crate::authorize) const fn routed(_: &mut Parts) -> Routed {
        Routed
    }
}

#[cfg(feature = "axum")]
mod of_axum {
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    use ::axum::extract::{FromRequestParts as _, MatchedPath, NestedPath, RawPathParams};
    use http::request::Parts;

    /// What the router matched, where one did.
    pub(in crate::authorize) enum Routed {
        /// A route, filled with these parameters.
        Route(MatchedPath, Option<RawPathParams>),
        /// A prefix, which it took off the path, and nothing that says which path there was.
        Within,
        /// Nothing.
        Nowhere,
    }

    impl Routed {
        /// Whether the route that was matched, filled with its parameters, is this path; what stands behind a prefix alone is not. None where
        /// no router matched one: the request is still in front of it, or goes to its fallback.
        pub(in crate::authorize) fn agrees(&self, path: &str) -> Option<bool> {
            match self {
                Self::Route(template, params) => {
                    let fills =
                        |params: &RawPathParams| fills(template.as_str(), || params.iter(), path);
                    Some(params.as_ref().is_some_and(fills))
                }
                Self::Within => Some(false),
                Self::Nowhere => None,
            }
        }
    }

    /// Asks the router.
    pub(in crate::authorize) fn routed(parts: &mut Parts) -> Routed {
        match parts.extensions.get::<MatchedPath>().cloned() {
            Some(template) => Routed::Route(template, params(parts)),
            // A service of its own, or the fallback of a router within another.
            None if parts.extensions.get::<NestedPath>().is_some() => Routed::Within,
            None => Routed::Nowhere,
        }
    }

    /// The decoded parameters. They are there already; nothing is waited for.
    fn params(parts: &mut Parts) -> Option<RawPathParams> {
        let params = pin!(RawPathParams::from_request_parts(parts, &()));
        match params.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(params) => params.ok(),
            Poll::Pending => None,
        }
    }

    /// Whether a template of axum, filled with these parameters, is the path.
    fn fills<'a, I>(template: &str, params: impl Fn() -> I, path: &str) -> bool
    where
        I: IntoIterator<Item = (&'a str, &'a str)>,
    {
        let is_value = |name: &str, raw: &str| {
            let mut named = params().into_iter();
            named.any(|(known, value)| known == name && decodes_to(raw, value))
        };
        let mut rest = Some(path);
        for piece in template.split('/') {
            let Some(text) = rest else { return false };
            let name = piece
                .strip_prefix('{')
                .and_then(|name| name.strip_suffix('}'))
                .filter(|name| !name.starts_with('{'));
            if let Some(name) = name.and_then(|name| name.strip_prefix('*')) {
                return is_value(name, text);
            }
            let (segment, after) = match text.split_once('/') {
                Some((segment, after)) => (segment, Some(after)),
                None => (text, None),
            };
            let agrees = match name {
                Some(name) => is_value(name, segment),
                None => is_literal(piece, segment),
            };
            if !agrees {
                return false;
            }
            rest = after;
        }
        rest.is_none()
    }

    /// axum compares what is no parameter with the path as it stands; a doubled brace is one.
    fn is_literal(piece: &str, segment: &str) -> bool {
        if piece.contains(['{', '}']) {
            piece.replace("{{", "{").replace("}}", "}") == segment
        } else {
            piece == segment
        }
    }

    /// Whether a text with escapes is this one without (RFC 3986 §2.1).
    fn decodes_to(raw: &str, decoded: &str) -> bool {
        let (mut raw, mut decoded) = (raw.bytes(), decoded.bytes());
        while let Some(byte) = raw.next() {
            let mut digit = || char::from(raw.next()?).to_digit(16);
            let byte = match byte {
                b'%' => digit().and_then(|high| u8::try_from(high * 16 + digit()?).ok()),
                byte => Some(byte),
            };
            if byte.is_none() || decoded.next() != byte {
                return false;
            }
        }
        decoded.next().is_none()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn rule_49_a_template_is_filled_with_what_the_handler_gets() {
            let params = [("a", "x y"), ("rest", "b/c d"), ("n", "1"), ("n", "2")];
            for (template, path, agrees) in [
                ("/v/{a}/w", "/v/x%20y/w", true),
                ("/v/{a}/w", "/v/x%20y/w/", false),
                ("/v/{a}/w", "/v/x%20y", false),
                ("/v/{a}/w", "/v/x+y/w", false),
                ("/v/{a}", "/v/x%20y%", false),
                ("/v/{a}", "/v/x%2", false),
                ("/v/{*rest}", "/v/b/c%20d", true),
                ("/v/{*rest}", "/v/b/c%20d/e", false),
                ("/v/{*rest}", "/w/b/c%20d", false),
                ("/{n}/{n}", "/1/2", true),
                ("/{unknown}", "/1", false),
                ("/{{a}}", "/{a}", true),
                ("/", "/", true),
                ("/", "/a", false),
            ] {
                assert_eq!(
                    fills(template, || params, path),
                    agrees,
                    "{template} {path}"
                );
            }
        }
    }
}
