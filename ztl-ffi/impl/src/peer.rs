//! `ztl_peer`: the other end of a connection.

#![expect(unsafe_code, reason = "exports")]

use core::time::Duration;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use ztl_core::{Direction, MAX_ID_BYTES, Peer, Proof, SpiffeId, Stage, Timestamp};
use ztl_mtls::{Generations, MAX_CHAIN, ProveError, Purpose};

use crate::boundary::{Fault, Refusal, array, export, sized, ztl_str};
use crate::engine::{self, Bond, ztl_engine};
use crate::error::ztl_error;
use crate::flow::{Connection, ZTL_FLOW_EGRESS, ztl_flow_request};
use crate::handle::{self, Handle};
use crate::status::ztl_status;

/// Longest name of an asserting party that is taken.
const MAX_BY_BYTES: usize = 2048;

/// The other end of a connection: who it is, and by what one knows. Good at the engine that it was made at, and at no other.
///
/// It is immutable: any number of threads may use it at once.
#[derive(Debug)]
pub struct ztl_peer {
    _opaque: (),
}

impl Handle for ztl_peer {
    const NAME: &'static str = "ztl_peer";
    const TAG: u64 = u64::from_be_bytes(*b"ztl-peer");
    type Body = Body;
}

/// What is behind a [`ztl_peer`].
#[derive(Debug)]
pub(crate) struct Body {
    peer: Peer,
    /// The generations of bundles and revocation that it was proved by; `None` where nothing was proved by them.
    proved_by: Option<Generations>,
    /// From when on the proof is none though nothing changes: a certificate of its path has ended, or the last revocation list that
    /// covers one of them is overdue (T25).
    ends: Timestamp,
    /// As which end of TLS it was proved; `None` where nothing was proved.
    purpose: Option<Purpose>,
    bond: Arc<Bond>,
}

impl Body {
    /// The peer, if it was made at this engine.
    pub(crate) fn at(&self, engine: &engine::Body) -> Result<&Peer, Fault> {
        if Arc::ptr_eq(&self.bond, &engine.bond) {
            Ok(&self.peer)
        } else {
            Err(Fault::arg("the `ztl_peer` was made at another engine"))
        }
    }

    /// Whether it was proved as the end of TLS that it is. Who is asserted calls, and is never called.
    pub(crate) fn comes_as(&self, direction: Direction) -> bool {
        match direction {
            Direction::Ingress => self.purpose != Some(Purpose::Server),
            Direction::Egress => self.purpose == Some(Purpose::Server),
        }
    }

    /// Whether what it was proved by is still in force, and proves it at this time.
    pub(crate) fn is_current(&self, engine: &engine::Body, now: Timestamp) -> bool {
        let proved_by = |generations| generations == engine.prover.generations();
        now < self.ends && self.proved_by.is_none_or(proved_by)
    }

    /// From when on its proof is none, whatever else is permitted.
    pub(crate) const fn ends(&self) -> Timestamp {
        self.ends
    }
}

/// Step one: proves who makes a connection, or who was called, by the certificates that it showed, or denies it. A denial is
/// recorded.
///
/// The chain leads to an authority of its own trust domain, which the engine trusts (`ztl_engine_trust`), and its leaf is an
/// X.509-SVID of a caller. **The host's TLS has checked that the caller holds the leaf's key**, as every TLS handshake does
/// that asks for a client certificate; the host need not have verified the chain.
///
/// The peer, and every flow that is permitted to it, is good until a certificate of the path ends, or the last revocation list that
/// covers one of them is overdue: `expires_unix` of a decision says when.
///
/// @param engine the engine
/// @param request the connection, as it goes to `ztl_flow_permit` next; `peer` NULL, and `flags` 0, or
///   `ZTL_FLOW_EGRESS` where this host called
/// @param chain the certificates in DER, the leaf first, as the caller sent them
/// @param chain_len how many
/// @param peer receives the peer; NULL unless `ZTL_OK` is returned. End it with `ztl_peer_free`
/// @param error receives the reason, of a denial as well; may be NULL
///
/// # Safety
/// `engine` is NULL or live; `request` is NULL or readable, with readable texts; the chain is readable; `peer` and `error` are
/// NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_peer_prove(
    engine: *const ztl_engine,
    request: *const ztl_flow_request,
    chain: *const ztl_str,
    chain_len: usize,
    peer: *mut *mut ztl_peer,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (peer), error: error, || {
        // SAFETY: as promised to this function.
        let engine = unsafe { engine::lent(engine) }?;
        // SAFETY: as promised to this function.
        let request: ztl_flow_request = unsafe { sized(request, "request") }?;
        if !request.peer.is_null() || !matches!(request.flags, 0 | ZTL_FLOW_EGRESS) {
            return Err(Fault::arg("`request` has a peer already, or flags that nobody is proved with").into());
        }
        // SAFETY: as promised to this function.
        let connection = unsafe { Connection::of(&request) }?;
        // SAFETY: as promised to this function.
        let chain = unsafe { read_chain(chain, chain_len) }?;
        Ok(handle::give(prove(engine, &connection, chain)?))
    })
}

/// Takes somebody's word for who the other end is. **ztl proves nothing here**: whoever calls this vouches for it.
///
/// Such a peer is denied as `ZTL_REASON_IDENTITY_UNPROVEN` unless the target workload names the asserting party:
/// `asserted_by = ["..."]` in the policy. Every record of it names that party.
///
/// @param engine the engine at which the peer will be judged
/// @param spiffe_id who the other end is said to be, such as `spiffe://prod.example/router`
/// @param by who says so, as the policy calls that party
/// @param not_after_unix seconds since 1970 from when on the word no longer holds
/// @param peer receives the peer; NULL unless `ZTL_OK` is returned. End it with `ztl_peer_free`
/// @param error receives the reason; may be NULL
///
/// # Safety
/// `engine` is NULL or live; the texts are readable; `peer` and `error` are NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_peer_assert_dangerous(
    engine: *const ztl_engine,
    spiffe_id: ztl_str,
    by: ztl_str,
    not_after_unix: u64,
    peer: *mut *mut ztl_peer,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (peer), error: error, || {
        // SAFETY: as promised to this function.
        let engine = unsafe { engine::lent(engine) }?;
        // SAFETY: as promised to this function.
        let id = unsafe { spiffe_id.required("spiffe_id", MAX_ID_BYTES) }?;
        // SAFETY: as promised to this function.
        let by = unsafe { by.required("by", MAX_BY_BYTES) }?;
        let id = SpiffeId::parse_workload(id).map_err(|error| Fault::arg(format!("`spiffe_id`: {error}")))?;
        let proof = Proof::Asserted {
            id,
            by: by.into(),
            leaf_sha256: None,
            expires_at: Timestamp::from_unix_secs(not_after_unix),
        };
        #[expect(clippy::disallowed_methods, reason = "the C door: the host vouches, and the policy has to agree that it may")]
        let peer = Peer::assertion(proof, "asserted over the C ABI");
        Ok(handle::give(Body { peer, proved_by: None, ends: Timestamp::MAX, purpose: None, bond: Arc::clone(&engine.bond) }))
    })
}

/// The SPIFFE ID of a peer: ASCII, not NUL-terminated, borrowed from the peer and good until that is freed. On any other outcome
/// `*ptr` is NULL and `*len` is 0.
///
/// # Safety
/// `peer` is NULL or live; `ptr` and `len` are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ztl_peer_id(
    peer: *const ztl_peer,
    ptr: *mut *const u8,
    len: *mut usize,
) -> ztl_status {
    export!(outputs: (ptr, len), || {
        // SAFETY: as promised to this function.
        let held = unsafe { handle::borrow(peer) }?;
        let id = held.peer.id().as_str();
        Ok((id.as_ptr(), id.len()))
    })
}

/// Ends a peer. NULL is none. Flows that were permitted to it stay.
///
/// # Safety
/// `peer` is NULL or live, no other thread uses it, and it is not used after this.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ztl_peer_free(peer: *mut ztl_peer) {
    export!(otherwise: (), || {
        // SAFETY: as promised to this function.
        unsafe { handle::release(peer) }
    })
}

/// A chain as the peer sent it, or why it is not looked at.
pub(crate) type Chain<'a> = Result<Vec<CertificateDer<'a>>, ProveError>;

fn prove(
    engine: &engine::Body,
    connection: &Connection<'_>,
    chain: Chain<'_>,
) -> Result<Body, Refusal> {
    let purpose = match connection.direction() {
        Direction::Ingress => Purpose::Client,
        Direction::Egress => Purpose::Server,
    };
    let prove = |chain: Vec<_>| engine.prover.prove_chain(&chain, connection.now, purpose);
    match chain.and_then(prove) {
        Ok(proved) => Ok(Body {
            proved_by: Some(proved.generations()),
            ends: end_of(proved.holds_until()),
            peer: proved.into_peer(),
            purpose: Some(purpose),
            bond: Arc::clone(&engine.bond),
        }),
        Err(error) => {
            let denial = connection.refuse(engine, None, Stage::Identity, error.reason());
            Err(Refusal::Denied(denial, Some(error.to_string())))
        }
    }
}

/// What holds until a second holds all through it (RFC 5280 §4.1.2.5).
fn end_of(last: Timestamp) -> Timestamp {
    Timestamp::from_unix_secs(last.as_unix_secs()).saturating_add(Duration::from_secs(1))
}

/// # Safety
/// The chain is readable for `'a`.
pub(crate) unsafe fn read_chain<'a>(chain: *const ztl_str, len: usize) -> Result<Chain<'a>, Fault> {
    if len > MAX_CHAIN {
        return Ok(Err(ProveError::ChainTooLong(len)));
    }
    // SAFETY: as promised to this function.
    let certificates = unsafe { array(chain, len, MAX_CHAIN, "chain") }?;
    let read = |certificate: &ztl_str| {
        // No bound here: the prover refuses what is too long for it without looking inside.
        // SAFETY: as promised to this function.
        let der = unsafe { certificate.bytes("certificate of the chain", usize::MAX) }?;
        der.map(CertificateDer::from)
            .ok_or_else(|| Fault::arg("a certificate of the chain is absent"))
    };
    certificates
        .iter()
        .map(read)
        .collect::<Result<_, _>>()
        .map(Ok)
}

#[cfg(test)]
mod tests {
    use core::ptr;
    use std::sync::OnceLock;

    use ztl_core::TrustDomain;
    use ztl_core::audit::{AuditError, Record, Sink};
    use ztl_core::policy::Policy;
    use ztl_mtls::Bundles;

    use super::*;
    use crate::boundary::Output;
    use crate::decision::ztl_decision;
    use crate::engine::ztl_engine_free;
    use crate::flow::ztl_flow_permit;
    use crate::status::{ZTL_DENIED, ZTL_REASON_FLOW_WITHDRAWN};

    const POLICY: &str = "schema = 1\ntrust_domain = 'prod.example'\n\
        [workloads.a]\nid = 'spiffe://prod.example/a'\n\
        [workloads.b]\nid = 'spiffe://prod.example/b'\nports = [1]\nasserted_by = ['test']\n\
        [[permit]]\nfrom = 'a'\nto = 'b'\nactions = ['GET /']\n";

    /// Changes the bundles in the middle of a decision.
    struct Changing(Arc<OnceLock<Bundles>>);

    impl Sink for Changing {
        fn record(&self, _: &Record<'_>) -> Result<(), AuditError> {
            let domain = TrustDomain::parse("prod.example")
                .map_err(|error| AuditError(error.to_string()))?;
            self.0
                .get()
                .ok_or_else(|| AuditError("no bundles".to_owned()))?
                .remove(&domain);
            Ok(())
        }
    }

    fn text(text: &str) -> ztl_str {
        ztl_str {
            ptr: text.as_ptr(),
            len: text.len(),
        }
    }

    #[test]
    fn t5_a_bundle_that_changes_while_a_flow_is_judged_withdraws_it() {
        let bundles = Arc::new(OnceLock::new());
        let policy = Policy::from_toml(POLICY).expect("a policy");
        let body = engine::Body::new(policy, Changing(Arc::clone(&bundles))).expect("an engine");
        bundles
            .set(body.prover.bundles().clone())
            .expect("set once");
        let proof = Proof::Asserted {
            id: SpiffeId::parse("spiffe://prod.example/a").expect("an id"),
            by: "test".into(),
            leaf_sha256: None,
            expires_at: Timestamp::MAX,
        };
        #[expect(clippy::disallowed_methods, reason = "a test vouches for its own peer")]
        let peer = Peer::assertion(proof, "test");
        let peer = Body {
            peer,
            proved_by: Some(body.prover.generations()),
            ends: Timestamp::MAX,
            purpose: Some(Purpose::Client),
            bond: Arc::clone(&body.bond),
        };
        let (engine, peer) = (
            handle::give::<ztl_engine>(body),
            handle::give::<ztl_peer>(peer),
        );
        let request = ztl_flow_request {
            size: u32::try_from(size_of::<ztl_flow_request>()).expect("small"),
            port: 1,
            flags: 0,
            me: text("b"),
            peer,
            from_addr: ztl_str {
                ptr: ptr::null(),
                len: 0,
            },
            now_unix: 1_790_000_000,
            to: ztl_str {
                ptr: ptr::null(),
                len: 0,
            },
        };
        let (mut flow, mut decision) = (
            ptr::dangling_mut(),
            ztl_decision {
                permit: 1,
                ..ztl_decision::closed()
            },
        );
        // SAFETY: all pointers are good.
        let status = unsafe {
            ztl_flow_permit(
                engine,
                &raw const request,
                &raw mut flow,
                &raw mut decision,
                ptr::null_mut(),
            )
        };
        assert_eq!(
            (status, decision.permit, decision.reason),
            (ZTL_DENIED, 0, ZTL_REASON_FLOW_WITHDRAWN)
        );
        assert!(flow.is_null());
        // SAFETY: live, and not used any more.
        unsafe { ztl_peer_free(peer) };
        // SAFETY: as above.
        unsafe { ztl_engine_free(engine) };
    }
}
