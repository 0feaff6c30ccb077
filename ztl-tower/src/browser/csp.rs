//! Content-Security-Policy, built by name from nothing.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use super::integrity::{Integrity, Nonce};

/// A Content-Security-Policy ([CSP3]) that allows what is named, and nothing else.
///
/// A source is `self`, or an origin such as `https://cdn.example` or `wss://feed.example:8443`. There is no way to write
/// `unsafe-inline`, `unsafe-eval`, a wildcard or a scheme alone: inline code is named by its hash or by a nonce.
///
/// [CSP3]: https://www.w3.org/TR/CSP3/
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Csp {
    sources: BTreeMap<&'static str, Vec<String>>,
    nonces: Vec<&'static str>,
}

/// A source that a policy cannot name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no source: write `self`, or an origin such as `https://cdn.example`, without path, wildcard or quotes", .0.escape_debug())]
pub struct SourceError(String);

/// Most bytes of a source, and of an origin; an error shows that many characters.
const MAX_SOURCE: usize = 300;

/// As much of a text as an error shows.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(MAX_SOURCE).collect()
}

impl Csp {
    /// Nothing: no script, no style, no image, no request, no form, no frame.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// `script-src`
    ///
    /// # Errors
    /// [`SourceError`]; as for all that follow.
    pub fn script(self, source: &str) -> Result<Self, SourceError> {
        self.with("script-src", source)
    }

    /// `style-src`
    ///
    /// # Errors
    /// [`SourceError`]
    pub fn style(self, source: &str) -> Result<Self, SourceError> {
        self.with("style-src", source)
    }

    /// `img-src`
    ///
    /// # Errors
    /// [`SourceError`]
    pub fn image(self, source: &str) -> Result<Self, SourceError> {
        self.with("img-src", source)
    }

    /// `font-src`
    ///
    /// # Errors
    /// [`SourceError`]
    pub fn font(self, source: &str) -> Result<Self, SourceError> {
        self.with("font-src", source)
    }

    /// `media-src`
    ///
    /// # Errors
    /// [`SourceError`]
    pub fn media(self, source: &str) -> Result<Self, SourceError> {
        self.with("media-src", source)
    }

    /// `connect-src`: requests, WebSockets and event sources of scripts.
    ///
    /// # Errors
    /// [`SourceError`]
    pub fn connect(self, source: &str) -> Result<Self, SourceError> {
        self.with("connect-src", source)
    }

    /// `frame-src`: what the page may embed.
    ///
    /// # Errors
    /// [`SourceError`]
    pub fn frame(self, source: &str) -> Result<Self, SourceError> {
        self.with("frame-src", source)
    }

    /// `worker-src`
    ///
    /// # Errors
    /// [`SourceError`]
    pub fn worker(self, source: &str) -> Result<Self, SourceError> {
        self.with("worker-src", source)
    }

    /// `manifest-src`
    ///
    /// # Errors
    /// [`SourceError`]
    pub fn manifest(self, source: &str) -> Result<Self, SourceError> {
        self.with("manifest-src", source)
    }

    /// `form-action`: where forms may be sent to.
    ///
    /// # Errors
    /// [`SourceError`]
    pub fn form_action(self, source: &str) -> Result<Self, SourceError> {
        self.with("form-action", source)
    }

    /// A script of this content, inline or with this `integrity`.
    #[must_use]
    pub fn script_hash(self, integrity: &Integrity) -> Self {
        self.put("script-src", format!("'{integrity}'"))
    }

    /// A style of this content.
    #[must_use]
    pub fn style_hash(self, integrity: &Integrity) -> Self {
        self.put("style-src", format!("'{integrity}'"))
    }

    /// Scripts with the [`Nonce`] of the response, which the service finds in the request's extensions. Such a response must not be
    /// cached for anybody else.
    #[must_use]
    pub fn script_nonce(mut self) -> Self {
        self.nonces.push("script-src");
        self
    }

    /// Styles with the [`Nonce`] of the response.
    #[must_use]
    pub fn style_nonce(mut self) -> Self {
        self.nonces.push("style-src");
        self
    }

    pub(super) const fn asks_for_nonce(&self) -> bool {
        !self.nonces.is_empty()
    }

    /// The header's value. Without the nonce that it asks for it names none.
    pub(super) fn text(&self, nonce: Option<&Nonce>) -> String {
        let mut text = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'".to_owned();
        let mut sources = self.sources.clone();
        if let Some(nonce) = nonce {
            for directive in &self.nonces {
                let sources = sources.entry(directive).or_default();
                sources.push(format!("'nonce-{}'", nonce.as_str()));
            }
        }
        // `form-action` has no default to fall back to, and `worker-src` falls back to `script-src` (CSP Level 3 §6.1).
        for directive in ["form-action", "worker-src"] {
            sources
                .entry(directive)
                .or_insert_with(|| vec!["'none'".to_owned()]);
        }
        for (directive, sources) in sources {
            // Writing to a String cannot fail.
            let _ = write!(text, "; {directive} {}", sources.join(" "));
        }
        text
    }

    fn with(self, directive: &'static str, source: &str) -> Result<Self, SourceError> {
        let source = match source {
            "self" => "'self'",
            origin if is_origin(origin) => origin,
            other => return Err(SourceError(shown(other))),
        };
        Ok(self.put(directive, source.to_owned()))
    }

    fn put(mut self, directive: &'static str, source: String) -> Self {
        let sources = self.sources.entry(directive).or_default();
        if !sources.contains(&source) {
            sources.push(source);
        }
        self
    }
}

/// `https://` or `wss://`, a host in lower case, and a port where it is not the usual one.
pub(super) fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("wss://"));
    let Some(host) = host.filter(|_| text.len() <= MAX_SOURCE) else {
        return false;
    };
    let (host, port) = host.split_once(':').unwrap_or((host, "443"));
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(fits)
    };
    let is_port = !port.starts_with('0') && port.parse::<u16>().is_ok();
    host.split('.').all(label) && is_port && port.bytes().all(|byte| byte.is_ascii_digit())
}
