//! Whether what a policy asks of callers can be had at all.

use ztl_core::policy::Policy;

use super::{BuildError, Guard};

/// What a guard can know of callers.
pub(super) struct Supplied<'a> {
    pub(super) workload: &'a str,
    pub(super) tokens: bool,
    #[cfg(feature = "trust")]
    pub(super) signals: &'a ztl_authz::trust::Signals,
    pub(super) posture: bool,
    pub(super) context: bool,
}

impl Supplied<'_> {
    /// What is asked for and never there leaves every permit that asks without effect: better said at once.
    pub(super) fn check(&self, policy: &Policy) -> Result<(), BuildError> {
        let reads = policy.workload_reads(self.workload);
        let name = || self.workload.to_owned();
        if reads.token && !self.tokens {
            return Err(BuildError::NoTokenVerifier(name()));
        }
        #[cfg(feature = "trust")]
        self.signals
            .check(policy)
            .map_err(|error| BuildError::Signals(error.into()))?;
        #[cfg(not(feature = "trust"))]
        if policy.scorer().is_some() {
            let why = "build with the feature `trust`, and say where they come from";
            return Err(BuildError::Signals(why.into()));
        }
        if !crate::duty::kinds().contains(policy.workload_obliges(self.workload)) {
            return Err(BuildError::Undischarged(name()));
        }
        if reads.posture && !self.posture {
            return Err(BuildError::NoPosture(name()));
        }
        if reads.context && !self.context {
            return Err(BuildError::NoContext(name()));
        }
        Ok(())
    }
}

impl Guard {
    /// Says in the log what the policy in force asks of callers and nobody gives: it is taken as missing.
    pub(super) fn warn_of_what_is_missing(&self) {
        let supplied = Supplied {
            workload: self.name(),
            #[cfg(feature = "jwt")]
            tokens: self.0.tokens.are_verified(),
            #[cfg(not(feature = "jwt"))]
            tokens: false,
            #[cfg(feature = "trust")]
            signals: &self.0.signals,
            #[cfg(feature = "trust")]
            posture: self.0.posture.is_some(),
            #[cfg(not(feature = "trust"))]
            posture: false,
            context: self.0.context.is_some(),
        };
        if let Err(error) = supplied.check(&self.engine().policy()) {
            tracing::error!(target: "ztl", workload = self.name(), %error, "the new policy asks of callers what this guard cannot know: it is missing, so that permits which ask for it do not permit");
        }
    }
}
