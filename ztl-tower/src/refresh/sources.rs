//! The sources of our SVID and of our bundles, and what becomes of what they say.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot};
use ztl_core::{Timestamp, TrustDomain};
use ztl_mtls::source::{SourceError, Step, Steps, Supply};
use ztl_mtls::{BundleSet, TrustBundle, X509Svid};

use super::kept::{Kept, Panicked, alone, caught};
use super::nudge::Nudge;
use super::truly::{Since, within};
use crate::guard::{BuildError, Clock, Guard};
use crate::watch::reloaded;

/// How long what answers from memory or from a disk may take, before it counts as what hangs.
pub(super) const PROMPT: Duration = Duration::from_secs(10);
/// How often a source that has not answered yet is asked again while a guard is built, if it does not say so itself.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// All sources of a guard.
pub(crate) struct Sources {
    entries: Vec<Entry>,
    /// Each at the place of its entry; none where there is no source, or where they can no longer be asked.
    supplies: Option<Kept<Vec<Supply>>>,
    /// An answer that is still waited for.
    late: Option<Late>,
    grace: Duration,
    /// Trust domains whose bundle in force is a source's.
    owned: BTreeSet<TrustDomain>,
    identity: Option<Who>,
    news: Arc<Notify>,
}

/// Who says who we are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The builder was given the SVID.
    Given,
    /// The source at this place.
    Source(usize),
}

/// What each source said that was asked.
type Answers = Vec<Option<Steps>>;

/// An answer that nobody waits for any longer, but whoever looks next.
struct Late {
    answer: oneshot::Receiver<Answers>,
    since: Since,
    withdrawn: bool,
}

/// What a source is known by, and gave.
struct Entry {
    name: Box<str>,
    nudge: Arc<Nudge>,
    bundles: Vec<TrustBundle>,
}

/// Which sources are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    All,
    Nudged,
}

impl Sources {
    /// Asks every source for the first time. What fails fails the guard, at once or when its patience is over.
    pub(crate) async fn begin(
        supplies: Vec<Supply>,
        identity: Option<X509Svid>,
        fixed: Vec<TrustBundle>,
        grace: Duration,
        clock: &Clock,
    ) -> Result<(Self, Option<X509Svid>, BundleSet), BuildError> {
        let news = Arc::new(Notify::new());
        let mut sources = Self {
            entries: Vec::new(),
            supplies: None,
            late: None,
            grace,
            owned: BTreeSet::new(),
            identity: identity.as_ref().map(|_| Who::Given),
            news: Arc::clone(&news),
        };
        let mut svid = identity;
        let mut begun = Vec::new();
        for mut supply in supplies {
            let nudge = Nudge::new(&news);
            supply.notify(nudge.waker());
            let entry = Entry {
                name: supply.name().into(),
                nudge,
                bundles: Vec::new(),
            };
            let (entry, supply, given) = entry.begin(supply, clock, &news).await?;
            begun.push(supply);
            if let Some(given) = given {
                if let Some(first) = sources.identity {
                    return Err(BuildError::ManyIdentities {
                        first: sources.name_of(first).to_owned(),
                        second: entry.name.to_string(),
                    });
                }
                sources.identity = Some(Who::Source(sources.entries.len()));
                svid = Some(given);
            }
            sources.entries.push(entry);
        }
        let set = BundleSet::new(fixed.into_iter().chain(sources.bundles().cloned()))
            .map_err(|error| BuildError::Bundle(error.into()))?;
        let owned = sources
            .bundles()
            .map(|bundle| bundle.trust_domain().clone());
        sources.owned = owned.collect();
        if !begun.is_empty() {
            sources.supplies = Some(Kept::new("sources", begun).map_err(BuildError::Refresh)?);
        }
        Ok((sources, svid, set))
    }

    /// Whether there is one.
    pub(super) const fn are_asked(&self) -> bool {
        self.supplies.is_some()
    }

    /// Waits until a source has news.
    pub(super) fn news(&self) -> Arc<Notify> {
        Arc::clone(&self.news)
    }

    /// How often they have to be asked: the grace begins with the first look that finds nothing good.
    pub(super) fn often(&self) -> Duration {
        (self.grace / 4).max(ASK_AGAIN)
    }

    /// Asks the sources, and does what follows from their answers.
    pub(super) async fn look(&mut self, guard: &Guard, look: Look) {
        let Some(supplies) = &self.supplies else {
            return;
        };
        let mut all = look == Look::All;
        if let Some(late) = &mut self.late {
            match late.answer.try_recv() {
                Err(TryRecvError::Closed) => return self.lost(guard, Panicked),
                Err(TryRecvError::Empty) => return self.waits(guard),
                Ok(answers) if !late.withdrawn => {
                    self.late = None;
                    return self.take(guard, answers);
                }
                Ok(_) => {
                    // An answer to what was asked before it was withdrawn: they are asked anew.
                    self.late = None;
                    all = true;
                    drop(supplies.begin(|supplies| supplies.iter_mut().for_each(Supply::withdraw)));
                    tracing::info!(target: "ztl", workload = guard.name(), "the sources answer again");
                }
            }
        }
        let (judge, now) = (guard.clone(), guard.now());
        let due = |entry: &Entry| {
            let nudged = entry.nudge.take();
            all || nudged
        };
        let due: Vec<bool> = self.entries.iter().map(due).collect();
        let mut answer = supplies.begin(move |supplies| {
            let judge = |svid: &X509Svid, now| {
                let judged = judge.check_identity(svid, now);
                judged.map_err(SourceError::new)
            };
            let ask = |(supply, due): (&mut Supply, bool)| due.then(|| supply.poll(now, judge));
            supplies.iter_mut().zip(due).map(ask).collect::<Vec<_>>()
        });
        let since = Since::now();
        match within(PROMPT, &mut answer).await {
            Some(Ok(answers)) => self.take(guard, answers),
            Some(Err(_)) => self.lost(guard, Panicked),
            None => {
                self.late = Some(Late {
                    answer,
                    since,
                    withdrawn: false,
                });
                self.waits(guard);
            }
        }
    }

    /// Waits for an answer no longer than the grace: a source that hangs, as on a mount that is gone, vouches for nothing. All of them are
    /// asked by one thread, so that nobody asks the others either.
    fn waits(&mut self, guard: &Guard) {
        let Some(late) = &mut self.late else { return };
        if late.withdrawn || late.since.passed() < self.grace {
            return;
        }
        late.withdrawn = true;
        for entry in &mut self.entries {
            entry.bundles.clear();
        }
        let ours = matches!(self.identity, Some(Who::Source(_)));
        if ours {
            guard.withdraw_identity("its source does not answer");
        }
        let theirs = !self.owned.is_empty();
        self.put_bundles(guard);
        let names: Vec<_> = self.entries.iter().map(|entry| &*entry.name).collect();
        let withdrawn = [(ours, "svid"), (theirs, "bundles")];
        (withdrawn.iter().filter(|(any, _)| *any))
            .for_each(|(_, what)| reloaded(guard, what, "withdrawn"));
        tracing::error!(target: "ztl", workload = guard.name(), sources = ?names, "one of the sources does not answer, for longer than the grace: what they gave is withdrawn until it does");
    }

    /// Does what follows from the answers.
    fn take(&mut self, guard: &Guard, answers: Answers) {
        let mut changed = false;
        for (at, (entry, steps)) in self.entries.iter_mut().zip(answers).enumerate() {
            if let Some(Steps { svid, bundles, .. }) = steps {
                let says_who_we_are = self.identity == Some(Who::Source(at));
                entry.svid(guard, svid, says_who_we_are);
                changed |= entry.bundles(guard, bundles);
            }
        }
        if changed {
            self.put_bundles(guard);
        }
    }

    fn name_of(&self, who: Who) -> &str {
        match who {
            Who::Given => "`identity`",
            Who::Source(at) => self.entries.get(at).map_or("", |entry| &entry.name),
        }
    }

    fn bundles(&self) -> impl Iterator<Item = &TrustBundle> {
        self.entries.iter().flat_map(|entry| &entry.bundles)
    }

    /// Puts the bundles of all sources in force, and leaves those that no source gave alone. Rule 22: two for one trust domain
    /// are never joined; what was there first counts.
    fn put_bundles(&mut self, guard: &Guard) {
        let in_force = guard.prover().bundles().load();
        let mut given = BTreeMap::new();
        for bundle in self.bundles() {
            let domain = bundle.trust_domain();
            let elsewhere = in_force.get(domain.as_str()).is_some() && !self.owned.contains(domain);
            if elsewhere || given.contains_key(domain) {
                tracing::error!(target: "ztl", workload = guard.name(), trust_domain = %domain, "another place gives a bundle of this trust domain already; this one is not used");
            } else {
                given.insert(domain.clone(), bundle);
            }
        }
        let gone: Vec<_> = self
            .owned
            .iter()
            .filter(|domain| !given.contains_key(domain))
            .cloned()
            .collect();
        let news: Vec<_> = given
            .values()
            .filter(|bundle| {
                in_force
                    .get(bundle.trust_domain().as_str())
                    .is_none_or(|old| old.certificates() != bundle.certificates())
            })
            .map(|bundle| (*bundle).clone())
            .collect();
        let owned = given.into_keys().collect();
        self.owned = owned;
        if !gone.is_empty() || !news.is_empty() {
            guard.change_bundles(&gone, news);
        }
    }

    /// Withdraws what they gave, for they are not asked any more.
    pub(super) fn withdraw(&mut self, guard: &Guard) {
        (self.supplies, self.late) = (None, None);
        self.entries.clear();
        if matches!(self.identity.take(), Some(Who::Source(_))) {
            guard.withdraw_identity("its source can no longer be asked");
        }
        self.put_bundles(guard);
    }

    /// A source panicked, or what was to be done with its answer, which no source says again: nobody vouches for anything that they gave.
    pub(super) fn lost(&mut self, guard: &Guard, error: Panicked) {
        self.withdraw(guard);
        // What panicked may be whoever hears of it.
        let _ = caught(|| {
            tracing::error!(target: "ztl", workload = guard.name(), %error, "the sources can no longer be asked: what they gave is withdrawn");
        });
    }
}

impl Entry {
    /// Asks until there is an answer.
    async fn begin(
        mut self,
        mut supply: Supply,
        clock: &Clock,
        news: &Notify,
    ) -> Result<(Self, Supply, Option<X509Svid>), BuildError> {
        let begun = Since::now();
        let patience = supply.patience();
        let (mut svid, mut missing) = (None, [None, None]);
        loop {
            let now: Timestamp = clock();
            // Whose it is and whether it is valid is judged by whoever builds the guard.
            let asked = alone("source", move || {
                let steps = supply.poll(now, |_, _| Ok(()));
                (supply, steps)
            });
            let asked = asked.map_err(BuildError::Refresh)?;
            let left = patience.saturating_sub(begun.passed()).max(PROMPT);
            let asked = within(left, asked).await;
            let hangs = || format!("`{}` does not answer, for {left:?}", self.name);
            let (asked, steps) = asked
                .ok_or_else(|| BuildError::Identity(hangs().into()))?
                .map_err(|_| BuildError::Identity(Panicked.into()))?;
            supply = asked;
            match steps.svid {
                Step::Take(taken) => (svid, missing[0]) = (Some(taken), None),
                Step::Failing { error, .. } => {
                    missing[0] = Some(BuildError::Identity(error.into()))
                }
                Step::Recovered => missing[0] = None,
                Step::Withdraw { error } => {
                    (svid, missing[0]) = (None, Some(BuildError::Identity(error.into())));
                }
                _ => {}
            }
            match steps.bundles {
                Step::Take(taken) => (self.bundles, missing[1]) = (taken, None),
                Step::Failing { error, .. } => missing[1] = Some(BuildError::Bundle(error.into())),
                Step::Recovered => missing[1] = None,
                Step::Withdraw { error } => {
                    self.bundles.clear();
                    missing[1] = Some(BuildError::Bundle(error.into()));
                }
                _ => {}
            }
            if missing.iter().all(Option::is_none) {
                return Ok((self, supply, svid));
            }
            if begun.passed() >= patience {
                let error = missing.into_iter().flatten().next();
                return error.map_or(Ok((self, supply, svid)), Err);
            }
            let _ = within(ASK_AGAIN, news.notified()).await;
        }
    }

    fn svid(&self, guard: &Guard, step: Step<X509Svid>, says_who_we_are: bool) {
        let (workload, source) = (guard.name(), &*self.name);
        match step {
            Step::Take(_) if !says_who_we_are => {
                tracing::error!(target: "ztl", workload, source, "another source says who we are: this SVID is not used");
            }
            Step::Take(svid) => match guard.swap_identity(svid) {
                Ok(()) => {
                    reloaded(guard, "svid", "taken");
                    tracing::info!(target: "ztl", workload, source, "SVID taken");
                }
                Err(error) => {
                    reloaded(guard, "svid", "refused");
                    tracing::error!(target: "ztl", workload, source, %error, "SVID not taken; the last good one stays in use");
                }
            },
            Step::Failing {
                error,
                withdrawn_at,
            } => {
                let withdrawn_at = withdrawn_at.map(|at| at.to_string());
                reloaded(guard, "svid", "refused");
                tracing::error!(target: "ztl", workload, source, %error, withdrawn_at, "SVID not renewed; the last good one stays in use for the grace");
            }
            Step::Recovered => {
                tracing::info!(target: "ztl", workload, source, "the source of the SVID is good again");
            }
            Step::Withdraw { error } if says_who_we_are => {
                reloaded(guard, "svid", "withdrawn");
                tracing::error!(target: "ztl", workload, source, %error, "SVID withdrawn: its source failed for the whole grace; new handshakes are refused");
                guard.withdraw_identity(&error.to_string());
            }
            _ => {}
        }
    }

    /// Answers whether the bundles are others now.
    fn bundles(&mut self, guard: &Guard, step: Step<Vec<TrustBundle>>) -> bool {
        let (workload, source) = (guard.name(), &*self.name);
        match step {
            Step::Take(bundles) => {
                reloaded(guard, "bundles", "taken");
                tracing::info!(target: "ztl", workload, source, bundles = bundles.len(), "trust bundles taken");
                self.bundles = bundles;
                return true;
            }
            Step::Failing {
                error,
                withdrawn_at,
            } => {
                let withdrawn_at = withdrawn_at.map(|at| at.to_string());
                reloaded(guard, "bundles", "refused");
                tracing::error!(target: "ztl", workload, source, %error, withdrawn_at, "trust bundles not renewed; the last good ones stay in use for the grace");
            }
            Step::Recovered => {
                tracing::info!(target: "ztl", workload, source, "the source of the trust bundles is good again");
            }
            Step::Withdraw { error } => {
                reloaded(guard, "bundles", "withdrawn");
                tracing::error!(target: "ztl", workload, source, %error, "trust bundles withdrawn: their source failed for the whole grace; their trust domains are no longer trusted");
                self.bundles.clear();
                return true;
            }
            _ => {}
        }
        false
    }
}
