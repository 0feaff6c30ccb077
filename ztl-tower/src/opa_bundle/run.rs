//! Carries out what is due: one task a bundle.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use tokio::time::Instant;
use ztl_authz::bundle::{PullDue, PullFetch, Pulled, RevisionMark};
use ztl_core::Timestamp;

use super::error::OpaBundleError;
use super::fetch::fetch;
use super::keeper::{Keeper, Putting};
use super::unsure::Unsure;
use super::withdraw;
use super::{Held, OpaBundle, OpaBundleStatus};
use crate::guard::{BuildError, Guard, Inner};
use crate::refresh::{FileError, LONGEST_SLEEP, SteadyFile, off_thread, pause};
use crate::watch::fetched;

/// The longest state file that is read.
const MAX_STATE_BYTES: usize = 2 * 1024 * 1024;

/// What a refresh that succeeded came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpaBundleRefreshed {
    /// Another bundle is in force now.
    Changed,
    /// The bundle in force is the newest.
    Unchanged,
}

impl Guard {
    /// Pulls a bundle now, whether that is due or not; one in a file is looked at by itself, and is none to pull. Whoever calls this often is a burden to the server: the guard pulls by itself.
    ///
    /// # Errors
    /// [`OpaBundleError`]; the last good bundle stays, for as long as it may. Where whoever puts it in force panicked, none is in force; where
    /// withdrawing it panicked too, it is not known what is ([`OpaBundleError::NotWithdrawn`]).
    pub async fn refresh_opa_bundle(
        &self,
        name: &str,
    ) -> Result<OpaBundleRefreshed, OpaBundleError> {
        let held = self.opa_bundles().held.get(name);
        let held = held.ok_or_else(|| OpaBundleError::NotPulled(name.to_owned()))?;
        let (guard, held) = (self.clone(), Arc::clone(held));
        // Carried to its end even where the caller gives up: what is put in force has to be told to those who rest on it.
        let refreshed = tokio::spawn(async move {
            let mut from = held.from.lock().await;
            if held.is_lost() {
                return Err(held.not_kept());
            }
            let fetch = from.pull.fetch(guard.now());
            let refreshed = refresh(&guard, &held, &mut from, fetch).await;
            // When the next is due is another by now: after a failure, soon.
            held.tried.notify_one();
            drop(from);
            if held.is_lost() {
                return Err(held.not_kept());
            }
            refreshed
        });
        refreshed.await.map_err(OpaBundleError::Panicked)?
    }
}

/// Puts the first bundle of each in force. What does not come in time fails the guard (rule 57).
pub(crate) async fn begin(guard: &Guard) -> Result<(), BuildError> {
    for held in guard.opa_bundles().all() {
        first(guard, held)
            .await
            .map_err(|error| BuildError::OpaBundle {
                name: held.name.to_string(),
                error: error.into(),
            })?;
    }
    Ok(())
}

/// Begins to pull, for as long as the guard lives.
pub(crate) fn spawn(guard: &Guard, inner: &Arc<Inner>) {
    for held in guard.opa_bundles().all() {
        // Before the task is: one that is never polled pulls nothing either.
        let keeper = Keeper {
            held: Arc::clone(held),
            guard: Arc::downgrade(inner),
        };
        tokio::spawn(keep(keeper));
    }
}

/// All that a guard needs but its signal handlers is there: stores their revisions. What no guard was built with was not in force, and may be taken back.
pub(crate) async fn note(guard: &Guard) {
    for held in guard.opa_bundles().all() {
        let mut from = held.from.lock().await;
        if let Err(error) = store(&mut from).await {
            unnoted(guard, &held.name, &error);
            shows(guard, held, &from, Some(error.to_string()));
        }
    }
}

async fn first(guard: &Guard, held: &Arc<Held>) -> Result<(), OpaBundleError> {
    let mut from = held.from.lock().await;
    if let Some(path) = from.state.clone()
        && let Some(mark) = stored(path).await?
    {
        from.pull = from.pull.clone().with_mark(mark);
    }
    // Nothing is stored until the guard is built.
    let state = from.state.take();
    let came = first_good(guard, held, &mut from).await;
    from.state = state;
    came
}

async fn first_good(
    guard: &Guard,
    held: &Arc<Held>,
    from: &mut OpaBundle,
) -> Result<(), OpaBundleError> {
    let within = from.first_within;
    let begun = Instant::now();
    let mut last = OpaBundleError::TimedOut(within);
    loop {
        let now = guard.now();
        let wait = match from.pull.due(now) {
            PullDue::Fetch(fetch) => {
                let work = refresh(guard, held, from, fetch);
                let left = within.saturating_sub(begun.elapsed());
                match tokio::time::timeout(left, work).await {
                    Ok(Err(error)) if from.pull.fetched_at().is_none() => last = error,
                    Ok(_) => return Ok(()),
                    Err(_) => return Err(last),
                }
                Duration::ZERO
            }
            PullDue::At(at) => pause(at, now),
            _ => Duration::ZERO,
        };
        if begun.elapsed().saturating_add(wait) >= within {
            return Err(last);
        }
        tokio::time::sleep(wait).await;
    }
}

async fn keep(keeper: Keeper) {
    let held = &keeper.held;
    loop {
        let wait = {
            let Some(guard) = keeper.guard.upgrade().map(Guard::from_inner) else {
                return;
            };
            step(&guard, held).await
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = held.tried.notified() => {}
        }
    }
}

/// Does what is due, and says how long nothing is.
async fn step(guard: &Guard, held: &Arc<Held>) -> Duration {
    let mut from = held.from.lock().await;
    if held.left().is_some_and(|left| left.is_zero()) {
        withdraw_again(guard, held, &from).await;
    }
    let (workload, bundle, now) = (guard.name(), &*held.name, guard.now());
    let wait = match from.pull.due(now) {
        PullDue::At(at) => pause(at, now),
        PullDue::Withdraw => {
            let withdrawn = take_back(guard, held, &from).await;
            shows(
                guard,
                held,
                &from,
                Some("it is older than it may be".to_owned()),
            );
            fetched(guard, "opa_bundle", bundle, withdraw::outcome(&withdrawn));
            if let Err(error) = withdrawn {
                tracing::error!(target: "ztl", workload, bundle, error, "the bundle was not pulled for longer than it may be used, and withdrawing it panicked: what of it is in force is not known, and it is tried again");
            } else {
                tracing::error!(target: "ztl", workload, bundle, "the bundle was not pulled for longer than it may be used; nothing of it is in force now");
            }
            Duration::ZERO
        }
        PullDue::Fetch(fetch) => {
            let _ = refresh(guard, held, &mut from, fetch).await;
            Duration::ZERO
        }
        // What a later version asks for is not known here.
        _ => LONGEST_SLEEP,
    };
    held.left().map_or(wait, |left| wait.min(left))
}

/// Withdraws what is in force, and has what rests on it judged again. Where that panics, nobody knows how much was withdrawn.
async fn take_back(guard: &Guard, held: &Held, from: &OpaBundle) -> Result<(), String> {
    let withdrawn = withdraw::aside(&from.consumer).await;
    Unsure::note(&mut held.unsure(), &withdrawn);
    guard.opa_bundle_changed();
    withdrawn
}

/// Withdraws once more what could not be.
async fn withdraw_again(guard: &Guard, held: &Held, from: &OpaBundle) {
    let wrong = held.unsure().as_ref().and_then(Unsure::wrong);
    let withdrawn = take_back(guard, held, from).await;
    shows(guard, held, from, wrong);
    fetched(
        guard,
        "opa_bundle",
        &held.name,
        withdraw::outcome(&withdrawn),
    );
    withdraw::again(guard, &held.name, &withdrawn);
}

/// Waits for a fetch. What could not be withdrawn does not wait for it: a server may take its time.
async fn meanwhile<T>(
    guard: &Guard,
    held: &Held,
    from: &OpaBundle,
    fetch: impl Future<Output = T>,
) -> T {
    let mut fetch = pin!(fetch);
    while let Some(left) = held.left() {
        tokio::select! {
            came = &mut fetch => return came,
            () = tokio::time::sleep(left) => withdraw_again(guard, held, from).await,
        }
    }
    fetch.await
}

/// Pulls, puts in force, notes, and says so.
async fn refresh(
    guard: &Guard,
    held: &Arc<Held>,
    from: &mut OpaBundle,
    wanted: PullFetch,
) -> Result<OpaBundleRefreshed, OpaBundleError> {
    let (workload, bundle) = (guard.name(), &*held.name);
    let came = meanwhile(guard, held, from, fetch(guard, from, &wanted)).await;
    let refreshed = match came {
        Ok(came) => take(guard, held, from, came).await,
        Err(error) => {
            from.pull.failed(guard.now());
            Err(error)
        }
    };
    if matches!(refreshed, Ok(OpaBundleRefreshed::Changed)) {
        let revision = from.pull.mark().map(RevisionMark::to_string);
        tracing::info!(target: "ztl", workload, bundle, revision, "bundle in force");
        from.unnoted = true;
    }
    // What could not be stored is tried again, whatever became of this fetch.
    let noted = store(from).await;
    if let Err(error) = &noted {
        unnoted(guard, bundle, error);
    }
    let outcome = match &refreshed {
        Ok(OpaBundleRefreshed::Changed) => "changed",
        Ok(_) => "unchanged",
        Err(error) => failed(guard, bundle, from, error),
    };
    fetched(guard, "opa_bundle", bundle, outcome);
    let wrong = refreshed.as_ref().err().map(OpaBundleError::alone);
    let wrong = wrong.or(noted.as_ref().err());
    shows(guard, held, from, wrong.map(ToString::to_string));
    refreshed
}

/// Says why a fetch brought nothing, and answers what counts as having come of it.
fn failed(guard: &Guard, bundle: &str, from: &OpaBundle, error: &OpaBundleError) -> &'static str {
    match error {
        OpaBundleError::Panicked(_) => {
            withdraw::panicked(guard, bundle, error);
            "withdrawn"
        }
        OpaBundleError::NotWithdrawn(..) => {
            withdraw::panicked(guard, bundle, error);
            "unknown"
        }
        error => {
            let workload = guard.name();
            let in_force = from.pull.fetched_at().is_some();
            tracing::error!(target: "ztl", workload, bundle, in_force, %error, "bundle not pulled; the last good one stays for as long as it may");
            "failed"
        }
    }
}

/// Reads, verifies and puts in force where no request waits.
async fn take(
    guard: &Guard,
    held: &Arc<Held>,
    from: &mut OpaBundle,
    came: super::fetch::Came,
) -> Result<OpaBundleRefreshed, OpaBundleError> {
    let (consumer, now) = (Arc::clone(&from.consumer), guard.now());
    let putting = Putting {
        held: Arc::clone(held),
        guard: guard.clone(),
    };
    let taken = off_thread(from.pull.clone(), move |pull| {
        let _putting = putting;
        match pull.receive(came.answer(), now)? {
            Pulled::Bundle(bundle) => match consumer.put_in_force(*bundle) {
                Ok(()) => {
                    pull.in_force(now);
                    Ok(OpaBundleRefreshed::Changed)
                }
                Err(error) => {
                    pull.failed(now);
                    Err(OpaBundleError::NotInForce(error))
                }
            },
            _ => Ok(OpaBundleRefreshed::Unchanged),
        }
    })
    .await;
    match taken {
        Ok((pull, outcome)) => {
            from.pull = pull;
            if matches!(outcome, Ok(OpaBundleRefreshed::Changed)) {
                *held.unsure() = None;
                guard.opa_bundle_changed();
            }
            outcome
        }
        Err(panicked) => {
            // Nobody knows what is in force.
            from.pull.withdrawn(guard.now());
            let withdrawn = take_back(guard, held, from).await;
            Err(OpaBundleError::Panicked(panicked).then(withdrawn))
        }
    }
}

/// Stores the newest revision, where it is not. In force it is already: a full disk must not keep an old policy.
async fn store(from: &mut OpaBundle) -> Result<(), OpaBundleError> {
    let (true, Some(path), Some(mark)) = (from.unnoted, &from.state, from.pull.mark()) else {
        return Ok(());
    };
    let marked = (path.clone(), mark.clone());
    let (_, stored) = off_thread(marked, |(path, mark)| store_in(path, mark))
        .await
        .map_err(OpaBundleError::Panicked)?;
    stored?;
    from.unnoted = false;
    Ok(())
}

/// The same, where that blocks nobody.
pub(super) fn store_in(path: &Path, mark: &RevisionMark) -> Result<(), OpaBundleError> {
    ztl_mtls::replace_file(path, mark.to_json().as_bytes()).map_err(|error| OpaBundleError::Store {
        path: path.to_owned(),
        error,
    })
}

/// What came is in force all the same: it says nothing of the fetch.
pub(super) fn unnoted(guard: &Guard, bundle: &str, error: &OpaBundleError) {
    let workload = guard.name();
    tracing::error!(target: "ztl", workload, bundle, %error, "the bundle in force could not be stored as the newest, which is tried again; after a restart an older one would be taken");
}

/// What an earlier run stored; none where there is no such file yet.
async fn stored(path: PathBuf) -> Result<Option<RevisionMark>, OpaBundleError> {
    let (_, read) = off_thread(path, |path| stored_in(path))
        .await
        .map_err(OpaBundleError::Panicked)?;
    read
}

/// The same, where that blocks nobody.
pub(super) fn stored_in(path: &Path) -> Result<Option<RevisionMark>, OpaBundleError> {
    match SteadyFile::new(path.to_owned(), MAX_STATE_BYTES).load() {
        Err(FileError::Read { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
        Ok(bytes) => {
            RevisionMark::from_json(&bytes)
                .map(Some)
                .map_err(|error| OpaBundleError::State {
                    path: path.to_owned(),
                    error,
                })
        }
    }
}

fn shows(guard: &Guard, held: &Held, from: &OpaBundle, wrong: Option<String>) {
    let fetched_at = from.pull.fetched_at();
    let last_error = Unsure::beside(&mut held.unsure(), wrong);
    gauges(guard, &held.name, fetched_at);
    held.say(OpaBundleStatus {
        in_force: fetched_at.is_some(),
        revision: from.pull.mark().map(|mark| mark.revision().into()),
        fetched_at,
        ends_at: from.pull.ends_at(),
        last_error,
    });
}

#[cfg(feature = "metrics")]
pub(super) fn gauges(guard: &Guard, bundle: &str, fetched_at: Option<Timestamp>) {
    let (workload, bundle) = (guard.name().to_owned(), bundle.to_owned());
    metrics::gauge!("ztl_opa_bundle_in_force", "workload" => workload.clone(), "bundle" => bundle.clone())
        .set(if fetched_at.is_some() { 1.0 } else { 0.0 });
    if let Some(at) = fetched_at {
        // 32 bits hold seconds until 2106, and a float holds them exactly.
        let seconds = u32::try_from(at.as_unix_secs()).unwrap_or(u32::MAX);
        metrics::gauge!("ztl_opa_bundle_fetched_timestamp_seconds", "workload" => workload, "bundle" => bundle)
            .set(f64::from(seconds));
    }
}

#[cfg(not(feature = "metrics"))]
pub(super) const fn gauges(_: &Guard, _: &str, _: Option<Timestamp>) {}
