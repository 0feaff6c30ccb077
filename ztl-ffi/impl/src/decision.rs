//! `ztl_decision`: what a deciding call says beside its status.

use core::ffi::c_char;

use ztl_core::{ActionPermit, Denial, FlowPermit, Timestamp};

use crate::boundary::{Fault, Output, check_size};
use crate::status::{
    ZTL_REASON_NOT_JUDGED, ZTL_REASON_PERMITTED, ZTL_STAGE_ACTION, ZTL_STAGE_FLOW, ZTL_STAGE_NONE,
    reason_number, stage_number,
};

/// Room for the name of a rule and the NUL that ends it. A name has at most 64 bytes.
pub const ZTL_RULE_SIZE: usize = 72;

/// What was decided, for the host's own log; nothing but `id` may be told to the peer.
///
/// Set `size` to `sizeof(ztl_decision)` before the call. The call's first act is to fill all other fields with a denial, and
/// it does so whatever `size` says: the memory has to be a whole `ztl_decision`. It owns nothing and needs no freeing.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ztl_decision {
    /// `sizeof(ztl_decision)`, set by the caller.
    pub size: u32,
    /// 1 if permitted, which is when the call returns `ZTL_OK` and at no other time; else 0.
    pub permit: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// `ZTL_STAGE_*`: the last stage that was reached.
    pub stage: u32,
    /// `ZTL_REASON_*`
    pub reason: u32,
    /// The decision's id in the audit: its 32 hexadecimal digits are these bytes in order. Zero where nothing was decided.
    pub id: [u8; 16],
    /// Seconds since 1970 from when on the permit no longer holds: end the connection, or the stream of this action, then.
    /// `UINT64_MAX` if it does not expire, 0 on a denial.
    pub expires_unix: u64,
    /// The name of the rule that decided, ended by NUL; empty where none came near. Of a permitted flow the first in the document that
    /// permits it.
    pub rule: [c_char; ZTL_RULE_SIZE],
}

/// What C sees as `sizeof(ztl_decision)`.
const SIZE: u32 = 112;
const _: () = assert!(
    size_of::<ztl_decision>() == 112,
    "the layout is part of the ABI"
);

impl ztl_decision {
    pub(crate) fn denied(denial: &Denial) -> Self {
        Self {
            stage: stage_number(denial.stage()),
            reason: reason_number(denial.reason()),
            id: denial.id().as_u128().to_be_bytes(),
            rule: rule_name(denial.rule().unwrap_or_default()),
            ..Self::closed()
        }
    }

    /// Of a flow, and of when what proved its peer ends: whoever calls this holds the permit, which is the proof.
    pub(crate) fn flow(permit: &FlowPermit, ends: Timestamp) -> Self {
        Self {
            permit: 1,
            stage: ZTL_STAGE_FLOW,
            reason: ZTL_REASON_PERMITTED,
            id: permit.id().as_u128().to_be_bytes(),
            expires_unix: unix(permit.expires_at().min(ends)),
            rule: rule_name(permit.rule()),
            ..Self::closed()
        }
    }

    /// Of an action, likewise.
    pub(crate) fn action(permit: &ActionPermit, ends: Timestamp) -> Self {
        Self {
            permit: 1,
            stage: ZTL_STAGE_ACTION,
            reason: ZTL_REASON_PERMITTED,
            id: permit.id().as_u128().to_be_bytes(),
            expires_unix: unix(permit.expires_at().min(ends)),
            rule: rule_name(permit.rule()),
            ..Self::closed()
        }
    }
}

impl Output for ztl_decision {
    fn closed() -> Self {
        Self {
            size: SIZE,
            permit: 0,
            reserved: [0; 3],
            stage: ZTL_STAGE_NONE,
            reason: ZTL_REASON_NOT_JUDGED,
            id: [0; 16],
            expires_unix: 0,
            rule: [0; ZTL_RULE_SIZE],
        }
    }

    #[expect(
        unsafe_code,
        reason = "writes where C says, but for the size that C set"
    )]
    unsafe fn close(at: *mut Self) {
        // SAFETY: as promised to this function; the first field is the size.
        let size = unsafe { at.cast::<u32>().read_unaligned() };
        // SAFETY: as promised to this function.
        unsafe {
            at.write_unaligned(Self {
                size,
                ..Self::closed()
            })
        }
    }

    #[expect(unsafe_code, reason = "reads the size that C set")]
    unsafe fn check(at: *mut Self, name: &str) -> Result<(), Fault> {
        // SAFETY: as promised to this function; the first field is the size.
        let size = unsafe { at.cast::<u32>().read() };
        check_size::<Self>(size, name)
    }

    fn denied(decision: &ztl_decision) -> Option<Self> {
        Some(*decision)
    }
}

fn unix(time: Timestamp) -> u64 {
    if time == Timestamp::MAX {
        u64::MAX
    } else {
        time.as_unix_secs()
    }
}

/// The name and a NUL. A name that did not fit would be cut; none is that long.
fn rule_name(name: &str) -> [c_char; ZTL_RULE_SIZE] {
    let mut rule = [0; ZTL_RULE_SIZE];
    let (room, _nul) = rule.split_at_mut(ZTL_RULE_SIZE - 1);
    for (to, from) in room.iter_mut().zip(name.as_bytes()) {
        *to = c_char::from_ne_bytes([*from]);
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_decision_says_no() {
        let closed = ztl_decision::closed();
        assert_eq!(
            (closed.permit, closed.stage, closed.reason),
            (0, ZTL_STAGE_NONE, ZTL_REASON_NOT_JUDGED)
        );
        assert_eq!((closed.id, closed.expires_unix), ([0; 16], 0));
    }

    #[test]
    fn the_longest_rule_name_fits_and_a_longer_one_stays_ended() {
        let text = |name: &str| {
            let rule = rule_name(name);
            let end = rule.iter().position(|c| *c == 0).expect("ended by NUL");
            rule[..end]
                .iter()
                .map(|c| char::from(c.to_ne_bytes()[0]))
                .collect::<String>()
        };
        let longest = "r".repeat(64);
        assert_eq!(text(&longest), longest);
        assert_eq!(text(""), "");
        assert_eq!(text(&"r".repeat(500)).len(), ZTL_RULE_SIZE - 1);
    }

    #[test]
    fn what_never_expires_says_so() {
        assert_eq!(unix(Timestamp::MAX), u64::MAX);
        assert_eq!(unix(Timestamp::from_unix_millis(1999)), 1);
    }
}
