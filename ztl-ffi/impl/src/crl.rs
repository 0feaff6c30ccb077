//! Revocation lists of a trust domain.

#![expect(unsafe_code, reason = "exports")]

use ztl_core::MAX_TRUST_DOMAIN_BYTES;
use ztl_mtls::{CrlSet, MAX_CRL_BYTES};

use crate::boundary::{Fault, export, ztl_str};
use crate::engine::{lent, trust_domain_of, ztl_engine};
use crate::error::ztl_error;
use crate::status::{ZTL_ERR_CRL, ztl_status};

/// Puts the revocation lists of a trust domain in force, in place of those it had. From then on the status of every certificate of
/// its SVIDs' chains is asked for (RFC 5280 §6.3): revoked is `ZTL_REASON_IDENTITY_REVOKED`, and one of which no list in time
/// says anything proves nothing. An engine has none at first, and asks for no status.
///
/// Every peer that was proved before, and every flow that was permitted before, has to be proved and permitted anew, as after
/// `ztl_engine_trust`. Push new lists well before `nextUpdate` of the old: from then on what was proved by them is proved no more, and
/// `expires_unix` of its decisions names that time (T25).
///
/// @param engine the engine
/// @param trust_domain such as `prod.example`
/// @param lists one or more lists in PEM, or one in DER. Absent: none any more, **so that no status is asked for**
/// @param error receives the reason; may be NULL. `ZTL_ERR_CRL` where one of the lists is refused, and with it all; those in
///   force stay
///
/// # Safety
/// `engine` is NULL or live; the texts are readable; `error` is NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_engine_crls(
    engine: *const ztl_engine,
    trust_domain: ztl_str,
    lists: ztl_str,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (), error: error, || {
        // SAFETY: as promised to this function.
        let engine = unsafe { lent(engine) }?;
        // SAFETY: as promised to this function.
        let domain = unsafe { trust_domain.required("trust_domain", MAX_TRUST_DOMAIN_BYTES) }?;
        // SAFETY: as promised to this function.
        let lists = unsafe { lists.bytes("lists", MAX_CRL_BYTES) }?;
        let domain = trust_domain_of(domain)?;
        let revocation = engine.prover.revocation();
        match lists {
            None => revocation.remove_crls(&domain),
            Some(text) => {
                let set = CrlSet::lists_of(text).and_then(|lists| CrlSet::from_der(domain, lists));
                revocation.replace_crls(set.map_err(|error| Fault::new(ZTL_ERR_CRL, error.to_string()))?);
            }
        }
        engine.engine.withdraw_flows();
        Ok(())
    })
}
