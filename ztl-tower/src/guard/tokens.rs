//! The verifier of callers' tokens, and how its keys change while the guard runs.

use core::sync::atomic::{AtomicU64, Ordering};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ztl_authz::jwt::{BadTokens, Issuer, Jwks, TokenVerifier};
use ztl_core::Timestamp;
use ztl_core::policy::Policy;

use super::{BuildError, Guard, GuardBuilder, IssuerMismatch};
use crate::refresh::{KeyFile, KeyFiles, off_thread};

/// What verifies tokens now.
#[derive(Default)]
pub(crate) struct Tokens {
    verifier: Option<ArcSwap<TokenVerifier>>,
    /// Counts changes after which a token that was good may no longer be.
    generation: AtomicU64,
}

impl Tokens {
    fn new(verifier: Option<TokenVerifier>) -> Self {
        Self {
            verifier: verifier.map(ArcSwap::from_pointee),
            generation: AtomicU64::new(0),
        }
    }

    pub(super) const fn are_verified(&self) -> bool {
        self.verifier.is_some()
    }

    /// Whether the issuers are those that a policy declares (T16).
    pub(super) fn agree(&self, policy: &Policy) -> Result<(), IssuerMismatch> {
        let verifier = self.verifier.as_ref().map(ArcSwap::load);
        verifier.map_or(Ok(()), |it| super::issuers::agree(it.issuers(), policy))
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

/// What the builder was told of tokens.
#[derive(Default)]
pub(super) struct TokensFrom {
    verifier: Option<TokenVerifier>,
    files: Vec<(Issuer, PathBuf)>,
    /// How many tokens are remembered, where that is said beside the verifier.
    pub(super) remembers: Option<usize>,
    #[cfg(feature = "oidc")]
    fetched: Vec<(Issuer, crate::keys::FetchedKeys)>,
    /// Trust domains whose bundles are fetched.
    #[cfg(feature = "federation")]
    svids: Vec<Issuer>,
}

/// All issuers in one verifier, those without keys yet among them.
pub(super) struct Opened {
    pub(super) tokens: Tokens,
    pub(super) files: KeyFiles,
    #[cfg(feature = "oidc")]
    pub(super) keys: crate::keys::Keys,
    #[cfg(feature = "oidc")]
    pub(super) waiting: crate::keys::Waiting,
}

impl TokensFrom {
    #[cfg(feature = "federation")]
    pub(super) fn add(&mut self, svids: Issuer) {
        self.svids.push(svids);
    }

    /// All issuers, where they are those that the policy declares.
    pub(super) async fn open(self, policy: &Policy) -> Result<Opened, BuildError> {
        let refused = |error: Box<dyn core::error::Error + Send + Sync>| BuildError::Tokens(error);
        let given = self.verifier.is_some();
        let builder = self.verifier.as_ref();
        let builder = builder.map_or_else(TokenVerifier::builder, TokenVerifier::to_builder);
        let builder = match self.remembers {
            Some(tokens) => builder.remember(tokens),
            None => builder,
        };
        let mut issuers: Vec<Issuer> = Vec::new();
        let mut files = Vec::new();
        for (issuer, path) in self.files {
            files.push(KeyFile::of(&issuer, path).map_err(refused)?);
            issuers.push(issuer);
        }
        let (files, loaded) = off_thread(KeyFiles::new(files), KeyFiles::load)
            .await
            .map_err(|error| refused(error.into()))?;
        let loaded = loaded.map_err(refused)?;
        #[cfg(feature = "federation")]
        issuers.extend(self.svids);
        #[cfg(feature = "oidc")]
        let (keys, waiting) = {
            let mut fetched = Vec::new();
            for (issuer, keys) in self.fetched {
                let (name, iss) = (issuer.name(), issuer.iss());
                if !keys.is_of(&issuer) {
                    let why =
                        format!("the keys of `{name}` are those of another `iss` than `{iss}`");
                    return Err(BuildError::Tokens(why.into()));
                }
                fetched.push((Box::<str>::from(name), keys));
                issuers.push(issuer);
            }
            crate::keys::Keys::new(fetched)
        };
        let verifier = if given || !issuers.is_empty() {
            let builder = issuers.drain(..).fold(builder, |all, one| all.issuer(one));
            let built = builder.build().map_err(|error| refused(error.into()))?;
            let with_keys = |verifier: TokenVerifier, (issuer, keys): (Box<str>, Jwks)| {
                verifier.with_keys(&issuer, keys).unwrap_or(verifier)
            };
            Some(loaded.into_iter().fold(built, with_keys))
        } else {
            None
        };
        let tokens = Tokens::new(verifier);
        let agreed = tokens.agree(policy);
        agreed.map_err(|error| refused(error.into()))?;
        Ok(Opened {
            tokens,
            files,
            #[cfg(feature = "oidc")]
            keys,
            #[cfg(feature = "oidc")]
            waiting,
        })
    }
}

impl GuardBuilder {
    /// How many bad tokens a caller may send at once, and how many more each second, before tokens of it that are not known to be
    /// good already are answered with 429 without being checked ([`BadTokens`]). 256 and 64 where not set; at least one each.
    pub fn max_bad_tokens(mut self, at_once: u32, a_second: u32) -> Self {
        self.bad_tokens = BadTokens::new(at_once, a_second);
        self
    }

    /// How many tokens are remembered whose signature was checked, those of every issuer together: about as many, and at most 4 MiB
    /// of their text; the longest unused go first. 0 for none. Where it is not set it is what
    /// [`token_verifier`](Self::token_verifier) was built with, or 4096.
    ///
    /// ```
    /// use ztl_tower::Guard;
    /// use ztl_tower::authz::jwt::{Issuer, Jwks};
    ///
    /// let users = Issuer::access_tokens("corp", "https://idp.example", "ledger", Jwks::none());
    /// let builder = Guard::builder("ledger").issuer_file(users, "corp.jwks.json").remembered_tokens(100_000);
    /// # let _ = builder;
    /// ```
    pub const fn remembered_tokens(mut self, tokens: usize) -> Self {
        self.tokens.remembers = Some(tokens);
        self
    }

    /// Verifies callers' bearer tokens.
    pub fn token_verifier(mut self, verifier: TokenVerifier) -> Self {
        self.tokens.verifier = Some(verifier);
        self
    }

    /// Verifies bearer tokens of an issuer whose keys stand in a file, read again when it changes: a key set (RFC 7517 §5), or for
    /// [`Issuer::jwt_svids`] the trust domain's bundle as SPIFFE writes it (feature `federation`). Call it once an issuer; those of
    /// [`token_verifier`](Self::token_verifier) stay beside it. What keys `issuer` has itself do not count.
    ///
    /// Whoever writes the file is the issuer, so that one which group or others may write is refused. A changed one that is broken
    /// takes nothing back: the last good one stays, and an error event says so.
    ///
    /// ```
    /// use ztl_tower::Guard;
    /// use ztl_tower::authz::jwt::{Issuer, Jwks};
    ///
    /// let users = Issuer::access_tokens("corp", "https://idp.example", "ledger", Jwks::none());
    /// let builder = Guard::builder("ledger").issuer_file(users, "corp.jwks.json");
    /// # let _ = builder;
    /// ```
    pub fn issuer_file(mut self, issuer: Issuer, path: impl Into<PathBuf>) -> Self {
        self.tokens.files.push((issuer, path.into()));
        self
    }

    /// Verifies bearer tokens of an issuer whose keys are fetched while the service runs. Call it once an issuer; those of
    /// [`token_verifier`](Self::token_verifier) stay beside it. What keys `issuer` has itself hold until the first were fetched:
    /// [`Jwks::none`] for none.
    ///
    /// The guard is built without waiting for the keys, and until they come every token of this issuer is refused;
    /// [`Guard::refresh_keys`] waits for them.
    #[cfg(feature = "oidc")]
    pub fn fetched_issuer(mut self, issuer: Issuer, keys: crate::keys::FetchedKeys) -> Self {
        self.tokens.fetched.push((issuer, keys));
        self
    }
}

impl Guard {
    /// How many bad tokens each caller has left.
    pub(crate) fn bad_tokens(&self) -> &BadTokens {
        &self.0.bad_tokens
    }

    /// Takes other keys of an issuer, by its name, for every token from now on. Running requests whose token was verified with a
    /// key that is gone are judged again without it, at once (law 8), and so they are when its keys [end](Jwks::until). For a host
    /// that fetches keys itself; where the guard fetches them, its next fetch puts its own in their place.
    ///
    /// # Errors
    /// [`UnknownIssuer`] where the guard has no issuer of this name.
    pub fn swap_token_keys(&self, issuer: &str, keys: Jwks) -> Result<(), UnknownIssuer> {
        let unknown = || UnknownIssuer(issuer.to_owned());
        let tokens = &self.0.tokens;
        let verifier = tokens.verifier.as_ref().ok_or_else(unknown)?;
        let ends = |keys: &Jwks| keys.ends_at().unwrap_or(Timestamp::MAX);
        // Keys that end later take nothing back: who rests on them looks again at the end that was known.
        let same = |one: &Issuer| {
            let held = one.keys();
            one.name() == issuer && held.has_keys_of(&keys) && ends(&keys) >= ends(held)
        };
        let before = verifier.rcu(|verifier| {
            let changed = verifier.with_keys(issuer, keys.clone());
            changed.map_or_else(|| Arc::clone(verifier), Arc::new)
        });
        let mut issuers = before.issuers();
        if !issuers.any(|one| one.name() == issuer) {
            return Err(unknown());
        }
        if !before.issuers().any(same) {
            tokens.generation.fetch_add(1, Ordering::AcqRel);
            self.changed();
        }
        Ok(())
    }

    /// How many keys can verify tokens of an issuer now; `None` where there is no issuer of this name. With 0 every token of it is
    /// refused: its keys were not fetched yet, or too long ago.
    #[must_use]
    pub fn token_keys(&self, issuer: &str) -> Option<usize> {
        let now = self.now();
        let verifier = self.tokens()?;
        let mut issuers = verifier.issuers();
        let issuer = issuers.find(|one| one.name() == issuer)?;
        let keys = issuer.keys();
        Some(if keys.is_in_force(now) {
            keys.key_count()
        } else {
            0
        })
    }

    pub(crate) fn tokens(&self) -> Option<arc_swap::Guard<Arc<TokenVerifier>>> {
        self.0.tokens.verifier.as_ref().map(ArcSwap::load)
    }

    /// Until when the key that a token was verified with is in use; none where it is not.
    #[cfg(feature = "serve")]
    pub(crate) fn holds_token_key_until(
        &self,
        key: &ztl_authz::jwt::KeyFingerprint,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.tokens()?.holds_until(key, now)
    }
}

/// The guard verifies no tokens of an issuer of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the guard has no issuer `{0}`; give the builder a `token_verifier` or an `issuer_file` with it"
)]
pub struct UnknownIssuer(String);
