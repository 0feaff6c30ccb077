//! What a source's answers mean: taken, kept for a while, or withdrawn.

use core::fmt;
use core::task::Waker;
use core::time::Duration;

use ztl_core::Timestamp;

use super::{Part, Source, SourceError};
use crate::bundle::TrustBundle;
use crate::svid::X509Svid;

/// How long what a source gave last is kept while the source does not vouch for it, where nothing else is said: 10 minutes.
///
/// It covers the restart of an agent and an operator's mistake that is mended at once; it does not cover a night.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(600);

/// A source, and how far what it gave last is still good.
///
/// - Changed material is taken at once, where `accept` takes it.
/// - Where the source fails, or gives what is not accepted, the last good material stays, and each distinct failure is
///   reported once.
/// - Where that has lasted for the grace, the material is **withdrawn** (rule 30): no new handshake may rest on it. The grace
///   counts from the first answer that did not vouch for it, and a source that only ever changes vouches for nothing.
/// - Where the source vouches for it again, it is given again.
///
/// SVID and bundles are kept apart: one may fail while the other holds.
///
/// The grace is counted in time that passed from one look to the next. What a clock was set back by gives none of it back, and
/// what it was ahead by once counts once: neither keeps for longer what nobody vouches for (T23).
pub struct Supply {
    source: Box<dyn Source>,
    grace: Duration,
    /// When it was asked last.
    asked: Option<Timestamp>,
    /// How much time passed since it was asked first.
    passed: Duration,
    svid: Standing<X509Svid>,
    bundles: Standing<Vec<TrustBundle>>,
}

/// What to do about the two things that a source may give.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Steps {
    /// About who we are.
    pub svid: Step<X509Svid>,
    /// About whom we can prove.
    pub bundles: Step<Vec<TrustBundle>>,
}

/// What to do about one of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step<T> {
    /// Nothing.
    Stay,
    /// Use this from now on.
    Take(T),
    /// The last good stays in use, and somebody should know why. Said once a failure.
    Failing {
        /// What is wrong.
        error: SourceError,
        /// When it is withdrawn, unless the source vouches for it before; `None` where there is nothing to withdraw.
        withdrawn_at: Option<Timestamp>,
    },
    /// What was failing holds again, unchanged.
    Recovered,
    /// The grace is over: nothing new may rest on it.
    Withdraw {
        /// What is wrong, for all that time.
        error: SourceError,
    },
}

impl Supply {
    /// Begins with a source that has not been asked yet.
    #[must_use]
    pub fn new(source: impl Source + 'static, grace: Duration) -> Self {
        Self {
            source: Box::new(source),
            grace,
            asked: None,
            passed: Duration::ZERO,
            svid: Standing::new(),
            bundles: Standing::new(),
        }
    }

    /// The source, in words for people.
    #[must_use]
    pub fn name(&self) -> String {
        self.source.name()
    }

    /// How long the source's first answer may take.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.source.patience()
    }

    /// Has the source call `waker` where it learns of news by itself.
    pub fn notify(&mut self, waker: Waker) {
        self.source.notify(waker);
    }

    /// Asks the source, and says what to do. `accept` judges a new SVID: whose it is, and whether it is valid now. One that
    /// it does not take is offered to it again for as long as the source gives it.
    pub fn poll(
        &mut self,
        now: Timestamp,
        accept: impl Fn(&X509Svid, Timestamp) -> Result<(), SourceError>,
    ) -> Steps {
        let step = self.asked.replace(now).map(|before| now.since(before));
        self.passed = self.passed.saturating_add(step.unwrap_or_default());
        let at = Look {
            now,
            passed: self.passed,
            grace: self.grace,
        };
        let polled = self.source.poll(now);
        Steps {
            svid: self.svid.step(polled.svid, at, |svid| accept(svid, now)),
            bundles: self.bundles.step(polled.bundles, at, |_| Ok(())),
        }
    }

    /// What it gave was withdrawn, though it has not answered: nobody vouched for it for too long. Where the source vouches for it again,
    /// it is given again.
    pub fn withdraw(&mut self) {
        self.svid.withdraw();
        self.bundles.withdraw();
    }
}

impl fmt::Debug for Supply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supply")
            .field("source", &self.source.name())
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

/// When a source is asked, and for how long it may fail.
#[derive(Clone, Copy)]
struct Look {
    now: Timestamp,
    passed: Duration,
    grace: Duration,
}

struct Standing<T> {
    given: Option<T>,
    /// What the source gives, and was not accepted yet.
    offered: Option<T>,
    /// How much time had passed when the source first did not vouch for what was given.
    since: Option<Duration>,
    said: Option<String>,
    withdrawn: bool,
}

impl<T: Clone + Same> Standing<T> {
    const fn new() -> Self {
        Self {
            given: None,
            offered: None,
            since: None,
            said: None,
            withdrawn: false,
        }
    }

    fn step(
        &mut self,
        part: Part<T>,
        at: Look,
        accept: impl Fn(&T) -> Result<(), SourceError>,
    ) -> Step<T> {
        match part {
            Part::Failed(error) => return self.fail(error, at, Loud::Yes),
            Part::Unsettled => {
                let error = SourceError::new("it keeps changing: no two reads agreed");
                return self.fail(error, at, Loud::No);
            }
            // What is said again is no news: nothing that rests on it has to be judged anew.
            Part::Changed(value)
                if !self.withdrawn
                    && self.given.as_ref().is_some_and(|given| value.same(given)) =>
            {
                self.offered = None;
            }
            Part::Changed(value) => self.offered = Some(value),
            // What is given again after it was withdrawn is judged again.
            Part::Current if self.withdrawn && self.offered.is_none() => {
                self.offered = self.given.clone();
            }
            Part::Current => {}
        }
        let Some(value) = self.offered.take() else {
            self.since = None;
            return match self.said.take() {
                Some(_) => Step::Recovered,
                None => Step::Stay,
            };
        };
        if let Err(error) = accept(&value) {
            self.offered = Some(value);
            return self.fail(error, at, Loud::Yes);
        }
        *self = Self::new();
        self.given = Some(value.clone());
        Step::Take(value)
    }

    fn withdraw(&mut self) {
        self.withdrawn = self.given.is_some();
    }

    fn fail(&mut self, error: SourceError, at: Look, loud: Loud) -> Step<T> {
        let since = *self.since.get_or_insert(at.passed);
        let left = at.grace.saturating_sub(at.passed.saturating_sub(since));
        let text = error.to_string();
        if self.given.is_some() && !self.withdrawn && left.is_zero() {
            self.withdrawn = true;
            self.said = Some(text);
            return Step::Withdraw { error };
        }
        if loud == Loud::No || self.said.as_ref() == Some(&text) {
            return Step::Stay;
        }
        self.said = Some(text);
        Step::Failing {
            error,
            withdrawn_at: (self.given.is_some() && !self.withdrawn)
                .then(|| at.now.saturating_add(left)),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Loud {
    Yes,
    No,
}

/// Whether two are the same material.
trait Same {
    fn same(&self, other: &Self) -> bool;
}

impl Same for X509Svid {
    fn same(&self, other: &Self) -> bool {
        self.chain() == other.chain()
    }
}

impl Same for Vec<TrustBundle> {
    fn same(&self, other: &Self) -> bool {
        let parts = |bundle: &TrustBundle| {
            (
                bundle.trust_domain().clone(),
                bundle.certificates().to_vec(),
            )
        };
        self.iter().map(parts).eq(other.iter().map(parts))
    }
}
