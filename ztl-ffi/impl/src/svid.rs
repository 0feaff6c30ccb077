//! The host's own SVID.

#![expect(unsafe_code, reason = "exports")]

use ztl_mtls::Purpose;

use crate::boundary::{Fault, export, ztl_str};
use crate::engine::{self, ztl_engine};
use crate::error::ztl_error;
use crate::flow::MAX_NAME_BYTES;
use crate::peer::{Chain, read_chain};
use crate::status::{ZTL_ERR_SVID, ztl_status};
use ztl_core::Timestamp;

/// Checks the host's own X.509-SVID, before its TLS shows it to anybody: at start, and at each rotation (T22).
///
/// The chain leads to an authority that the engine trusts, its leaf is good for both ends of TLS, and its id is that of the
/// workload `me` in the policy in force. The key never comes here: a TLS library checks that it fits the leaf.
///
/// @param engine the engine
/// @param me which workload of the policy this is
/// @param chain the certificates in DER, the leaf first
/// @param chain_len how many
/// @param now_unix the time, in seconds since 1970
/// @param expires_unix receives seconds since 1970 from when on it proves nothing: rotate well before; 0 unless `ZTL_OK` is
///   returned
/// @param error receives the reason; may be NULL
///
/// # Safety
/// `engine` is NULL or live; the texts and the chain are readable; `expires_unix` and `error` are NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_svid_check(
    engine: *const ztl_engine,
    me: ztl_str,
    chain: *const ztl_str,
    chain_len: usize,
    now_unix: u64,
    expires_unix: *mut u64,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (expires_unix), error: error, || {
        // SAFETY: as promised to this function.
        let engine = unsafe { engine::lent(engine) }?;
        // SAFETY: as promised to this function.
        let me = unsafe { me.required("me", MAX_NAME_BYTES) }?;
        // SAFETY: as promised to this function.
        let chain = unsafe { read_chain(chain, chain_len) }?;
        Ok(check(engine, me, chain, Timestamp::from_unix_secs(now_unix))?)
    })
}

fn check(engine: &engine::Body, me: &str, chain: Chain<'_>, now: Timestamp) -> Result<u64, Fault> {
    let refused = |why: String| Fault::new(ZTL_ERR_SVID, why);
    let policy = engine.engine.policy();
    let declared = policy.workload_by_name(me).ok_or_else(|| {
        refused(format!(
            "the policy declares no workload `{}`",
            me.escape_debug()
        ))
    })?;
    let chain = chain.map_err(|error| refused(error.to_string()))?;
    let mut expires = Timestamp::MAX;
    for purpose in [Purpose::Server, Purpose::Client] {
        let peer = engine
            .prover
            .prove(&chain, now, purpose)
            .map_err(|error| refused(error.to_string()))?;
        if policy.workload_by_id(peer.id()).map(|one| one.name()) != Some(declared.name()) {
            return Err(refused(format!(
                "the SVID is of `{}`, and `{me}` is `{}`",
                peer.id(),
                declared.id()
            )));
        }
        expires = expires.min(peer.expires_at());
    }
    Ok(expires.as_unix_secs())
}
