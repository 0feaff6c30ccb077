//! Bearer tokens: who issues them, and their verification. Without the feature `jwt` every call is refused.

#![expect(unsafe_code, reason = "exports")]

use ztl_core::{FlowPermit, Timestamp};

use crate::boundary::{Fault, Plain, export, sized, ztl_str};
use crate::claims::{self, ztl_claims};
use crate::engine::{self, ztl_engine};
use crate::error::ztl_error;
use crate::flow::{self, ztl_flow};
use crate::handle;
use crate::status::{ZTL_ERR_ARG, ztl_status};

/// Access tokens (RFC 9068, or a plain JWT).
pub const ZTL_TOKEN_ACCESS: u32 = 1;
/// ID tokens of OpenID Connect.
pub const ZTL_TOKEN_ID: u32 = 2;
/// JWT-SVIDs of a trust domain (SPIFFE).
pub const ZTL_TOKEN_SVID: u32 = 3;

/// Longest text of an issuer that is taken.
const MAX_ISSUER_BYTES: usize = 2048;
/// Longest key set that is read here; the verifier takes less.
const MAX_KEYS_BYTES: usize = 1024 * 1024;
/// Longest token that is looked at; the verifier takes less.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// An issuer of tokens: whose tokens are taken, of which kind, for whom, and by which keys.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ztl_issuer {
    /// `sizeof(ztl_issuer)`
    pub size: u32,
    /// `ZTL_TOKEN_ACCESS`, `ZTL_TOKEN_ID` or `ZTL_TOKEN_SVID`: one issuer has one kind.
    pub kind: u32,
    /// Its name in the policy.
    pub name: ztl_str,
    /// The exact value of `iss`. Of JWT-SVIDs the trust domain, as `spiffe://prod.example`, whatever `iss` they bear.
    pub iss: ztl_str,
    /// What `aud` has to name.
    pub audience: ztl_str,
    /// Its keys: a JSON Web Key Set. Of JWT-SVIDs the SPIFFE bundle document of the trust domain. Absent: none, so that every token of
    /// it is refused.
    pub jwks: ztl_str,
}

// SAFETY: numbers and pointers, the size first.
unsafe impl Plain for ztl_issuer {}

/// Takes tokens of an issuer, in place of what was said of an issuer of that name before. Call it again when its keys have
/// changed: claims of tokens that were signed with a key that is gone count no more, and none at all where it has another kind, `iss` or
/// audience. Where nothing but keys changes, tokens that were good before are still known as such, those whose key is gone aside.
///
/// @param engine the engine
/// @param issuer the issuer
/// @param error receives the reason; may be NULL. `ZTL_ERR_UNSUPPORTED` where the library was built without tokens,
///   `ZTL_ERR_KEYS` where the issuer or its keys are refused; what was in force stays
///
/// # Safety
/// `engine` is NULL or live; `issuer` is NULL or readable, with readable texts; `error` is NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_engine_issuer(
    engine: *const ztl_engine,
    issuer: *const ztl_issuer,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (), error: error, || {
        // SAFETY: as promised to this function.
        let engine = unsafe { engine::lent(engine) }?;
        // SAFETY: as promised to this function.
        let issuer = unsafe { sized(issuer, "issuer") }?;
        // SAFETY: as promised to this function.
        let told = unsafe { Told::read(&issuer) }?;
        Ok(engine.tokens.tell(&told)?)
    })
}

/// Verifies a bearer token (RFC 7519) of the caller of a flow: signature, issuer, audience, kind, time, and, where it is bound
/// to a certificate (RFC 8705), that the caller proved itself by that one.
///
/// A token that is refused is `ZTL_ERR_TOKEN`, which decides and records nothing: go on without claims, and rules that ask for
/// a token deny and record it, or answer 401 at once. Where `ztl_flow_reads` says `ZTL_READS_TOKEN` neither before the request is
/// authorized nor after, none need be verified.
///
/// Each caller has a budget of 256 bad tokens, and of 64 more a second. Past it, only tokens that were good before are taken; of any
/// other nothing is found out: `ZTL_ERR_BUDGET`, for which the answer is 429 (T34). A host that goes on without claims instead, and
/// lets a request run for longer than a second, has to verify its token again then: a forbid may name whom the token names (T12).
///
/// @param engine the engine
/// @param flow the caller's permitted flow
/// @param token the token itself, without `Bearer`. Refuse a request that bears two, one of them in its query maybe
/// @param now_unix the time, in seconds since 1970
/// @param out receives the claims, for requests on this caller's flows; NULL unless `ZTL_OK` is returned. End them with
///   `ztl_claims_free`
/// @param error receives the reason; may be NULL
///
/// # Safety
/// `engine` and `flow` are NULL or live; the text is readable; `out` and `error` are NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_token_verify(
    engine: *const ztl_engine,
    flow: *const ztl_flow,
    token: ztl_str,
    now_unix: u64,
    out: *mut *mut ztl_claims,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (out), error: error, || {
        // SAFETY: as promised to this function.
        let engine = unsafe { engine::lent(engine) }?;
        // SAFETY: as promised to this function.
        let flow = unsafe { flow::lent(flow, engine) }?;
        // SAFETY: as promised to this function.
        let token = unsafe { token.required("token", MAX_TOKEN_BYTES) }?;
        let now = Timestamp::from_unix_secs(now_unix);
        Ok(handle::give(engine.tokens.verify(engine, &flow.kept().permit, token, now)?))
    })
}

/// An issuer, read.
#[cfg_attr(
    not(feature = "jwt"),
    expect(
        dead_code,
        reason = "checked all the same; nothing verifies tokens here"
    )
)]
struct Told<'a> {
    kind: u32,
    name: &'a str,
    iss: &'a str,
    audience: &'a str,
    jwks: Option<&'a [u8]>,
}

impl<'a> Told<'a> {
    /// # Safety
    /// The texts of the issuer are readable for `'a`.
    unsafe fn read(issuer: &ztl_issuer) -> Result<Self, Fault> {
        if !matches!(
            issuer.kind,
            ZTL_TOKEN_ACCESS | ZTL_TOKEN_ID | ZTL_TOKEN_SVID
        ) {
            return Err(Fault::new(
                ZTL_ERR_ARG,
                format!(
                    "`kind` is {}, which is none of ZTL_TOKEN_ACCESS, ZTL_TOKEN_ID and ZTL_TOKEN_SVID",
                    issuer.kind
                ),
            ));
        }
        Ok(Self {
            kind: issuer.kind,
            // SAFETY: as promised to this function.
            name: unsafe { issuer.name.required("name", MAX_ISSUER_BYTES) }?,
            // SAFETY: as promised to this function.
            iss: unsafe { issuer.iss.required("iss", MAX_ISSUER_BYTES) }?,
            // SAFETY: as promised to this function.
            audience: unsafe { issuer.audience.required("audience", MAX_ISSUER_BYTES) }?,
            // SAFETY: as promised to this function.
            jwks: unsafe { issuer.jwks.bytes("jwks", MAX_KEYS_BYTES) }?,
        })
    }
}

#[cfg(feature = "jwt")]
pub(crate) use with::{Grounds, Tokens};
#[cfg(not(feature = "jwt"))]
pub(crate) use without::Tokens;

#[cfg(not(feature = "jwt"))]
mod without {
    use super::*;
    use crate::status::ZTL_ERR_UNSUPPORTED;

    /// Nothing verifies tokens.
    #[derive(Debug, Default)]
    pub(crate) struct Tokens {}

    impl Tokens {
        fn unsupported() -> Fault {
            Fault::new(
                ZTL_ERR_UNSUPPORTED,
                "this library verifies no tokens: build it with the feature `jwt`",
            )
        }

        pub(super) fn tell(&self, _: &Told<'_>) -> Result<(), Fault> {
            Err(Self::unsupported())
        }

        pub(super) fn verify(
            &self,
            _: &engine::Body,
            _: &FlowPermit,
            _: &str,
            _: Timestamp,
        ) -> Result<claims::Body, Fault> {
            Err(Self::unsupported())
        }

        pub(crate) fn believes(&self, _: &claims::Body, _: Timestamp) -> bool {
            true
        }
    }
}

#[cfg(feature = "jwt")]
mod with {
    use std::collections::HashMap;
    use std::sync::{Arc, PoisonError, RwLock};

    use ztl_authz::jwt::{
        BadTokens, Issuer, Jwks, KeyFingerprint, Refused, TokenError, TokenVerifier, Verified,
    };
    use ztl_core::TrustDomain;
    use ztl_mtls::{JwtAuthority, SpiffeBundle};

    use super::*;
    use crate::status::{ZTL_ERR_BUDGET, ZTL_ERR_KEYS, ZTL_ERR_TOKEN};

    /// A trust domain, and the keys that its bundle has for JWT-SVIDs.
    fn svids(told: &Told<'_>) -> Result<Issuer, Fault> {
        let refused = |why: String| Fault::new(ZTL_ERR_KEYS, why);
        let domain = told.iss.strip_prefix("spiffe://").ok_or_else(|| {
            refused(
                "`iss` of JWT-SVIDs is their trust domain, such as `spiffe://prod.example`"
                    .to_owned(),
            )
        })?;
        let domain =
            TrustDomain::parse(domain).map_err(|error| refused(format!("`iss`: {error}")))?;
        let read = |json| SpiffeBundle::from_json(domain.clone(), json);
        let bundle = told.jwks.map(read).transpose();
        let bundle = bundle.map_err(|error| refused(error.to_string()))?;
        let authorities = bundle.iter().flat_map(SpiffeBundle::jwt_authorities);
        let keys: Vec<_> = authorities.map(JwtAuthority::jwk).collect();
        let jwks = if keys.is_empty() {
            // A domain that has taken its last key back signs nothing any more.
            Ok(Jwks::none())
        } else {
            Jwks::from_jwt_authorities(keys.iter().map(String::as_str))
        };
        let jwks = jwks.map_err(|error| refused(error.to_string()))?;
        Ok(Issuer::jwt_svids(told.name, &domain, told.audience, jwks))
    }

    /// What verifies tokens; nothing at first.
    #[derive(Debug, Default)]
    pub(crate) struct Tokens {
        held: RwLock<Arc<Held>>,
        bad: BadTokens,
    }

    #[derive(Debug, Default)]
    struct Held {
        verifier: Option<TokenVerifier>,
        /// What was said of each issuer, by name.
        told: HashMap<Box<str>, Arc<Said>>,
    }

    /// What was said of an issuer, but for its keys.
    #[derive(Debug, PartialEq, Eq)]
    struct Said {
        kind: u32,
        iss: Box<str>,
        audience: Box<str>,
    }

    /// What claims rest on: the issuer, what was said of it when it was verified that they are its, and the key that signed them.
    pub(crate) struct Grounds {
        issuer: Box<str>,
        said: Arc<Said>,
        key: KeyFingerprint,
    }

    impl Held {
        /// What verifies tokens of this issuer as well. Other keys of one that is known leave what the verifier remembers, for a
        /// caller whose budget is spent (T34).
        fn with(
            &self,
            told: &Told<'_>,
            said: &Said,
            issuer: Issuer,
        ) -> Result<TokenVerifier, Fault> {
            if self
                .told
                .get(told.name)
                .is_some_and(|known| **known == *said)
                && let Some(verifier) = &self.verifier
                && let Some(verifier) = verifier.with_keys(told.name, issuer.keys().clone())
            {
                return Ok(verifier);
            }
            let others = self
                .issuers()
                .filter(|one| one.name() != told.name)
                .cloned();
            let all = others.fold(TokenVerifier::builder().issuer(issuer), |all, one| {
                all.issuer(one)
            });
            all.build()
                .map_err(|error| Fault::new(ZTL_ERR_KEYS, error.to_string()))
        }

        fn issuers(&self) -> impl Iterator<Item = &Issuer> {
            self.verifier.iter().flat_map(TokenVerifier::issuers)
        }

        fn grounds_of(&self, verified: &Verified) -> Option<Grounds> {
            let iss = verified.claims.issuer()?;
            let issuer = self.issuers().find(|issuer| issuer.iss() == iss)?.name();
            Some(Grounds {
                issuer: issuer.into(),
                said: Arc::clone(self.told.get(issuer)?),
                key: verified.key,
            })
        }

        /// Whether the same is said of the issuer, and the key is one of its own.
        fn believes(&self, grounds: &Grounds, now: Timestamp) -> bool {
            let Grounds { issuer, said, key } = grounds;
            self.told.get(issuer) == Some(said)
                && self
                    .issuers()
                    .any(|one| one.name() == &**issuer && one.keys().holds(key, now))
        }
    }

    impl Tokens {
        fn held(&self) -> Arc<Held> {
            Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
        }

        pub(super) fn tell(&self, told: &Told<'_>) -> Result<(), Fault> {
            let refused = |why: String| Fault::new(ZTL_ERR_KEYS, why);
            let issuer = match told.kind {
                ZTL_TOKEN_SVID => svids(told)?,
                kind => {
                    let jwks = told.jwks.map_or(Ok(Jwks::none()), Jwks::from_json);
                    let jwks = jwks.map_err(|error| refused(error.to_string()))?;
                    let of = match kind {
                        ZTL_TOKEN_ID => Issuer::id_tokens,
                        _ => Issuer::access_tokens,
                    };
                    of(told.name, told.iss, told.audience, jwks)
                }
            };
            let said = Said {
                kind: told.kind,
                iss: told.iss.into(),
                audience: told.audience.into(),
            };
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            let verifier = Some(held.with(told, &said, issuer)?);
            let mut all = held.told.clone();
            all.insert(told.name.into(), Arc::new(said));
            *held = Arc::new(Held {
                verifier,
                told: all,
            });
            Ok(())
        }

        pub(super) fn verify(
            &self,
            engine: &engine::Body,
            flow: &FlowPermit,
            token: &str,
            now: Timestamp,
        ) -> Result<claims::Body, Fault> {
            // What is said of its issuer meanwhile is held against the claims whenever they are used.
            let held = self.held();
            let verifier = held.verifier.as_ref().ok_or_else(|| {
                Fault::new(
                    ZTL_ERR_TOKEN,
                    "no issuer is known: call `ztl_engine_issuer` first",
                )
            })?;
            let policy = engine.engine.policy();
            let verified = verifier.verify_on(token, flow, &policy, &self.bad, now);
            let verified = verified.map_err(|refused| {
                let status = match refused {
                    Refused::Unchecked(_) => ZTL_ERR_BUDGET,
                    _ => ZTL_ERR_TOKEN,
                };
                Fault::new(status, refused.to_string())
            })?;
            let grounds = held
                .grounds_of(&verified)
                .ok_or_else(|| Fault::new(ZTL_ERR_TOKEN, TokenError::WrongIssuer.to_string()))?;
            Ok(claims::Body {
                claims: verified.claims,
                of: Some(claims::Caller::of(flow.peer())),
                grounds: Some(grounds),
                bond: Arc::clone(&engine.bond),
            })
        }

        /// Whether what they rest on is still so. Who vouches for claims says until when.
        pub(crate) fn believes(&self, claims: &claims::Body, now: Timestamp) -> bool {
            (claims.grounds.as_ref()).is_none_or(|grounds| self.held().believes(grounds, now))
        }
    }
}
