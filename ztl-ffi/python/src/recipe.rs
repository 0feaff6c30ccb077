//! What an engine is made of, so that a forked process makes its own.
//!
//! Two processes that share one would share the key of decision ids, and a lock that another thread held at the fork is held for
//! ever. So a child leaves the engine of its parent alone, and makes one like it at the first call.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::prelude::*;
use ztl_ffi_impl as c;
use ztl_ffi_impl::{ztl_engine, ztl_issuer};

use crate::handle::{Outcome, Owned, lent, maybe};

/// How many forks led to this process.
static FORKS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn forks() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

#[pyfunction]
fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Has Python tell of every fork.
pub(crate) fn watch_forks(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let os = module.py().import("os")?;
    if let Some(register) = os.getattr_opt("register_at_fork")? {
        let told = pyo3::types::PyDict::new(module.py());
        told.set_item("after_in_child", wrap_pyfunction!(forked, module)?)?;
        register.call((), Some(&told))?;
    }
    Ok(())
}

/// An issuer of tokens.
#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) kind: u32,
    pub(crate) iss: String,
    pub(crate) audience: String,
    pub(crate) jwks: Option<Vec<u8>>,
}

/// What an engine is made of.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) policy: Vec<u8>,
    pub(crate) format: u32,
    pub(crate) audit_file: Option<Vec<u8>>,
    pub(crate) bundles: BTreeMap<String, Vec<u8>>,
    pub(crate) crls: BTreeMap<String, Vec<u8>>,
    pub(crate) issuers: BTreeMap<String, Issuer>,
}

impl Recipe {
    /// Makes an engine.
    pub(crate) fn cook(&self) -> Result<Arc<Owned<ztl_engine>>, Outcome> {
        let mut engine = Owned::none();
        let out = engine.out();
        done(Outcome::of(|error| {
            let (policy, audit) = (lent(&self.policy), maybe(self.audit_file.as_deref()));
            // SAFETY: the texts are lent for the call, the outputs may be written.
            unsafe { c::ztl_engine_new(policy, self.format, audit, out, error) }
        }))?;
        for (domain, pem) in &self.bundles {
            done(trust(&engine, domain, Some(pem)))?;
        }
        for (domain, lists) in &self.crls {
            done(revoke(&engine, domain, Some(lists)))?;
        }
        for (name, issuer) in &self.issuers {
            done(tell(&engine, name, issuer))?;
        }
        Ok(Arc::new(engine))
    }
}

fn done(outcome: Outcome) -> Result<(), Outcome> {
    if outcome.status == c::ZTL_OK {
        Ok(())
    } else {
        Err(outcome)
    }
}

/// Puts a policy in force.
pub(crate) fn swap(engine: &Owned<ztl_engine>, policy: &[u8], format: u32) -> Outcome {
    // SAFETY: the engine is live, the text is lent for the call, the output may be written.
    Outcome::of(|error| unsafe { c::ztl_engine_swap(engine.get(), lent(policy), format, error) })
}

/// Trusts the authorities of a domain.
pub(crate) fn trust(engine: &Owned<ztl_engine>, domain: &str, pem: Option<&[u8]>) -> Outcome {
    let domain = lent(domain.as_bytes());
    // SAFETY: as above.
    Outcome::of(|error| unsafe { c::ztl_engine_trust(engine.get(), domain, maybe(pem), error) })
}

/// Puts the revocation lists of a domain in force.
pub(crate) fn revoke(engine: &Owned<ztl_engine>, domain: &str, lists: Option<&[u8]>) -> Outcome {
    let domain = lent(domain.as_bytes());
    // SAFETY: as above.
    Outcome::of(|error| unsafe { c::ztl_engine_crls(engine.get(), domain, maybe(lists), error) })
}

/// Takes tokens of an issuer.
pub(crate) fn tell(engine: &Owned<ztl_engine>, name: &str, issuer: &Issuer) -> Outcome {
    let told = ztl_issuer {
        size: u32::try_from(size_of::<ztl_issuer>()).unwrap_or(0),
        kind: issuer.kind,
        name: lent(name.as_bytes()),
        iss: lent(issuer.iss.as_bytes()),
        audience: lent(issuer.audience.as_bytes()),
        jwks: maybe(issuer.jwks.as_deref()),
    };
    // SAFETY: the engine is live, the issuer's texts are lent for the call, the output may be written.
    Outcome::of(|error| unsafe { c::ztl_engine_issuer(engine.get(), &raw const told, error) })
}
