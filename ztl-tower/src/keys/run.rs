//! Carries out what is due: one task an issuer.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::{Arc, Weak};

use tokio::sync::{Mutex, mpsc};
use ztl_authz::jwt::{Due, Fetch, Received};

use super::error::KeysError;
use super::{Fetched, Waiting};
use crate::guard::{Guard, Inner};
use crate::refresh::{LONGEST_SLEEP, pause};
use crate::watch::fetched;

/// What a refresh of an issuer's keys that succeeded came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeysRefreshed {
    /// Other keys are in force now.
    Changed,
    /// The keys in force are the newest.
    Unchanged,
}

impl Guard {
    /// Fetches the keys of an issuer now, whether that is due or not: so a service that would rather not start without them can
    /// ask for them once. Whoever calls this often is a burden to the issuer: the guard refreshes by itself. Of those who call it at once
    /// one fetches, and the others have what that came to.
    ///
    /// # Errors
    /// [`KeysError`]; the last good keys stay, for as long as they may.
    pub async fn refresh_keys(&self, issuer: &str) -> Result<KeysRefreshed, KeysError> {
        let held = self
            .keys()
            .get(issuer)
            .ok_or_else(|| KeysError::NotFetched(issuer.to_owned()))?;
        let begun = held.begun();
        let mut fetched = held.fetched.lock().await;
        // One that began before this was asked may have read what was there before; one that began since has all that was.
        if let Some((number, came_to)) = &fetched.last
            && *number > begun
        {
            return came_to.clone();
        }
        let fetch = fetched.from.endpoint.fetch(self.now());
        fetched.refresh(self, fetch).await
    }
}

/// Begins to fetch, for as long as the guard lives.
pub(crate) fn spawn(waiting: Waiting, guard: &Arc<Inner>) {
    for (fetched, unknown) in waiting {
        tokio::spawn(keep(fetched, unknown, Arc::downgrade(guard)));
    }
}

async fn keep(
    fetched: Arc<Mutex<Fetched>>,
    mut unknown: mpsc::Receiver<Box<str>>,
    guard: Weak<Inner>,
) {
    loop {
        let wait = {
            let Some(guard) = guard.upgrade().map(Guard::from_inner) else {
                return;
            };
            fetched.lock().await.step(&guard).await
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            key_id = unknown.recv() => {
                // The guard holds the other end.
                let (Some(key_id), Some(guard)) = (key_id, guard.upgrade().map(Guard::from_inner)) else {
                    return;
                };
                let now = guard.now();
                fetched.lock().await.from.endpoint.unknown_key(&key_id, now);
            }
        }
    }
}

impl Fetched {
    /// Does what is due, and says how long nothing is.
    async fn step(&mut self, guard: &Guard) -> Duration {
        let (workload, issuer) = (guard.name(), self.issuer.clone());
        let now = guard.now();
        match self.from.endpoint.due(now) {
            Due::At(at) => return pause(at, now),
            Due::Withdraw => {
                self.put_in_force(guard);
                fetched(guard, "jwks", &issuer, "withdrawn");
                tracing::error!(target: "ztl", workload, issuer = &*issuer, "the issuer's keys were not fetched for longer than they may be used; its tokens are refused now");
            }
            Due::Fetch(fetch) => match self.refresh(guard, fetch).await {
                Ok(KeysRefreshed::Changed) => {
                    fetched(guard, "jwks", &issuer, "changed");
                    let keys = self.from.endpoint.jwks().key_count();
                    tracing::info!(target: "ztl", workload, issuer = &*issuer, keys, "the issuer's keys changed");
                }
                Ok(_) => fetched(guard, "jwks", &issuer, "unchanged"),
                Err(error) => {
                    fetched(guard, "jwks", &issuer, "failed");
                    let in_force = self.from.endpoint.fetched_at().is_some();
                    tracing::error!(target: "ztl", workload, issuer = &*issuer, in_force, %error, "the issuer's keys were not fetched; the last good ones stay for as long as they may");
                }
            },
            // What a later version asks for is not known here.
            _ => return LONGEST_SLEEP,
        }
        Duration::ZERO
    }

    async fn refresh(&mut self, guard: &Guard, fetch: Fetch) -> Result<KeysRefreshed, KeysError> {
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let timeout = self.from.timeout;
        let refreshed = tokio::time::timeout(timeout, self.fetch(guard, fetch)).await;
        let refreshed = refreshed.unwrap_or(Err(KeysError::TimedOut(timeout)));
        if refreshed.is_ok() {
            self.put_in_force(guard);
        }
        self.last = Some((number, refreshed.clone()));
        refreshed
    }

    async fn fetch(&mut self, guard: &Guard, first: Fetch) -> Result<KeysRefreshed, KeysError> {
        let mut fetch = first;
        loop {
            let from = &self.from;
            let at_home = fetch.url().authority() == from.endpoint.url().authority();
            let address = from.address.filter(|_| at_home);
            let body = super::fetch::fetch(guard, &fetch, from.roots.as_ref(), address).await?;
            let received = self.from.endpoint.receive(&fetch, &body, guard.now())?;
            match received {
                Received::Next(next) => fetch = next,
                Received::Unchanged => return Ok(KeysRefreshed::Unchanged),
                _ => return Ok(KeysRefreshed::Changed),
            }
        }
    }

    fn put_in_force(&self, guard: &Guard) {
        let jwks = self.from.endpoint.jwks();
        gauges(guard, &self.issuer, &self.from);
        // The issuer is one that the guard was built with.
        let _ = guard.swap_token_keys(&self.issuer, jwks);
    }
}

#[cfg(feature = "metrics")]
fn gauges(guard: &Guard, issuer: &str, from: &super::FetchedKeys) {
    let (workload, issuer) = (guard.name().to_owned(), issuer.to_owned());
    let count = u32::try_from(from.endpoint.jwks().key_count()).unwrap_or(u32::MAX);
    metrics::gauge!("ztl_token_keys", "workload" => workload.clone(), "issuer" => issuer.clone())
        .set(f64::from(count));
    if let Some(at) = from.endpoint.fetched_at() {
        // 32 bits hold seconds until 2106, and a float holds them exactly.
        let seconds = u32::try_from(at.as_unix_secs()).unwrap_or(u32::MAX);
        metrics::gauge!("ztl_token_keys_fetched_timestamp_seconds", "workload" => workload, "issuer" => issuer)
            .set(f64::from(seconds));
    }
}

#[cfg(not(feature = "metrics"))]
const fn gauges(_: &Guard, _: &str, _: &super::FetchedKeys) {}
