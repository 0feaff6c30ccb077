//! Which site a request was made on behalf of.

use http::header::{HOST, HeaderName, ORIGIN, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Method};

use super::csp;
use super::layer::CrossSite;

/// What the rules of the module are asked with.
pub(super) struct Allowed<'a> {
    pub(super) origins: &'a [String],
    pub(super) other_clients: bool,
}

/// An origin that cannot be let in by name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no origin of a page: write `https://` and a host, such as `https://admin.example`, without path, wildcard or quotes", .0.escape_debug())]
pub struct OriginError(String);

impl OriginError {
    pub(super) fn of(text: &str) -> Self {
        Self(csp::shown(text))
    }
}

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Who asked the browser to ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Site {
    /// The same origin, or the user.
    Own,
    Other,
    Unsaid,
}

/// Whether a request may go on.
pub(super) fn check(parts: &Parts, allowed: &Allowed<'_>) -> Result<(), CrossSite> {
    let headers = &parts.headers;
    let site = match one(headers, &SITE)? {
        None => Site::Unsaid,
        Some("same-origin" | "none") => Site::Own,
        Some("same-site" | "cross-site") => Site::Other,
        Some(_) => return Err(CrossSite::Ambiguous),
    };
    if site == Site::Own {
        return Ok(());
    }
    let origin = one(headers, &ORIGIN)?;
    if origin.is_some_and(|origin| allowed.origins.iter().any(|it| it == origin)) {
        return Ok(());
    }
    let upgrades = headers.contains_key(UPGRADE)
        || parts.method == Method::CONNECT
        || parts.extensions.get::<hyper::ext::Protocol>().is_some();
    let reads = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    match (site, reads && !upgrades) {
        (Site::Unsaid, true) => Ok(()),
        (_, true) if parts.method == Method::OPTIONS => Ok(()),
        (_, true) => {
            let page = one(headers, &MODE)? == Some("navigate");
            if page && one(headers, &DEST)? == Some("document") {
                Ok(())
            } else {
                Err(CrossSite::Embedded)
            }
        }
        (Site::Unsaid, false) => match origin {
            Some(origin) if is_own(origin, parts)? => Ok(()),
            Some(_) => Err(CrossSite::OtherOrigin),
            None if allowed.other_clients => Ok(()),
            None => Err(CrossSite::Unsaid),
        },
        (_, false) => Err(CrossSite::OtherOrigin),
    }
}

/// The one value of a field; more than one has more than one reading (rule 43).
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, CrossSite> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| CrossSite::Ambiguous),
        _ => Err(CrossSite::Ambiguous),
    }
}

/// Whether an origin is where the request was sent to, over TLS.
fn is_own(origin: &str, parts: &Parts) -> Result<bool, CrossSite> {
    let own = match parts.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => one(&parts.headers, &HOST)?,
    };
    let usual = |host: &str| {
        host.strip_suffix(":443")
            .unwrap_or(host)
            .to_ascii_lowercase()
    };
    let host = origin.strip_prefix("https://");
    Ok(host.is_some_and(|host| own.is_some_and(|own| usual(host) == usual(own))))
}
