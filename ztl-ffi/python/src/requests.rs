//! The structures of the C ABI that say what is asked.

use core::ptr;

use ztl_ffi_impl as c;
use ztl_ffi_impl::{ztl_action_request, ztl_flow_request, ztl_peer};

use crate::handle::{ABSENT, lent, maybe};

/// A connection, as the verbs take it.
pub(crate) struct Connection<'a> {
    pub(crate) me: &'a [u8],
    pub(crate) port: u16,
    pub(crate) from_addr: Option<&'a [u8]>,
    pub(crate) to: Option<&'a [u8]>,
    pub(crate) anonymous: bool,
    pub(crate) now: u64,
}

impl Connection<'_> {
    pub(crate) fn request(&self, peer: *const ztl_peer) -> ztl_flow_request {
        let flags = match (self.to, self.anonymous) {
            (Some(_), false) => c::ZTL_FLOW_EGRESS,
            (None, true) => c::ZTL_FLOW_ANONYMOUS,
            (None, false) => 0,
            // No call knows both, and each refuses it.
            (Some(_), true) => c::ZTL_FLOW_EGRESS | c::ZTL_FLOW_ANONYMOUS,
        };
        ztl_flow_request {
            size: u32::try_from(size_of::<ztl_flow_request>()).unwrap_or(0),
            port: self.port,
            flags,
            me: lent(self.me),
            peer,
            from_addr: maybe(self.from_addr),
            now_unix: self.now,
            to: maybe(self.to),
        }
    }
}

/// A request that says nothing.
pub(crate) fn blank_request(now: u64) -> ztl_action_request {
    ztl_action_request {
        size: u32::try_from(size_of::<ztl_action_request>()).unwrap_or(0),
        flags: 0,
        method: ABSENT,
        target: ABSENT,
        upgrade: ABSENT,
        headers: ptr::null(),
        headers_len: 0,
        now_unix: now,
        trust_score: -1,
        reserved: 0,
        claims: ptr::null(),
    }
}
