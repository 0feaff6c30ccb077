//! `ztl_engine`: the policy in force, the audit, and all decisions.

#![expect(unsafe_code, reason = "exports")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use ztl_core::audit::{AuditError, JsonLinesSink, MemorySink, Sink};
use ztl_core::policy::{Format, LoadError, Loader, MAX_DOCUMENT_BYTES, Policy};
use ztl_core::{Engine, EngineError, MAX_TRUST_DOMAIN_BYTES, TrustDomain};
use ztl_mtls::{
    BundleSet, Bundles, MAX_AUTHORITIES, MAX_PEM_BYTES, Prover, SpiffeBundle, TrustBundle,
};

use crate::audit::Inside;
use crate::boundary::{Fault, array, export, ztl_str};
use crate::error::ztl_error;
use crate::handle::{self, Handle};
use crate::home::Home;
use crate::status::{ZTL_ERR_AUDIT, ZTL_ERR_BUNDLE, ZTL_ERR_POLICY, ZTL_ERR_SYSTEM, ztl_status};
use crate::token::Tokens;

/// A policy document in TOML.
pub const ZTL_FORMAT_TOML: u32 = 1;
/// A policy document in JSON.
pub const ZTL_FORMAT_JSON: u32 = 2;

/// How many records are kept in memory where no audit file is named.
const RING: usize = 1024;
/// Longest path of an audit file that is taken.
pub(crate) const MAX_PATH_BYTES: usize = 4096;

/// Judges flows and actions under the policy in force, and records every decision before it is returned.
///
/// Every function that takes a `const ztl_engine *` may be called from any number of threads at once. It is good in the process that made
/// it: a forked one makes its own, and gets `ZTL_ERR_ARG` of every call with its parent's, which it may free.
#[derive(Debug)]
pub struct ztl_engine {
    _opaque: (),
}

impl Handle for ztl_engine {
    const NAME: &'static str = "ztl_engine";
    const TAG: u64 = u64::from_be_bytes(*b"ztlengin");
    type Body = Body;
}

/// What is behind a [`ztl_engine`].
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) engine: Engine,
    /// Proves by the bundles that the host trusts; none at first.
    pub(crate) prover: Prover,
    /// Verifies tokens by the issuers that the host named; none at first.
    pub(crate) tokens: Tokens,
    /// Ties what was made at this engine to it; compared by address.
    pub(crate) bond: Arc<Bond>,
    /// Who is in the host's function that takes the records; nobody where there is none.
    pub(crate) inside: Arc<Inside>,
    home: Home,
}

/// See [`Body::bond`].
#[derive(Debug)]
pub(crate) struct Bond;

impl Body {
    pub(crate) fn new(policy: Policy, sink: impl Sink + 'static) -> Result<Self, Fault> {
        let engine = Engine::new(policy, sink).map_err(|error| engine_fault(&error))?;
        Ok(Self {
            engine,
            prover: Prover::new(Bundles::new(BundleSet::default()), &ztl_mtls::provider()),
            tokens: Tokens::default(),
            bond: Arc::new(Bond),
            inside: Arc::default(),
            home: Home::here(),
        })
    }

    pub(crate) fn swap(&self, policy: Policy) -> Result<(), Fault> {
        self.engine
            .swap_policy(policy)
            .map_err(|error| engine_fault(&error))
    }

    /// Flows that rest on another set of bundles are withdrawn (T5).
    fn trust(&self, domain: &TrustDomain, bundle: Option<TrustBundle>) {
        let bundles = self.prover.bundles();
        match bundle {
            None => bundles.remove(domain),
            Some(bundle) => bundles.replace(bundle),
        }
        self.engine.withdraw_flows();
    }
}

/// Makes an engine.
///
/// @param policy the document; a rule that asks for an authorizer is refused, as none can be registered here, and in a library that
///   was built without the feature `cel` one that asks for a condition too
/// @param format `ZTL_FORMAT_TOML` or `ZTL_FORMAT_JSON`
/// @param audit_file where records go, one line of JSON each: a path in UTF-8, made with mode 0600 where it does not exist and
///   appended to where it does. Absent: the last 1024 records are kept in memory, which C cannot read
/// @param engine receives the engine; NULL unless `ZTL_OK` is returned. End it with `ztl_engine_free`
/// @param error receives the reason; may be NULL
///
/// # Safety
/// The texts are readable; `engine` and `error` are NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_engine_new(
    policy: ztl_str,
    format: u32,
    audit_file: ztl_str,
    engine: *mut *mut ztl_engine,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (engine), error: error, || {
        // SAFETY: as promised to this function.
        let policy = unsafe { read_policy(policy, format) }?;
        // SAFETY: as promised to this function.
        Ok(handle::give(unsafe { with_audit_file(policy, audit_file) }?))
    })
}

/// Puts another policy in force, at once and for every decision from now on, on flows that were permitted before as well.
///
/// Where it fails, the policy in force stays. A policy whose `serial` is lower than that in force, or missing where that has
/// one, is refused. May be called while other threads decide.
///
/// @param engine the engine
/// @param policy the document
/// @param format `ZTL_FORMAT_TOML` or `ZTL_FORMAT_JSON`
/// @param error receives the reason; may be NULL
///
/// # Safety
/// `engine` is NULL or live; the text is readable; `error` is NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_engine_swap(
    engine: *const ztl_engine,
    policy: ztl_str,
    format: u32,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (), error: error, || {
        // SAFETY: as promised to this function.
        let body = unsafe { lent(engine) }?;
        // SAFETY: as promised to this function.
        let policy = unsafe { read_policy(policy, format) }?;
        Ok(body.swap(policy)?)
    })
}

/// Trusts the authorities of a trust domain, in place of those it had. An engine trusts none at first.
///
/// Every peer that was proved before, and every flow that was permitted before, has to be proved and permitted anew: keep the
/// chains of live connections. Call it when a bundle has changed, and only then.
///
/// @param engine the engine
/// @param trust_domain such as `prod.example`
/// @param bundle its authorities: one or more certificates in PEM, or a SPIFFE bundle document, which begins with `{`. Absent: none
///   any more, so that its SVIDs prove nothing
/// @param error receives the reason; may be NULL
///
/// # Safety
/// `engine` is NULL or live; the texts are readable; `error` is NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_engine_trust(
    engine: *const ztl_engine,
    trust_domain: ztl_str,
    bundle: ztl_str,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (), error: error, || {
        // SAFETY: as promised to this function.
        let body = unsafe { lent(engine) }?;
        // SAFETY: as promised to this function.
        let domain = unsafe { trust_domain.required("trust_domain", MAX_TRUST_DOMAIN_BYTES) }?;
        // SAFETY: as promised to this function.
        let text = unsafe { bundle.bytes("bundle", MAX_PEM_BYTES) }?;
        let domain = trust_domain_of(domain)?;
        let bundle = text.map(|text| read_bundle(&domain, text)).transpose()?;
        body.trust(&domain, bundle);
        Ok(())
    })
}

/// The same as `ztl_engine_trust`, with the authorities in DER.
///
/// @param engine the engine
/// @param trust_domain such as `prod.example`
/// @param authorities its authorities, a certificate each
/// @param authorities_len how many; 0: none any more, so that its SVIDs prove nothing
/// @param error receives the reason; may be NULL
///
/// # Safety
/// `engine` is NULL or live; the texts are readable; `error` is NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_engine_trust_der(
    engine: *const ztl_engine,
    trust_domain: ztl_str,
    authorities: *const ztl_str,
    authorities_len: usize,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (), error: error, || {
        // SAFETY: as promised to this function.
        let body = unsafe { lent(engine) }?;
        // SAFETY: as promised to this function.
        let domain = unsafe { trust_domain.required("trust_domain", MAX_TRUST_DOMAIN_BYTES) }?;
        // SAFETY: as promised to this function.
        let authorities = unsafe { array(authorities, authorities_len, MAX_AUTHORITIES, "authorities") }?;
        let mut ders = Vec::new();
        for authority in authorities {
            // SAFETY: as promised to this function.
            let der = unsafe { authority.bytes("authority", MAX_PEM_BYTES) }?;
            let der = der.ok_or_else(|| Fault::arg("an authority is absent"))?;
            ders.push(CertificateDer::from(der.to_vec()));
        }
        let domain = trust_domain_of(domain)?;
        let bundle = (!ders.is_empty())
            .then(|| TrustBundle::from_der(domain.clone(), ders).map_err(|error| bundle_fault(&error)))
            .transpose()?;
        body.trust(&domain, bundle);
        Ok(())
    })
}

/// Ends an engine. NULL is none. Flows and peers that were made at it are still to be freed, and good for nothing else.
///
/// # Safety
/// `engine` is NULL or live, no other thread uses it, and it is not used after this.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ztl_engine_free(engine: *mut ztl_engine) {
    export!(otherwise: (), || {
        // SAFETY: as promised to this function.
        unsafe { handle::release(engine) }
    })
}

/// Lends an engine that has to be there, to have been made in this process, and not to wait for this very thread.
///
/// # Safety
/// `engine` is NULL, or a live handle of this library, and stays live for `'a`.
pub(crate) unsafe fn lent<'a>(engine: *const ztl_engine) -> Result<&'a Body, Fault> {
    // SAFETY: as promised to this function.
    let body = unsafe { handle::borrow(engine) }?;
    if body.home.is_elsewhere() {
        return Err(forked());
    }
    if body.inside.is_here() {
        return Err(reentered());
    }
    Ok(body)
}

#[cold]
fn forked() -> Fault {
    Fault::arg(
        "the `ztl_engine` was made before this process was forked: make one in each process, after the fork",
    )
}

#[cold]
fn reentered() -> Fault {
    Fault::arg(
        "the function that takes the records calls the `ztl_engine` whose record it takes: ask after it has returned",
    )
}

/// # Safety
/// `audit_file` is readable.
pub(crate) unsafe fn with_audit_file(policy: Policy, audit_file: ztl_str) -> Result<Body, Fault> {
    // SAFETY: as promised to this function.
    match unsafe { audit_file.text("audit_file", MAX_PATH_BYTES) }? {
        None => Body::new(policy, MemorySink::new(RING)),
        Some(path) => JsonLinesSink::append(Path::new(path))
            .map_err(|error| audit_fault(&error))
            .and_then(|sink| Body::new(policy, sink)),
    }
}

/// # Safety
/// `document` is readable.
pub(crate) unsafe fn read_policy(document: ztl_str, format: u32) -> Result<Policy, Fault> {
    let format = match format {
        ZTL_FORMAT_TOML => Format::Toml,
        ZTL_FORMAT_JSON => Format::Json,
        other => {
            return Err(Fault::arg(format!(
                "`format` is {other}, which is neither ZTL_FORMAT_TOML nor ZTL_FORMAT_JSON"
            )));
        }
    };
    // SAFETY: as promised to this function.
    let text = unsafe { document.required("policy", MAX_DOCUMENT_BYTES) }?;
    let read = loader().load(text, format);
    read.map_err(|error: LoadError| Fault::new(ZTL_ERR_POLICY, error.to_string()))
}

/// What a policy's rules may ask beyond what every engine knows.
fn loader() -> Loader {
    let loader = Loader::new();
    #[cfg(feature = "cel")]
    let loader = loader.with_conditions(Arc::new(ztl_authz::cel::Cel::new()));
    loader
}

/// The trust domain of this name.
pub(crate) fn trust_domain_of(name: &str) -> Result<TrustDomain, Fault> {
    TrustDomain::parse(name).map_err(|error| Fault::arg(format!("`trust_domain`: {error}")))
}

/// PEM, or a SPIFFE bundle document, whose keys for JWT-SVIDs are for `ztl_engine_issuer`.
fn read_bundle(domain: &TrustDomain, text: &[u8]) -> Result<TrustBundle, Fault> {
    if text.trim_ascii_start().starts_with(b"{") {
        SpiffeBundle::from_json(domain.clone(), text)
            .map(|bundle| bundle.x509().clone())
            .map_err(|error| bundle_fault(&error))
    } else {
        TrustBundle::from_pem(domain.clone(), text).map_err(|error| bundle_fault(&error))
    }
}

fn bundle_fault(error: &dyn Error) -> Fault {
    Fault::new(ZTL_ERR_BUNDLE, error.to_string())
}

fn engine_fault(error: &EngineError) -> Fault {
    let status = match error {
        EngineError::SerialWentBack { .. } => ZTL_ERR_POLICY,
        _ => ZTL_ERR_SYSTEM,
    };
    Fault::new(status, error.to_string())
}

fn audit_fault(error: &AuditError) -> Fault {
    Fault::new(ZTL_ERR_AUDIT, error.to_string())
}
