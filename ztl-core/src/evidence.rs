//! What is known beyond identity and route: verified claims, a trust score, headers.
//!
//! Evidence is gathered before a decision and only read by it. What is missing stays missing: a requirement that needs it
//! does not hold (law 4).

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use serde_core::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::headers::Headers;
use crate::id::SpiffeId;
use crate::time::Timestamp;

/// The claims of a verified token (RFC 7519). Cheap to clone. Has no `Debug` of its content: claims are personal data.
#[derive(Clone)]
pub struct Claims(Arc<Verified>);

struct Verified {
    claims: Map<String, Value>,
    expires_at: Timestamp,
    reason: &'static str,
    #[cfg(feature = "test-util")]
    test_only: bool,
}

impl Claims {
    /// States that these claims were verified: signature, issuer, audience and time. **Whoever calls this vouches for it**;
    /// `expires_at` is the token's own expiry (`exp`).
    ///
    /// A token verifier, the C door and test helpers call it; the workspace's `clippy.toml` bans it everywhere else.
    #[must_use]
    pub fn assertion(
        claims: Map<String, Value>,
        expires_at: Timestamp,
        reason: &'static str,
    ) -> Self {
        Self(Arc::new(Verified {
            claims,
            expires_at,
            reason,
            #[cfg(feature = "test-util")]
            test_only: false,
        }))
    }

    /// Claims that nobody verified, for tests: a JSON object, such as `serde_json::json!({ "sub": "alice" })`. Anything else has
    /// no claims. An engine that was not built for tests denies what comes with them (T18).
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn for_test(claims: impl Into<Value>, expires_at: Timestamp) -> Self {
        let claims = match claims.into() {
            Value::Object(claims) => claims,
            _ => Map::new(),
        };
        Self(Arc::new(Verified {
            claims,
            expires_at,
            reason: "test",
            test_only: true,
        }))
    }

    /// Whether they are good at an engine for tests alone. Without that feature there are none.
    #[cfg(feature = "test-util")]
    pub(crate) fn is_test_only(&self) -> bool {
        self.0.test_only
    }

    #[cfg(not(feature = "test-util"))]
    #[expect(
        clippy::unused_self,
        reason = "nothing to look at where there are none"
    )]
    pub(crate) const fn is_test_only(&self) -> bool {
        false
    }

    /// The claims as a type of the caller's own, which serde reads.
    ///
    /// ```
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct User<'a> {
    ///     sub: &'a str,
    ///     #[serde(default)]
    ///     groups: Vec<String>,
    /// }
    /// # let claims = serde_json::json!({ "sub": "alice", "groups": ["staff"] });
    /// # let claims = ztl_core::Claims::for_test(claims, ztl_core::Timestamp::MAX);
    ///
    /// let user: User<'_> = claims.deserialize()?;
    /// assert_eq!((user.sub, user.groups.len()), ("alice", 1));
    /// # Ok::<(), ztl_core::ClaimsError>(())
    /// ```
    ///
    /// # Errors
    /// [`ClaimsError`] where a claim is missing or of another type.
    pub fn deserialize<'de, T: Deserialize<'de>>(&'de self) -> Result<T, ClaimsError> {
        T::deserialize(self.as_map()).map_err(|error| ClaimsError(error.to_string().into()))
    }

    /// One claim.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.claims.get(name)
    }

    /// All claims.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0.claims
    }

    /// Who issued the token: `iss`.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.get("iss").and_then(Value::as_str)
    }

    /// Whom the token speaks of: `sub`. An identity is the pair of issuer and subject (T16).
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.get("sub").and_then(Value::as_str)
    }

    /// Whether `aud`, a text or a list of texts, names this audience (RFC 7519 §4.1.3).
    #[must_use]
    pub fn has_audience(&self, audience: &str) -> bool {
        self.get("aud").is_some_and(|aud| names(aud, audience))
    }

    /// Whether `scope` (RFC 8693 §4.2: a text, separated by spaces; or a list) or `scp` (a list or a text) holds this scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        ["scope", "scp"]
            .into_iter()
            .filter_map(|name| self.get(name))
            .any(|value| match value {
                Value::String(text) => text.split(' ').any(|one| one == scope),
                list => names(list, scope),
            })
    }

    /// Whether `amr` (RFC 8176) holds this method.
    #[must_use]
    pub fn has_amr(&self, method: &str) -> bool {
        matches!(self.get("amr"), Some(list @ Value::Array(_)) if names(list, method))
    }

    /// When the token expires.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.0.expires_at
    }

    /// How the claims were verified, in the words of whoever vouched for them.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.0.reason
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("expires_at", &self.0.expires_at)
            .finish_non_exhaustive()
    }
}

/// The claims are not of the type that was asked for. Neither `Display` nor `Debug` shows which claim, nor its value: claims are
/// personal data.
#[derive(Clone, PartialEq, Eq, Error)]
#[error("the claims of the token are not of the type that was asked for")]
pub struct ClaimsError(Box<str>);

impl ClaimsError {
    /// What serde says is wrong. It may hold the value of a claim, so it is not for a log.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimsError").finish_non_exhaustive()
    }
}

/// Whether a text is this text, or a list holds it.
fn names(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Array(list) => list.iter().any(|one| one.as_str() == Some(wanted)),
        _ => false,
    }
}

/// How far ahead of `now` an observation may lie before it counts as made up (T23).
pub(crate) const OBSERVATION_SKEW: Duration = Duration::from_secs(60);

/// How far a caller is trusted, 0 to 100, and how long that was worth saying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustScore {
    value: u8,
    observed_at: Timestamp,
    expires_at: Timestamp,
}

impl TrustScore {
    /// A score of 0 to 100; what is above 100 is no score.
    #[must_use]
    pub const fn new(value: u8, observed_at: Timestamp, expires_at: Timestamp) -> Option<Self> {
        if value > 100 {
            None
        } else {
            Some(Self {
                value,
                observed_at,
                expires_at,
            })
        }
    }

    /// A score that its maker has kept within 100.
    pub(crate) const fn of(value: u8, observed_at: Timestamp, expires_at: Timestamp) -> Self {
        Self {
            value,
            observed_at,
            expires_at,
        }
    }

    /// The score, 0 to 100.
    #[must_use]
    pub const fn value(&self) -> u8 {
        self.value
    }

    /// When it was computed.
    #[must_use]
    pub const fn observed_at(&self) -> Timestamp {
        self.observed_at
    }

    /// From when on it is stale.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// What is said of a device or of a request, by name: what only conditions read. Cheap to clone. Has no `Debug` of its content.
#[derive(Clone)]
pub struct Attributes(Arc<Said>);

struct Said {
    values: Map<String, Value>,
    observed_at: Timestamp,
    expires_at: Timestamp,
}

impl Attributes {
    /// States these, as they were observed then.
    #[must_use]
    pub fn new(values: Map<String, Value>, observed_at: Timestamp, expires_at: Timestamp) -> Self {
        Self(Arc::new(Said {
            values,
            observed_at,
            expires_at,
        }))
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.values.get(name)
    }

    /// All of them.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0.values
    }

    /// When they were observed.
    #[must_use]
    pub fn observed_at(&self) -> Timestamp {
        self.0.observed_at
    }

    /// From when on they are stale.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.0.expires_at
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attributes")
            .field("observed_at", &self.0.observed_at)
            .field("expires_at", &self.0.expires_at)
            .finish_non_exhaustive()
    }
}

/// All that a decision may read beyond identity and route. The default is to know nothing.
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub struct Evidence<'a> {
    /// The claims of the caller's verified token.
    pub claims: Option<&'a Claims>,
    /// The caller's trust score.
    pub trust_score: Option<TrustScore>,
    /// The posture of the caller's device: what is known of its state.
    pub posture: Option<&'a Attributes>,
    /// What the service itself says of the request, such as who owns what is asked for.
    pub context: Option<&'a Attributes>,
    /// The request's header fields.
    pub headers: Option<&'a dyn Headers>,
    /// The id that the peer passes on, as a proxy of whoever has it. It is a subject and never a peer, and the action is
    /// denied unless the peer's workload `forwards` it (T12).
    pub forwarded: Option<&'a SpiffeId>,
}

impl<'a> Evidence<'a> {
    /// Nothing known.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds verified claims.
    #[must_use]
    pub fn with_claims(mut self, claims: &'a Claims) -> Self {
        self.claims = Some(claims);
        self
    }

    /// Adds a trust score.
    #[must_use]
    pub fn with_trust_score(mut self, score: TrustScore) -> Self {
        self.trust_score = Some(score);
        self
    }

    /// Adds the posture of the caller's device.
    #[must_use]
    pub fn with_posture(mut self, posture: &'a Attributes) -> Self {
        self.posture = Some(posture);
        self
    }

    /// Adds what the service says of the request.
    #[must_use]
    pub fn with_context(mut self, context: &'a Attributes) -> Self {
        self.context = Some(context);
        self
    }

    /// Adds the request's header fields.
    #[must_use]
    pub fn with_headers(mut self, headers: &'a dyn Headers) -> Self {
        self.headers = Some(headers);
        self
    }

    /// Adds an id that the peer passes on.
    #[must_use]
    pub fn with_forwarded(mut self, forwarded: &'a SpiffeId) -> Self {
        self.forwarded = Some(forwarded);
        self
    }
}

impl fmt::Debug for Evidence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence")
            .field("claims", &self.claims)
            .field("trust_score", &self.trust_score)
            .field("posture", &self.posture)
            .field("context", &self.context)
            .field("headers", &self.headers.is_some())
            .field("forwarded", &self.forwarded)
            .finish()
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests vouch for their own claims"
)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Claims {
        Claims::assertion(
            serde_json::from_str(json).expect("json"),
            Timestamp::MAX,
            "test",
        )
    }

    #[test]
    fn lists_and_texts_are_read_as_the_rfcs_say() {
        let token =
            claims(r#"{"aud":["a","b"],"scope":"infer read","scp":["write"],"amr":["mfa"]}"#);
        assert!(token.has_audience("b") && !token.has_audience("a b"));
        assert!(token.has_scope("infer") && token.has_scope("write") && !token.has_scope("inf"));
        assert!(token.has_amr("mfa") && !token.has_amr("otp"));
        let odd = claims(r#"{"aud":{"a":1},"scope":7,"amr":"mfa"}"#);
        assert!(!odd.has_audience("a") && !odd.has_scope("7") && !odd.has_amr("mfa"));
    }

    #[test]
    fn debug_shows_no_claim() {
        assert!(!format!("{:?}", claims(r#"{"sub":"alice"}"#)).contains("alice"));
    }

    #[test]
    fn claims_are_read_as_a_type_and_an_error_shows_none_of_them() {
        #[derive(Debug, serde::Deserialize)]
        struct User {
            sub: String,
            tenant: u64,
        }
        let user: User = claims(r#"{"sub":"alice","tenant":7,"aud":"x"}"#)
            .deserialize()
            .expect("a user");
        assert_eq!((user.sub.as_str(), user.tenant), ("alice", 7));
        let wrong = claims(r#"{"sub":"alice","tenant":"secret"}"#);
        let error = wrong.deserialize::<User>().expect_err("no number");
        assert!(!format!("{error} {error:?}").contains("secret"));
        assert!(error.detail().contains("secret"), "{}", error.detail());
        assert!(claims("{}").deserialize::<User>().is_err());
    }

    #[test]
    fn a_score_above_100_is_none() {
        assert!(TrustScore::new(101, Timestamp::EPOCH, Timestamp::MAX).is_none());
    }
}
