//! From a token to claims.

use core::fmt;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use ztl_core::{Claims, LeafDigest, SpiffeId, Timestamp};

use super::claims::{self, Facts};
use super::compact::{Compact, MAX_TOKEN_BYTES};
use super::error::TokenError;
use super::issuer::{Issuer, MAX_LEEWAY, TokenKind, svid_iss};
use super::jwks::Jwks;
use super::key::KeyFingerprint;
use super::seen::{DEFAULT_REMEMBERED, Proved, Seen};

/// Verifies tokens of the configured issuers. Cheap to clone, and to share between threads.
///
/// The rules are those of the [module](super). The same token and `now` give the same answer for ever: that signatures which were
/// checked before are [remembered](TokenVerifierBuilder::remember) saves time, and changes no answer (T17).
#[derive(Clone)]
pub struct TokenVerifier {
    /// By `iss`.
    issuers: Arc<HashMap<Box<str>, Issuer>>,
    /// Of verifiers with these issuers, whatever keys those have.
    seen: Arc<Seen>,
    remembers: usize,
}

impl TokenVerifier {
    /// Starts with no issuer.
    #[must_use]
    pub fn builder() -> TokenVerifierBuilder {
        TokenVerifierBuilder::default()
    }

    /// Verifies a token whose bearer proved no certificate: one that is bound to a certificate (`cnf`) is refused.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the token; see the [module](super) for the rules.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        self.verify_bound(token, now, None)
    }

    /// Verifies a token from a peer with this certificate: one that is bound to another is refused (RFC 8705 §3). The
    /// certificate's digest is taken only where the token is bound to one.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the token; see the [module](super) for the rules.
    pub fn verify_bound(
        &self,
        token: &str,
        now: Timestamp,
        peer_leaf: Option<&LeafDigest>,
    ) -> Result<Claims, TokenError> {
        match self.verify_traced(token, now, peer_leaf) {
            Ok(verified) => Ok(verified.claims),
            Err(unverified) => Err(unverified.error),
        }
    }

    /// The same, with what keeps a token under watch: which key signed it, so that it can be given up when that key is, and
    /// which key was missing, so that it can be fetched.
    ///
    /// # Errors
    ///
    /// [`Unverified`]: whatever is wrong with the token, and of whom it says it is.
    pub fn verify_traced(
        &self,
        token: &str,
        now: Timestamp,
        peer_leaf: Option<&LeafDigest>,
    ) -> Result<Verified, Unverified<'_>> {
        let length = token.len();
        // What is too long is refused below.
        let place = (length <= MAX_TOKEN_BYTES).then(|| self.seen.place(token));
        if let Some(place) = &place
            && let Some(proved) = self.seen.get(place)
            && let Some(verified) = self.verify_again(&proved, now, peer_leaf)
        {
            if now >= proved.claims.expires_at() {
                self.seen.forget(place);
            }
            return verified;
        }
        let token = Compact::parse(token)?;
        let mut members = token.claims()?;
        // Not believed before the signature is checked: it only finds the keys (RFC 8725 §3.8).
        let issuer = self.issuer_of(&members)?;
        let of = |error: TokenError| Unverified::of(issuer, error);
        let typ = token.header.typ.as_deref();
        if !issuer.takes_typ(typ) {
            return Err(of(TokenError::WrongType));
        }
        let key = issuer
            .jwks
            .key(token.header.kid.as_deref(), now)
            .map_err(|error| Unverified {
                key_id: token.header.kid.clone(),
                ..of(error)
            })?;
        // The key decides, not the token (RFC 8725 §3.1).
        if token.header.alg != key.alg() || !issuer.takes_alg(key.alg()) {
            return Err(of(TokenError::WrongAlgorithm));
        }
        if !key.verifies(token.signed, &token.signature) {
            return Err(of(TokenError::BadSignature));
        }
        let facts = Facts {
            issuer,
            typ,
            now,
            leaf: peer_leaf,
        };
        let expires_at = claims::check(&members, &facts).map_err(of)?;
        if matches!(issuer.kind, TokenKind::Svid(_)) {
            members.insert("iss".to_owned(), issuer.iss().into());
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place of this crate that vouches for claims: every check stands above"
        )]
        let claims = Claims::assertion(members, expires_at, "JWT verified with its issuer's key");
        let key = key.fingerprint();
        if let Some(place) = &place {
            let proved = Proved {
                iss: issuer.iss().into(),
                kid: token.header.kid.as_deref().map(Into::into),
                typ: typ.map(Into::into),
                key,
                claims: claims.clone(),
            };
            self.seen.put(place, length, proved, now);
        }
        Ok(Verified { claims, key })
    }

    /// The same, only where the token's signature was checked before and is remembered; none where it would have to be checked now. It
    /// costs a hash of the token, whoever sent it: for a caller whose tokens are not to be checked any more (T34).
    #[must_use]
    pub fn verify_remembered(
        &self,
        token: &str,
        now: Timestamp,
        peer_leaf: Option<&LeafDigest>,
    ) -> Option<Result<Verified, Unverified<'_>>> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let proved = self.seen.get(&self.seen.place(token))?;
        self.verify_again(&proved, now, peer_leaf)
    }

    /// The same for a token whose signature was checked before; none where the issuer has another key by that name now.
    fn verify_again(
        &self,
        proved: &Proved,
        now: Timestamp,
        leaf: Option<&LeafDigest>,
    ) -> Option<Result<Verified, Unverified<'_>>> {
        let issuer = self.issuers.get(&proved.iss)?;
        let key = issuer.jwks.key(proved.kid.as_deref(), now);
        let key = key.ok().filter(|key| key.fingerprint() == proved.key)?;
        let typ = proved.typ.as_deref();
        if !issuer.takes_typ(typ) || !issuer.takes_alg(key.alg()) {
            return None;
        }
        let facts = Facts {
            issuer,
            typ,
            now,
            leaf,
        };
        Some(match claims::check(proved.claims.as_map(), &facts) {
            Ok(_) => Ok(Verified {
                claims: proved.claims.clone(),
                key: proved.key,
            }),
            Err(error) => Err(Unverified::of(issuer, error)),
        })
    }

    /// Whose keys are tried: the issuer that `iss` names, else, where `sub` is a SPIFFE ID, its trust domain (JWT-SVID §4).
    fn issuer_of(&self, claims: &Map<String, Value>) -> Result<&Issuer, TokenError> {
        let iss = claims::text(claims, "iss");
        if let Ok(iss) = iss
            && let Some(issuer) = self.issuers.get(iss)
        {
            return Ok(issuer);
        }
        if let Ok(sub) = claims::text(claims, "sub")
            && let Ok(id) = SpiffeId::parse_workload(sub)
            && let Some(issuer) = self.issuers.get(&*svid_iss(id.trust_domain_name()))
            && matches!(issuer.kind, TokenKind::Svid(_))
            && !matches!(iss, Err(TokenError::MalformedClaim(_)))
        {
            return Ok(issuer);
        }
        Err(iss.err().unwrap_or(TokenError::WrongIssuer))
    }

    /// The same issuers, one of them with other keys; `None` where none has that name. The verifier that there is stays as it
    /// is: whoever holds it puts the new one in its place.
    #[must_use]
    pub fn with_keys(&self, name: &str, jwks: Jwks) -> Option<Self> {
        let mut issuers = HashMap::clone(&self.issuers);
        let issuer = issuers.values_mut().find(|issuer| issuer.name() == name)?;
        issuer.jwks = jwks;
        Some(Self {
            issuers: Arc::new(issuers),
            ..self.clone()
        })
    }

    /// Builds another one of these issuers and more.
    #[must_use]
    pub fn to_builder(&self) -> TokenVerifierBuilder {
        TokenVerifierBuilder {
            issuers: self.issuers().cloned().collect(),
            remembers: Some(self.remembers),
        }
    }

    /// Whether a key is still in use, so that what it signed may still be believed.
    #[must_use]
    pub fn holds(&self, key: &KeyFingerprint, now: Timestamp) -> bool {
        self.issuers
            .values()
            .any(|issuer| issuer.jwks.holds(key, now))
    }

    /// Until when a key that is in use at `now` stays so: the [end](Jwks::until) of the keys that it stands among,
    /// [`Timestamp::MAX`] where they have none. `None` where it is not in use, as [`holds`](Self::holds) has it.
    #[must_use]
    pub fn holds_until(&self, key: &KeyFingerprint, now: Timestamp) -> Option<Timestamp> {
        let holding = self.issuers().map(Issuer::keys);
        holding
            .filter(|keys| keys.holds(key, now))
            .map(|keys| keys.ends_at().unwrap_or(Timestamp::MAX))
            .max()
    }

    /// The configured issuers, in no order.
    pub fn issuers(&self) -> impl Iterator<Item = &Issuer> {
        self.issuers.values()
    }
}

/// A token that was verified.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verified {
    /// What it says.
    pub claims: Claims,
    /// Which key signed it. Once the verifier no longer [`holds`](TokenVerifier::holds) it, the claims rest on nothing.
    pub key: KeyFingerprint,
}

/// A token that was not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unverified<'a> {
    /// What is wrong with it.
    pub error: TokenError,
    /// The name of the configured issuer that the token says it is of. **Nobody vouches for that.**
    pub issuer: Option<&'a str>,
    /// The `kid` of the key that the issuer lacks, where that is what is wrong.
    pub key_id: Option<String>,
}

impl<'a> Unverified<'a> {
    fn of(issuer: &'a Issuer, error: TokenError) -> Self {
        Self {
            error,
            issuer: Some(issuer.name()),
            key_id: None,
        }
    }
}

impl From<TokenError> for Unverified<'_> {
    fn from(error: TokenError) -> Self {
        Self {
            error,
            issuer: None,
            key_id: None,
        }
    }
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.issuers.values()).finish()
    }
}

/// Builds a [`TokenVerifier`].
#[derive(Clone, Debug, Default)]
pub struct TokenVerifierBuilder {
    issuers: Vec<Issuer>,
    remembers: Option<usize>,
}

impl TokenVerifierBuilder {
    /// Adds an issuer.
    #[must_use]
    pub fn issuer(mut self, issuer: Issuer) -> Self {
        self.issuers.push(issuer);
        self
    }

    /// How many tokens are remembered whose signature was checked, so that it is not checked again for each request: about
    /// [`DEFAULT_REMEMBERED`](super::DEFAULT_REMEMBERED) where not set, none with 0. Of tokens that have more than 1 KiB on
    /// average it is less, so that memory is bounded.
    ///
    /// Only good tokens are, by a keyed hash of all of their text, which is not kept. Everything that is not the signature is judged each time.
    #[must_use]
    pub const fn remember(mut self, tokens: usize) -> Self {
        self.remembers = Some(tokens);
        self
    }

    /// Checks the issuers against one another.
    ///
    /// # Errors
    ///
    /// Where there is none, a name or an `iss` stands twice, a text is empty, [`Issuer::only_typ`] was given nothing, or a
    /// leeway is above [`MAX_LEEWAY`].
    pub fn build(self) -> Result<TokenVerifier, BuildError> {
        if self.issuers.is_empty() {
            return Err(BuildError::NoIssuer);
        }
        let mut issuers: HashMap<Box<str>, Issuer> = HashMap::new();
        for issuer in self.issuers {
            check(&issuer)?;
            let name = String::from(issuer.name());
            if issuers.values().any(|other| other.name() == name) {
                return Err(BuildError::DuplicateName { name });
            }
            if issuers.insert(issuer.iss.clone(), issuer).is_some() {
                return Err(BuildError::DuplicateIss { name });
            }
        }
        let remembers = self.remembers.unwrap_or(DEFAULT_REMEMBERED);
        Ok(TokenVerifier {
            issuers: Arc::new(issuers),
            seen: Arc::new(Seen::new(remembers)),
            remembers,
        })
    }
}

fn check(issuer: &Issuer) -> Result<(), BuildError> {
    let name = || String::from(issuer.name());
    let texts = [
        ("name", issuer.name().is_empty()),
        ("iss", issuer.iss().is_empty()),
        (
            "audience",
            issuer.audiences.iter().any(|one| one.is_empty()),
        ),
        (
            "typ",
            issuer
                .typ
                .as_ref()
                .is_some_and(|typ| typ.is_empty() || typ.iter().any(|one| one.is_empty())),
        ),
    ];
    if let Some((what, _)) = texts.into_iter().find(|(_, empty)| *empty) {
        return Err(BuildError::Empty { name: name(), what });
    }
    if issuer.leeway > MAX_LEEWAY {
        return Err(BuildError::Leeway {
            name: name(),
            leeway: issuer.leeway,
        });
    }
    Ok(())
}

/// Why no verifier was built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Without an issuer, no token could ever be verified.
    #[error("no issuer is configured; add one with `issuer`")]
    NoIssuer,
    /// Two issuers go by one name.
    #[error("two issuers are called `{name}`")]
    DuplicateName {
        /// That name.
        name: String,
    },
    /// Two issuers have one `iss`, so a token could be meant for either.
    #[error("issuer `{name}` has the `iss` of another; give one issuer all the audiences")]
    DuplicateIss {
        /// The name of the second.
        name: String,
    },
    /// A text is empty, or there is none.
    #[error("issuer `{name}` has an empty {what}")]
    Empty {
        /// The issuer's name.
        name: String,
        /// What is empty.
        what: &'static str,
    },
    /// A leeway above [`MAX_LEEWAY`].
    #[error("issuer `{name}` has a leeway of {leeway:?}; at most {MAX_LEEWAY:?} is taken")]
    Leeway {
        /// The issuer's name.
        name: String,
        /// The leeway asked for.
        leeway: Duration,
    },
}
