//! A request's action: what the service will really perform, or a refusal.

use core::cell::Cell;
use core::fmt;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Version};
use ztl_core::{Action, Forwarding, Headers, PathError, is_host, is_same_field};

use crate::forwarded;
use crate::said::{Field, Said};

/// Why a request cannot be named: it has more than one reading. Answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ambiguity {
    /// The target has more than one reading.
    Path(PathError),
    /// `:authority` (or the target's own) and `Host` differ, or `Host` is repeated, or one of them is no host with an optional
    /// port, or a request of HTTP/1.1 has none or an empty one (RFC 9113 §8.3.1, RFC 9112 §3.2).
    Authority,
    /// The authority holds user information (RFC 9110 §4.2.4).
    UserInfo,
    /// A field asks for another method than the request's.
    MethodOverride,
    /// A field asks for another target than the request's.
    TargetOverride,
    /// The method is not in upper case (rule 44).
    MethodCase,
    /// `Upgrade` is repeated, or is not text.
    Upgrade,
    /// The route that a router matched, filled with its parameters, is another path than the one that is judged (rule 49).
    Route,
}

impl fmt::Display for Ambiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(error) => error.fmt(f),
            Self::Authority => f.write_str(
                "the request's authority and its Host field differ, or it has no single Host that is one",
            ),
            Self::UserInfo => f.write_str("the request's authority holds user information"),
            Self::MethodOverride => {
                f.write_str("a header field asks for another method than the request's")
            }
            Self::TargetOverride => {
                f.write_str("a header field asks for another target than the request's")
            }
            Self::MethodCase => f.write_str("the request's method is not in upper case"),
            Self::Upgrade => f.write_str("the request's Upgrade field is repeated, is not text, or no Connection field of HTTP/1.1 lists it"),
            Self::Route => {
                f.write_str("the router matched another path than the one that is judged")
            }
        }
    }
}

/// Names the action of a request as it came off the wire.
pub(crate) fn action<'a>(parts: &'a Parts, said: &Said<'a>) -> Result<Action<'a>, Ambiguity> {
    check(parts, said)?;
    named(
        parts.method.as_str(),
        parts.uri.path_and_query(),
        said.upgrade,
        parts.extensions.get(),
    )
}

/// Whether what stands beside a request's target leaves it one reading.
pub(crate) fn check(parts: &Parts, said: &Said<'_>) -> Result<(), Ambiguity> {
    check_authority(parts, said)?;
    let names = said.names;
    if names.has(Field::OtherMethod) {
        return Err(Ambiguity::MethodOverride);
    }
    if names.has(Field::OtherTarget) {
        return Err(Ambiguity::TargetOverride);
    }
    if parts
        .method
        .as_str()
        .bytes()
        .any(|byte| byte.is_ascii_lowercase())
    {
        return Err(Ambiguity::MethodCase);
    }
    if names.has(Field::Upgrade) && !asks_to_upgrade(parts, said) {
        return Err(Ambiguity::Upgrade);
    }
    Ok(())
}

/// Whether an `Upgrade` field asks for what it says. Where it does not, a server answers the request that it stands in, which no rule for the
/// upgrade permits: without `Connection: upgrade`, or in HTTP/1.0 (RFC 9110 §7.8). An extended CONNECT says by itself what it opens.
fn asks_to_upgrade(parts: &Parts, said: &Said<'_>) -> bool {
    let is_one = !said.names.repeats(Field::Upgrade);
    is_one && said.upgrades && parts.version == Version::HTTP_11
        || parts.extensions.get::<hyper::ext::Protocol>().is_some()
}

fn named<'a>(
    method: &str,
    target: Option<&'a PathAndQuery>,
    upgrade: Option<&'a HeaderValue>,
    protocol: Option<&'a hyper::ext::Protocol>,
) -> Result<Action<'a>, Ambiguity> {
    let target = target.map_or("", PathAndQuery::as_str);
    // RFC 8441: an extended CONNECT opens what an Upgrade opens in HTTP/1.1, and is judged as that.
    if let Some(protocol) = protocol {
        return Action::request("GET", target)
            .map(|action| action.with_upgrade(protocol.as_str()))
            .map_err(Ambiguity::Path);
    }
    let action = Action::request(method, target).map_err(Ambiguity::Path)?;
    match upgrade {
        None => Ok(action),
        Some(token) => token
            .to_str()
            .map(|token| action.with_upgrade(token))
            .map_err(|_| Ambiguity::Upgrade),
    }
}

/// The header fields of a request, as a rule reads them.
pub(crate) struct Fields<'a> {
    fields: &'a HeaderMap,
    /// Where the caller may pass ids on; the others of these fields are not there.
    forwards_in: Option<Forwarding>,
    read: Cell<bool>,
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(fields: &'a HeaderMap, forwards_in: Option<Forwarding>) -> Self {
        Self {
            fields,
            forwards_in,
            read: Cell::new(false),
        }
    }

    /// The fields again, where a rule read one.
    #[cfg(feature = "serve")]
    pub(crate) fn kept(&self) -> Option<HeaderMap> {
        self.read.get().then(|| self.fields.clone())
    }
}

impl Headers for Fields<'_> {
    fn for_each(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.read.set(true);
        // T12
        if forwarded::hides(name, self.forwards_in) {
            return;
        }
        for (sent, value) in self.fields {
            if sent == name {
                each(value.as_bytes());
            } else if is_same_field(sent.as_str().as_bytes(), name) {
                each(&[]);
            }
        }
    }
}

/// Whether the caller speaks gRPC and wants its refusals as gRPC status.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// What a request was judged as, to notice one that was rewritten afterwards (T19). Holds a credential: it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WireTarget {
    method: Method,
    target: Option<PathAndQuery>,
    beside: Option<Arc<Beside>>,
}

/// What few requests have beside method and target.
#[derive(PartialEq, Eq)]
struct Beside {
    upgrade: Option<HeaderValue>,
    protocol: Option<hyper::ext::Protocol>,
    authorization: Option<HeaderValue>,
    more_authorizations: bool,
}

impl WireTarget {
    /// Whether there is a credential, whatever it is worth: in the query as well, which is no place for one (RFC 6750 §2.3).
    #[cfg(feature = "serve")]
    pub(crate) fn has_credential(&self) -> bool {
        #[cfg(feature = "jwt")]
        let in_query = (self.target.as_ref().and_then(PathAndQuery::query))
            .is_some_and(ztl_authz::jwt::bears_token);
        #[cfg(not(feature = "jwt"))]
        let in_query = false;
        let beside = self.beside.as_ref();
        beside.is_some_and(|beside| beside.authorization.is_some()) || in_query
    }

    pub(crate) fn of(parts: &Parts, said: &Said<'_>) -> Self {
        let protocol: Option<&hyper::ext::Protocol> = parts.extensions.get();
        let any = protocol.is_some() || said.upgrade.is_some() || said.authorization.is_some();
        Self {
            method: parts.method.clone(),
            target: parts.uri.path_and_query().cloned(),
            beside: any.then(|| {
                Arc::new(Beside {
                    upgrade: said.upgrade.cloned(),
                    protocol: protocol.cloned(),
                    authorization: said.authorization.cloned(),
                    more_authorizations: said.names.repeats(Field::Authorization),
                })
            }),
        }
    }

    /// Whether it asks for a WebSocket by a field, as HTTP/1.1 does.
    pub(crate) fn asks_for_websocket(&self) -> bool {
        let by_field = self.beside.as_ref().filter(|it| it.protocol.is_none());
        let upgrade = by_field.and_then(|it| it.upgrade.as_ref());
        // As it is judged: with blanks around.
        upgrade.is_some_and(|it| {
            it.as_bytes()
                .trim_ascii()
                .eq_ignore_ascii_case(b"websocket")
        })
    }

    /// Its path, as it stands.
    pub(crate) fn path(&self) -> &str {
        self.target.as_ref().map_or("", PathAndQuery::path)
    }

    /// Whether the other is this one after a router took a prefix of the path off for a nested one, and nothing else was changed.
    pub(crate) fn is_nested_as(&self, other: &Self) -> bool {
        let (Some(whole), Some(rest)) = (&self.target, &other.target) else {
            return false;
        };
        let is_rest = rest.path() == "/"
            || rest.path().starts_with('/') && whole.path().ends_with(rest.path());
        is_rest
            && whole.query() == rest.query()
            && self.method == other.method
            && self.beside == other.beside
    }

    /// What it was judged as.
    pub(crate) fn action(&self) -> Result<Action<'_>, Ambiguity> {
        let beside = self.beside.as_deref();
        named(
            self.method.as_str(),
            self.target.as_ref(),
            beside.and_then(|beside| beside.upgrade.as_ref()),
            beside.and_then(|beside| beside.protocol.as_ref()),
        )
    }
}

fn check_authority(parts: &Parts, said: &Said<'_>) -> Result<(), Ambiguity> {
    if said.names.repeats(Field::Host) {
        return Err(Ambiguity::Authority);
    }
    let host = said.host;
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let named = [
        authority.map(str::as_bytes),
        host.map(HeaderValue::as_bytes),
    ];
    let is_none = |value: &&[u8]| !value.is_empty() && !is_host(value);
    if named.iter().flatten().any(is_none) {
        // No host has user information.
        let user = named.iter().flatten().any(|value| value.contains(&b'@'));
        return Err(if user {
            Ambiguity::UserInfo
        } else {
            Ambiguity::Authority
        });
    }
    match (authority, host) {
        (Some(authority), Some(host))
            if !authority.as_bytes().eq_ignore_ascii_case(host.as_bytes()) =>
        {
            Err(Ambiguity::Authority)
        }
        // RFC 9112 §3.2. A target in absolute form, as our own egress has it, names the host itself.
        (None, host)
            if parts.version == Version::HTTP_11 && host.is_none_or(HeaderValue::is_empty) =>
        {
            Err(Ambiguity::Authority)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn named(request: http::request::Builder) -> Result<String, Ambiguity> {
        let (parts, ()) = request.body(()).expect("request").into_parts();
        action(&parts, &Said::of(&parts.headers)).map(|action| action.to_string())
    }

    #[cfg(all(feature = "jwt", feature = "serve"))]
    #[test]
    fn t12_a_token_in_the_query_is_a_credential_too() {
        let has = |request: http::request::Builder| {
            let (parts, ()) = request.body(()).expect("request").into_parts();
            WireTarget::of(&parts, &Said::of(&parts.headers)).has_credential()
        };
        assert!(has(
            Request::get("/v1/x").header("authorization", "Bearer a")
        ));
        assert!(has(Request::get("/v1/x?a=1&access%5Ftoken=b")));
        assert!(!has(Request::get("/v1/x?a=access_token")));
    }

    #[test]
    fn rules_44_to_48_a_request_has_one_reading_or_is_refused() {
        assert_eq!(
            named(Request::get("/v1/x?q=1").header("host", "a")),
            Ok("GET /v1/x".to_owned())
        );
        assert_eq!(
            named(Request::get("https://a/v1/x").header("host", "A")),
            Ok("GET /v1/x".to_owned())
        );
        assert_eq!(
            named(Request::get("https://a/x").header("host", "b")),
            Err(Ambiguity::Authority)
        );
        assert_eq!(
            named(Request::get("/x").header("host", "a").header("host", "a")),
            Err(Ambiguity::Authority)
        );
        assert_eq!(
            named(Request::get("https://u@a/x")),
            Err(Ambiguity::UserInfo)
        );
        assert_eq!(
            named(Request::get("/a/../b").header("host", "a")),
            Err(Ambiguity::Path(PathError::DotSegment))
        );
        assert_eq!(
            named(Request::get("/a/%2e%2e/b").header("host", "a")),
            Err(Ambiguity::Path(PathError::EscapedUnreserved))
        );
        assert_eq!(
            named(
                Request::post("/x")
                    .header("host", "a")
                    .header("x-http-method-override", "DELETE")
            ),
            Err(Ambiguity::MethodOverride)
        );
        assert_eq!(
            named(
                Request::builder()
                    .method("get")
                    .uri("/x")
                    .header("host", "a")
            ),
            Err(Ambiguity::MethodCase)
        );
        assert_eq!(
            named(Request::builder().method("CONNECT").uri("a:443")),
            Err(Ambiguity::Path(PathError::NoLeadingSlash))
        );
    }

    #[test]
    fn an_upgrade_is_an_action_of_its_own() {
        assert_eq!(
            named(
                Request::get("/chat")
                    .header("host", "a")
                    .header("connection", "keep-alive, Upgrade")
                    .header("upgrade", "websocket")
            ),
            Ok("websocket /chat".to_owned())
        );
        let twice = Request::get("/chat")
            .header("host", "a")
            .header("connection", "upgrade")
            .header("upgrade", "a")
            .header("upgrade", "websocket");
        assert_eq!(named(twice), Err(Ambiguity::Upgrade));
    }

    #[test]
    fn t20_an_upgrade_that_a_server_does_not_see_is_none() {
        let ask = || {
            Request::get("/chat")
                .header("host", "a")
                .header("upgrade", "websocket")
        };
        assert_eq!(named(ask()), Err(Ambiguity::Upgrade));
        let kept = ask().header("connection", "keep-alive");
        assert_eq!(named(kept), Err(Ambiguity::Upgrade));
        let old = ask()
            .header("connection", "upgrade")
            .version(Version::HTTP_10);
        assert_eq!(named(old), Err(Ambiguity::Upgrade));
    }

    #[test]
    fn rfc_9112_3_2_http_1_1_names_its_host_once() {
        let ask = |request: http::request::Builder| named(request).err();
        assert_eq!(ask(Request::get("/x")), Some(Ambiguity::Authority));
        assert_eq!(
            ask(Request::get("/x").header("host", "")),
            Some(Ambiguity::Authority)
        );
        assert_eq!(
            ask(Request::get("https://a/x").header("host", "")),
            Some(Ambiguity::Authority)
        );
        assert_eq!(ask(Request::get("/x").version(Version::HTTP_10)), None);
        assert_eq!(ask(Request::get("https://a/x")), None);
    }

    #[test]
    fn t19_no_field_names_another_target() {
        for field in ["x-original-url", "X-Rewrite-URL"] {
            let request = Request::get("/x").header("host", "a").header(field, "/y");
            assert_eq!(named(request), Err(Ambiguity::TargetOverride), "{field}");
        }
    }

    #[test]
    fn grpc_is_a_media_type_and_no_prefix() {
        for (kind, grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-evil", false),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            assert_eq!(is_grpc(&headers), grpc, "{kind}");
        }
    }
}
