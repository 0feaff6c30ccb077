//! `Engine`: the three verbs.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyFrozenSet;
use ztl_ffi_impl as c;
use ztl_ffi_impl::{ztl_action_request, ztl_engine, ztl_str};

use crate::analysis;
use crate::answers::{Decision, read_names};
use crate::asked::{Chain, Fields, format, maybe_octets, octets, time};
use crate::handle::{Outcome, Owned, lent, maybe};
use crate::held::{Claims, Flow, Peer};
use crate::recipe::{Issuer, Recipe};
use crate::refusal;
use crate::requests::{Connection, blank_request};
use crate::state::State;

/// Judges connections and requests under the policy in force, and records every decision before it returns. Any number of threads
/// may use one; a forked process makes its own like it, at the first call.
// Locked only while Python's own lock is held and never across a call of Python's, so that no fork finds it locked.
#[pyclass(frozen, module = "ztl")]
pub(crate) struct Engine(Mutex<State>);

impl Engine {
    fn with<T>(&self, py: Python<'_>, act: impl FnOnce(&mut State) -> T) -> PyResult<T> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(outcome) = state.refresh() {
            drop(state);
            outcome.heard(py)?;
            return Err(pyo3::exceptions::PyRuntimeError::new_err("no engine"));
        }
        Ok(act(&mut state))
    }

    fn live(&self, py: Python<'_>) -> PyResult<Arc<Owned<ztl_engine>>> {
        self.with(py, |state| state.live())
    }

    fn counted(&self, count: impl FnOnce(&State) -> u64) -> u64 {
        count(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn judge(
        &self,
        py: Python<'_>,
        flow: &Flow,
        request: &ztl_action_request,
    ) -> PyResult<Decision> {
        let engine = self.live(py)?;
        let mut decision = Decision::blank();
        // SAFETY: engine and flow are live, the request's texts, headers and claims outlive the call, the outputs may be written.
        let mut outcome = Outcome::of(|error| unsafe {
            c::ztl_action_authorize(
                engine.get(),
                flow.flow.get(),
                ptr::from_ref(request),
                &raw mut decision,
                error,
            )
        });
        // T8: a permit, or an exception.
        let permitted = decision.permit == 1;
        let decision = Decision::read(&decision);
        if outcome.status == c::ZTL_OK && !permitted {
            outcome.status = c::ZTL_ERR_PANIC;
        }
        outcome.decided(decision).heard(py)?;
        Ok(decision)
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (policy, *, format = "toml", audit_file = None))]
    fn new(
        py: Python<'_>,
        policy: &Bound<'_, PyAny>,
        format: &str,
        audit_file: Option<PathBuf>,
    ) -> PyResult<Self> {
        let audit_file = audit_file.map(|path| path.into_os_string().into_encoded_bytes());
        let recipe = Recipe {
            policy: octets(policy, "policy")?.to_vec(),
            format: self::format(format)?,
            audit_file,
            bundles: [].into(),
            crls: [].into(),
            issuers: [].into(),
        };
        match py.detach(|| recipe.cook()) {
            Ok(live) => Ok(Self(Mutex::new(State::new(recipe, live)))),
            Err(outcome) => {
                outcome.heard(py)?;
                Err(pyo3::exceptions::PyRuntimeError::new_err("no engine"))
            }
        }
    }

    /// An engine from a file, which is read once, and refused where others may write it.
    #[staticmethod]
    #[pyo3(signature = (path, *, format = "toml", audit_file = None))]
    fn from_file(
        py: Python<'_>,
        path: PathBuf,
        format: &str,
        audit_file: Option<PathBuf>,
    ) -> PyResult<Self> {
        let document = py.import("ztl.files")?.getattr("policy")?.call1((path,))?;
        Self::new(py, &document, format, audit_file)
    }

    /// Puts another policy in force, at once and for flows that were permitted before as well. Where it is refused, the one in
    /// force stays.
    #[pyo3(signature = (policy, *, format = "toml"))]
    fn swap(&self, py: Python<'_>, policy: &Bound<'_, PyAny>, format: &str) -> PyResult<()> {
        let (policy, format) = (octets(policy, "policy")?, self::format(format)?);
        self.with(py, |state| state.swap(policy, format))?.heard(py)
    }

    /// Trusts the authorities of a trust domain, in PEM or as a SPIFFE bundle document, in place of those it had; `None`: none any more.
    fn trust(
        &self,
        py: Python<'_>,
        trust_domain: &str,
        bundle: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let bundle = maybe_octets(bundle, "bundle")?;
        self.with(py, |state| state.trust(trust_domain, bundle))?
            .heard(py)
    }

    /// Puts the revocation lists of a trust domain in force, in PEM or one in DER, in place of those it had; `None`: none any more, so
    /// that no status is asked for.
    fn crls(
        &self,
        py: Python<'_>,
        trust_domain: &str,
        lists: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let lists = maybe_octets(lists, "lists")?;
        self.with(py, |state| state.revoke(trust_domain, lists))?
            .heard(py)
    }

    /// Takes tokens of an issuer, in place of what was said of an issuer of that name before: also for new keys.
    #[pyo3(signature = (name, *, iss, audience, jwks = None, id_tokens = false, jwt_svids = false))]
    #[expect(clippy::too_many_arguments, reason = "they are named in Python")]
    fn issuer(
        &self,
        py: Python<'_>,
        name: &str,
        iss: String,
        audience: String,
        jwks: Option<&Bound<'_, PyAny>>,
        id_tokens: bool,
        jwt_svids: bool,
    ) -> PyResult<()> {
        let issuer = Issuer {
            kind: match (jwt_svids, id_tokens) {
                (true, _) => c::ZTL_TOKEN_SVID,
                (false, true) => c::ZTL_TOKEN_ID,
                (false, false) => c::ZTL_TOKEN_ACCESS,
            },
            iss,
            audience,
            jwks: maybe_octets(jwks, "jwks")?.map(<[u8]>::to_vec),
        };
        self.with(py, |state| state.tell(name, issuer))?.heard(py)
    }

    /// How often something was put in force since it was made: a policy, a bundle, revocation lists or an issuer.
    fn changes(&self) -> u64 {
        self.counted(State::changes)
    }

    /// How often of those it was an issuer.
    fn told(&self) -> u64 {
        self.counted(State::told)
    }

    /// Step one: proves who is at the other end, by the certificates that it showed in TLS.
    #[pyo3(signature = (chain, *, me, port, from_addr = None, to = None, now = None))]
    #[expect(clippy::too_many_arguments, reason = "they are named in Python")]
    fn prove(
        &self,
        py: Python<'_>,
        chain: &Bound<'_, PyAny>,
        me: &str,
        port: u16,
        from_addr: Option<&str>,
        to: Option<&str>,
        now: Option<u64>,
    ) -> PyResult<Peer> {
        let chain = Chain::read(chain)?;
        let ders = chain.ders();
        let connection = Connection {
            me: me.as_bytes(),
            port,
            from_addr: from_addr.map(str::as_bytes),
            to: to.map(str::as_bytes),
            anonymous: false,
            now: time(now)?,
        };
        let engine = self.live(py)?;
        let mut peer = Owned::none();
        let outcome = py.detach(|| {
            let request = connection.request(ptr::null());
            let chain: Vec<ztl_str> = ders.iter().map(|der| lent(der)).collect();
            let out = peer.out();
            // SAFETY: the engine is live, texts and certificates are lent for the call, the outputs may be written.
            Outcome::of(|error| unsafe {
                c::ztl_peer_prove(
                    engine.get(),
                    &raw const request,
                    chain.as_ptr(),
                    chain.len(),
                    out,
                    error,
                )
            })
        });
        outcome.heard(py)?;
        Ok(Peer(peer))
    }

    /// Takes somebody's word for who the other end is. Nothing is proved here: whoever calls this vouches for it.
    fn assert_peer_dangerous(
        &self,
        py: Python<'_>,
        spiffe_id: &str,
        by: &str,
        expires_at: u64,
    ) -> PyResult<Peer> {
        let engine = self.live(py)?;
        let mut peer = Owned::none();
        let (id, by, out) = (lent(spiffe_id.as_bytes()), lent(by.as_bytes()), peer.out());
        // SAFETY: the engine is live, the texts are lent for the call, the outputs may be written.
        Outcome::of(|error| unsafe {
            c::ztl_peer_assert_dangerous(engine.get(), id, by, expires_at, out, error)
        })
        .heard(py)?;
        Ok(Peer(peer))
    }

    /// Step two: permits a connection to this workload, or, with `to`, from it.
    #[pyo3(signature = (peer, *, me, port, from_addr = None, to = None, anonymous = false, now = None))]
    #[expect(clippy::too_many_arguments, reason = "they are named in Python")]
    fn permit_flow(
        &self,
        py: Python<'_>,
        peer: Option<&Peer>,
        me: &str,
        port: u16,
        from_addr: Option<&str>,
        to: Option<&str>,
        anonymous: bool,
        now: Option<u64>,
    ) -> PyResult<Flow> {
        let connection = Connection {
            me: me.as_bytes(),
            port,
            from_addr: from_addr.map(str::as_bytes),
            to: to.map(str::as_bytes),
            anonymous,
            now: time(now)?,
        };
        let engine = self.live(py)?;
        let request = connection.request(peer.map_or(ptr::null(), |peer| peer.0.get()));
        let (mut flow, mut decision) = (Owned::none(), Decision::blank());
        let out = flow.out();
        // SAFETY: engine and peer are live, the texts are lent for the call, the outputs may be written.
        let outcome = Outcome::of(|error| unsafe {
            c::ztl_flow_permit(
                engine.get(),
                &raw const request,
                out,
                &raw mut decision,
                error,
            )
        });
        let decision = Decision::read(&decision);
        let expires_at = decision.expires_at();
        outcome.decided(decision).heard(py)?;
        Ok(Flow {
            flow,
            peer_id: peer.map(Peer::id),
            expires_at,
        })
    }

    /// Verifies a bearer token of the caller of a flow.
    #[pyo3(signature = (flow, token, *, now = None))]
    fn verify_token(
        &self,
        py: Python<'_>,
        flow: &Flow,
        token: &Bound<'_, PyAny>,
        now: Option<u64>,
    ) -> PyResult<Claims> {
        let (token, now) = (octets(token, "token")?, time(now)?);
        let engine = self.live(py)?;
        let mut claims = Owned::none();
        let outcome = py.detach(|| {
            let out = claims.out();
            // SAFETY: engine and flow are live, the text is lent for the call, the outputs may be written.
            Outcome::of(|error| unsafe {
                c::ztl_token_verify(engine.get(), flow.flow.get(), lent(token), now, out, error)
            })
        });
        outcome.heard(py)?;
        Ok(Claims(claims))
    }

    /// What of a request on a flow is looked at under the policy in force: `token` and `trust_score`, where a rule could ask for one,
    /// and the header fields in which the caller is trusted to say whom it speaks for.
    #[pyo3(signature = (flow, *, now = None))]
    fn reads<'py>(
        &self,
        py: Python<'py>,
        flow: &Flow,
        now: Option<u64>,
    ) -> PyResult<Bound<'py, PyFrozenSet>> {
        let (engine, now, mut found) = (self.live(py)?, time(now)?, 0);
        // SAFETY: engine and flow are live, the outputs may be written.
        Outcome::of(|error| unsafe {
            c::ztl_flow_reads(engine.get(), flow.flow.get(), now, &raw mut found, error)
        })
        .heard(py)?;
        PyFrozenSet::new(py, read_names(found))
    }

    /// Step three: authorizes a request on a permitted flow, by its raw target. Returns the permit, or raises `Denied`.
    #[pyo3(signature = (flow, method, target, headers = None, *, upgrade = None, trust_score = None, claims = None, now = None))]
    #[expect(clippy::too_many_arguments, reason = "they are named in Python")]
    fn authorize(
        &self,
        py: Python<'_>,
        flow: &Flow,
        method: &Bound<'_, PyAny>,
        target: &Bound<'_, PyAny>,
        headers: Option<&Bound<'_, PyAny>>,
        upgrade: Option<&Bound<'_, PyAny>>,
        trust_score: Option<u8>,
        claims: Option<&Claims>,
        now: Option<u64>,
    ) -> PyResult<Decision> {
        let fields = Fields::read(headers)?;
        let headers = fields.lend()?;
        let request = ztl_action_request {
            method: lent(octets(method, "method")?),
            target: lent(octets(target, "target")?),
            upgrade: maybe(maybe_octets(upgrade, "upgrade")?),
            headers: headers.as_ptr(),
            headers_len: headers.len(),
            trust_score: trust_score.map_or(-1, i32::from),
            claims: claims.map_or(ptr::null(), |claims| claims.0.get()),
            ..blank_request(time(now)?)
        };
        self.judge(py, flow, &request)
    }

    /// Records that the host itself denies a request on a flow, or ends one that runs, for one of the reasons that `ztl_action_refuse`
    /// takes. Always raises: `Denied`, with the id of the record.
    #[pyo3(signature = (flow, reason, method = None, target = None, headers = None, *, upgrade = None, now = None))]
    #[expect(clippy::too_many_arguments, reason = "they are named in Python")]
    fn refuse(
        &self,
        py: Python<'_>,
        flow: &Flow,
        reason: &str,
        method: Option<&Bound<'_, PyAny>>,
        target: Option<&Bound<'_, PyAny>>,
        headers: Option<&Bound<'_, PyAny>>,
        upgrade: Option<&Bound<'_, PyAny>>,
        now: Option<u64>,
    ) -> PyResult<()> {
        let fields = Fields::read(headers)?;
        let headers = fields.lend()?;
        let request = ztl_action_request {
            method: maybe(maybe_octets(method, "method")?),
            target: maybe(maybe_octets(target, "target")?),
            upgrade: maybe(maybe_octets(upgrade, "upgrade")?),
            headers: headers.as_ptr(),
            headers_len: headers.len(),
            ..blank_request(time(now)?)
        };
        refusal::refuse(py, &*self.live(py)?, flow, &request, reason)
    }

    /// Step three for raw bytes, without method and target.
    #[pyo3(signature = (flow, *, trust_score = None, now = None))]
    fn authorize_connect(
        &self,
        py: Python<'_>,
        flow: &Flow,
        trust_score: Option<u8>,
        now: Option<u64>,
    ) -> PyResult<Decision> {
        let request = ztl_action_request {
            flags: c::ZTL_ACTION_CONNECT,
            trust_score: trust_score.map_or(-1, i32::from),
            ..blank_request(time(now)?)
        };
        self.judge(py, flow, &request)
    }

    /// Checks the host's own SVID, before TLS shows it to anybody; returns when it expires, in seconds since 1970.
    #[pyo3(signature = (me, chain, *, now = None))]
    fn check_svid(
        &self,
        py: Python<'_>,
        me: &str,
        chain: &Bound<'_, PyAny>,
        now: Option<u64>,
    ) -> PyResult<u64> {
        let chain = Chain::read(chain)?;
        let chain: Vec<ztl_str> = chain.ders().into_iter().map(lent).collect();
        let (engine, now, mut expires) = (self.live(py)?, time(now)?, 0);
        // SAFETY: the engine is live, text and certificates are lent for the call, the outputs may be written.
        Outcome::of(|error| unsafe {
            c::ztl_svid_check(
                engine.get(),
                lent(me.as_bytes()),
                chain.as_ptr(),
                chain.len(),
                now,
                &raw mut expires,
                error,
            )
        })
        .heard(py)?;
        Ok(expires)
    }

    /// What a workload can reach under the policy in force, as JSON; who reaches it, where it is `external:NAME`.
    fn reach(&self, py: Python<'_>, workload: &str) -> PyResult<String> {
        analysis::reach(py, &*self.live(py)?, workload)
    }

    /// What another policy would change, as JSON.
    #[pyo3(signature = (policy, *, format = "toml"))]
    fn diff(&self, py: Python<'_>, policy: &Bound<'_, PyAny>, format: &str) -> PyResult<String> {
        let (policy, format) = (octets(policy, "policy")?, self::format(format)?);
        analysis::diff(py, &*self.live(py)?, policy, format)
    }
}
