//! How a caller behaves, from the decisions of this process.

use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ztl_core::audit::{AuditError, Record, Sink};
use ztl_core::trust::Signal;
use ztl_core::{Action, Direction, Lack, SpiffeId, Timestamp};

use super::source::{About, SignalSource};

/// Most callers that are watched at once; past that the one that was silent for longest is forgotten.
const MAX_CALLERS: usize = 10_240;
const SHARDS: usize = 16;
/// Parts of a window: it slides by one of them.
const PARTS: usize = 8;
/// Kinds of action that are remembered of a caller.
const REMEMBERED: usize = 64;
/// Shares are of at least so many decisions, so that the first denial of a caller is not all of what it did.
const LEAST: u32 = 20;

/// What is measured of a caller, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Measure {
    /// How many of its decisions within the window were denials, in percent of all, or of 20 where there were fewer. A denial
    /// for want of trust itself does not count: a low score must not lower itself.
    Denials,
    /// How many decisions there were within the window, in percent of the usual number, at most 100.
    Rate,
    /// How many were of a kind that it was not seen to ask for before: another target, method, or one of the first two segments of
    /// the path. In percent as denials are.
    Novelty,
    /// 100 less the greatest of the others: for a `weight` that adds.
    Calm,
}

/// Watches the decisions of this process, and says of each caller how it behaves. Clones share what they saw.
///
/// A decision counts for the most specific identity that was proved (T33): for the user, as it came through this workload, where a
/// token was verified; for the workload where none was read; for nobody where one was wanted and none was good, nor where what was
/// permitted is refused after all (a limit, a body) on a flow on which tokens are read: whose it was is not known by then.
///
/// What runs already and is judged again counts for nobody: nothing was asked for.
///
/// It remembers nothing over a restart: a caller is not known until its first decision that is no denial for want of trust, and is
/// forgotten when it was silent for the window. With a negative weight, or one that a permit cannot do without, a caller needs a permit
/// that asks for no score. At most 10 240 callers are watched, in about 8 MiB.
///
/// ```
/// use core::time::Duration;
/// use ztl_authz::trust::{Behaviour, Measure, Signals};
/// use ztl_core::audit::MemorySink;
///
/// // Decisions of ten minutes; 1 200 of them in that time are as many as are usual.
/// let behaviour = Behaviour::new(Duration::from_secs(600), 1200);
/// let audit = behaviour.watching(MemorySink::new(1000));
/// let signals = Signals::none().with("calm", behaviour.measure(Measure::Calm));
/// # let _ = (audit, signals);
/// ```
#[derive(Clone)]
pub struct Behaviour(Arc<Seen>);

struct Seen {
    part: u64,
    usual: u32,
    hasher: RandomState,
    shards: [Mutex<HashMap<u64, Track>>; SHARDS],
    /// Decisions that were counted.
    counted: AtomicU64,
}

impl Behaviour {
    /// Watches over a window of at least 8 seconds, in which `usual` decisions are as many as a caller may need.
    #[must_use]
    pub fn new(window: Duration, usual: u32) -> Self {
        let millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        Self(Arc::new(Seen {
            part: (millis / 8).max(1000),
            usual: usual.max(1),
            hasher: RandomState::new(),
            shards: core::array::from_fn(|_| Mutex::default()),
            counted: AtomicU64::new(0),
        }))
    }

    /// A sink that shows every record to this one before it goes on.
    #[must_use]
    pub fn watching<S: Sink>(&self, sink: S) -> Watched<S> {
        Watched {
            behaviour: self.clone(),
            sink,
        }
    }

    /// One measure, as a source of signals.
    #[must_use]
    pub fn measure(&self, measure: Measure) -> impl SignalSource + use<> {
        Measured {
            behaviour: self.clone(),
            measure,
        }
    }

    /// What a measure says of a caller, 0 to 100; none where it was not seen within the window.
    #[must_use]
    pub fn value(&self, measure: Measure, about: About<'_>, now: Timestamp) -> Option<u8> {
        let key = self.key(about);
        let counted = {
            let shard = self.shard(key);
            shard.get(&key)?.within(self.part(now))
        };
        (counted.all > 0).then(|| counted.value(measure, self.0.usual))
    }

    fn see(&self, record: &Record<'_>) {
        let asked = record.action().is_some() || !record.is_permit();
        let circular = record.lack() == Some(Lack::TrustScore);
        // Who has a stream that is judged again did nothing: a score must not fall because it was looked at.
        let again = record.is_again();
        if record.direction() != Direction::Ingress || !asked || circular || again {
            return;
        }
        let part = self.part(record.time());
        let kind = self.0.hasher.hash_one(kind(record));
        // Scores are asked for under that name (T13).
        let through = record.one_id();
        let Some(about) = answerable(record, through.as_deref()) else {
            return;
        };
        let key = self.key(about);
        let mut shard = self.shard(key);
        if !shard.contains_key(&key) && shard.len() >= MAX_CALLERS / SHARDS {
            let quiet = shard.iter().min_by_key(|(_, track)| track.last);
            let quiet = quiet.map(|(key, _)| *key);
            quiet.map(|quiet| shard.remove(&quiet));
        }
        let track = shard.entry(key).or_default();
        track.count(part, !record.is_permit(), kind);
        drop(shard);
        self.0.counted.fetch_add(1, Ordering::Release);
    }

    fn part(&self, at: Timestamp) -> u64 {
        at.as_unix_millis() / self.0.part
    }

    fn key(&self, about: About<'_>) -> u64 {
        self.0.hasher.hash_one(about)
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, HashMap<u64, Track>> {
        let at = usize::try_from(key % 16).unwrap_or_default();
        let [first, ..] = &self.0.shards;
        let shard = self.0.shards.get(at).unwrap_or(first);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Behaviour")
            .field("part", &self.0.part)
            .field("usual", &self.0.usual)
            .finish_non_exhaustive()
    }
}

/// Who answers for a decision: the most specific identity that was proved (T33). A user by this very workload, so that a shared
/// gateway does not fall by what its users do, nor a user by what another gateway does; the workload where no token was read;
/// and nobody where a token was wanted and none was good, or it is no longer known whose it was.
fn answerable<'a>(record: &Record<'a>, through: Option<&'a SpiffeId>) -> Option<About<'a>> {
    if let Some((issuer, subject)) = record.subject() {
        return Some(About::Subject {
            issuer,
            subject,
            through,
        });
    }
    let of_token = matches!(
        record.lack(),
        Some(Lack::Token | Lack::Subject | Lack::Actors | Lack::Scope | Lack::Claim | Lack::Mfa)
    );
    let of_nobody = of_token || record.may_be_of_a_user();
    through.filter(|_| !of_nobody).map(About::Peer)
}

/// What kind of thing was asked: no path in full, since ids in it are new every time.
fn kind<'a>(record: &Record<'a>) -> impl Hash + use<'a> {
    let asked = record.action().and_then(Action::resource).map(|resource| {
        let mut segments = resource.path().segments();
        let first = [segments.next(), segments.next()];
        let texts = first.map(|segment| segment.map(|segment| segment.decoded()));
        (resource.method().as_str(), texts)
    });
    (record.me(), record.port(), asked)
}

/// A sink that is watched.
#[derive(Debug)]
pub struct Watched<S> {
    behaviour: Behaviour,
    sink: S,
}

impl<S: Sink> Sink for Watched<S> {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        self.behaviour.see(record);
        self.sink.record(record)
    }
}

#[derive(Debug)]
struct Measured {
    behaviour: Behaviour,
    measure: Measure,
}

impl SignalSource for Measured {
    fn signal(&self, _name: &str, about: About<'_>, now: Timestamp) -> Option<Signal> {
        let value = self.behaviour.value(self.measure, about, now)?;
        let ends = now.saturating_add(Duration::from_millis(self.behaviour.0.part));
        Signal::new(value, now, ends, "behaviour")
    }

    fn drift(&self) -> u64 {
        self.behaviour.0.counted.load(Ordering::Acquire)
    }
}

/// Decisions about one caller.
#[derive(Debug)]
struct Track {
    parts: [(u64, Counted); PARTS],
    /// Kinds of action that it asked for, the oldest overwritten first.
    known: Vec<u64>,
    next: usize,
    last: u64,
}

impl Default for Track {
    fn default() -> Self {
        Self {
            parts: [(0, Counted::default()); PARTS],
            known: Vec::new(),
            next: 0,
            last: 0,
        }
    }
}

impl Track {
    fn count(&mut self, part: u64, denied: bool, kind: u64) {
        // A clock that was set back counts into the newest part there is.
        let part = part.max(self.last);
        self.last = part;
        let at = usize::try_from(part % 8).unwrap_or_default();
        let Some((of, counted)) = self.parts.get_mut(at) else {
            return;
        };
        if *of != part {
            (*of, *counted) = (part, Counted::default());
        }
        counted.all = counted.all.saturating_add(1);
        counted.denied = counted.denied.saturating_add(denied.into());
        if !self.known.contains(&kind) {
            counted.new = counted.new.saturating_add(1);
            match self.known.get_mut(self.next) {
                Some(oldest) => *oldest = kind,
                None => self.known.push(kind),
            }
            self.next = self.next.saturating_add(1) % REMEMBERED;
        }
    }

    /// All of the window that ends with this part.
    fn within(&self, part: u64) -> Counted {
        let parts = self.parts.iter();
        let recent = parts.filter(|(of, _)| of.saturating_add(8) > part);
        recent.fold(Counted::default(), |sum, (_, one)| Counted {
            all: sum.all.saturating_add(one.all),
            denied: sum.denied.saturating_add(one.denied),
            new: sum.new.saturating_add(one.new),
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    all: u32,
    denied: u32,
    new: u32,
}

impl Counted {
    fn value(self, measure: Measure, usual: u32) -> u8 {
        let percent = |part: u32, of: u32| {
            let percent = u64::from(part).saturating_mul(100) / u64::from(of.max(1));
            u8::try_from(percent.min(100)).unwrap_or(100)
        };
        let all = self.all.max(LEAST);
        match measure {
            Measure::Denials => percent(self.denied, all),
            Measure::Rate => percent(self.all, usual),
            Measure::Novelty => percent(self.new, all),
            Measure::Calm => {
                let of = |measure| self.value(measure, usual);
                let worst = of(Measure::Denials)
                    .max(of(Measure::Rate))
                    .max(of(Measure::Novelty));
                100 - worst
            }
        }
    }
}
