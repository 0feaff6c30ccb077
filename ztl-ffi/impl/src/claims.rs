//! `ztl_claims`: what a verified token says.

#![expect(unsafe_code, reason = "exports")]

use std::sync::Arc;

use ztl_core::{Claims, LeafDigest, Peer, SpiffeId, Timestamp, json};

use crate::boundary::{Fault, export, ztl_str};
use crate::engine::{self, Bond, ztl_engine};
use crate::error::ztl_error;
use crate::handle::{self, Handle};
use crate::status::ztl_status;

/// Longest claims that are taken.
const MAX_CLAIMS_BYTES: usize = 64 * 1024;

/// The claims of a token that was verified. Good at the engine that it was made at, and for the caller whose flow it was verified
/// for, until the token expires, its key is taken away, or something else is said of its issuer.
///
/// It is immutable: any number of threads may use it at once.
#[derive(Debug)]
pub struct ztl_claims {
    _opaque: (),
}

impl Handle for ztl_claims {
    const NAME: &'static str = "ztl_claims";
    const TAG: u64 = u64::from_be_bytes(*b"ztlclaim");
    type Body = Body;
}

/// What is behind a [`ztl_claims`].
pub(crate) struct Body {
    pub(crate) claims: Claims,
    /// The caller that they were verified for; `None` where somebody vouches for them.
    pub(crate) of: Option<Caller>,
    /// What the token was verified by; `None` where somebody vouches for them.
    #[cfg(feature = "jwt")]
    pub(crate) grounds: Option<crate::token::Grounds>,
    pub(crate) bond: Arc<Bond>,
}

/// Who a token was verified for; nobody, where the caller proved nothing.
#[derive(PartialEq, Eq)]
pub(crate) struct Caller(Option<(SpiffeId, Option<LeafDigest>)>);

impl Caller {
    pub(crate) fn of(peer: Option<&Peer>) -> Self {
        Self(peer.map(|peer| (peer.id().clone(), peer.leaf().cloned())))
    }
}

impl Body {
    /// The claims, if they were made at this engine.
    fn at(&self, engine: &engine::Body) -> Result<(), Fault> {
        if Arc::ptr_eq(&self.bond, &engine.bond) {
            Ok(())
        } else {
            Err(Fault::arg("the `ztl_claims` were made at another engine"))
        }
    }

    /// The same, where they are of this caller.
    pub(crate) fn on(&self, engine: &engine::Body, peer: Option<&Peer>) -> Result<(), Fault> {
        self.at(engine)?;
        match &self.of {
            Some(of) if *of != Caller::of(peer) => Err(Fault::arg(
                "the `ztl_claims` were verified for another caller than that of the flow",
            )),
            _ => Ok(()),
        }
    }
}

/// Takes somebody's word for what a token says. **ztl verifies nothing here**: whoever calls this vouches for signature, issuer,
/// audience and time.
///
/// @param engine the engine at which the claims will be used
/// @param claims one object of JSON, at most 64 KiB; a member name twice is refused
/// @param expires_unix seconds since 1970 from when on the claims no longer hold: the `exp` of the token
/// @param out receives the claims; NULL unless `ZTL_OK` is returned. End them with `ztl_claims_free`
/// @param error receives the reason; may be NULL
///
/// # Safety
/// `engine` is NULL or live; the text is readable; `out` and `error` are NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_claims_assert_dangerous(
    engine: *const ztl_engine,
    claims: ztl_str,
    expires_unix: u64,
    out: *mut *mut ztl_claims,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (out), error: error, || {
        // SAFETY: as promised to this function.
        let engine = unsafe { engine::lent(engine) }?;
        // SAFETY: as promised to this function.
        let claims = unsafe { claims.required("claims", MAX_CLAIMS_BYTES) }?;
        let claims = json::object(claims.as_bytes()).map_err(|fault| Fault::arg(format!("`claims`: {fault}")))?;
        let expires = Timestamp::from_unix_secs(expires_unix);
        #[expect(clippy::disallowed_methods, reason = "the C door: the host vouches, in a call whose name says so")]
        let claims = Claims::assertion(claims, expires, "asserted over the C ABI");
        Ok(handle::give(Body {
            claims,
            of: None,
            #[cfg(feature = "jwt")]
            grounds: None,
            bond: Arc::clone(&engine.bond),
        }))
    })
}

/// Ends claims. NULL is none.
///
/// # Safety
/// `claims` is NULL or live, no other thread uses it, and it is not used after this.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ztl_claims_free(claims: *mut ztl_claims) {
    export!(otherwise: (), || {
        // SAFETY: as promised to this function.
        unsafe { handle::release(claims) }
    })
}
