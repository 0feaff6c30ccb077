//! A guard that permits nothing any more.

use std::sync::PoisonError;

use ztl_core::policy::Policy;

use super::Guard;

/// How often it is tried while the host puts other policies in force.
const TRIES: usize = 16;

impl Guard {
    /// Permits nothing from now on, ends what is open, and shuts the guard down: for one whose files nobody looks at any more, so that
    /// nobody would notice who is denied since (laws 1 and 8).
    pub(crate) fn close(&self) {
        {
            let _one = (self.0.swapping.lock()).unwrap_or_else(PoisonError::into_inner);
            // The host may put another in force beside that lock, with another serial.
            let engine = &self.0.engine;
            let put = |empty| engine.swap_policy(empty).is_ok();
            let _put = (0..TRIES).any(|_| empty(&engine.policy()).is_some_and(put));
        }
        self.shutdown();
        self.changed();
        // Whoever would judge what is open may have ended with the same runtime.
        for live in self.registry().all() {
            live.revoke();
        }
    }
}

/// A policy that may follow on this one and permits nothing.
fn empty(policy: &Policy) -> Option<Policy> {
    let serial = policy.serial();
    let serial = serial.map_or(String::new(), |serial| format!("serial = {serial}\n"));
    let domain = policy.trust_domain();
    Policy::from_toml(&format!("schema = 1\ntrust_domain = '{domain}'\n{serial}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_1_a_policy_that_permits_nothing_may_follow_on_any() {
        for (serial, expected) in [("", None), ("serial = 7\n", Some(7))] {
            let text = format!("schema = 1\ntrust_domain = 'prod.example'\n{serial}");
            let policy = Policy::from_toml(&text).expect("policy");
            let empty = empty(&policy).expect("a policy");
            assert_eq!(empty.serial(), expected);
            assert_eq!(empty.trust_domain(), policy.trust_domain());
        }
    }
}
