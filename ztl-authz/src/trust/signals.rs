//! Which source gives which signal.

use std::collections::HashMap;
use std::sync::Arc;

use thiserror::Error;
use ztl_core::policy::Policy;
use ztl_core::trust::{Scored, Scorer, Signal, Weighed};
use ztl_core::{Timestamp, TrustScore};

use super::source::{SignalSource, Whom};

/// A policy weighs a signal that nobody gives: it would be missing for ever.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the policy weighs the signal `{name}`, and no source gives it: add one with that name, or remove `[trust.signals.{name}]`"
)]
#[non_exhaustive]
pub struct UnknownSignal {
    /// Its name.
    pub name: String,
}

/// One source for each name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Signals(Arc<HashMap<Box<str>, Arc<dyn SignalSource>>>);

impl Signals {
    /// Nothing is known of anybody.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The signal of this name comes from there, and from nowhere else: the last one named counts.
    #[must_use]
    pub fn with(mut self, name: &str, source: impl SignalSource + 'static) -> Self {
        Arc::make_mut(&mut self.0).insert(name.into(), Arc::new(source));
        self
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether each signal that the policy weighs has a source.
    ///
    /// # Errors
    /// [`UnknownSignal`] names the first that has none.
    pub fn check(&self, policy: &Policy) -> Result<(), UnknownSignal> {
        let mut weighed = policy.scorer().into_iter().flat_map(Scorer::signals);
        match weighed.find(|weighed| !self.0.contains_key(weighed.name())) {
            None => Ok(()),
            Some(weighed) => Err(UnknownSignal {
                name: weighed.name().to_owned(),
            }),
        }
    }

    /// How far this caller is trusted.
    #[must_use]
    pub fn score(&self, scorer: &Scorer, whom: Whom<'_>, now: Timestamp) -> TrustScore {
        scorer.score(now, |weighed| self.look(weighed, whom, now))
    }

    /// As [`score`](Self::score), and how it came about.
    #[must_use]
    pub fn explain(&self, scorer: &Scorer, whom: Whom<'_>, now: Timestamp) -> Scored {
        scorer.explain(now, |weighed| self.look(weighed, whom, now))
    }

    /// Changes whenever the answer of a source may have.
    #[must_use]
    pub fn generation(&self) -> u64 {
        let each = self.0.values().map(|source| source.generation());
        each.fold(0, u64::wrapping_add)
    }

    /// Changes whenever the answer of a source about one caller may have, by what that one does ([`SignalSource::drift`]).
    #[must_use]
    pub fn drift(&self) -> u64 {
        let each = self.0.values().map(|source| source.drift());
        each.fold(0, u64::wrapping_add)
    }

    fn look(&self, weighed: &Weighed, whom: Whom<'_>, now: Timestamp) -> Option<Signal> {
        let source = self.0.get(weighed.name())?;
        source.signal(weighed.name(), whom.about(weighed.of())?, now)
    }
}
