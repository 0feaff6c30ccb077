//! A C caller in Rust. Before each call its outputs hold what they must not hold after a no: a permit and dangling handles.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ffi::c_char;
use core::ptr;
use std::slice;

use ztl_ffi_impl::*;

pub(crate) const NOW: u64 = 1_790_000_000;

pub(crate) const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"

[zones.production]
trust = 3
networks = ["10.10.0.0/16"]

[workloads.router]
id = "spiffe://prod.example/router"
zone = "production"

[workloads.stranger]
id = "spiffe://prod.example/stranger"

[workloads.model-server]
id = "spiffe://prod.example/model-server"
zone = "production"
ports = [8443]
public_ports = [8080]
asserted_by = ["host"]

[[permit]]
name = "router-infers"
from = "router"
to = "model-server"
ports = 8443
actions = ["POST /v1/models/{model}/infer", "GET /v1/chat"]

[[permit]]
name = "router-chats"
from = "router"
to = "model-server"
ports = 8443
actions = ["websocket /v1/live"]

[[permit]]
name = "router-streams"
from = "router"
to = "model-server"
ports = 8443
actions = ["connect"]

[[permit]]
name = "trusted-tunes"
from = "router"
to = "model-server"
ports = 8443
actions = ["POST /v1/models/{model}/tune"]
[permit.require]
trust_score = 70

[[permit]]
name = "tenants-list"
from = "router"
to = "model-server"
ports = 8443
actions = ["GET /v1/models"]
[permit.require]
headers = { x-tenant = ["blue"] }

[[permit]]
name = "everybody-looks"
from = "public"
to = "model-server"
ports = 8080
actions = ["GET /status"]
anonymous = true
"#;

/// The same without any permit.
pub(crate) fn policy_without_permits() -> String {
    POLICY
        .split_once("[[permit]]")
        .expect("permits")
        .0
        .to_owned()
}

pub(crate) fn text(text: &str) -> ztl_str {
    bytes(text.as_bytes())
}

pub(crate) fn bytes(bytes: &[u8]) -> ztl_str {
    ztl_str {
        ptr: bytes.as_ptr(),
        len: bytes.len(),
    }
}

pub(crate) const ABSENT: ztl_str = ztl_str {
    ptr: ptr::null(),
    len: 0,
};

/// NULL with a length: the classic.
pub(crate) const NULL_WITH_LEN: ztl_str = ztl_str {
    ptr: ptr::null(),
    len: 7,
};

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: ztl_status,
    pub(crate) decision: ztl_decision,
    /// Code and text of the error object.
    pub(crate) error: Option<(ztl_status, String)>,
}

impl Answer {
    /// The call said no, in every way in which it can: law 1, T8.
    #[track_caller]
    pub(crate) fn says_no(&self, status: ztl_status) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        assert_ne!(status, ZTL_OK);
        assert_eq!(self.decision.permit, 0, "{self:?}");
        assert_eq!(self.decision.reserved, [0; 3]);
        assert_ne!(self.decision.reason, ZTL_REASON_PERMITTED);
        assert_eq!(self.decision.expires_unix, 0);
        let (code, message) = self.error.as_ref().expect("an error comes with every no");
        assert_eq!(*code, status);
        assert!(!message.is_empty());
        if status != ZTL_DENIED {
            assert_eq!(
                (self.decision.stage, self.decision.reason, self.decision.id),
                (ZTL_STAGE_NONE, ZTL_REASON_NOT_JUDGED, [0; 16])
            );
            assert_eq!(self.rule(), "");
        }
        self
    }

    /// The engine denied, for this reason.
    #[track_caller]
    pub(crate) fn is_denied(&self, reason: u32) -> &Self {
        self.says_no(ZTL_DENIED);
        assert_eq!(self.decision.reason, reason, "{self:?}");
        assert_ne!(self.decision.id, [0; 16], "a denial is found in the audit");
        self
    }

    #[track_caller]
    pub(crate) fn is_permitted(&self) -> &Self {
        assert_eq!(self.status, ZTL_OK, "{self:?}");
        assert_eq!(
            (self.decision.permit, self.decision.reason),
            (1, ZTL_REASON_PERMITTED)
        );
        assert_eq!(self.error, None);
        self
    }

    pub(crate) fn rule(&self) -> String {
        let rule = &self.decision.rule;
        let end = rule.iter().position(|c| *c == 0).expect("ended by NUL");
        rule[..end]
            .iter()
            .map(|c| char::from(c.to_ne_bytes()[0]))
            .collect()
    }
}

/// A decision as no library may leave it: permitted, and every other field set.
pub(crate) fn forged() -> ztl_decision {
    ztl_decision {
        size: u32::try_from(size_of::<ztl_decision>()).expect("small"),
        permit: 1,
        reserved: [1; 3],
        stage: ZTL_STAGE_ACTION,
        reason: ZTL_REASON_PERMITTED,
        id: [0xab; 16],
        expires_unix: u64::MAX,
        rule: [c_char::from_ne_bytes([b'x']); ZTL_RULE_SIZE],
    }
}

pub(crate) fn dangling<T>() -> *mut T {
    ptr::without_provenance_mut(0xdead_beef)
}

/// Makes a call that takes a decision and an error.
pub(crate) fn call(
    call: impl FnOnce(*mut ztl_decision, *mut *mut ztl_error) -> ztl_status,
) -> Answer {
    let mut decision = forged();
    let mut error = dangling();
    let status = call(&raw mut decision, &raw mut error);
    Answer {
        status,
        decision,
        error: read_error(error),
    }
}

/// Reads an error object and frees it.
pub(crate) fn read_error(error: *mut ztl_error) -> Option<(ztl_status, String)> {
    if error.is_null() {
        return None;
    }
    let (mut at, mut len) = (ptr::null(), 0);
    // SAFETY: an error object that a call has just given.
    unsafe {
        assert_eq!(ztl_error_message(error, &raw mut at, &raw mut len), ZTL_OK);
        let message = str::from_utf8(slice::from_raw_parts(at, len))
            .expect("an error is text")
            .to_owned();
        let code = ztl_error_code(error);
        assert_eq!(
            ztl_error_reason(error) != ZTL_REASON_NOT_JUDGED,
            code == ZTL_DENIED,
            "a denial has a reason, and nothing else has one"
        );
        assert_ne!(ztl_error_reason(error), ZTL_REASON_PERMITTED);
        ztl_error_free(error);
        Some((code, message))
    }
}

/// An engine that is freed at the end of a test.
pub(crate) struct Engine(pub(crate) *mut ztl_engine);

// SAFETY: the header says that any number of threads may use an engine.
unsafe impl Send for Engine {}
// SAFETY: as above.
unsafe impl Sync for Engine {}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: made by `ztl_engine_new`, freed once.
        unsafe { ztl_engine_free(self.0) }
    }
}

/// A peer that is freed at the end of a test.
pub(crate) struct Peer(pub(crate) *mut ztl_peer);

// SAFETY: the header says that any number of threads may use a peer.
unsafe impl Send for Peer {}
// SAFETY: as above.
unsafe impl Sync for Peer {}

impl Drop for Peer {
    fn drop(&mut self) {
        // SAFETY: made by `ztl_peer_assert_dangerous`, freed once.
        unsafe { ztl_peer_free(self.0) }
    }
}

/// A flow that is freed at the end of a test.
pub(crate) struct Flow(pub(crate) *mut ztl_flow);

// SAFETY: the header says that any number of threads may use a flow.
unsafe impl Send for Flow {}
// SAFETY: as above.
unsafe impl Sync for Flow {}

impl Drop for Flow {
    fn drop(&mut self) {
        // SAFETY: made by `ztl_flow_permit`, freed once.
        unsafe { ztl_flow_free(self.0) }
    }
}

impl Engine {
    pub(crate) fn new(policy: &str) -> Self {
        Self::with_audit(policy, ABSENT)
    }

    pub(crate) fn with_audit(policy: &str, audit_file: ztl_str) -> Self {
        let (mut engine, mut error) = (dangling(), dangling());
        // SAFETY: all pointers are good.
        let status = unsafe {
            ztl_engine_new(
                text(policy),
                ZTL_FORMAT_TOML,
                audit_file,
                &raw mut engine,
                &raw mut error,
            )
        };
        assert_eq!((status, read_error(error)), (ZTL_OK, None));
        assert!(!engine.is_null());
        Self(engine)
    }

    pub(crate) fn swap(&self, policy: &str) -> (ztl_status, Option<(ztl_status, String)>) {
        let mut error = dangling();
        // SAFETY: all pointers are good.
        let status =
            unsafe { ztl_engine_swap(self.0, text(policy), ZTL_FORMAT_TOML, &raw mut error) };
        (status, read_error(error))
    }

    pub(crate) fn peer_until(&self, id: &str, by: &str, not_after: u64) -> Peer {
        let (mut peer, mut error) = (dangling(), dangling());
        // SAFETY: all pointers are good.
        let status = unsafe {
            ztl_peer_assert_dangerous(
                self.0,
                text(id),
                text(by),
                not_after,
                &raw mut peer,
                &raw mut error,
            )
        };
        assert_eq!((status, read_error(error)), (ZTL_OK, None));
        Peer(peer)
    }

    pub(crate) fn router(&self) -> Peer {
        self.peer_until("spiffe://prod.example/router", "host", NOW + 3600)
    }

    /// Asks for a flow; NULL comes as `None`.
    pub(crate) fn permit(&self, request: &ztl_flow_request) -> (Answer, Option<Flow>) {
        let mut flow = dangling();
        // SAFETY: all pointers are good.
        let answer = call(|decision, error| unsafe {
            ztl_flow_permit(self.0, request, &raw mut flow, decision, error)
        });
        assert_eq!(
            flow.is_null(),
            answer.status != ZTL_OK,
            "a flow comes with a permit and with nothing else"
        );
        (answer, (!flow.is_null()).then(|| Flow(flow)))
    }

    /// The flow of the router, which is permitted.
    pub(crate) fn flow(&self) -> Flow {
        let router = self.router();
        let (answer, flow) = self.permit(&from_router(&router));
        answer.is_permitted();
        flow.expect("a flow comes with a permit")
    }

    pub(crate) fn authorize(&self, flow: &Flow, request: &ztl_action_request) -> Answer {
        // SAFETY: all pointers are good.
        call(|decision, error| unsafe {
            ztl_action_authorize(self.0, flow.0, request, decision, error)
        })
    }
}

pub(crate) fn from_router(router: &Peer) -> ztl_flow_request {
    ztl_flow_request {
        size: u32::try_from(size_of::<ztl_flow_request>()).expect("small"),
        port: 8443,
        flags: 0,
        me: text("model-server"),
        peer: router.0,
        from_addr: text("10.10.0.7"),
        now_unix: NOW,
        to: ABSENT,
    }
}

pub(crate) fn request(method: &'static str, target: &'static str) -> ztl_action_request {
    ztl_action_request {
        size: u32::try_from(size_of::<ztl_action_request>()).expect("small"),
        flags: 0,
        method: text(method),
        target: text(target),
        upgrade: ABSENT,
        headers: ptr::null(),
        headers_len: 0,
        now_unix: NOW,
        trust_score: -1,
        reserved: 0,
        claims: ptr::null(),
    }
}

pub(crate) fn infer() -> ztl_action_request {
    request("POST", "/v1/models/llama/infer?stream=1")
}

pub(crate) fn connect() -> ztl_action_request {
    ztl_action_request {
        flags: ZTL_ACTION_CONNECT,
        method: ABSENT,
        target: ABSENT,
        ..infer()
    }
}

pub(crate) fn header(name: &'static str, value: &'static [u8]) -> ztl_header {
    ztl_header {
        name: text(name),
        value: bytes(value),
    }
}

/// The request with these header fields, which it borrows.
pub(crate) fn with_headers(
    request: ztl_action_request,
    headers: &[ztl_header],
) -> ztl_action_request {
    ztl_action_request {
        headers: headers.as_ptr(),
        headers_len: headers.len(),
        ..request
    }
}
