//! The scorer: a sum that a reader can do by hand.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use super::signal::{Of, Signal};
use crate::evidence::{OBSERVATION_SKEW, TrustScore};
use crate::time::Timestamp;

/// What `[trust.signals.NAME]` says of one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    pub(crate) name: Arc<str>,
    pub(crate) of: Of,
    /// What a value of 100 adds, or takes away. Up to 100 either way.
    pub(crate) weight: i8,
    /// Below this value the score is 0.
    pub(crate) floor: Option<u8>,
    /// At this value or above the score is 0.
    pub(crate) veto: Option<u8>,
    /// At this age it says nothing any more.
    pub(crate) max_age: Duration,
    /// From this age on it adds less and less, down to nothing at `max_age`.
    pub(crate) fades_after: Option<Duration>,
}

impl Weighed {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whom it speaks of.
    #[must_use]
    pub const fn of(&self) -> Of {
        self.of
    }

    /// Whether it could lower a score or take it away: then without it there is none (T4).
    #[must_use]
    pub const fn can_lower(&self) -> bool {
        self.weight < 0 || self.floor.is_some() || self.veto.is_some()
    }

    /// From when on this signal says nothing.
    fn end(&self, signal: &Signal) -> Timestamp {
        let aged = signal.observed_at().saturating_add(self.max_age);
        aged.min(signal.expires_at())
    }

    fn is_fresh(&self, signal: &Signal, now: Timestamp) -> bool {
        now < self.end(signal) && signal.observed_at() <= now.saturating_add(OBSERVATION_SKEW)
    }

    /// What it does to the score, and until when it does just that.
    fn effect(&self, signal: Option<&Signal>, now: Timestamp) -> (Effect, Timestamp) {
        let Some(signal) = signal else {
            return (Effect::Missing, Timestamp::MAX);
        };
        if !self.is_fresh(signal, now) {
            return (Effect::Stale, Timestamp::MAX);
        }
        let end = self.end(signal);
        if self.veto.is_some_and(|veto| signal.value() >= veto) {
            return (Effect::Vetoes, end);
        }
        if self.floor.is_some_and(|floor| signal.value() < floor) {
            return (Effect::BelowFloor, end);
        }
        let full = u64::from(self.weight.unsigned_abs()) * u64::from(signal.value());
        if self.weight < 0 {
            // Rounded up: never in the caller's favour.
            return (Effect::Takes(points(full.div_ceil(100))), end);
        }
        let (points, until) = self.fading(full, signal.observed_at(), now);
        (Effect::Adds(points), until.min(end))
    }

    /// The points of a signal that fades, rounded down, and until when it gives just these. `full` is a hundred times what it
    /// gives at first.
    fn fading(&self, full: u64, observed_at: Timestamp, now: Timestamp) -> (u8, Timestamp) {
        let first = full / 100;
        let Some(after) = self.fades_after else {
            return (points(first), Timestamp::MAX);
        };
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let (begins, ends) = (millis(after), millis(self.max_age));
        let (span, age) = (
            ends.saturating_sub(begins).max(1),
            millis(now.since(observed_at)),
        );
        // At most 10 000 times a day in milliseconds: far within 64 bits, and saturating beyond.
        let left = ends.saturating_sub(age.max(begins)).min(span);
        let given = full.saturating_mul(left) / span.saturating_mul(100);
        // It gives `given` points for as long as `full * left >= given * 100 * span`.
        let least = given.saturating_mul(100).saturating_mul(span);
        let until = match (given, full) {
            (0, _) | (_, 0) => Timestamp::MAX,
            _ => {
                let least_left = least.div_ceil(full);
                let last_age = ends.saturating_sub(least_left);
                let past = Duration::from_millis(last_age.saturating_add(1));
                observed_at.saturating_add(past)
            }
        };
        (points(given), until)
    }
}

impl fmt::Display for Weighed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (of, seconds) = (self.of.as_str(), self.max_age.as_secs());
        write!(
            f,
            "of the {of}, weight {}, heard for {seconds} s",
            self.weight
        )?;
        if let Some(after) = self.fades_after {
            write!(f, ", fading after {} s", after.as_secs())?;
        }
        if let Some(floor) = self.floor {
            write!(f, ", floor {floor}")?;
        }
        if let Some(veto) = self.veto {
            write!(f, ", veto {veto}")?;
        }
        Ok(())
    }
}

/// A sum is at most 100 by the document's own check.
fn points(value: u64) -> u8 {
    u8::try_from(value.min(100)).unwrap_or(100)
}

/// What a signal did to a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// It added so many points.
    Adds(u8),
    /// It took so many points away.
    Takes(u8),
    /// It is at its veto: the score is 0.
    Vetoes,
    /// It is below its floor: the score is 0.
    BelowFloor,
    /// Nothing is known. Where it could lower the score, that is 0.
    Missing,
    /// What is known is too old, or of the future: as if it were missing.
    Stale,
}

impl Effect {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Adds(_) => "adds",
            Self::Takes(_) => "takes",
            Self::Vetoes => "vetoes",
            Self::BelowFloor => "below_floor",
            Self::Missing => "missing",
            Self::Stale => "stale",
        }
    }
}

/// One signal's part in a score.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contribution {
    /// What the document says of the signal.
    pub weighed: Arc<Weighed>,
    /// The signal, where there was one.
    pub signal: Option<Signal>,
    /// What it did.
    pub effect: Effect,
    /// How old it was.
    pub age: Duration,
}

impl Contribution {
    /// Whether it made the score 0.
    #[must_use]
    pub fn zeroes(&self) -> bool {
        match self.effect {
            Effect::Vetoes | Effect::BelowFloor => true,
            Effect::Missing | Effect::Stale => self.weighed.can_lower(),
            Effect::Adds(_) | Effect::Takes(_) => false,
        }
    }
}

impl fmt::Display for Contribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Weighed {
            name,
            weight,
            floor,
            veto,
            max_age,
            ..
        } = &*self.weighed;
        write!(f, "`{name}` of the {}", self.weighed.of.as_str())?;
        if let Some(signal) = &self.signal {
            let age = self.age.as_secs();
            let (value, source) = (signal.value(), signal.source());
            write!(f, " is {value} by `{}`, {age} s old", source.escape_debug())?;
        }
        match self.effect {
            Effect::Adds(_) if *weight == 0 => f.write_str(": within its bounds"),
            Effect::Adds(points) => write!(f, ": adds {points} of {weight}"),
            Effect::Takes(points) => write!(f, ": takes {points} of {}", weight.unsigned_abs()),
            Effect::Vetoes => write!(f, ", its veto {}: the score is 0", veto.unwrap_or_default()),
            Effect::BelowFloor => write!(
                f,
                ", below its floor {}: the score is 0",
                floor.unwrap_or_default()
            ),
            Effect::Missing | Effect::Stale => {
                match self.effect {
                    Effect::Missing => f.write_str(" is not known")?,
                    _ => write!(f, ", and is heard for {} s at most", max_age.as_secs())?,
                }
                f.write_str(if self.weighed.can_lower() {
                    ": it could lower the score, so the score is 0"
                } else {
                    ": adds nothing"
                })
            }
        }
    }
}

/// A score, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scored {
    /// The score. It expires when the first of its parts would be worth less.
    pub score: TrustScore,
    /// What every caller has before any signal.
    pub base: u8,
    /// Each signal of the document, in its order.
    pub contributions: Vec<Contribution>,
}

/// Weighs signals: `[trust]` of a policy document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scorer {
    base: u8,
    signals: Vec<Arc<Weighed>>,
}

impl Scorer {
    pub(crate) const fn new(base: u8, signals: Vec<Arc<Weighed>>) -> Self {
        Self { base, signals }
    }

    /// What every caller has before any signal.
    #[must_use]
    pub const fn base(&self) -> u8 {
        self.base
    }

    /// The signals that it weighs, in document order.
    pub fn signals(&self) -> impl ExactSizeIterator<Item = &Weighed> {
        self.signals.iter().map(|one| &**one)
    }

    /// The score at `now` of the caller for whom `look` finds signals.
    pub fn score(
        &self,
        now: Timestamp,
        look: impl FnMut(&Weighed) -> Option<Signal>,
    ) -> TrustScore {
        self.weigh(now, look, |_, _, _, _| {})
    }

    /// As [`score`](Self::score), and how it came about.
    pub fn explain(&self, now: Timestamp, look: impl FnMut(&Weighed) -> Option<Signal>) -> Scored {
        let mut contributions = Vec::with_capacity(self.signals.len());
        let score = self.weigh(now, look, |weighed, signal, effect, age| {
            contributions.push(Contribution {
                weighed: Arc::clone(weighed),
                signal,
                effect,
                age,
            });
        });
        Scored {
            score,
            base: self.base,
            contributions,
        }
    }

    fn weigh(
        &self,
        now: Timestamp,
        mut look: impl FnMut(&Weighed) -> Option<Signal>,
        mut seen: impl FnMut(&Arc<Weighed>, Option<Signal>, Effect, Duration),
    ) -> TrustScore {
        let (mut gained, mut lost, mut zero) = (u32::from(self.base), 0_u32, false);
        let mut until = Timestamp::MAX;
        for weighed in &self.signals {
            let signal = look(weighed);
            let (effect, holds) = weighed.effect(signal.as_ref(), now);
            until = until.min(holds);
            match effect {
                Effect::Adds(points) => gained = gained.saturating_add(points.into()),
                Effect::Takes(points) => lost = lost.saturating_add(points.into()),
                Effect::Vetoes | Effect::BelowFloor => zero = true,
                Effect::Missing | Effect::Stale => zero |= weighed.can_lower(),
            }
            let age = signal
                .as_ref()
                .map_or(Duration::ZERO, |signal| now.since(signal.observed_at()));
            seen(weighed, signal, effect, age);
        }
        let sum = if zero {
            0
        } else {
            points(gained.saturating_sub(lost).into())
        };
        TrustScore::of(sum, now, until)
    }
}

#[cfg(test)]
mod tests;
