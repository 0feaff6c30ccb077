//! One issuer, and which tokens of it are taken.

use core::fmt;
use core::time::Duration;

use ztl_core::TrustDomain;

use super::compact::same_type;
use super::jwks::Jwks;

/// How far `nbf` and `iat` may lie ahead where nothing else is said.
pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
/// The most that [`Issuer::with_leeway`] takes.
pub const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// An issuer of tokens: which `iss`, for which audience, signed with which keys, and of which kind (T16).
///
/// The kind is chosen by the constructor, and one issuer has one: an access token says what may be done here, an ID token
/// tells a client who logged in, and taking either for the other hands its bearer rights that nobody gave.
#[derive(Clone)]
pub struct Issuer {
    pub(super) name: Box<str>,
    pub(super) iss: Box<str>,
    pub(super) audiences: Vec<Box<str>>,
    pub(super) jwks: Jwks,
    pub(super) kind: TokenKind,
    pub(super) typ: Option<Vec<Box<str>>>,
    pub(super) leeway: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Access,
    Id,
    /// Of this trust domain.
    Svid(TrustDomain),
}

impl Issuer {
    /// Takes access tokens: `typ` is absent, `JWT`, or `at+jwt` (RFC 9068 §2.1). Without `at+jwt`, a token that bears a claim
    /// of ID tokens (`nonce`, `at_hash`, `c_hash`, `s_hash`) or of event tokens (`events`) is refused.
    ///
    /// `name` is the issuer's name in the policy, `iss` the exact value of that claim, `audience` what `aud` must name.
    #[must_use]
    pub fn access_tokens(name: &str, iss: &str, audience: &str, jwks: Jwks) -> Self {
        Self::new(name, iss, audience, jwks, TokenKind::Access)
    }

    /// Takes ID tokens (OpenID Connect Core 1.0 §2): `typ` is absent or `JWT`, `iat` must be there, and `azp`, which must
    /// be there where `aud` names more than one, is a configured audience (§3.1.3.7).
    #[must_use]
    pub fn id_tokens(name: &str, iss: &str, audience: &str, jwks: Jwks) -> Self {
        Self::new(name, iss, audience, jwks, TokenKind::Id)
    }

    /// Takes JWT-SVIDs of a trust domain (SPIFFE JWT-SVID): `sub` is the SPIFFE ID of one of its workloads, `typ` is absent,
    /// `JWT` or `JOSE`. `jwks` are the keys in its bundle: [`Jwks::from_jwt_authorities`].
    ///
    /// A JWT-SVID needs no `iss`, and where it has one it is not what vouches for it. So the claims that come out say
    /// `spiffe://<trust domain>`, whatever the token said: that is what `issuer` of a policy names.
    #[must_use]
    pub fn jwt_svids(name: &str, trust_domain: &TrustDomain, audience: &str, jwks: Jwks) -> Self {
        let iss = svid_iss(trust_domain.as_str());
        let kind = TokenKind::Svid(trust_domain.clone());
        Self::new(name, &iss, audience, jwks, kind)
    }

    fn new(name: &str, iss: &str, audience: &str, jwks: Jwks, kind: TokenKind) -> Self {
        Self {
            name: name.into(),
            iss: iss.into(),
            audiences: vec![audience.into()],
            jwks,
            kind,
            typ: None,
            leeway: DEFAULT_LEEWAY,
        }
    }

    /// Takes tokens for one more audience: `aud` must name one of them.
    #[must_use]
    pub fn with_audience(mut self, audience: &str) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// How far `nbf` and `iat` may lie ahead of `now`: [`DEFAULT_LEEWAY`] unless said, at most [`MAX_LEEWAY`]. It makes no
    /// token live longer.
    #[must_use]
    pub fn with_leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Takes only tokens of these `typ`, so that a token without one is refused: `["at+jwt"]` where the issuer keeps to
    /// RFC 9068. Letter case and a leading `application/` do not count.
    #[must_use]
    pub fn only_typ<'a>(mut self, typ: impl IntoIterator<Item = &'a str>) -> Self {
        self.typ = Some(typ.into_iter().map(Into::into).collect());
        self
    }

    /// The issuer's name in the policy.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The exact value of `iss`.
    #[must_use]
    pub fn iss(&self) -> &str {
        &self.iss
    }

    /// What `aud` must name one of.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.audiences.iter().map(|one| &**one)
    }

    /// The trust domain whose JWT-SVIDs are taken, where that is what it is for.
    #[must_use]
    pub const fn trust_domain(&self) -> Option<&TrustDomain> {
        match &self.kind {
            TokenKind::Svid(domain) => Some(domain),
            TokenKind::Access | TokenKind::Id => None,
        }
    }

    /// The keys in use.
    #[must_use]
    pub const fn keys(&self) -> &Jwks {
        &self.jwks
    }

    pub(super) fn takes_typ(&self, typ: Option<&str>) -> bool {
        match (&self.typ, typ) {
            (Some(only), Some(typ)) => only.iter().any(|one| same_type(one, typ)),
            (Some(_), None) => false,
            (None, None) => true,
            (None, Some(typ)) => {
                same_type(typ, "JWT")
                    || match self.kind {
                        TokenKind::Access => is_access_type(typ),
                        TokenKind::Id => false,
                        // JWT-SVID §2.3.
                        TokenKind::Svid(_) => same_type(typ, "JOSE"),
                    }
            }
        }
    }

    /// JWT-SVID §2.1: RS, ES and PS, and nothing else.
    pub(super) fn takes_alg(&self, alg: &str) -> bool {
        !matches!(self.kind, TokenKind::Svid(_)) || !matches!(alg, "EdDSA" | "Ed25519")
    }

    pub(super) fn is_audience(&self, audience: &str) -> bool {
        self.audiences.iter().any(|one| **one == *audience)
    }
}

/// What stands for `iss` where a trust domain's keys vouch.
pub(super) fn svid_iss(trust_domain: &str) -> String {
    format!("spiffe://{trust_domain}")
}

/// Whether `typ` says by itself that this is an access token.
pub(super) fn is_access_type(typ: &str) -> bool {
    same_type(typ, "at+jwt")
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("name", &self.name)
            .field("iss", &self.iss)
            .field("audiences", &self.audiences)
            .field("kind", &self.kind)
            .field("jwks", &self.jwks)
            .finish_non_exhaustive()
    }
}
